"""Handlers as the methods of a Namespace."""

from __future__ import annotations

from typing import Any

import pytest
from extension.conftest import Connect
from extension.live import SocketIOClient
from flask import has_request_context, request

from flask_realtime import ConnectionRefusedError, Namespace, SocketIO, SocketIOTestClient


def received(client: SocketIOTestClient, namespace: str = "/chat") -> list[tuple[str, Any]]:
    return [(item["name"], item["args"]) for item in client.get_received(namespace)]


class Chat(Namespace):
    """Writes down what happens."""

    def __init__(self, namespace: str | None = "/chat") -> None:
        super().__init__(namespace)
        self.seen: list[Any] = []

    def on_connect(self, auth: Any) -> None:
        self.seen.append(("connect", auth, request.namespace))
        self.sid = request.sid

    def on_disconnect(self, reason: str) -> None:
        self.seen.append(("disconnect", reason, self.rooms(request.sid) == [request.sid]))

    def on_add(self, a: int, b: int) -> int:
        self.seen.append((request.event["message"], request.event["args"]))
        return a + b

    def on_fail(self) -> None:
        raise LookupError("on purpose")


@pytest.fixture
def chat(socketio: SocketIO) -> Chat:
    chat = Chat()
    socketio.on_namespace(chat)
    return chat


@pytest.fixture
def client(chat: Chat, connect: Connect) -> SocketIOTestClient:
    return connect("/chat", auth={"token": "t"})


def test_events_have_their_methods(chat: Chat, client: SocketIOTestClient) -> None:
    assert client.emit("add", 1, 2, callback=True, namespace="/chat") == 3
    client.disconnect("/chat")
    assert chat.seen == [
        ("connect", {"token": "t"}, "/chat"),
        ("add", (1, 2)),
        ("disconnect", "client disconnect", True),
    ]


def test_the_main_namespace_is_the_default(socketio: SocketIO, connect: Connect) -> None:
    class Main(Namespace):
        def on_where(self) -> str:
            return request.namespace

    main = Main()
    assert main.namespace == "/"
    socketio.on_namespace(main)
    assert socketio.namespace_handlers == [main]
    assert main.socketio is socketio
    assert main.server is socketio.server
    assert connect().emit("where", callback=True) == "/"


def test_every_namespace(app: Any) -> None:
    socketio = SocketIO(app, namespaces="*")
    connected: list[str] = []

    class Everywhere(Namespace):
        def on_connect(self) -> None:
            connected.append(request.namespace)

        def on_where(self) -> str:
            return request.namespace

    socketio.on_namespace(Everywhere("*"))
    client = socketio.test_client(app, "/anywhere")
    assert client.emit("where", callback=True, namespace="/anywhere") == "/anywhere"
    assert connected == ["/anywhere"]


@pytest.mark.parametrize("arguments", [0, 1])
def test_connect_and_disconnect_with_and_without_arguments(
    socketio: SocketIO, connect: Connect, arguments: int
) -> None:
    seen: list[Any] = []

    class Without(Namespace):
        def on_connect(self) -> None:
            seen.append(())

        def on_disconnect(self) -> None:
            seen.append(())

    class With(Namespace):
        def on_connect(self, auth: Any) -> None:
            seen.append((auth,))

        def on_disconnect(self, reason: str) -> None:
            seen.append((reason,))

    socketio.on_namespace((Without, With)[arguments]("/chat"))
    connect("/chat", auth={"a": 1}).disconnect("/chat")
    assert seen == [({"a": 1},)[:arguments], ("client disconnect",)[:arguments]]


