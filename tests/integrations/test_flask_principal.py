"""Flask-Principal: it loads its identity in ``before_request``, so events need a hook that does it."""

from __future__ import annotations

from typing import Any

import pytest
from cachelib import FileSystemCache
from flask import Flask, current_app, g, session
from flask.testing import FlaskClient
from flask_principal import (
    Identity,
    Permission,
    PermissionDenied,
    Principal,
    RoleNeed,
    identity_changed,
    identity_loaded,
)
from flask_session import Session
from integrations.conftest import Connect, RealClient, Style, cookies_of, documented

from flask_realtime import EventRefusedError, SocketIO, guard

ROLES = {"ada": "admin", "bob": "guest"}
admin = Permission(RoleNeed("admin"))


@pytest.fixture
def app(app: Flask) -> Flask:
    Principal(app)

    def provide(sender: Flask, identity: Identity) -> None:
        if identity.id in ROLES:
            identity.provides.add(RoleNeed(ROLES[identity.id]))

    identity_loaded.connect(provide, app, weak=False)
    return app


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    @app.route("/login/<name>")
    def login(name: str) -> str:
        identity_changed.send(current_app._get_current_object(), identity=Identity(name))  # type: ignore[attr-defined]
        return ""

    return app.test_client()


@pytest.fixture(autouse=True)
def handlers(socketio: SocketIO, style: Style) -> None:
    documented("principal", socketio=socketio)

    @socketio.on("who")
    @style
    def who() -> list[Any]:
        return [g.identity.id, admin.can()]


def test_the_identity_is_that_of_the_session(http: FlaskClient, connect: Connect) -> None:
    assert connect().emit("who", callback=True) == [None, False]
    for name, is_admin in (("ada", True), ("bob", False)):
        http.get(f"/login/{name}")
        assert connect(flask_test_client=http).emit("who", callback=True) == [name, is_admin]


def test_in_connect_and_disconnect(
    socketio: SocketIO, http: FlaskClient, connect: Connect, style: Style
) -> None:
    seen: list[Any] = []
    socketio.on_event("connect", style(lambda: seen.append(g.identity.id)))
    socketio.on_event("disconnect", style(lambda reason: seen.append(g.identity.id)))
    http.get("/login/ada")
    connect(flask_test_client=http).disconnect()
    assert seen == ["ada", "ada"]


def test_a_real_client(http: FlaskClient, url: str) -> None:
    http.get("/login/ada")
    with RealClient(url, cookies_of(http)) as ada, RealClient(url) as nobody:
        assert [ada.call("who"), nobody.call("who")] == [["ada", True], [None, False]]


class TestPermissions:
    @pytest.fixture
    def clients(self, http: FlaskClient, connect: Connect) -> list[Any]:
        """An admin, and a guest."""
        clients = []
        for name in ("ada", "bob"):
            http.get(f"/login/{name}")
            clients.append(connect(flask_test_client=http))
        return clients

    def test_require_with_a_status_refuses_the_event(
        self, socketio: SocketIO, clients: list[Any], style: Style
    ) -> None:
        @socketio.on("delete")
        @admin.require(403)
        @style
        def delete() -> str:
            return "deleted"

        ada, bob = clients
        assert ada.emit("delete", callback=True) == "deleted"
        assert bob.emit("delete", callback=True)["error"]["data"] == {"code": 403}

    def test_test(self, socketio: SocketIO, clients: list[Any], style: Style) -> None:
        @socketio.on("delete")
        @style
        def delete() -> str:
            admin.test(403)
            return "deleted"

        assert clients[0].emit("delete", callback=True) == "deleted"
        assert clients[1].emit("delete", callback=True)["error"]["data"] == {"code": 403}

    def test_permission_denied_goes_to_error_handlers(
        self, socketio: SocketIO, clients: list[Any], style: Style
    ) -> None:
        @socketio.on_error_default
        @style
        def failed(error: Exception) -> None:
            if isinstance(error, PermissionDenied):
                raise EventRefusedError("not for you")
            raise error

        @socketio.on("delete")
        @style
        def delete() -> str:
            with admin.require():
                return "deleted"

        assert clients[0].emit("delete", callback=True) == "deleted"
        assert clients[1].emit("delete", callback=True) == {"error": {"message": "not for you"}}

    def test_with_our_guard(self, socketio: SocketIO, clients: list[Any], style: Style) -> None:
        @socketio.on("delete")
        @guard(admin.can, "for admins only")
        @style
        def delete() -> str:
            return "deleted"

        assert clients[0].emit("delete", callback=True) == "deleted"
        assert clients[1].emit("delete", callback=True) == {"error": {"message": "for admins only"}}


def test_loading_it_does_not_change_the_session(
    app: Flask, socketio: SocketIO, http: FlaskClient, connect: Connect, style: Style
) -> None:
    """``Principal.set_identity()`` would: it saves what it has loaded."""
    socketio.on_event("modified", style(lambda: session.modified))
    socketio.manage_session = False
    http.get("/login/ada")
    assert connect(flask_test_client=http).emit("modified", callback=True) is False


def test_identity_changed_in_a_handler(
    app: Flask, socketio: SocketIO, http: FlaskClient, connect: Connect, tmp_path: Any, style: Style
) -> None:
    """It is seen at once, and by what follows as far as the session reaches."""
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=FileSystemCache(str(tmp_path)))
    Session(app)
    socketio.manage_session = False

    @socketio.on("become")
    @style
    def become(name: str) -> list[Any]:
        identity_changed.send(current_app._get_current_object(), identity=Identity(name))  # type: ignore[attr-defined]
        return [g.identity.id, admin.can()]

    app.add_url_rule("/me", "me", lambda: g.identity.id)
    http.get("/login/bob")
    client = connect(flask_test_client=http)
    assert client.emit("become", "ada", callback=True) == ["ada", True]
    assert client.emit("who", callback=True) == ["ada", True]
    assert http.get("/me").text == "ada"
