"""Flask's own sessions, which are in a cookie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from extension.live import serve
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from integrations.conftest import Connect, RealClient, Style, cookies_of

from flask_realtime import SocketIO

LOST = "the change is lost"
#: the warnings so far
Said = Callable[[], list[str]]


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    @app.route("/set/<key>/<value>")
    def set_value(key: str, value: str) -> str:
        session[key] = value
        return ""

    @app.route("/session")
    def whole_session() -> dict[str, Any]:
        return dict(session)

    return app.test_client()


def register(socketio: SocketIO, style: Style) -> None:
    """In ``/`` and ``/chat``: ``set``, ``get``, ``clear``, ``modified``."""
    for namespace in ("/", "/chat"):

        @socketio.on("set", namespace=namespace)
        @style
        def set_value(key: str, value: Any) -> None:
            session[key] = value

        @socketio.on("get", namespace=namespace)
        @style
        def whole_session() -> dict[str, Any]:
            return dict(session)

        @socketio.on("clear", namespace=namespace)
        @style
        def clear() -> None:
            session.clear()

        @socketio.on("modified", namespace=namespace)
        @style
        def modified() -> list[bool]:
            session.get("key")
            "key" in session  # noqa: B015 (it is the look that counts)
            list(session.items())
            return [session.modified, session.accessed]


class TestManaged:
    """``manage_session=True``: a copy."""

    @pytest.fixture(autouse=True)
    def handlers(self, socketio: SocketIO, style: Style) -> None:
        register(socketio, style)

    def test_is_a_copy_that_http_does_not_see(self, http: FlaskClient, connect: Connect) -> None:
        http.get("/set/color/red")
        client = connect(flask_test_client=http)
        assert client.emit("get", callback=True) == {"color": "red"}
        client.emit("set", "color", "blue")
        client.emit("set", "size", 3)
        assert client.emit("get", callback=True) == {"color": "blue", "size": 3}
        assert http.get("/session").json == {"color": "red"}

    def test_is_made_when_the_client_comes(
        self, socketio: SocketIO, http: FlaskClient, connect: Connect
    ) -> None:
        socketio.on_event("connect", lambda: None)
        http.get("/set/color/red")
        client = connect(flask_test_client=http)
        http.get("/set/color/blue")
        assert client.emit("get", callback=True) == {"color": "red"}

    def test_each_client_has_its_own(self, http: FlaskClient, connect: Connect) -> None:
        http.get("/set/color/red")
        one, two = connect(flask_test_client=http), connect(flask_test_client=http)
        one.emit("set", "color", "blue")
        assert two.emit("get", callback=True) == {"color": "red"}

    def test_the_namespaces_of_a_client_share_it(self, connect: Connect) -> None:
        client = connect()
        client.connect("/chat")
        client.emit("set", "color", "blue", namespace="/chat")
        assert client.emit("get", callback=True) == {"color": "blue"}

    def test_a_new_connection_has_a_new_one(self, http: FlaskClient, connect: Connect) -> None:
        client = connect(flask_test_client=http)
        client.emit("set", "color", "blue")
        client.disconnect()
        client.connect()
        assert connect(flask_test_client=http).emit("get", callback=True) == {}

    def test_a_real_client(self, http: FlaskClient, url: str) -> None:
        http.get("/set/color/red")
        headers = cookies_of(http)
        with RealClient(url, headers) as one, RealClient(url, headers) as two:
            one.call("set", "color", "blue")
            assert [one.call("get"), two.call("get")] == [{"color": "blue"}, {"color": "red"}]

    def test_nothing_is_said_about_it(
        self, http: FlaskClient, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        connect(flask_test_client=http).emit("set", "color", "blue")
        assert caplog.text == ""


class TestUnmanaged:
    """``manage_session=False``: what an event changes can't be put into a cookie."""

    @pytest.fixture
    def socketio(self, app: Flask, style: Style) -> SocketIO:
        socketio = SocketIO(app, manage_session=False)
        register(socketio, style)
        return socketio

    @pytest.fixture
    def said(self, caplog: pytest.LogCaptureFixture) -> Said:
        return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    def test_a_lost_change_is_said_once(self, http: FlaskClient, connect: Connect, said: Said) -> None:
        http.get("/set/color/red")
        client = connect(flask_test_client=http)
        client.emit("set", "color", "blue")
        assert client.emit("get", callback=True) == {"color": "red"}
        (message,) = said()
        for part in ("app 'app'", "event 'set'", LOST, "Flask-Session", "manage_session=True"):
            assert part in message
        client.emit("set", "color", "green")
        connect(flask_test_client=http).emit("set", "color", "green")
        assert said() == [message]

    def test_each_app_says_it(self, said: Said, style: Style) -> None:
        socketio = SocketIO(manage_session=False)
        register(socketio, style)
        for name in ("one", "two"):
            app = Flask(name)
            app.secret_key = "only for tests"
            socketio.init_app(app)
            socketio.test_client(app).emit("set", "color", "blue")
        assert ["'one'" in message for message in said()] == [True, False]

    def test_an_emptied_session_is_lost_too(self, http: FlaskClient, connect: Connect, said: Said) -> None:
        http.get("/set/color/red")
        client = connect(flask_test_client=http)
        client.emit("clear")
        assert [LOST in message for message in said()] == [True]
        assert http.get("/session").json == {"color": "red"}

    def test_of_nothing_lost_nothing_is_said(self, http: FlaskClient, connect: Connect, said: Said) -> None:
        http.get("/set/color/red")
        client = connect(flask_test_client=http)
        client.emit("get")
        client.emit("set", "color", "red")  # modified, and as before
        connect().emit("clear")  # it was empty
        assert said() == []

    def test_looking_at_it_modifies_nothing(
        self, app: Flask, http: FlaskClient, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saved: list[Any] = []
        http.get("/set/key/value")
        monkeypatch.setattr(SecureCookieSessionInterface, "save_session", lambda *args: saved.append(args))
        client = connect(flask_test_client=http)
        assert client.emit("modified", callback=True) == [False, True]
        assert saved == []

    def test_a_real_client(self, http: FlaskClient, url: str, said: Said) -> None:
        http.get("/set/color/red")
        with RealClient(url, cookies_of(http)) as client:
            client.call("set", "color", "blue")
            assert client.call("get") == {"color": "red"}
        assert [LOST in message for message in said()] == [True]

    def test_without_a_secret_key(self, app: Flask, connect: Connect) -> None:
        app.secret_key = None
        client = connect()
        assert client.emit("get", callback=True) == {}
        with pytest.raises(RuntimeError, match="secret key"):
            client.emit("set", "color", "blue")


class Broken(SecureCookieSessionInterface):
    """Raises where it is told to."""

    def __init__(self) -> None:
        self.where = ""

    def open_session(self, app: Flask, request: flask.Request) -> Any:
        if self.where == "open":
            raise LookupError("no store")
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: Any, response: flask.Response) -> None:
        if self.where == "save":
            raise LookupError("no store")
        super().save_session(app, session, response)


