"""``socketio.server``, ``.manager`` and ``.eio``, as apps reach for them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import flask
import pytest
from acceptance import wire
from extension.conftest import Connect
from extension.live import SocketIOClient
from flask import Flask, request

import flask_realtime
from flask_realtime import Namespace, SocketIO, SocketIOTestClient
from flask_realtime.namespace import Namespace as NamespaceOfModule
from flask_realtime.server_api import SocketIOServer
from flask_realtime.test_client import SocketIOTestClient as ClientOfModule


@pytest.fixture
def server(socketio: SocketIO) -> SocketIOServer:
    assert socketio.server is not None
    return socketio.server


@pytest.fixture
def sids(socketio: SocketIO) -> list[str]:
    """The sids of all clients, in the order of their connecting."""
    seen: list[str] = []
    for namespace in ("/", "/chat"):
        socketio.on_event("connect", lambda: seen.append(request.sid), namespace)  # type: ignore[attr-defined]
    return seen


def received(client: SocketIOTestClient, namespace: str | None = None) -> list[tuple[str, Any]]:
    return [(item["name"], item["args"]) for item in client.get_received(namespace)]


def counts(clients: list[SocketIOTestClient]) -> list[int]:
    return [len(client.get_received()) for client in clients]


class TestEmitting:
    @pytest.mark.parametrize(
        ("data", "args"),
        [
            ((), []),
            (("one",), ["one"]),
            ((None,), []),
            ((("one", 2),), ["one", 2]),
            ((["a", "list"],), [["a", "list"]]),
            ((b"binary",), [b"binary"]),
            ((0,), [0]),
        ],
    )
    def test_data(self, server: SocketIOServer, connect: Connect, data: tuple[Any, ...], args: list) -> None:
        client = connect()
        server.emit("event", *data)
        server.manager.emit("event", data[0] if data else None, "/")
        assert received(client) == [("event", args)] * 2

    def test_recipients(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        clients = [connect() for _ in range(3)]
        server.enter_room(sids[0], "room")
        for arguments, expected in (
            ({}, [1, 1, 1]),
            ({"to": sids[1]}, [0, 1, 0]),
            ({"room": "room"}, [1, 0, 0]),
            ({"to": ["room", sids[2]]}, [1, 0, 1]),
            ({"to": []}, [0, 0, 0]),
            ({"skip_sid": sids[0]}, [0, 1, 1]),
            ({"skip_sid": [sids[0], sids[1]]}, [0, 0, 1]),
            ({"to": "room", "skip_sid": sids[0]}, [0, 0, 0]),
            ({"namespace": "/elsewhere"}, [0, 0, 0]),
            ({"ignore_queue": True}, [1, 1, 1]),
        ):
            server.emit("event", "data", **arguments)  # type: ignore[arg-type]
            assert counts(clients) == expected, arguments
            server.send("data", **arguments)  # type: ignore[arg-type]
            assert counts(clients) == expected, arguments

    def test_positional_arguments(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        clients = [connect() for _ in range(2)]
        answers: list[str] = []
        server.emit("event", "data", sids[0], None, None, "/", answers.append)
        assert counts(clients) == [1, 0]
        server.emit("event", "data", None, sids[1], None, "/")
        assert counts(clients) == [0, 1]
        server.manager.emit("event", "data", "/", None, sids[1])
        assert counts(clients) == [1, 0]

    def test_send(self, server: SocketIOServer, connect: Connect) -> None:
        client = connect()
        server.send("text")
        server.send({"a": 1})
        assert received(client) == [("message", "text"), ("message", {"a": 1})]

    def test_acknowledgements(self, server: SocketIOServer, url: str) -> None:
        answers: list[Any] = []
        with SocketIOClient(url) as client:
            server.emit("question", "?", to=client.sid, callback=lambda *args: answers.append(args))
            assert client.receive() == '421["question","?"]'
            client.transport.send('431["!",2]')
            wire.wait_until(lambda: answers == [("!", 2)])

            calls = threading.Thread(
                target=lambda: answers.append(server.call("again", ("a", "b"), sid=client.sid, timeout=10))
            )
            calls.start()
            assert client.receive() == '422["again","a","b"]'
            client.transport.send('432["!!"]')
            calls.join(10)
            assert answers[1:] == ["!!"]

    def test_calls_that_fail(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        connect()
        with pytest.raises(TimeoutError):
            server.call("question", to=sids[0], timeout=0.01)
        with pytest.raises(TimeoutError):
            server.call("question", to="nobody")
        with pytest.raises(ValueError, match="to="):
            server.call("question")


class TestRooms:
    def test_of_a_client(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        connect()
        server.enter_room(sids[0], "a")
        server.manager.enter_room(sids[0], "/", "b")
        assert server.rooms(sids[0])[0] == sids[0]
        assert (
            set(server.rooms(sids[0])) == set(server.manager.get_rooms(sids[0], "/")) == {sids[0], "a", "b"}
        )
        server.leave_room(sids[0], "a")
        server.manager.leave_room(sids[0], "/", "b")
        assert server.rooms(sids[0]) == [sids[0]]
        assert server.rooms("nobody") == []

    def test_participants(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        clients = [connect() for _ in range(3)]
        pairs = [(sid, client.eio_sid) for sid, client in zip(sids, clients, strict=True)]
        for sid in sids[:2]:
            server.enter_room(sid, "room")
        server.enter_room(sids[1], "other")
        manager = server.manager
        assert list(manager.get_participants("/", "room")) == pairs[:2]
        assert list(manager.get_participants("/", ["other", "room"])) == [pairs[1], pairs[0]]
        assert list(manager.get_participants("/", sids[2])) == [pairs[2]]
        assert list(manager.get_participants("/", None)) == pairs
        assert list(manager.get_participants("/", "empty")) == []
        assert list(manager.get_participants("/elsewhere", None)) == []
        assert server.participants() == sids
        assert server.participants("/", "room") == sids[:2]
        assert server.participants(room="empty") == []

    def test_closing_while_walking(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        clients = [connect() for _ in range(3)]
        for sid in sids:
            server.enter_room(sid, "room")
        for sid, _ in server.manager.get_participants("/", "room"):
            server.disconnect(sid)
        server.close_room("room")
        assert [client.is_connected() for client in clients] == [False] * 3

    @pytest.mark.parametrize("close", ["server", "manager"])
    def test_close_room(self, server: SocketIOServer, connect: Connect, sids: list[str], close: str) -> None:
        clients = [connect(), connect()]
        server.enter_room(sids[0], "room")
        if close == "server":
            server.close_room("room")
        else:
            server.manager.close_room("room", "/")
        server.emit("event", to="room")
        assert counts(clients) == [0, 0]

    def test_the_rooms_as_a_mapping(
        self, socketio: SocketIO, server: SocketIOServer, connect: Connect, sids: list[str]
    ) -> None:
        clients = [connect(), connect()]
        clients[0].connect("/chat")
        ids = dict(zip(sids, [clients[0].eio_sid, clients[1].eio_sid, clients[0].eio_sid], strict=True))
        server.enter_room(sids[0], "room")
        server.enter_room(sids[1], "room")
        server.enter_room(sids[1], ("a", "tuple"))
        rooms = server.manager.rooms
        assert isinstance(rooms, Mapping)
        assert list(rooms) == server.manager.get_namespaces() == ["/", "/chat"]
        assert len(rooms) == 2
        assert list(rooms["/"]) == [None, *sids[:2], "room", ("a", "tuple")]
        assert rooms["/"]["room"] == rooms["/"][None] == {sid: ids[sid] for sid in sids[:2]}
        assert rooms["/"][sids[0]] == {sids[0]: ids[sids[0]]}
        assert {room: len(them) for room, them in rooms["/"].items()} == {
            None: 2, sids[0]: 1, sids[1]: 1, "room": 2, ("a", "tuple"): 1,
        }  # fmt: skip
        assert ("room" in rooms["/"], "room" in rooms["/chat"]) == (True, False)
        assert len(rooms["/"].get("nobody is here", {})) == 0
        assert rooms.get("/elsewhere", {}) == {}
        assert list(rooms["/chat"][None]) == sids[2:]
        with pytest.raises(KeyError):
            rooms["/"]["nobody is here"]
        with pytest.raises(KeyError):
            rooms["/elsewhere"]
        assert "'room': {" in repr(rooms)
        for client in clients:
            client.disconnect()
        assert dict(rooms) == {"/chat": {None: ids_of(ids, sids[2]), sids[2]: ids_of(ids, sids[2])}}


def ids_of(ids: dict[str, str], sid: str) -> dict[str, str]:
    return {sid: ids[sid]}


class TestClients:
    def test_disconnect(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        clients = [connect() for _ in range(3)]
        server.disconnect(sids[0])
        server.manager.disconnect(sids[1], "/")
        server.disconnect(sids[1], ignore_queue=True)
        assert [client.is_connected() for client in clients] == [False, False, True]

    def test_is_connected(self, socketio: SocketIO, server: SocketIOServer, connect: Connect) -> None:
        seen: list[tuple[str, bool]] = []

        @socketio.on("connect")
        @socketio.on("event")
        @socketio.on("disconnect")
        def handler(*args: object) -> None:
            sid, event = request.sid, request.event["message"]  # type: ignore[attr-defined]
            seen.append((event, server.manager.is_connected(sid, "/")))

        client = connect()
        client.emit("event")
        client.disconnect()
        assert seen == [("connect", False), ("event", True), ("disconnect", False)]
        assert not server.manager.is_connected("nobody", "/")

    def test_ids(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        client = connect()
        client.connect("/chat")
        manager = server.manager
        for sid, namespace in zip(sids, ("/", "/chat"), strict=True):
            assert manager.eio_sid_from_sid(sid, namespace) == client.eio_sid
            assert manager.sid_from_eio_sid(client.eio_sid, namespace) == sid
        assert manager.eio_sid_from_sid(sids[0], "/chat") is None
        assert manager.sid_from_eio_sid(client.eio_sid, "/elsewhere") is None
        assert manager.sid_from_eio_sid("nobody", "/") is None

    def test_environs(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        client = connect(headers={"X-Seat": "12"})
        other = connect()
        environ = server.get_environ(sids[0])
        assert environ is not None
        assert environ is server.environ[client.eio_sid]
        assert environ["HTTP_X_SEAT"] == "12"
        environ["app.own"] = "kept"
        assert server.environ[client.eio_sid]["app.own"] == "kept"
        assert len(server.environ) == 2
        assert {key: value.get("app.own") for key, value in server.environ.items()} == {
            client.eio_sid: "kept",
            other.eio_sid: None,
        }
        assert sids[0] not in server.environ
        assert server.get_environ("nobody") is None

    def test_sessions(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        connect()
        assert server.get_session(sids[0]) == {}
        server.save_session(sids[0], {"a": 1})
        with server.session(sids[0]) as session:
            session["b"] = 2
        assert server.get_session(sids[0]) == {"a": 1, "b": 2}
        with pytest.raises(KeyError):
            server.get_session("nobody")

    def test_transport(self, server: SocketIOServer, url: str) -> None:
        for transport in wire.TRANSPORTS:
            with SocketIOClient(url, transport) as client:
                carrier = "polling" if transport == "polling" else "websocket"
                assert server.transport(client.sid) == carrier
                eio_sid = server.manager.eio_sid_from_sid(client.sid, "/")
                assert eio_sid is not None
                assert server.eio.transport(eio_sid) == carrier
                assert server.eio.sockets[eio_sid].upgraded == (carrier == "websocket")
        with pytest.raises(KeyError):
            server.transport("nobody")


class TestConnections:
    def test_as_a_mapping(self, server: SocketIOServer, connect: Connect) -> None:
        assert len(server.eio.sockets) == 0
        client = connect()
        client.connect("/chat")
        sockets = server.eio.sockets
        assert list(sockets) == [client.eio_sid]
        assert client.eio_sid in sockets
        assert "nobody" not in sockets
        connection = sockets[client.eio_sid]
        assert (connection.sid, connection.connected, connection.closed) == (client.eio_sid, True, False)
        assert client.eio_sid not in repr(sockets), "who knows the id can take the connection over"

    @pytest.mark.parametrize("how", ["disconnect", "disconnect all", "close", "abort"])
    @pytest.mark.parametrize("transport", wire.TRANSPORTS)
    def test_closing(
        self, socketio: SocketIO, server: SocketIOServer, url: str, transport: str, how: str
    ) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        with SocketIOClient(url, transport) as client:
            (connection,) = server.eio.sockets.values()
            if how.startswith("disconnect"):
                server.eio.disconnect(connection.sid if how == "disconnect" else None)
            else:
                connection.close(wait=False, abort=how == "abort")
            client.transport.wait_closed()
        wire.wait_until(lambda: reasons == ["server disconnect"])
        wire.wait_until(lambda: connection.closed)
        assert not connection.connected
        server.eio.disconnect(connection.sid)  # it has gone: nothing happens

    def test_shutdown(self, socketio: SocketIO, server: SocketIOServer, url: str) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        with SocketIOClient(url) as client:
            server.shutdown()
            assert client.transport.wait_closed().code == 1001
        wire.wait_until(lambda: reasons == ["transport close"])
        with SocketIOClient(url) as client:
            assert client.sid

    def test_options(self, app: Flask) -> None:
        options: dict[str, Any] = {
            "ping_timeout": 3,
            "max_http_buffer_size": 4,
            "transports": ["websocket"],
            "allow_upgrades": False,
            "http_compression": False,
            "compression_threshold": 5,
            "cookie": {"name": "io", "Secure": True},
            "cors_allowed_origins": ["https://one.example"],
            "cors_credentials": False,
            "async_mode": "threading",
        }
        server = SocketIO(app, ping_interval=(1, 2), **copy.deepcopy(options)).server
        assert server is not None
        assert (server.eio.ping_interval, server.eio.ping_interval_grace_period) == (1, 2)
        assert {name: getattr(server.eio, name) for name in options} == options
        assert server.eio.logger is server.logger

    def test_options_by_default(self, server: SocketIOServer) -> None:
        assert (server.eio.cookie, server.eio.cors_allowed_origins) == (None, None)
        assert server.eio.transports == ["polling", "websocket"]


class TestHandlers:
    def test_registered_ones(self, socketio: SocketIO, server: SocketIOServer) -> None:
        def handler() -> None: ...

        socketio.on_event("one", handler)
        socketio.on_event("two", handler, namespace="/chat")
        assert list(server.handlers) == ["/", "/chat"]
        assert len(server.handlers) == 2
        assert "one" in server.handlers["/"]
        assert "two" not in server.handlers["/"]
        assert server.handlers["/"]["one"] is handler
        assert server.handlers.get("/elsewhere", {}) == {}
        assert "'two': <function" in repr(server.handlers)

    def test_unregistering(self, socketio: SocketIO, server: SocketIOServer, connect: Connect) -> None:
        calls: list[str] = []
        for event in ("one", "two", "three"):
            socketio.on_event(event, lambda event=event: calls.append(event))
        socketio.on_event("one", lambda: None, "/chat")
        client = connect()
        del server.handlers["/"]["one"]
        assert callable(server.handlers["/"].pop("two"))
        assert server.handlers["/"].pop("two", None) is None
        for event in ("one", "two", "three"):
            client.emit(event)
        assert calls == ["three"]
        with pytest.raises(KeyError):
            del server.handlers["/"]["one"]
        del server.handlers["/chat"]
        assert not connect("/chat").is_connected("/chat"), "a namespace without handlers is refused"
        with pytest.raises(KeyError):
            del server.handlers["/chat"]

    def test_replacing(self, socketio: SocketIO, server: SocketIOServer, connect: Connect) -> None:
        socketio.on_event("add", lambda a, b: a + b)
        server.handlers["/"]["double"] = lambda a: 2 * a
        inner = server.handlers["/"]["add"]
        server.handlers["/"]["add"] = lambda *args: f"<{inner(*args)}>"
        client = connect()
        assert client.emit("add", 1, 2, callback=True) == "<3>"
        assert client.emit("double", 4, callback=True) == 8
        with pytest.raises(TypeError):
            server.handlers["/"]["wrong"] = None  # type: ignore[assignment]

    def test_told_the_sid(self, server: SocketIOServer, connect: Connect, sids: list[str]) -> None:
        calls: list[tuple[Any, ...]] = []

        @server.on("event", namespace="/told")  # type: ignore[misc]
        def event(sid: str, *args: Any) -> str:
            assert flask.current_app.name == "app"
            calls.append(("event", sid, *args))
            return "answer"

        @server.event
        def named(sid: str) -> None:
            calls.append(("named", sid))

        assert server.on("*", lambda event, sid, *args: calls.append((event, sid, *args))) is None
        server.on("*", lambda *args: calls.append(args), "*")
        server.on("everywhere", lambda *args: calls.append(args), "*")
        client = connect()
        client.connect("/told")
        sid = sids[0]
        told = server.manager.sid_from_eio_sid(client.eio_sid, "/told")
        assert client.emit("event", 1, 2, namespace="/told", callback=True) == "answer"
        client.emit("named")
        client.emit("other", 3)
        client.emit("everywhere", 4, namespace="/told")
        client.emit("anything", 5, namespace="/told")
        assert calls == [
            ("event", told, 1, 2),
            ("named", sid),
            ("other", sid, 3),
            ("/told", told, 4),
            ("anything", "/told", told, 5),
        ]
        with pytest.raises(TypeError):
            server.on("wrong", "no function")  # type: ignore[arg-type]

    @pytest.mark.parametrize("count", [2, 3])
    def test_connect_and_disconnect(self, server: SocketIOServer, connect: Connect, count: int) -> None:
        calls: list[tuple[Any, ...]] = []
        if count == 3:
            server.on("connect", lambda sid, environ, auth: calls.append((sid, environ, auth)))
            server.on("disconnect", lambda sid, reason: calls.append((sid, reason)))
        else:
            server.on("connect", lambda sid, environ: calls.append((sid, environ)))
            server.on("disconnect", lambda sid: calls.append((sid,)))
        client = connect(auth={"token": 1}, headers={"X-Seat": "12"})
        sid = server.manager.sid_from_eio_sid(client.eio_sid, "/")
        client.disconnect()
        (connected, disconnected) = calls
        assert connected[0] == disconnected[0] == sid
        assert connected[1]["HTTP_X_SEAT"] == "12"
        assert connected[2:] == ({"token": 1},)[: count - 2]
        assert disconnected[1:] == ("client disconnect",)[: count - 2]

    def test_namespace_objects(self, socketio: SocketIO, server: SocketIOServer, connect: Connect) -> None:
        class Chat(Namespace):
            def on_who(self) -> list[str]:
                return self.server.participants(self.namespace)

        chat = Chat("/chat")
        server.register_namespace(chat)
        assert server.namespace_handlers == {"/chat": chat}
        assert chat.server is server
        client = connect("/chat")
        assert client.emit("who", namespace="/chat", callback=True) == server.participants("/chat")

    def test_a_namespace_without_a_server(self) -> None:
        chat = Namespace("/chat")
        with pytest.raises(RuntimeError, match="on_namespace"):
            _ = chat.server
        SocketIO().on_namespace(chat)  # no app yet
        with pytest.raises(RuntimeError, match="on_namespace"):
            _ = chat.server


class TestServer:
    def test_what_it_is(self, app: Flask) -> None:
        socketio = SocketIO()
        assert socketio.server is None
        socketio.init_app(app, namespaces=["/b", "/a"], async_handlers=False, always_connect=True)
        server = socketio.server
        assert isinstance(server, SocketIOServer)
        assert server.async_mode == socketio.async_mode == server.eio.async_mode == "threading"
        assert (server.namespaces, server.async_handlers, server.always_connect) == (
            ["/a", "/b"],
            False,
            True,
        )
        assert server.reason.PING_TIMEOUT == "ping timeout"
        everything = SocketIO(Flask("other"), namespaces="*").server
        assert everything is not None
        assert everything.namespaces == "*"

    def test_background_tasks(self, server: SocketIOServer) -> None:
        done: list[str] = []

        def task(word: str, *, end: str) -> None:
            server.sleep(0)
            done.append(word + end)

        server.start_background_task(task, "done", end=".").join(10)
        assert done == ["done."]

    def test_the_admin_ui_is_refused(self, server: SocketIOServer) -> None:
        with pytest.raises(NotImplementedError, match="Admin UI"):
            server.instrument(auth={"username": "admin", "password": "?"})

    def test_it_is_that_of_the_current_app(self) -> None:
        socketio = SocketIO()
        apps = [Flask("one"), Flask("two")]
        for app in apps:
            socketio.init_app(app)
        server = socketio.server
        assert server is not None
        socketio.on_event("count", lambda: len(server.eio.sockets))
        clients = [socketio.test_client(apps[0]), *(socketio.test_client(apps[1]) for _ in range(2))]
        assert [client.emit("count", callback=True) for client in clients] == [1, 2, 2]
        assert len(server.participants()) == 2, "without an app, the last one"
        with apps[0].app_context():
            assert len(server.participants()) == 1


def test_the_version() -> None:
    assert flask_realtime.__version__ == version("Flask-Realtime")
    with pytest.raises(AttributeError, match="__versions__"):
        _ = flask_realtime.__versions__


def test_submodules_that_apps_import_from() -> None:
    assert NamespaceOfModule is Namespace
    assert ClientOfModule is SocketIOTestClient
