"""The Flask context of an event: request, g, teardown functions, sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import flask
import pytest
from acceptance import wire
from extension.conftest import Connect
from extension.live import SocketIOClient, serve
from flask import Flask, current_app, g, request, session, url_for
from flask.sessions import (
    SecureCookieSession,
    SecureCookieSessionInterface,
    SessionInterface,
    SessionMixin,
)
from flask.testing import FlaskClient
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound

from flask_realtime import EventRefusedError, Namespace, SocketIO, emit


class TestRequest:
    def test_sid_namespace_event(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        @socketio.on("event", namespace="/chat")
        def handler(*args: Any) -> None:
            seen.append((request.sid, request.namespace, request.event))

        client = connect("/chat")
        client.emit("event", 1, {"a": 2}, namespace="/chat")
        client.emit("event", namespace="/chat")
        (sid, *first), (same_sid, *second) = seen
        assert sid == same_sid
        assert first == ["/chat", {"message": "event", "args": (1, {"a": 2})}]
        assert second == ["/chat", {"message": "event", "args": ()}]

    def test_sid_is_neither_the_session_id_nor_shared(self, socketio: SocketIO, connect: Connect) -> None:
        for namespace in ("/", "/chat"):
            socketio.on_event("who", lambda: request.sid, namespace)
        client = connect()
        client.connect("/chat")
        sids = {client.emit("who", callback=True), client.emit("who", callback=True, namespace="/chat")}
        assert len(sids | {client.eio_sid}) == 3

    def test_the_handshake(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("what")
        def what() -> list[Any]:
            return [
                request.args["a"],
                request.headers["X-Color"],
                request.cookies["c"],
                request.method,
                request.host,
                request.environ["flask.app"] is current_app._get_current_object(),
            ]

        client = connect(query_string="?a=1&b=2", headers={"X-Color": "red", "Cookie": "c=3"})
        expected = ["1", "red", "3", "GET", "localhost", True]
        assert client.emit("what", callback=True) == expected
        assert client.emit("what", callback=True) == expected

    def test_is_made_when_a_handler_asks_for_it(
        self, app: Flask, socketio: SocketIO, connect: Connect
    ) -> None:
        made: list[str] = []

        class Request(flask.Request):
            def __init__(self, environ: Any, **options: Any) -> None:
                super().__init__(environ, **options)
                made.append(environ["PATH_INFO"])

        app.request_class = Request
        socketio.on_event("connect", lambda: None)
        socketio.on_event("quiet", lambda: None)
        socketio.on_event("path", lambda: request.path)
        socketio.on_event("url", lambda: url_for("static", filename="x"))
        client = connect()
        made.clear()  # what the test client's handshake has made
        client.emit("quiet")
        quiet = made.copy()
        assert client.emit("path", callback=True) == "/socket.io/"
        assert client.emit("url", callback=True) == "/static/x"
        assert client.emit("path", callback=True) == "/socket.io/"
        assert len(made) == 1
        if "_cv_request" in vars(flask.globals):  # else Flask's own context has it from the start
            assert quiet == []

    @pytest.mark.parametrize("transport", wire.TRANSPORTS)
    def test_of_a_real_client(self, socketio: SocketIO, url: str, transport: str) -> None:
        @socketio.on("what")
        def what() -> list[Any]:
            first = "websocket" if transport == "websocket" else "polling"
            return [
                request.remote_addr,
                request.args["EIO"],
                request.args["transport"] == first,
                request.path,
            ]

        with SocketIOClient(url, transport) as client:
            client.transport.send('421["what"]')
            assert client.receive() == '431[["127.0.0.1","4",true,"/socket.io/"]]'

    def test_current_app_and_url_for(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        @app.route("/user/<name>", endpoint="user")
        def user(name: str) -> str:
            return name

        @socketio.on("what")
        def what() -> list[Any]:
            return [
                current_app.name,
                url_for("user", name="ada"),
                url_for("user", name="ada", _external=True),
            ]

        client = connect()
        for _ in range(2):
            assert client.emit("what", callback=True) == [
                "app",
                "/user/ada",
                "http://localhost/user/ada",
            ]

    def test_url_for_with_a_server_name(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        app.config["SERVER_NAME"] = "app.example"
        app.add_url_rule("/there", "there", lambda: "")
        socketio.on_event("what", lambda: url_for("there", _external=True))
        assert connect().emit("what", callback=True) == "http://app.example/there"

    def test_templates(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        app.context_processor(lambda: {"added": "by a context processor"})
        socketio.on_event(
            "what", lambda: flask.render_template_string("{{ request.namespace }} {{ g.x }} {{ added }}")
        )
        assert connect().emit("what", callback=True) == "/  by a context processor"

    def test_copy_current_request_context(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("what")
        def what() -> bool:
            seen: list[Any] = []

            @flask.copy_current_request_context
            def elsewhere() -> None:
                seen.append((request.sid, request.event["message"], current_app.name))
                emit("from the thread")

            sid = request.sid
            socketio.start_background_task(elsewhere).join(5)
            return seen == [(sid, "what", "app")]

        client = connect()
        assert client.emit("what", callback=True) is True
        assert [item["name"] for item in client.get_received()] == ["from the thread"]

    def test_no_context_is_left(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("event", lambda: None)
        connect().emit("event")
        assert not flask.has_request_context()
        assert not flask.has_app_context()

    def test_a_context_around_the_test_client_is_not_disturbed(
        self, app: Flask, socketio: SocketIO, connect: Connect
    ) -> None:
        @socketio.on("event")
        def handler() -> None:
            g.value = "inner"

        with app.test_request_context("/outer"):
            g.value = "outer"
            connect().emit("event")
            assert g.value == "outer"
            assert request.path == "/outer"

    def test_nested_events(self, socketio: SocketIO, connect: Connect) -> None:
        inner, outer = connect(), connect()
        socketio.on_event("inner", lambda: request.sid)

        @socketio.on("outer")
        def handler() -> list[Any]:
            before = request.sid
            return [inner.emit("inner", callback=True) != before, request.sid == before]

        assert outer.emit("outer", callback=True) == [True, True]


class TestG:
    def test_is_new_for_every_event(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("count")
        def count() -> int:
            g.count = g.get("count", 0) + 1
            return g.count

        client = connect()
        assert [client.emit("count", callback=True) for _ in range(3)] == [1, 1, 1]


class TestTeardown:
    @pytest.fixture
    def log(self, app: Flask) -> list[Any]:
        log: list[Any] = []
        app.before_request(lambda: log.append("before_request"))
        app.after_request(lambda response: log.append("after_request") or response)
        app.teardown_request(lambda error: log.append(("request", error)))
        app.teardown_appcontext(lambda error: log.append(("appcontext", error)))
        return log

    def test_runs_after_every_event(self, socketio: SocketIO, connect: Connect, log: list[Any]) -> None:
        socketio.on_event("connect", lambda: log.append("connect"))
        socketio.on_event("event", lambda: log.append("event"))
        socketio.on_event("disconnect", lambda: log.append("disconnect"))
        client = connect()
        client.emit("event")
        client.disconnect()
        after = [("request", None), ("appcontext", None)]
        assert log == ["connect", *after, "event", *after, "disconnect", *after]

    def test_runs_when_the_handler_raises(self, socketio: SocketIO, connect: Connect, log: list[Any]) -> None:
        error = LookupError("on purpose")

        @socketio.on("event")
        def fail() -> None:
            raise error

        with pytest.raises(LookupError):
            connect().emit("event")
        assert log == [("request", error), ("appcontext", error)]

    def test_an_error_that_is_handled_is_none(
        self, socketio: SocketIO, connect: Connect, log: list[Any]
    ) -> None:
        socketio.on_error_default(lambda error: "handled")
        socketio.on_event("event", lambda: 1 / 0)
        connect().emit("event")
        assert log == [("request", None), ("appcontext", None)]

    def test_sees_g_and_session(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []
        app.teardown_appcontext(lambda error: seen.append(g.get("value")))
        app.teardown_request(lambda error: seen.append((session["value"], request.sid)))

        @socketio.on("event")
        def handler() -> str:
            g.value = session["value"] = 1
            return request.sid

        sid = connect().emit("event", callback=True)
        assert seen == [(1, sid), 1]

    def test_an_error_in_it_leaves_no_context(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        def fail(error: object) -> None:
            raise LookupError("on purpose")

        app.teardown_request(fail)
        socketio.on_event("event", lambda: None)
        client = connect()
        # Flask 3.2 collects the errors of teardown functions in a group.
        with pytest.raises(Exception, match=r"on purpose|during context teardown"):
            client.emit("event")
        assert not flask.has_app_context()

    def test_of_a_blueprint_does_not_run(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []
        blueprint = flask.Blueprint("blueprint", "blueprint")
        blueprint.teardown_request(seen.append)
        app.register_blueprint(blueprint)
        socketio.on_event("event", lambda: None)
        connect().emit("event")
        assert seen == []

    def test_pushed_again_it_is_the_same(self, socketio: SocketIO, connect: Connect, log: list[Any]) -> None:
        """As ``stream_with_context`` does it: the event has not ended when the inner one is popped."""

        @socketio.on("event")
        def handler() -> list[str]:
            g.value = "kept"

            def stream() -> Iterator[str]:
                yield g.value
                yield request.event["message"]

            return list(flask.stream_with_context(stream()))

        assert connect().emit("event", callback=True) == ["kept", "event"]
        assert log == [("request", None), ("appcontext", None)]

    def test_signals(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        seen: list[str] = []
        socketio.on_event("event", lambda: seen.append("event"))

        def pushed(*args: object, **options: object) -> None:
            seen.append("pushed")

        def popped(*args: object, **options: object) -> None:
            seen.append("popped")

        with (
            flask.appcontext_pushed.connected_to(pushed, app),
            flask.appcontext_popped.connected_to(popped, app),
        ):
            connect().emit("event")
        assert seen == ["pushed", "event", "popped"]


class TestAbort:
    """What answers a request refuses an event."""

    def test_in_a_handler(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        def handler(code: int) -> None:
            flask.abort(code, "on purpose")

        client = connect()
        refusal = {"error": {"message": "on purpose", "data": {"code": 403}}}
        assert client.emit("event", 403, callback=True) == refusal
        with pytest.raises(InternalServerError):
            client.emit("event", 500, callback=True)

    def test_in_a_coroutine(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        async def handler() -> None:
            flask.abort(403, "on purpose")

        refusal = {"error": {"message": "on purpose", "data": {"code": 403}}}
        assert connect().emit("event", callback=True) == refusal

    def test_an_error_handler_sees_it_first(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("event", lambda: flask.abort(403))
        socketio.on_error_default(lambda error: error.code)
        assert connect().emit("event", callback=True) == 403

    def test_and_so_does_the_hook_of_a_class(self, socketio: SocketIO, connect: Connect) -> None:
        class Handlers(Namespace):
            def on_event(self) -> None:
                flask.abort(403)

            async def on_event_too(self) -> None:
                flask.abort(403)

            def on_refuse(self) -> None:
                raise EventRefusedError("no") from NotFound()

            def error(self, error: Exception) -> str:
                return type(error).__name__

        socketio.on_namespace(Handlers("/class"))
        client = connect("/class")
        for event in ("event", "event_too"):
            assert client.emit(event, callback=True, namespace="/class") == "Forbidden"
        assert client.emit("refuse", callback=True, namespace="/class") == {"error": {"message": "no"}}

    @pytest.mark.parametrize(
        ("answer", "data"),
        [
            (lambda: flask.abort(401), {"code": 401}),
            (lambda: flask.abort(flask.redirect("/login", 302)), {"code": 302, "location": "/login"}),
            (lambda: flask.redirect("/login", 302), {"code": 302, "location": "/login"}),
            (lambda: flask.Response("no", 403), {"code": 403}),
        ],
        ids=["abort", "abort with a response", "redirect", "response"],
    )
    def test_a_client_that_connects_is_refused(
        self, socketio: SocketIO, connect: Connect, answer: Any, data: Any
    ) -> None:
        socketio.on_event("connect", answer)

        @socketio.on("connect", namespace="/async")
        async def handler() -> Any:
            return answer()

        for namespace in ("/", "/async"):
            client = connect(namespace)
            assert not client.is_connected(namespace)
            assert client.refusals[namespace]["data"] == data

    @pytest.mark.parametrize("failure", [500, flask.Response("no", 503)])
    def test_a_failure_refuses_it_and_is_one(
        self, socketio: SocketIO, connect: Connect, failure: Any
    ) -> None:
        socketio.on_event("connect", lambda: flask.abort(failure))
        with pytest.raises(HTTPException):
            connect()


class ServerSideSession(SecureCookieSession):
    key: str


class ServerSideInterface(SessionInterface):
    """Sessions in a dict, their keys in a cookie: as server-side session extensions do it."""

    def __init__(self) -> None:
        self.store: dict[str, dict[str, Any]] = {}
        self.saved = 0

    def open_session(self, app: Flask, request: flask.Request) -> SessionMixin:
        key = request.cookies.get("key") or uuid4().hex
        session = ServerSideSession(self.store.get(key, {}))
        session.key = key
        return session

    def save_session(self, app: Flask, session: SessionMixin, response: flask.Response) -> None:
        assert isinstance(session, ServerSideSession)
        self.saved += 1
        self.store[session.key] = dict(session)
        response.set_cookie("key", session.key)


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    @app.route("/set/<value>")
    def set_value(value: str) -> str:
        session["value"] = value
        return ""

    @app.route("/get")
    def get_value() -> str:
        return str(session.get("value"))

    return app.test_client()


def register_session_events(socketio: SocketIO) -> None:
    @socketio.on("set")
    @socketio.on("set", namespace="/chat")
    def set_value(value: str) -> None:
        session["value"] = value

    @socketio.on("get")
    @socketio.on("get", namespace="/chat")
    @socketio.on("connect")
    def get_value() -> str | None:
        return session.get("value")


class TestManagedSession:
    @pytest.fixture
    def socketio(self, app: Flask) -> SocketIO:
        socketio = SocketIO(app)
        register_session_events(socketio)
        return socketio

    def test_begins_with_the_users_session(self, http: FlaskClient, connect: Connect) -> None:
        http.get("/set/from http")
        client = connect(flask_test_client=http)
        assert client.emit("get", callback=True) == "from http"

    def test_lives_as_long_as_the_connection(self, http: FlaskClient, connect: Connect) -> None:
        client = connect(flask_test_client=http)
        client.emit("set", "one")
        assert client.emit("get", callback=True) == "one"
        assert http.get("/get").text == "None", "it is a copy"
        http.get("/set/two")
        assert client.emit("get", callback=True) == "one"
        assert connect(flask_test_client=http).emit("get", callback=True) == "two"

    def test_is_shared_by_the_namespaces_of_a_client(self, connect: Connect) -> None:
        client = connect()
        client.connect("/chat")
        client.emit("set", "shared")
        assert client.emit("get", callback=True, namespace="/chat") == "shared"

    def test_is_not_shared_by_clients(self, connect: Connect) -> None:
        one, two = connect(), connect()
        one.emit("set", "mine")
        assert two.emit("get", callback=True) == []

    def test_in_the_disconnect_handler(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []
        socketio.on_event("disconnect", lambda: seen.append(session.get("value")))
        client = connect()
        client.emit("set", "kept")
        client.disconnect()
        assert seen == ["kept"]

    def test_without_a_cookie_nothing_is_opened(
        self, connect: Connect, http: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[Any] = []
        open_session = SecureCookieSessionInterface.open_session

        def opening(interface: Any, app: Flask, request: flask.Request) -> Any:
            opened.append(request.headers.get("Cookie"))
            return open_session(interface, app, request)

        monkeypatch.setattr(SecureCookieSessionInterface, "open_session", opening)
        client = connect()
        assert client.emit("get", callback=True) == []
        client.emit("set", "its own")
        assert client.emit("get", callback=True) == "its own"
        assert opened == []
        http.get("/set/from http")
        opened.clear()
        assert connect(flask_test_client=http).emit("get", callback=True) == "from http"
        assert len(opened) == 1

    def test_whatever_an_apps_own_classes_find(self, app: Flask, connect: Connect) -> None:
        class Interface(SecureCookieSessionInterface):
            def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession:
                return SecureCookieSession({"value": "without a cookie"})

        app.session_interface = Interface()
        assert connect().emit("get", callback=True) == "without a cookie"

    def test_cookies_that_an_apps_own_request_has_elsewhere(
        self, app: Flask, http: FlaskClient, connect: Connect
    ) -> None:
        http.get("/set/from a header")
        cookie = http.get_cookie("session")
        assert cookie is not None

        class Request(flask.Request):
            @property
            def cookies(self) -> Any:
                return ImmutableMultiDict({"session": self.headers["X-Session"]})

        app.request_class = Request
        client = connect(headers={"X-Session": cookie.value})
        assert client.emit("get", callback=True) == "from a header"

    def test_without_a_secret_key(self, app: Flask, connect: Connect) -> None:
        app.secret_key = None
        client = connect()
        client.emit("set", "works")
        assert client.emit("get", callback=True) == "works"

    def test_with_a_server_side_session(self, app: Flask, http: FlaskClient, connect: Connect) -> None:
        app.session_interface = ServerSideInterface()
        http.get("/set/from http")
        client = connect(flask_test_client=http)
        client.emit("set", "copy")
        assert client.emit("get", callback=True) == "copy"
        assert http.get("/get").text == "from http"

    def test_flash(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("flash", lambda: flask.flash("message"))
        socketio.on_event("flashed", lambda: flask.get_flashed_messages())
        client = connect()
        client.emit("flash")
        assert client.emit("flashed", callback=True) == ["message"]

    def test_permanent_and_the_like_are_there(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("flags")
        def flags() -> list[bool]:
            session.permanent = True
            return [session.permanent, session.modified]

        assert connect().emit("flags", callback=True) == [True, True]


class TestUnmanagedSession:
    @pytest.fixture
    def interface(self, app: Flask) -> ServerSideInterface:
        app.session_interface = interface = ServerSideInterface()
        return interface

    @pytest.fixture
    def socketio(self, app: Flask, interface: ServerSideInterface) -> SocketIO:
        socketio = SocketIO(app, manage_session=False)
        register_session_events(socketio)
        return socketio

    def test_is_shared_with_http(self, http: FlaskClient, connect: Connect) -> None:
        http.get("/set/from http")
        client = connect(flask_test_client=http)
        assert client.emit("get", callback=True) == "from http"
        client.emit("set", "from an event")
        assert http.get("/get").text == "from an event"
        http.get("/set/again from http")
        assert client.emit("get", callback=True) == "again from http"

    def test_is_saved_only_when_changed(
        self, http: FlaskClient, connect: Connect, interface: ServerSideInterface
    ) -> None:
        http.get("/set/value")
        client = connect(flask_test_client=http)
        before = interface.saved
        client.emit("get")
        assert interface.saved == before
        client.emit("set", "other")
        assert interface.saved == before + 1

    def test_is_not_saved_when_the_handler_raises(
        self, socketio: SocketIO, http: FlaskClient, connect: Connect
    ) -> None:
        @socketio.on("fail")
        def fail() -> None:
            session["value"] = "half done"
            raise LookupError

        http.get("/set/value")
        with pytest.raises(LookupError):
            connect(flask_test_client=http).emit("fail")
        assert http.get("/get").text == "value"

    def test_may_be_empty_at_first(self, connect: Connect, interface: ServerSideInterface) -> None:
        connect().emit("set", "first")
        assert list(interface.store.values()) == [{"value": "first"}]

    def test_in_a_cookie_it_may_be_written_in_vain(self, app: Flask) -> None:
        app.session_interface = flask.sessions.SecureCookieSessionInterface()
        socketio = SocketIO(app, manage_session=False)
        register_session_events(socketio)
        client = socketio.test_client(app)
        client.emit("set", "gone when the event ends")
        assert client.emit("get", callback=True) == []

    def test_may_be_chosen_later(self, socketio: SocketIO, http: FlaskClient, connect: Connect) -> None:
        http.get("/set/one")
        client = connect(flask_test_client=http)
        socketio.manage_session = True
        client.emit("set", "a copy")
        assert http.get("/get").text == "one"


def test_a_session_of_real_clients(app: Flask, http: FlaskClient) -> None:
    socketio = SocketIO(app)
    register_session_events(socketio)
    http.get("/set/from http")
    cookie = http.get_cookie("session")
    assert cookie is not None
    with serve(app) as url:
        headers = {"Cookie": f"session={cookie.value}"}
        with wire.open_transport("upgrade", url, headers=headers) as transport:
            transport.send("40")
            transport.receive()
            transport.send('421["get"]')
            assert transport.receive() == '431["from http"]'
