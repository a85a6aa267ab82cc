"""The request that opens a test client's session: through the app, with a Flask test client's cookies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flask
import pytest
from extension.conftest import Connect
from extension.test_context import ServerSideInterface
from flask import Flask, request, session
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_realtime import SocketIO


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    """A Flask test client, and views that log in, log out and tell who is there."""

    @app.post("/login")
    def login() -> str:
        session["user"] = request.form["user"]
        return "ok"

    @app.post("/logout")
    def logout() -> str:
        session.clear()
        return "ok"

    @app.get("/me")
    def me() -> str:
        return str(session.get("user"))

    return app.test_client()


@pytest.fixture(autouse=True)
def handlers(socketio: SocketIO) -> None:
    for namespace in ("/", "/chat"):
        socketio.on_event("user", lambda: session.get("user"), namespace)
        socketio.on_event("args", lambda: request.args.to_dict(flat=False), namespace)
        socketio.on_event("header", request_header, namespace)
        socketio.on_event("address", lambda: [request.remote_addr, request.url_root], namespace)

    @socketio.on("rename")
    def rename(name: str) -> None:
        session["user"] = name


def request_header(name: str) -> str | None:
    return request.headers.get(name)


class TestLogin:
    def test_is_seen(self, http: FlaskClient, connect: Connect) -> None:
        http.post("/login", data={"user": "ada"})
        assert connect(flask_test_client=http).emit("user", callback=True) == "ada"
        assert connect().emit("user", callback=True) == []

    def test_session_transactions_too(self, http: FlaskClient, connect: Connect) -> None:
        with http.session_transaction() as transaction:
            transaction["user"] = "ada"
        assert connect(flask_test_client=http).emit("user", callback=True) == "ada"

    def test_after_a_refusal(self, http: FlaskClient, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda: "user" in session)
        client = connect(flask_test_client=http)
        assert not client.is_connected()
        assert client.refusals == {"/": {"message": "Connection rejected by server"}}
        http.post("/login", data={"user": "ada"})
        client.connect()
        assert client.is_connected()
        assert client.refusals == {}
        assert client.emit("user", callback=True) == "ada"

    def test_a_new_connection_sees_the_change(self, http: FlaskClient, connect: Connect) -> None:
        http.post("/login", data={"user": "ada"})
        client = connect(flask_test_client=http)
        http.post("/logout")
        assert client.emit("user", callback=True) == "ada"  # as it was when it has connected
        client.disconnect()
        client.connect()
        assert client.emit("user", callback=True) == []

    def test_each_client_has_its_own(self, app: Flask, http: FlaskClient, connect: Connect) -> None:
        other = app.test_client()
        http.post("/login", data={"user": "ada"})
        other.post("/login", data={"user": "bob"})
        clients = [connect(flask_test_client=one) for one in (http, other)]
        assert [client.emit("user", callback=True) for client in clients] == ["ada", "bob"]

    def test_inside_a_with_block_the_context_stays(self, http: FlaskClient, connect: Connect) -> None:
        with http:
            http.post("/login", data={"user": "ada"})
            client = connect(flask_test_client=http)
            assert client.emit("user", callback=True) == "ada"
            assert flask.request.path == "/login"
            assert session["user"] == "ada"


class TestSessions:
    """What a handler saves, and who sees it."""

    @pytest.fixture(params=["cookie", "server"])
    def kind(self, request: pytest.FixtureRequest, app: Flask) -> str:
        if request.param == "server":
            app.session_interface = ServerSideInterface()
        return str(request.param)

    def test_managed_it_stays_with_the_connection(
        self, kind: str, http: FlaskClient, connect: Connect
    ) -> None:
        http.post("/login", data={"user": "ada"})
        client = connect(flask_test_client=http)
        client.emit("rename", "bob")
        assert client.emit("user", callback=True) == "bob"
        assert http.get("/me").text == "ada"

    def test_unmanaged_it_is_shared_where_the_server_keeps_it(
        self, kind: str, http: FlaskClient, socketio: SocketIO, connect: Connect
    ) -> None:
        socketio.manage_session = False
        http.post("/login", data={"user": "ada"})
        client = connect(flask_test_client=http)
        client.emit("rename", "bob")
        shared = kind == "server"
        # A cookie can't be set without a response: the session is that of the connection's request.
        assert http.get("/me").text == ("bob" if shared else "ada")
        assert client.emit("user", callback=True) == ("bob" if shared else "ada")
        http.post("/login", data={"user": "carol"})
        assert client.emit("user", callback=True) == ("carol" if shared else "ada")


class TestCookies:
    def test_by_domain_and_path(self, app: Flask, http: FlaskClient, socketio: SocketIO) -> None:
        http.set_cookie("here", "1")
        http.set_cookie("elsewhere", "1", path="/other")
        http.set_cookie("foreign", "1", domain="example.com")
        socketio.on_event("cookies", lambda: dict(request.cookies))
        client = socketio.test_client(app, flask_test_client=http)
        assert client.emit("cookies", callback=True) == {"here": "1"}

    def test_without_cookies(self, app: Flask, connect: Connect) -> None:
        http = app.test_client(use_cookies=False)
        assert connect(flask_test_client=http).emit("user", callback=True) == []

    def test_the_cookie_of_the_session_id(self, app: Flask) -> None:
        socketio = SocketIO(app, cookie="io")
        http = app.test_client()
        client = socketio.test_client(app, flask_test_client=http)
        cookie = http.get_cookie("io")
        assert cookie is not None
        assert cookie.value == client.eio_sid

    def test_the_environ_of_the_flask_client(self, app: Flask, http: FlaskClient, connect: Connect) -> None:
        http.environ_base["REMOTE_ADDR"] = "192.0.2.1"
        http.environ_base["HTTP_USER_AGENT"] = "test"
        client = connect(flask_test_client=http)
        assert client.emit("header", "User-Agent", callback=True) == "test"
        assert client.emit("address", callback=True)[0] == "192.0.2.1"

    def test_a_plain_client_of_werkzeug(self, app: Flask, socketio: SocketIO) -> None:
        http = Client(app)
        http.set_cookie("a", "1")
        socketio.on_event("cookies", lambda: dict(request.cookies))
        client = socketio.test_client(app, flask_test_client=http)  # type: ignore[arg-type]
        assert client.emit("cookies", callback=True) == {"a": "1"}

    def test_a_client_of_another_app(self, socketio: SocketIO, app: Flask) -> None:
        with pytest.raises(ValueError, match="flask_test_client belongs to another app"):
            socketio.test_client(app, flask_test_client=Flask("other").test_client())


@pytest.mark.parametrize("through_http", [False, True])
class TestTheRequest:
    @pytest.fixture
    def connect(self, through_http: bool, connect: Connect, http: FlaskClient) -> Connect:
        if not through_http:
            return connect
        return lambda *args, **options: connect(*args, flask_test_client=http, **options)

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Color": "red"},
            Headers({"X-Color": "red"}),
            [("X-Color", "red")],
        ],
    )
    def test_headers(self, connect: Connect, headers: Any) -> None:
        assert connect(headers=headers).emit("header", "X-Color", callback=True) == "red"

    def test_a_header_twice(self, connect: Connect) -> None:
        client = connect(headers=[("X-Color", "red"), ("X-Color", "blue")])
        colors = client.emit("header", "X-Color", callback=True)
        assert [color.strip() for color in colors.split(",")] == ["red", "blue"]

    @pytest.mark.parametrize("query", ["a=1&a=2&b=ä", "?a=1&a=2&b=%C3%A4", {"a": ["1", "2"], "b": "ä"}])
    def test_query_string(self, connect: Connect, query: Any) -> None:
        client = connect(query_string=query)
        assert client.emit("args", callback=True) == {"a": ["1", "2"], "b": ["ä"]}

    def test_nothing_is_added(self, connect: Connect) -> None:
        assert connect().emit("args", callback=True) == {}

    def test_namespaces_share_it(self, connect: Connect) -> None:
        client = connect(query_string="a=1", headers={"X-Color": "red"})
        client.connect("/chat")
        assert client.emit("args", callback=True, namespace="/chat") == {"a": ["1"]}
        assert client.emit("header", "X-Color", callback=True, namespace="/chat") == "red"

    def test_a_namespace_may_have_its_own(self, connect: Connect) -> None:
        client = connect(query_string="a=1", headers={"X-Color": "red"})
        sid = client.eio_sid
        assert client.emit("args", callback=True) == {"a": ["1"]}
        client.connect("/chat", query_string="b=2", headers={"X-Color": "blue"})
        assert client.emit("args", callback=True, namespace="/chat") == {"b": ["2"]}
        assert client.emit("header", "X-Color", callback=True, namespace="/chat") == "blue"
        assert client.emit("args", callback=True) == {"a": ["1"]}
        assert client.eio_sid == sid

    def test_a_new_connection_has_a_new_one(self, connect: Connect) -> None:
        client = connect(query_string="a=1")
        client.connect(query_string="b=2")
        assert client.emit("args", callback=True) == {"b": ["2"]}

    def test_server_name_root_and_scheme(self, app: Flask, connect: Connect) -> None:
        app.config.update(
            SERVER_NAME="example.org:444", APPLICATION_ROOT="/app", PREFERRED_URL_SCHEME="https"
        )
        url_root = connect().emit("address", callback=True)[1]
        assert url_root == "https://example.org:444/app/"

    def test_the_path_of_the_options(self, app: Flask, through_http: bool) -> None:
        socketio = SocketIO(app, path="/sio")
        socketio.on_event("path", lambda: request.path)
        http = app.test_client() if through_http else None
        client = socketio.test_client(app, flask_test_client=http)
        assert client.emit("path", callback=True) == "/sio/"

    def test_what_is_wrapped_around_the_app_has_seen_it(self, app: Flask, connect: Connect) -> None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
        client = connect(
            headers={
                "X-Forwarded-For": "203.0.113.7",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "example.org",
            }
        )
        assert client.emit("address", callback=True) == ["203.0.113.7", "https://example.org/"]

    def test_what_a_middleware_adds_is_kept(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        inner = app.wsgi_app

        def middleware(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["example.user"] = "ada"
            return inner(environ, start_response)

        app.wsgi_app = middleware  # type: ignore[method-assign,assignment]
        socketio.on_event("environ", lambda: request.environ["example.user"])
        assert connect().emit("environ", callback=True) == "ada"

    def test_a_middleware_that_refuses(self, app: Flask, connect: Connect) -> None:
        def middleware(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            start_response("401 UNAUTHORIZED", [("Content-Type", "text/plain")])
            return [b"who are you?"]

        app.wsgi_app = middleware  # type: ignore[method-assign,assignment]
        client = connect()
        assert not client.is_connected()
        assert client.refusals == {
            "/": {"message": "the request was answered with 401 UNAUTHORIZED: who are you?"}
        }
        with pytest.raises(RuntimeError, match=r"not connected: refused with .*401 UNAUTHORIZED"):
            client.emit("args")
        with pytest.raises(RuntimeError, match="not connected: refused with"):
            _ = client.eio_sid

    def test_the_origin_is_checked(self, socketio: SocketIO, connect: Connect) -> None:
        assert connect(headers={"Origin": "http://localhost"}).is_connected()
        client = connect(headers={"Origin": "http://evil.example"})
        assert not client.is_connected()
        assert "403" in client.refusals["/"]["message"]
        assert "evil.example" in client.refusals["/"]["message"]
        assert socketio.refusals() == {"request refused": 1}

    def test_a_server_that_drains(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.current_server.engine.draining = True
        client = connect()
        assert "503" in client.refusals["/"]["message"]
        assert "the server is shutting down" in client.refusals["/"]["message"]

    def test_an_app_that_is_current(self, app: Flask, socketio: SocketIO, through_http: bool) -> None:
        with app.app_context():
            current = flask.current_app
            http = current.test_client() if through_http else None
            client = socketio.test_client(current, flask_test_client=http)  # type: ignore[arg-type]
            assert client.emit("args", callback=True) == {}


class TestWhyItIsNotConnected:
    def test_refused(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda: False)
        client = connect()
        with pytest.raises(RuntimeError) as failure:
            client.emit("args")
        assert str(failure.value) == (
            "not connected: refused with {'message': 'Connection rejected by server'}"
        )

    def test_a_connect_that_breaks_a_rule(self, connect: Connect) -> None:
        client = connect(auth="not a dict")
        with pytest.raises(RuntimeError, match=r"refused with .*The data of CONNECT is not an object"):
            client.emit("args")
        client.connect(auth={})
        assert client.is_connected()

    def test_unknown_namespace(self, connect: Connect) -> None:
        assert connect("/nowhere").refusals == {"/nowhere": {"message": "Invalid namespace"}}

    def test_never_asked(self, connect: Connect) -> None:
        with pytest.raises(RuntimeError) as failure:
            connect().emit("args", namespace="/chat")
        assert str(failure.value) == "not connected: connect('/chat') was not called; connected are: '/'"

    def test_by_the_server(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.current_server.disconnect(client.get_sid())
        assert client.disconnect_reasons == {"/": "server disconnect"}
        with pytest.raises(RuntimeError, match="not connected: namespace '/' has ended: server disconnect"):
            client.get_received()

    def test_by_itself(self, connect: Connect) -> None:
        client = connect()
        client.disconnect()
        assert client.disconnect_reasons == {"/": "client disconnect"}
        client.connect()
        assert client.disconnect_reasons == {}

    def test_a_broken_rule_ends_all_namespaces(self, connect: Connect) -> None:
        client = connect()
        client.connect("/chat")
        client.emit("disconnect")
        assert client.disconnect_reasons == {"/": "transport error", "/chat": "transport error"}
        with pytest.raises(
            RuntimeError,
            match=r"not connected: namespace '/' has ended: transport error"
            r" \(A client may not send the reserved event 'disconnect'\)",
        ):
            client.emit("args")
        client.connect()
        assert client.emit("args", callback=True) == {}

    def test_a_client_that_does_not_read(self, app: Flask) -> None:
        socketio = SocketIO(app, max_queued_packets=3)
        client = socketio.test_client(app)
        client._connection._transport.blocked = True
        for n in range(5):
            socketio.emit("event", n)
        assert client.disconnect_reasons == {"/": "transport error"}