class TestAnInterfaceThatRaises:
    @pytest.fixture
    def interface(self, app: Flask) -> Broken:
        app.session_interface = interface = Broken()
        return interface

    @pytest.fixture
    def ended(self, app: Flask) -> list[Any]:
        """What teardown functions were told."""
        ended: list[Any] = []
        app.teardown_appcontext(ended.append)
        return ended

    @pytest.mark.parametrize("where", ["open", "save"])
    def test_in_an_event(
        self, app: Flask, interface: Broken, ended: list[Any], style: Style, where: str
    ) -> None:
        socketio = SocketIO(app, manage_session=False)
        register(socketio, style)
        client = socketio.test_client(app)
        interface.where = where
        with pytest.raises(LookupError, match="no store"):
            client.emit("set", "color", "blue")
        assert not flask.has_app_context()
        assert [type(error) for error in ended] == [LookupError]
        interface.where = ""
        assert client.emit("get", callback=True) == {}

    def test_handlers_that_do_not_ask_for_it_run(self, app: Flask, interface: Broken, style: Style) -> None:
        socketio = SocketIO(app, manage_session=False)
        socketio.on_event("event", style(lambda: "fine"))
        interface.where = "open"
        assert socketio.test_client(app).emit("event", callback=True) == "fine"

    def test_an_error_handler_gets_it(self, app: Flask, interface: Broken, style: Style) -> None:
        socketio = SocketIO(app, manage_session=False)
        register(socketio, style)
        socketio.on_error_default(style(lambda error: repr(error)))
        interface.where = "open"
        assert socketio.test_client(app).emit("get", callback=True) == "LookupError('no store')"

    def test_a_client_whose_session_can_not_be_copied_is_refused(
        self, app: Flask, interface: Broken, style: Style, caplog: pytest.LogCaptureFixture
    ) -> None:
        socketio = SocketIO(app)
        called: list[Any] = []
        socketio.on_event("connect", style(lambda: called.append(1)))
        interface.where = "open"
        with serve(app) as url, RealClient(url) as client:
            assert client.refusal == {"message": "Connection rejected by server"}
        assert called == []
        assert "LookupError: no store" in caplog.text
