"""Single habits of apps written for Flask-SocketIO, each seen in some that are in use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from inspect import signature
from typing import Any, ClassVar

import flask
import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask, request

import flask_realtime
from flask_realtime import (
    ConnectionRefusedError,
    Namespace,
    SocketIO,
    SocketIOTestClient,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)


@pytest.fixture
def client(app: Flask, socketio: SocketIO) -> SocketIOTestClient:
    return socketio.test_client(app)


def received(client: SocketIOTestClient, namespace: str | None = None) -> list[tuple[str, Any]]:
    return [(item["name"], item["args"]) for item in client.get_received(namespace)]


class TestSignatures:
    """Arguments that are passed by position."""

    @pytest.mark.parametrize(
        ("function", "order"),
        [
            (join_room, "room sid namespace"),
            (leave_room, "room sid namespace"),
            (close_room, "room namespace"),
            (rooms, "sid namespace"),
            (disconnect, "sid namespace silent"),
            (send, "message json namespace"),
            (SocketIO.on, "self message namespace"),
            (SocketIO.on_event, "self message handler namespace"),
            (SocketIO.on_namespace, "self namespace_handler"),
            (SocketIO.on_error, "self namespace"),
            (SocketIO.on_error_default, "self exception_handler"),
            (SocketIO.send, "self data json namespace to callback include_self skip_sid"),
            (SocketIO.close_room, "self room namespace"),
            (SocketIO.run, "self app host port"),
            (SocketIO.sleep, "self seconds"),
            (SocketIO.init_app, "self app"),
            (SocketIO.start_background_task, "self target"),
            (SocketIO.test_client, "self app namespace query_string headers auth flask_test_client"),
            (Namespace.__init__, "self namespace"),
            (Namespace.emit, "self event data room include_self namespace callback"),
            (Namespace.send, "self data room include_self namespace callback"),
            (Namespace.close_room, "self room namespace"),
            (SocketIOTestClient.connect, "self namespace query_string headers auth"),
            (SocketIOTestClient.disconnect, "self namespace"),
            (SocketIOTestClient.get_received, "self namespace"),
            (SocketIOTestClient.is_connected, "self namespace"),
            (SocketIOTestClient.send, "self data json callback namespace"),
        ],
        ids=lambda value: getattr(value, "__qualname__", None),
    )
    def test_the_order_of_parameters(self, function: Callable[..., Any], order: str) -> None:
        names = [p.name for p in signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert names[: len(order.split())] == order.split()


class TestOutsideOfEvents:
    """The functions in views and tasks, where nothing says whose event it is."""

    def test_emit_in_a_view(self, app: Flask, client: SocketIOTestClient) -> None:
        @app.route("/news")
        def news() -> str:
            emit("news", {"a": 1}, namespace="/", broadcast=True)
            send("text", namespace="/", broadcast=True)
            return "ok"

        assert app.test_client().get("/news").text == "ok"
        assert received(client) == [("news", [{"a": 1}]), ("message", "text")]

    def test_emit_in_a_task_with_an_app_context(
        self, app: Flask, socketio: SocketIO, client: SocketIOTestClient
    ) -> None:
        def task() -> None:
            with app.app_context():
                emit("news", 1, namespace="/", broadcast=True)
                emit("news", 2, namespace="/", to="nobody")

        socketio.start_background_task(target=task).join(10)
        assert received(client) == [("news", [1])]

    def test_rooms_in_a_view(self, app: Flask, socketio: SocketIO, client: SocketIOTestClient) -> None:
        @app.route("/join/<sid>")
        def join(sid: str) -> list[str]:
            join_room("den", sid=sid, namespace="/")
            found = rooms(sid, "/")
            emit("joined", room="den", namespace="/")
            leave_room("den", sid, "/")
            return [*map(str, found), *map(str, rooms(sid, namespace="/"))]

        @app.route("/away/<sid>")
        def away(sid: str) -> str:
            disconnect(sid, namespace="/")
            return "ok"

        assert socketio.server is not None
        (sid,) = socketio.server.participants()
        assert app.test_client().get(f"/join/{sid}").json == [sid, "den", sid]
        assert received(client) == [("joined", [])]
        app.test_client().get(f"/away/{sid}")
        assert not client.is_connected()

    def test_a_thread_of_the_apps_own(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        thread = threading.Thread(target=socketio.emit, args=("news", 1), kwargs={"namespace": "/"})
        thread.start()
        thread.join(10)
        assert received(client) == [("news", [1])]

    def test_a_background_task_is_asked_whether_it_lives(self, socketio: SocketIO) -> None:
        go_on = threading.Event()
        task = socketio.start_background_task(go_on.wait, 10)
        assert task.is_alive()
        go_on.set()
        task.join(10)
        assert not task.is_alive()


class TestHandlers:
    def test_what_connect_may_return(self, app: Flask, socketio: SocketIO) -> None:
        for value, accepted in ((None, True), (True, True), (False, False), ("text", True), (0, True)):
            socketio.on_event("connect", partial(_same, value))
            assert socketio.test_client(app).is_connected() is accepted, value

    def test_connect_with_a_default(self, app: Flask, socketio: SocketIO) -> None:
        seen: list[Any] = []

        @socketio.on("connect")
        def connect(auth: Any = None) -> None:
            seen.append(auth)

        socketio.test_client(app)
        socketio.test_client(app, auth={"token": 1})
        assert seen == [None, {"token": 1}]

    def test_arguments_with_defaults(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        socketio.on_event("event", lambda data=None, *rest: [data, *rest])
        assert client.emit("event", callback=True) == [None]
        assert client.emit("event", 1, 2, callback=True) == [1, 2]

    def test_the_event_in_an_error_handler(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        @socketio.on("divide")
        def divide(a: int, b: int) -> float:
            return a / b

        @socketio.on_error_default
        def failed(error: Exception) -> list[Any]:
            event = request.event  # type: ignore[attr-defined]
            return [type(error).__name__, event["message"], event["args"]]

        assert client.emit("divide", 1, 0, callback=True) == ["ZeroDivisionError", "divide", [1, 0]]

    def test_refusing_in_an_event(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        """A decorator that guards events; the error handlers are not asked."""
        asked: list[Exception] = []
        socketio.on_error_default(asked.append)

        @socketio.on("guarded")
        def guarded() -> None:
            raise ConnectionRefusedError("unauthorized")

        with pytest.raises(ConnectionRefusedError, match="unauthorized"):
            client.emit("guarded")
        assert not asked

    def test_arguments_that_have_never_said_anything(
        self, app: Flask, socketio: SocketIO, client: SocketIOTestClient
    ) -> None:
        @socketio.on("ask")
        def ask() -> None:
            sid = request.sid  # type: ignore[attr-defined]
            emit("one", 1, sid=sid)
            emit("two", b"2", binary=True)
            emit("three", {"3": 3}, json=True)

        other = socketio.test_client(app)
        client.emit("ask")
        assert received(client) == [("one", [1]), ("two", [b"2"]), ("three", [{"3": 3}])]
        assert received(other) == []

    def test_a_handler_that_forwards_everything(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        @socketio.on("*")
        def catch_all(event: str, *args: Any) -> None:
            emit(event + " was sent", args)

        client.emit("anything", 1, "two")
        assert received(client) == [("anything was sent", [1, "two"])]

    def test_several_events_of_one_function(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        @socketio.on("one")
        @socketio.on("two")
        def handler() -> str:
            event: str = request.event["message"]  # type: ignore[attr-defined]
            return event

        assert client.emit("one", callback=True) == "one"
        assert client.emit("two", callback=True) == "two"

    def test_the_app_and_its_views_are_at_hand(self, socketio: SocketIO, client: SocketIOTestClient) -> None:
        @socketio.on("where")
        def where() -> list[str]:
            return [flask.current_app.name, request.path, flask.url_for("static", filename="a")]

        assert client.emit("where", callback=True) == ["app", "/socket.io/", "/static/a"]


class TestNamespaces:
    def test_a_class_that_does_not_call_its_base(self, app: Flask, socketio: SocketIO) -> None:
        class Room(Namespace):
            def __init__(self, namespace: str) -> None:
                self.namespace = namespace
                self.members: dict[str, str] = {}

            def on_enter(self, name: str) -> None:
                self.members[request.sid] = name  # type: ignore[attr-defined]
                send(f"{name} has entered", broadcast=True)
                emit("count", len(self.members), room=request.sid, namespace=self.namespace)  # type: ignore[attr-defined]

            def on_disconnect(self) -> None:
                name = self.members.pop(request.sid)  # type: ignore[attr-defined]
                self.send(f"{name} has left")

        socketio.on_namespace(Room("/alpha"))
        one, two = (socketio.test_client(app, "/alpha") for _ in range(2))
        one.emit("enter", "ada", namespace="/alpha")
        two.emit("enter", "bob", namespace="/alpha")
        two.disconnect("/alpha")
        assert received(one, "/alpha") == [
            ("message", "ada has entered"),
            ("count", [1]),
            ("message", "bob has entered"),
            ("message", "bob has left"),
        ]

    def test_static_methods_and_its_own_trigger(self, app: Flask, socketio: SocketIO) -> None:
        class Counting(Namespace):
            counted: ClassVar[list[str]] = []

            def trigger_event(self, event: str, *args: Any) -> Any:
                self.counted.append(event)
                return super().trigger_event(event, *args)

            @staticmethod
            def on_add(a: int, b: int) -> int:
                return a + b

        socketio.on_namespace(Counting("/count"))
        client = socketio.test_client(app, "/count")
        assert client.emit("add", 1, 2, namespace="/count", callback=True) == 3
        assert Counting.counted == ["connect", "add"]

    def test_created_before_the_app(self) -> None:
        socketio = SocketIO(cors_allowed_origins="*")

        class Late(Namespace):
            def on_message(self, text: str) -> None:
                self.emit("response", text[::-1])

        socketio.on_namespace(Late("/late"))
        app = Flask("app")
        socketio.init_app(app)
        client = socketio.test_client(app, "/late")
        client.send("abc", namespace="/late")
        assert received(client, "/late") == [("response", ["cba"])]


class TestTheObject:
    def test_options_are_changed_before_init_app(self) -> None:
        socketio = SocketIO(ping_timeout=3)
        socketio.server_options["ping_interval"] = 7
        socketio.server_options.pop("client_manager", None)
        app = Flask("app")
        socketio.init_app(app)
        assert socketio.server is not None
        assert (socketio.server.eio.ping_interval, socketio.server.eio.ping_timeout) == (7, 3)
        socketio.server_options = {"ping_interval": 8}
        socketio.init_app(Flask("another"))
        assert (socketio.server.eio.ping_interval, socketio.server.eio.ping_timeout) == (8, 20)

    def test_attributes_of_the_apps_own(self, app: Flask, socketio: SocketIO) -> None:
        socketio.datastore = {"a": 1}  # type: ignore[attr-defined]
        assert app.extensions["socketio"].datastore == {"a": 1}
        assert not hasattr(socketio, "shutdown")

    def test_a_subclass_that_emits_in_its_own_way(self) -> None:
        class Serialized(SocketIO):
            def emit(self, event: str, *args: Any, **kwargs: Any) -> None:
                super().emit(event.upper(), *args, **kwargs)

        app = Flask("app")
        socketio = Serialized(app, async_mode="threading")
        socketio.on_event("ask", lambda: emit("answer", 1))
        client = socketio.test_client(app)
        client.emit("ask")
        socketio.emit("all", 2)
        socketio.send("text")
        assert received(client) == [("ANSWER", [1]), ("ALL", [2]), ("MESSAGE", ["text"])]

    def test_a_subclass_that_emits_by_the_server(self) -> None:
        class Direct(SocketIO):
            def emit(self, event: str, *args: Any, **kwargs: Any) -> None:
                assert self.server is not None
                self.server.emit(event.upper(), args, to=kwargs.get("to"), namespace=kwargs.get("namespace"))

        app = Flask("app")
        socketio = Direct(app)
        socketio.on_event("ask", lambda: emit("answer", 1))
        client = socketio.test_client(app)
        client.emit("ask")
        assert socketio.server is not None
        socketio.server.manager.emit("all", 2, "/")
        assert received(client) == [("ANSWER", [1]), ("all", [2])]

    def test_all_names(self) -> None:
        names = "SocketIO Namespace SocketIOTestClient ConnectionRefusedError emit send call join_room"
        names += " leave_room close_room rooms disconnect"
        assert all(hasattr(flask_realtime, name) for name in names.split())
        assert issubclass(flask_realtime.SocketIO, SocketIO)


def _same(value: object) -> object:
    return value


@pytest.fixture
def app_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.compat")
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()


def test_a_log_that_is_streamed_to_the_browser(
    app: Flask, socketio: SocketIO, app_logger: logging.Logger
) -> None:
    class Stream(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            socketio.emit("log", record.getMessage(), namespace="/logs")

    app_logger.addHandler(Stream())
    socketio.on_event("connect", lambda: app_logger.info("somebody looks"), "/logs")

    @app.route("/work")
    def work() -> str:
        app_logger.info("at work")
        return "done"

    with serve(app) as url, SocketIOClient(url, namespace="/logs") as client:
        assert client.receive_event() == ["log", "somebody looks"]
        assert wire.request(f"{url}/work").text == "done"
        assert client.receive_event() == ["log", "at work"]


def test_clients_are_found_and_sent_away_from_a_view(app: Flask, socketio: SocketIO) -> None:
    @app.route("/close/<room>")
    def close(room: str) -> str:
        assert socketio.server is not None
        if room not in socketio.server.manager.rooms["/"]:
            return "no such room"
        socketio.emit("closing", room=room)
        for sid, _ in socketio.server.manager.get_participants("/", room):
            socketio.server.disconnect(sid)
        socketio.close_room(room)
        return f"{len(socketio.server.manager.rooms['/'].get(room, {}))} left"

    socketio.on_event("join", lambda room: join_room(room))
    with serve(app) as url, SocketIOClient(url) as one, SocketIOClient(url, "polling") as two:
        one.emit("join", "den")
        wire.wait_until(lambda: socketio.stats()["rooms"] == 1)
        assert wire.request(f"{url}/close/elsewhere").text == "no such room"
        assert wire.request(f"{url}/close/den").text == "0 left"
        assert one.receive_event() == ["closing"]
        assert one.receive() == "41"
        socketio.emit("still here")
        assert two.receive_event() == ["still here"]