def test_connect_may_refuse(socketio: SocketIO, connect: Connect) -> None:
    class Closed(Namespace):
        def on_connect(self, auth: Any) -> bool | None:
            if auth is None:
                raise ConnectionRefusedError("who are you?", 1)
            return False

        def error(self, error: Exception) -> None:
            raise AssertionError("a refusal is no error")

    socketio.on_namespace(Closed("/chat"))
    client = connect("/chat")
    assert client.refusals["/chat"] == {"message": "who are you?", "data": 1}
    client.connect("/chat", auth={"a": 1})
    assert client.refusals["/chat"] == {"message": "Connection rejected by server"}
    assert not client.is_connected("/chat")


def test_an_event_without_a_method_has_no_acknowledgement(client: SocketIOTestClient) -> None:
    assert client.emit("unknown", callback=True, namespace="/chat") is None
    assert client.emit("connect_me", callback=True, namespace="/chat") is None


def test_functions_go_first(socketio: SocketIO, client: SocketIOTestClient) -> None:
    socketio.on_event("add", lambda a, b: "function", "/chat")
    assert client.emit("add", 1, 2, callback=True, namespace="/chat") == "function"


def test_trigger_event_may_be_overridden(socketio: SocketIO, connect: Connect) -> None:
    calls: list[Any] = []

    class Own(Namespace):
        def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
            calls.append((event, args))
            return super().trigger_event("method_of_" + event, sid, *args)

        def on_method_of_event(self, value: int) -> int:
            return value * 2

    socketio.on_namespace(Own("/chat"))
    client = connect("/chat")
    assert client.emit("event", 21, callback=True, namespace="/chat") == 42
    client.disconnect("/chat")
    assert calls == [("connect", (None,)), ("event", (21,)), ("disconnect", ("client disconnect",))]


