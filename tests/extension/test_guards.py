"""Guards: handlers for some clients only."""

from __future__ import annotations

from typing import Any

import flask_login
import pytest
from extension.conftest import Connect
from flask import Flask, request, session

from flask_realtime import Namespace, SocketIO, guard, login_required, role_required


class User(flask_login.UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name
        self.role = "admin" if name == "ada" else None


class Role:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def login(app: Flask) -> None:
    """Users are logged in by ``?user=``, as by a token."""
    manager = flask_login.LoginManager(app)

    @manager.request_loader
    def load(request: Any) -> User | None:
        name = request.args.get("user")
        return User(name) if name else None


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("predicate_async", [False, True])
def test_a_predicate(socketio: SocketIO, connect: Connect, is_async: bool, predicate_async: bool) -> None:
    def allowed() -> bool:
        return bool(session.get("allowed"))

    async def allowed_async() -> bool:
        return allowed()

    guarded = guard(allowed_async if predicate_async else allowed, "You may not", data=[1])

    def handler(value: int) -> int:
        """What it does."""
        return value

    async def handler_async(value: int) -> int:
        return value

    decorated = guarded(handler_async if is_async else handler)
    assert decorated.__name__.startswith("handler")
    socketio.on("event")(decorated)
    socketio.on("allow")(lambda: session.update(allowed=True))
    client = connect()
    refused = {"error": {"message": "You may not", "data": [1]}}
    assert client.emit("event", 5, callback=True) == refused
    client.emit("allow")
    assert client.emit("event", 5, callback=True) == 5


def test_on_connect_the_client_is_refused(socketio: SocketIO, connect: Connect) -> None:
    @socketio.on("connect")
    @guard(lambda: request.args.get("version") == "2", "Please reload")
    def connected() -> None: ...

    assert connect().refusals == {"/": {"message": "Please reload"}}
    assert connect(query_string="version=2").is_connected()


@pytest.mark.parametrize("predicate_async", [False, True])
def test_of_a_whole_namespace(socketio: SocketIO, connect: Connect, predicate_async: bool) -> None:
    async def never() -> bool:
        return False

    guarded = guard(never if predicate_async else lambda: False)
    socketio.before_event(namespace="/admin")(guarded.check)
    socketio.on("event", namespace="/admin")(print)
    assert connect("/admin").refusals == {"/admin": {"message": "Not allowed"}}
    assert connect().is_connected()


def test_of_methods(socketio: SocketIO, connect: Connect) -> None:
    class Chat(Namespace):
        @guard(lambda: False)
        def on_never(self) -> str:
            return "reached"

        @guard(lambda: True)
        async def on_always(self, value: int) -> int:
            return value

    socketio.on_namespace(Chat("/chat"))
    client = connect("/chat")
    assert client.emit("never", callback=True, namespace="/chat") == {"error": {"message": "Not allowed"}}
    assert client.emit("always", 3, callback=True, namespace="/chat") == 3


@pytest.mark.usefixtures("login")
class TestLogins:
    def test_login_required(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("who")
        @login_required
        def who() -> Any:
            return flask_login.current_user.id

        assert connect().emit("who", callback=True) == {"error": {"message": "Login required"}}
        assert connect(query_string="user=bob").emit("who", callback=True) == "bob"

    def test_role_required(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on("delete")(role_required("owner", "admin")(lambda: "deleted"))
        refused = {"error": {"message": "Not allowed"}}
        assert connect().emit("delete", callback=True) == refused
        assert connect(query_string="user=bob").emit("delete", callback=True) == refused
        assert connect(query_string="user=ada").emit("delete", callback=True) == "deleted"

    @pytest.mark.parametrize(
        "attributes",
        [
            {"roles": ["admin"]},
            {"roles": [Role("other"), Role("admin")]},
            {"has_role": lambda self, name: name == "admin", "roles": ()},
        ],
    )
    def test_where_users_have_their_roles(
        self, socketio: SocketIO, connect: Connect, monkeypatch: pytest.MonkeyPatch, attributes: Any
    ) -> None:
        for name, value in attributes.items():
            monkeypatch.setattr(User, name, value, raising=False)
        socketio.on("admin")(role_required("admin")(lambda: "in"))
        socketio.on("owner")(role_required("owner")(lambda: "in"))
        client = connect(query_string="user=bob")
        assert client.emit("admin", callback=True) == "in"
        assert client.emit("owner", callback=True) == {"error": {"message": "Not allowed"}}


def test_roles_of_the_app_s_own(socketio: SocketIO, connect: Connect) -> None:
    required = role_required("editor", of=lambda: session.get("roles", ()), message="Editors only")
    socketio.on("edit")(required(lambda: "edited"))
    socketio.on("become")(lambda *roles: session.update(roles=roles))
    client = connect()
    assert client.emit("edit", callback=True) == {"error": {"message": "Editors only"}}
    client.emit("become", "reader", "editor")
    assert client.emit("edit", callback=True) == "edited"


def test_a_role_is_needed() -> None:
    with pytest.raises(ValueError, match="role"):
        role_required()
