"""Flask-Login: who is logged in, in every handler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flask
import pytest
from acceptance import wire
from cachelib import FileSystemCache
from flask import Flask, session
from flask.testing import FlaskClient
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_session import Session
from integrations.conftest import Connect, RealClient, Style, cookies_of

import flask_realtime
from flask_realtime import ConnectionRefusedError, Namespace, SocketIO, disconnect, emit


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Users:
    """The accounts, and how often they were asked for."""

    def __init__(self, app: Flask) -> None:
        self.names = {"ada", "bob"}
        self.loaded: list[str] = []
        self.manager = LoginManager(app)
        self.manager.user_loader(self.load)

    def load(self, name: str) -> User | None:
        self.loaded.append(name)
        return User(name) if name in self.names else None


@pytest.fixture
def users(app: Flask) -> Users:
    return Users(app)


@pytest.fixture
def http(app: Flask, users: Users) -> FlaskClient:
    @app.route("/login/<name>")
    def login(name: str) -> str:
        login_user(User(name), remember="remember" in flask.request.args)
        return ""

    @app.route("/logout")
    def logout() -> str:
        logout_user()
        return ""

    @app.route("/me")
    def me() -> str:
        return current_user.get_id() or "nobody"

    return app.test_client()


def me() -> str:
    """The name of who is logged in."""
    return current_user.get_id() if current_user.is_authenticated else "nobody"


@pytest.fixture(autouse=True)
def handlers(socketio: SocketIO, style: Style) -> None:
    socketio.on_event("me", style(lambda: me()))


def test_login_then_connect(http: FlaskClient, connect: Connect) -> None:
    http.get("/login/ada")
    assert connect(flask_test_client=http).emit("me", callback=True) == "ada"


def test_anonymous(connect: Connect, http: FlaskClient) -> None:
    assert connect().emit("me", callback=True) == "nobody"


def test_in_connect_and_disconnect(
    socketio: SocketIO, connect: Connect, http: FlaskClient, style: Style
) -> None:
    seen: list[Any] = []
    socketio.on_event("connect", style(lambda: seen.append(("connect", me()))))
    socketio.on_event("disconnect", style(lambda reason: seen.append(("disconnect", me()))))
    http.get("/login/ada")
    connect(flask_test_client=http).disconnect()
    assert seen == [("connect", "ada"), ("disconnect", "ada")]


def test_in_error_handlers_and_callbacks(
    socketio: SocketIO, connect: Connect, http: FlaskClient, style: Style, url: str
) -> None:
    seen: list[Any] = []
    socketio.on_error_default(style(lambda error: ["error handler", me()]))
    socketio.on_event("fail", style(lambda: 1 / 0))

    @socketio.on("ask")
    @style
    def ask() -> None:
        emit("question", callback=style(lambda answer: seen.append((answer, me()))))

    http.get("/login/ada")
    with RealClient(url, cookies_of(http)) as client:
        assert client.call("fail") == ["error handler", "ada"]
        client.client.emit("ask")
        question = client.client.receive()
        client.client.send(wire.ACK, ["the answer"], id=question.id)
        assert client.call("me") == "ada"  # handlers run in order: the callback has returned
    assert seen == [("the answer", "ada")]


def test_a_class_of_handlers(socketio: SocketIO, connect: Connect, http: FlaskClient) -> None:
    class Members(Namespace):
        def on_connect(self) -> None:
            if not current_user.is_authenticated:
                raise ConnectionRefusedError("log in first")

        def on_me(self) -> str:
            return me()

        async def on_me_too(self) -> str:
            return me()

    socketio.on_namespace(Members("/members"))
    assert not connect("/members", flask_test_client=http).is_connected("/members")
    http.get("/login/ada")
    client = connect("/members", flask_test_client=http)
    answers = [client.emit(event, callback=True, namespace="/members") for event in ("me", "me_too")]
    assert answers == ["ada", "ada"]


def test_a_real_client(http: FlaskClient, url: str) -> None:
    http.get("/login/ada")
    with RealClient(url, cookies_of(http)) as ada, RealClient(url) as nobody:
        assert [ada.call("me"), nobody.call("me")] == ["ada", "nobody"]


def test_the_user_is_loaded_once_for_each_event_that_asks(
    socketio: SocketIO, users: Users, http: FlaskClient, connect: Connect, style: Style
) -> None:
    socketio.on_event("twice", style(lambda: [me(), me()]))
    socketio.on_event("not at all", style(lambda: None))
    http.get("/login/ada")
    client = connect(flask_test_client=http)
    users.loaded.clear()
    client.emit("twice")
    client.emit("not at all")
    client.emit("twice")
    assert users.loaded == ["ada", "ada"]


def test_a_deleted_user_is_nobody_at_once(users: Users, http: FlaskClient, connect: Connect) -> None:
    http.get("/login/ada")
    client = connect(flask_test_client=http)
    assert client.emit("me", callback=True) == "ada"
    users.names.remove("ada")
    assert client.emit("me", callback=True) == "nobody"


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-Login's own
def test_the_remember_cookie(http: FlaskClient, connect: Connect) -> None:
    http.get("/login/ada?remember=1")
    http.delete_cookie("session")
    client = connect(flask_test_client=http)
    assert [client.emit("me", callback=True) for _ in range(2)] == ["ada", "ada"]


def test_request_loader(users: Users, connect: Connect) -> None:
    @users.manager.request_loader
    def load(request: flask.Request) -> User | None:
        name = request.headers.get("X-User")
        return None if name is None else User(name)

    assert connect(headers={"X-User": "bob"}).emit("me", callback=True) == "bob"
    assert connect().emit("me", callback=True) == "nobody"


def test_a_logout_that_takes_effect_at_once(
    app: Flask, socketio: SocketIO, http: FlaskClient, style: Style, url: str
) -> None:
    sids: set[str] = set()
    socketio.on_event("connect", style(lambda: sids.add(flask.request.sid)))  # type: ignore[attr-defined]

    @app.route("/logout-everywhere")
    def logout_everywhere() -> str:
        logout_user()
        for sid in sids:
            disconnect(sid, namespace="/")
        return ""

    http.get("/login/ada")
    with RealClient(url, cookies_of(http)) as client:
        assert client.call("me") == "ada"
        http.get("/logout-everywhere")
        assert client.client.receive().kind == wire.DISCONNECT


class TestLoggingInAndOut:
    """``login_user`` and ``logout_user`` change the session: so they reach as far as it does."""

    @pytest.fixture(autouse=True)
    def login_handlers(self, socketio: SocketIO, style: Style) -> None:
        @socketio.on("login")
        @style
        def login(name: str) -> str:
            login_user(User(name))
            return me()

        @socketio.on("logout")
        @style
        def logout() -> str:
            logout_user()
            return me()

    def test_in_a_handler_with_a_managed_session(self, http: FlaskClient, connect: Connect) -> None:
        client, other = connect(flask_test_client=http), connect(flask_test_client=http)
        assert client.emit("login", "ada", callback=True) == "ada"
        assert client.emit("me", callback=True) == "ada"
        assert other.emit("me", callback=True) == "nobody"
        assert http.get("/me").text == "nobody"
        assert client.emit("logout", callback=True) == "nobody"
        assert client.emit("me", callback=True) == "nobody"

    def test_out_in_a_view_is_not_seen_by_a_copy(self, http: FlaskClient, connect: Connect) -> None:
        http.get("/login/ada")
        client = connect(flask_test_client=http)
        client.emit("me")
        http.get("/logout")
        assert client.emit("me", callback=True) == "ada"

    def test_with_sessions_on_the_server(
        self, app: Flask, socketio: SocketIO, http: FlaskClient, connect: Connect, tmp_path: Any
    ) -> None:
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(str(tmp_path)))
        Session(app)
        socketio.manage_session = False
        app.add_url_rule("/visit", "visit", lambda: session.update(visited=True) or "")
        http.get("/visit")  # else logging out would empty the session, which ends it
        http.get("/login/ada")
        client = connect(flask_test_client=http)
        assert client.emit("me", callback=True) == "ada"
        http.get("/logout")
        assert client.emit("me", callback=True) == "nobody"
        assert client.emit("login", "bob", callback=True) == "bob"
        assert http.get("/me").text == "bob"
        client.emit("logout")
        assert http.get("/me").text == "nobody"

    def test_in_with_cookies_and_no_copy_is_lost(
        self, socketio: SocketIO, http: FlaskClient, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        socketio.manage_session = False
        client = connect(flask_test_client=http)
        assert client.emit("login", "ada", callback=True) == "ada"
        assert client.emit("me", callback=True) == "nobody"
        assert "the change is lost" in caplog.text


def authenticated_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """The decorator of the documentation."""

    @functools.wraps(function)
    def guarded(*args: Any) -> Any:
        if not current_user.is_authenticated:
            disconnect()
            return None
        return function(*args)

    return guarded


def test_a_guard_of_the_apps_own(
    socketio: SocketIO, connect: Connect, http: FlaskClient, style: Style
) -> None:
    @socketio.on("secret")
    @authenticated_only
    @style
    def secret() -> str:
        return f"for {me()}"

    http.get("/login/ada")
    assert connect(flask_test_client=http).emit("secret", callback=True) == "for ada"
    client = connect()
    assert client.emit("secret", callback=True) is None
    assert not client.is_connected()


def test_our_login_required(socketio: SocketIO, connect: Connect, http: FlaskClient, style: Style) -> None:
    @socketio.on("secret")
    @flask_realtime.login_required
    @style
    def secret() -> str:
        return f"for {me()}"

    assert connect().emit("secret", callback=True) == {"error": {"message": "Login required"}}
    http.get("/login/ada")
    assert connect(flask_test_client=http).emit("secret", callback=True) == "for ada"


class TestTheirLoginRequired:
    """Flask-Login's own is made for views: it aborts or redirects."""

    @pytest.fixture
    def called(self, socketio: SocketIO, style: Style) -> list[str]:
        called: list[str] = []

        @socketio.on("connect")
        @login_required
        @style
        def connect() -> None:
            called.append(me())

        return called

    def test_lets_in_who_is_logged_in(self, http: FlaskClient, url: str, called: list[str]) -> None:
        http.get("/login/ada")
        with RealClient(url, cookies_of(http)) as client:
            assert client.refusal is None
        assert called == ["ada"]

    def test_refuses_others(
        self, users: Users, url: str, called: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with RealClient(url) as client:
            assert client.refusal["data"] == {"code": 401}
            assert "authorized" in client.refusal["message"]
        assert called == []
        assert "Traceback" not in caplog.text

    def test_a_redirect_refuses_too(
        self, app: Flask, users: Users, url: str, called: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        app.add_url_rule("/please-log-in", "login_view", lambda: "")
        users.manager.login_view = "login_view"
        with RealClient(url) as client:
            code, location = client.refusal["data"]["code"], client.refusal["data"]["location"]
            assert code in (302, 303)
            assert location.startswith("/please-log-in?next=")
        assert called == []
        assert "Traceback" not in caplog.text

    def test_on_an_event_the_handler_does_not_run(
        self, socketio: SocketIO, users: Users, connect: Connect, style: Style
    ) -> None:
        ran: list[int] = []
        socketio.on_event("secret", login_required(style(lambda: ran.append(1))))
        answer = connect().emit("secret", callback=True)
        assert answer["error"]["data"] == {"code": 401}
        assert ran == []


def test_the_session_is_still_the_users(http: FlaskClient, connect: Connect, socketio: SocketIO) -> None:
    """What Flask-Login keeps in it (whether the login is fresh, from where it came) is there."""
    socketio.on_event("keys", lambda: sorted(key for key in session if key in ("_user_id", "_fresh", "_id")))
    http.get("/login/ada")
    assert connect(flask_test_client=http).emit("keys", callback=True) == ["_fresh", "_id", "_user_id"]