class TestErrors:
    def test_hook(self, socketio: SocketIO, connect: Connect) -> None:
        class WithHook(Chat):
            def error(self, error: Exception) -> str:
                return f"{type(error).__name__}: {error}"

        socketio.on_namespace(WithHook())
        answer = connect("/chat").emit("fail", callback=True, namespace="/chat")
        assert answer == "LookupError: on purpose"

    def test_without_hook(self, client: SocketIOTestClient) -> None:
        with pytest.raises(LookupError, match="on purpose"):
            client.emit("fail", namespace="/chat")

    def test_error_handlers_of_the_extension_object_take_them_first(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        class WithHook(Chat):
            def error(self, error: Exception) -> str:
                return "hook"

        socketio.on_namespace(WithHook())
        client = connect("/chat")
        socketio.on_error_default(lambda error: f"default, in context: {has_request_context()}")
        assert client.emit("fail", callback=True, namespace="/chat") == "default, in context: True"
        socketio.on_error("/chat")(lambda error: "of the namespace")
        assert client.emit("fail", callback=True, namespace="/chat") == "of the namespace"

    def test_registration(self, socketio: SocketIO) -> None:
        with pytest.raises(ValueError, match="Namespace"):
            socketio.on_namespace(object())  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Namespace"):
            socketio.on_namespace(Chat)  # type: ignore[arg-type]

        class Async(Namespace):
            async def on_event(self) -> Any:
                yield 1

        with pytest.raises(TypeError, match="asynchronous generator"):
            socketio.on_namespace(Async("/async"))

    def test_before_registration(self) -> None:
        with pytest.raises(RuntimeError, match="on_namespace"):
            Chat().emit("event")


class TestActions:
    def test_emit(self, chat: Chat, client: SocketIOTestClient, connect: Connect) -> None:
        main = connect()
        chat.emit("bare")
        chat.emit("event", {"a": 1})
        chat.emit("several", (1, 2))
        chat.emit("to one", 1, room=chat.sid)
        chat.emit("to one", 2, to=chat.sid)
        chat.emit("skipped", 3, skip_sid=chat.sid)
        chat.emit("elsewhere", 4, namespace="/")
        assert received(client) == [
            ("bare", []),
            ("event", [{"a": 1}]),
            ("several", [1, 2]),
            ("to one", [1]),
            ("to one", [2]),
        ]
        assert received(main, "/") == [("elsewhere", [4])]

    def test_send(self, chat: Chat, client: SocketIOTestClient) -> None:
        chat.send("text")
        chat.send("text", room=chat.sid)
        chat.send("text", to="nobody")
        assert received(client) == [("message", "text")] * 2

    def test_include_self(self, socketio: SocketIO, connect: Connect) -> None:
        class Loud(Namespace):
            def on_shout(self, value: str) -> None:
                self.emit("shouted", value, include_self=False)

        socketio.on_namespace(Loud("/chat"))
        one, other = connect("/chat"), connect("/chat")
        one.emit("shout", "hey", namespace="/chat")
        assert received(one) == []
        assert received(other) == [("shouted", ["hey"])]

    def test_rooms(self, chat: Chat, client: SocketIOTestClient) -> None:
        chat.enter_room(chat.sid, "room")
        assert chat.rooms(chat.sid) == [chat.sid, "room"]
        chat.emit("event", room="room")
        chat.leave_room(chat.sid, "room")
        chat.emit("event", room="room")
        chat.enter_room(chat.sid, "room")
        chat.close_room("room")
        chat.emit("event", room="room")
        assert received(client) == [("event", [])]

    def test_disconnect(self, chat: Chat, client: SocketIOTestClient) -> None:
        chat.disconnect(chat.sid)
        assert not client.is_connected("/chat")
        assert chat.seen[-1] == ("disconnect", "server disconnect", True)

    def test_call(self, chat: Chat, socketio: SocketIO, url: str) -> None:
        results: list[Any] = []
        with SocketIOClient(url, namespace="/chat") as client:
            for how in ({"to": client.sid}, {"sid": client.sid}):
                task = socketio.start_background_task(
                    lambda how=how: results.append(chat.call("question", 1, timeout=5, **how))
                )
                question = str(client.receive())
                client.transport.send(question.replace("42", "43", 1).replace('"question",1', '"answer"'))
                task.join(5)
        assert results == ["answer", "answer"]

    def test_call_accepts_ignore_queue(self, chat: Chat, client: SocketIOTestClient) -> None:
        with pytest.raises(TimeoutError):
            chat.call("question", to=chat.sid, timeout=0.01, ignore_queue=True)


class TestSession:
    def test_saved_and_read(self, chat: Chat, client: SocketIOTestClient) -> None:
        assert chat.get_session(chat.sid) == {}
        chat.save_session(chat.sid, {"name": "Ada"})
        session = chat.get_session(chat.sid)
        assert session == {"name": "Ada"}
        session["name"] = "changed"
        assert chat.get_session(chat.sid) == {"name": "Ada"}, "it is a copy"

    def test_block(self, chat: Chat, client: SocketIOTestClient) -> None:
        with chat.session(chat.sid) as session:
            session["count"] = 1
        with chat.session(chat.sid) as session:
            session["count"] += 1
        assert chat.get_session(chat.sid) == {"count": 2}

    def test_each_namespace_and_client_has_its_own(
        self, socketio: SocketIO, chat: Chat, client: SocketIOTestClient, connect: Connect
    ) -> None:
        first = chat.sid
        chat.save_session(first, {"name": "Ada"})
        connect("/chat")
        assert chat.sid != first
        assert chat.get_session(chat.sid) == {}

    def test_in_the_disconnect_handler(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        class Remembering(Namespace):
            def on_connect(self) -> None:
                self.save_session(request.sid, {"name": "Ada"})

            def on_disconnect(self) -> None:
                seen.append(self.get_session(request.sid))

        socketio.on_namespace(Remembering("/chat"))
        connect("/chat").disconnect("/chat")
        assert seen == [{"name": "Ada"}]

    def test_of_a_client_that_has_gone(self, chat: Chat, client: SocketIOTestClient) -> None:
        client.disconnect("/chat")
        with pytest.raises(KeyError):
            chat.get_session(chat.sid)
