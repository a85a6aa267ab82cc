"""Registering handlers, and which of them gets an event."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from extension.conftest import Connect
from flask import Flask, request

import flask_realtime
from flask_realtime import ConnectionRefusedError, SocketIO, emit, join_room, rooms

REASON_ALL = "SERVER_DISCONNECT CLIENT_DISCONNECT PING_TIMEOUT TRANSPORT_CLOSE TRANSPORT_ERROR".split()


def names(client: Any, namespace: str | None = None) -> list[Any]:
    return [item["name"] for item in client.get_received(namespace)]


def test_all_that_flask_socketio_exports_is_exported() -> None:
    exported = """SocketIO Namespace SocketIOTestClient ConnectionRefusedError
        emit send call join_room leave_room close_room rooms disconnect"""
    assert set(exported.split()) <= set(flask_realtime.__all__)
    assert all(hasattr(flask_realtime, name) for name in flask_realtime.__all__)


class TestRegistration:
    def test_on_returns_the_function(self, socketio: SocketIO) -> None:
        def handler() -> None: ...

        assert socketio.on("event")(handler) is handler

    def test_on_can_be_stacked(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("one")
        @socketio.on("two")
        @socketio.on("two", namespace="/chat")
        def handler() -> str:
            return request.event["message"] + request.namespace

        client = connect()
        client.connect("/chat")
        assert client.emit("one", callback=True) == "one/"
        assert client.emit("two", callback=True) == "two/"
        assert client.emit("two", callback=True, namespace="/chat") == "two/chat"

    def test_on_event(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("in main", lambda: "main")
        socketio.on_event("in chat", lambda value: value + 1, namespace="/chat")
        client = connect("/chat")
        client.connect()
        assert client.emit("in main", callback=True) == "main"
        assert client.emit("in chat", 1, callback=True, namespace="/chat") == 2

    def test_event_without_arguments(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.event
        def hello(name: str) -> str:
            return f"Hello, {name}"

        assert connect().emit("hello", "Ada", callback=True) == "Hello, Ada"
        assert hello("Bob") == "Hello, Bob"

    @pytest.mark.parametrize("arguments", [{"namespace": "/chat"}, {}], ids=["keyword", "nothing"])
    def test_event_with_arguments(
        self, socketio: SocketIO, connect: Connect, arguments: dict[str, str]
    ) -> None:
        @socketio.event(**arguments)
        def hello() -> str:
            return request.namespace

        namespace = arguments.get("namespace", "/")
        assert connect(namespace).emit("hello", callback=True, namespace=namespace) == namespace

    def test_event_with_the_namespace_in_its_place(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.event("/chat")
        def hello() -> str:
            return request.namespace

        assert connect("/chat").emit("hello", callback=True, namespace="/chat") == "/chat"

    def test_the_last_handler_of_an_event_counts(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("event", lambda: "first")
        socketio.on_event("event", lambda: "second")
        assert connect().emit("event", callback=True) == "second"

    def test_a_handler_may_be_registered_while_clients_are_connected(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        client = connect()
        socketio.on_event("late", lambda: "here")
        assert client.emit("late", callback=True) == "here"

    def test_handlers_are_listed(self, socketio: SocketIO) -> None:
        def handler() -> None: ...

        socketio.on_event("event", handler, "/chat")
        assert socketio.handlers == [("event", handler, "/chat")]

    def test_what_cannot_be_called_is_refused(self, socketio: SocketIO) -> None:
        with pytest.raises(TypeError, match="callable"):
            socketio.on_event("event", "handler")  # type: ignore[arg-type]

    def test_async_generators_are_refused(self, socketio: SocketIO) -> None:
        async def handler() -> Any:
            yield 1

        with pytest.raises(TypeError, match=r"handler: .* asynchronous generator"):
            socketio.on_event("event", handler)

    @pytest.mark.parametrize(
        "value", ["text", 1, 1.5, None, True, [1, [2]], {"a": {"b": None}}, b"binary", {"file": [b"1", b"2"]}]
    )
    def test_arguments_arrive_as_they_were_sent(
        self, socketio: SocketIO, connect: Connect, value: object
    ) -> None:
        received = []
        socketio.on_event("event", lambda *args: received.append(args))
        connect().emit("event", value, "second")
        assert received == [(value, "second")]


class TestCatchAll:
    """Exact first, then ``'*'`` as the event, then ``'*'`` as the namespace, then both; then classes."""

    def test_order(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect("/chat")
        expected = {"event": "namespace object"}

        class Chat(flask_realtime.Namespace):
            def on_event(self, *args: Any) -> str:
                return "namespace object"

        socketio.on_namespace(Chat("/chat"))
        assert client.emit("event", callback=True, namespace="/chat") == expected["event"]
        for event, namespace in (("*", "*"), ("event", "*"), ("*", "/chat"), ("event", "/chat")):
            socketio.on_event(event, lambda *args, who=(event, namespace): " in ".join(who), namespace)
            answer = client.emit("event", callback=True, namespace="/chat")
            assert answer == f"{event} in {namespace}"

    @pytest.fixture
    def socketio(self, app: Flask) -> SocketIO:
        return SocketIO(app, namespaces="*")

    @pytest.mark.parametrize("namespace", ["/", "/anywhere"])
    def test_catch_all_event_gets_the_name_first(
        self, socketio: SocketIO, connect: Connect, namespace: str
    ) -> None:
        @socketio.on("*", namespace=namespace)
        def anything(*args: Any) -> list[Any]:
            return [*args, request.event["message"], list(request.event["args"])]

        answer = connect(namespace).emit("event", 1, 2, callback=True, namespace=namespace)
        assert answer == ["event", 1, 2, "*", ["event", 1, 2]]

    def test_catch_all_namespace(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event", namespace="*")
        def anywhere(value: int) -> list[Any]:
            return [request.namespace, value, request.event["message"]]

        client = connect("/a")
        client.connect("/b")
        assert client.emit("event", 1, callback=True, namespace="/a") == ["/a", 1, "event"]
        assert client.emit("event", 2, callback=True, namespace="/b") == ["/b", 2, "event"]

    def test_connect_and_disconnect_reach_no_catch_all_event(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        events: list[str] = []
        for namespace in ("/", "*"):
            socketio.on_event("*", lambda event, *args: events.append(event), namespace)
        client = connect()
        client.emit("event")
        client.disconnect()
        assert events == ["event"]

    def test_connect_and_disconnect_reach_a_catch_all_namespace(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        events: list[Any] = []
        socketio.on_event("connect", lambda auth: events.append((request.namespace, auth)), "*")
        socketio.on_event("disconnect", lambda reason: events.append((request.namespace, reason)), "*")
        client = connect("/a", auth={"token": "t"})
        client.disconnect("/a")
        assert events == [("/a", {"token": "t"}), ("/a", "client disconnect")]


class TestConnect:
    def test_auth(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        @socketio.on("connect")
        def connected(auth: Any) -> None:
            seen.append(auth)

        connect()
        connect(auth={"token": "secret"})
        assert seen == [None, {"token": "secret"}]

    def test_without_arguments(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        @socketio.on("connect")
        def connected() -> None:
            seen.append(request.event["message"])

        connect(auth={"token": "secret"})
        assert seen == ["connect"]

    def test_with_a_decorator_that_passes_everything_on(self, socketio: SocketIO, connect: Connect) -> None:
        def guarded(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            return wrapper

        seen: list[Any] = []

        @socketio.on("connect")
        @guarded
        def connected() -> None:
            seen.append("connected")

        @socketio.on("disconnect")
        @guarded
        def disconnected() -> None:
            seen.append("disconnected")

        connect(auth={"token": "secret"}).disconnect()
        assert seen == ["connected", "disconnected"]

    def test_with_a_decorator_that_takes_auth_for_itself(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        def with_token(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper(auth: Any) -> Any:
                seen.append(auth)
                return function()

            return wrapper

        @socketio.on("connect")
        @with_token
        def connected() -> None:
            seen.append("connected")

        client = connect(auth={"token": "secret"})
        assert client.is_connected()
        assert seen == [{"token": "secret"}, "connected"]

    def test_with_decorators_that_pass_on_what_they_have(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        def with_user(function: Any) -> Any:
            @functools.wraps(function)
            def wrapper() -> Any:
                return function("user")

            return wrapper

        socketio.on_event("connect", with_user(lambda user: seen.append(user)))
        socketio.on_event("disconnect", with_user(lambda user: seen.append(user)))
        client = connect(auth={"token": "secret"})
        assert seen == ["user"]
        client.disconnect()
        assert seen == ["user", "user"]

    @pytest.mark.parametrize("answer", [None, True, 0, "", [], "anything"])
    def test_only_false_refuses(self, socketio: SocketIO, connect: Connect, answer: object) -> None:
        socketio.on_event("connect", lambda: answer)
        assert connect().is_connected()

    def test_what_connect_emits_arrives(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("connect")
        def connected() -> None:
            emit("welcome", request.sid)
            join_room("room")
            socketio.emit("to all", 1)
            socketio.emit("to room", 2, to="room")

        client = connect()
        assert names(client) == ["welcome", "to all", "to room"]

    @pytest.mark.parametrize(
        ("refusal", "payload"),
        [
            (False, {"message": "Connection rejected by server"}),
            (ConnectionRefusedError(), {"message": "Connection rejected by server"}),
            (ConnectionRefusedError("go away"), {"message": "go away"}),
            (ConnectionRefusedError("go away", {"code": 42}), {"message": "go away", "data": {"code": 42}}),
            (ConnectionRefusedError("go away", 1, 2), {"message": "go away", "data": [1, 2]}),
            (ConnectionRefusedError("go away", object()), {"message": "go away"}),
        ],
        ids=["False", "no args", "message", "data", "several", "not serialisable"],
    )
    def test_refusal(
        self, socketio: SocketIO, connect: Connect, refusal: Any, payload: dict[str, Any]
    ) -> None:
        @socketio.on("connect")
        def connected() -> Any:
            emit("welcome")
            join_room("room")
            socketio.emit("to all")
            if isinstance(refusal, Exception):
                raise refusal
            return refusal

        disconnects: list[str] = []
        socketio.on_event("disconnect", disconnects.append)
        client = connect()
        assert not client.is_connected()
        assert client.refusals["/"] == payload
        assert client.queue == []
        assert disconnects == []
        assert socketio.stats()["sockets"] == socketio.stats()["rooms"] == 0
        with pytest.raises(RuntimeError, match="not connected"):
            client.emit("event")

    def test_a_refused_client_may_try_again(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda auth: auth == {"token": "right"})
        client = connect(auth={"token": "wrong"})
        assert not client.is_connected()
        client.connect(auth={"token": "right"})
        assert client.is_connected()
        assert client.refusals == {}

    def test_refusal_of_one_namespace_leaves_the_others(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda: False, "/private")
        client = connect()
        client.connect("/private")
        assert client.is_connected()
        assert not client.is_connected("/private")

    def test_unknown_namespace(self, connect: Connect) -> None:
        client = connect("/unknown")
        assert not client.is_connected("/unknown")
        assert client.refusals == {"/unknown": {"message": "Invalid namespace"}}

    def test_an_error_refuses(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()

        @socketio.on("connect", namespace="/error")
        def connected() -> None:
            raise LookupError("on purpose")

        with pytest.raises(LookupError, match="on purpose"):
            client.connect("/error")
        assert client.refusals["/error"] == {"message": "Connection rejected by server"}
        assert client.is_connected()

    def test_an_error_handler_decides(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("connect")
        def connected(auth: Any) -> None:
            raise LookupError("on purpose")

        answers = [None, False]
        socketio.on_error()(lambda error: answers.pop(0))
        assert connect().is_connected()
        assert not connect().is_connected()


class TestDisconnect:
    def test_reason(self, socketio: SocketIO, connect: Connect) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", lambda reason: reasons.append(reason))
        client = connect()
        client.disconnect()
        assert reasons == ["client disconnect"] == [SocketIO.reason.CLIENT_DISCONNECT]
        assert not client.is_connected()

    def test_without_arguments(self, socketio: SocketIO, connect: Connect) -> None:
        events: list[str] = []
        socketio.on_event("disconnect", lambda: events.append(request.sid))
        connect().disconnect()
        assert len(events) == 1

    def test_rooms_are_still_there(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []
        socketio.on_event("connect", lambda: join_room("room"))

        @socketio.on("disconnect")
        def disconnected() -> None:
            seen.append(rooms() == [request.sid, "room"])
            emit("left", request.sid, to="room", include_self=False)

        other, client = connect(), connect()
        client.disconnect()
        assert seen == [True]
        assert names(other) == ["left"]
        assert socketio.stats()["sockets"] == 1

    def test_the_server_ends_it(self, socketio: SocketIO, connect: Connect) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        socketio.on_event("go", lambda: flask_realtime.disconnect())
        client = connect()
        client.emit("go")
        assert reasons == ["server disconnect"]
        assert not client.is_connected()

    def test_each_namespace_has_its_own(self, socketio: SocketIO, connect: Connect) -> None:
        left: list[str] = []
        for namespace in ("/a", "/b"):
            socketio.on_event("disconnect", lambda: left.append(request.namespace), namespace)
        client = connect("/a")
        client.connect("/b")
        client.disconnect("/a")
        assert left == ["/a"]
        assert client.is_connected("/b")

    def test_reasons_by_name(self) -> None:
        reason = SocketIO.reason
        assert [getattr(reason, name).value for name in REASON_ALL] == [
            "server disconnect",
            "client disconnect",
            "ping timeout",
            "transport close",
            "transport error",
        ]
        assert all(getattr(reason, name) == getattr(reason, name).value for name in REASON_ALL)


class TestAcknowledgement:
    @pytest.mark.parametrize(
        ("returned", "values"),
        [
            (None, []),
            ("one", "one"),
            (0, 0),
            (False, False),
            ([1, 2], [1, 2]),
            ((1, 2), [1, 2]),
            ((), []),
            ((None,), None),
            ({"file": b"binary"}, {"file": b"binary"}),
        ],
    )
    def test_what_a_handler_returns(
        self, socketio: SocketIO, connect: Connect, returned: object, values: object
    ) -> None:
        socketio.on_event("event", lambda: returned)
        assert connect().emit("event", callback=True) == values

    def test_none_without_a_handler(self, connect: Connect) -> None:
        assert connect().emit("event", callback=True) is None

    def test_none_for_an_error(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        def fail() -> None:
            raise LookupError("on purpose")

        client = connect()
        with pytest.raises(LookupError, match="on purpose"):
            client.emit("event", callback=True)
        assert client._acks == {}

    def test_what_cannot_be_serialised_is_an_error(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("bad", lambda: object())
        socketio.on_event("good", lambda: 1)
        client = connect()
        with pytest.raises(TypeError):
            client.emit("bad", callback=True)
        assert client.emit("good", callback=True) == 1


class TestErrors:
    @pytest.fixture(autouse=True)
    def failing_handlers(self, socketio: SocketIO) -> None:
        def fail(*args: Any) -> None:
            raise LookupError("on purpose")

        for namespace in ("/", "/chat"):
            socketio.on_event("fail", fail, namespace)

    def test_on_error_gets_the_exception_in_context(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on_error()
        def failed(error: Exception) -> str:
            assert isinstance(error, LookupError)
            return f"{request.event['message']} {list(request.event['args'])} in {request.namespace}: {error}"

        assert connect().emit("fail", 1, callback=True) == "fail [1] in /: on purpose"

    def test_on_error_is_for_one_namespace(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_error("/chat")(lambda error: "chat")
        client = connect()
        client.connect("/chat")
        assert client.emit("fail", callback=True, namespace="/chat") == "chat"
        with pytest.raises(LookupError):
            client.emit("fail")

    def test_default_is_for_all_others(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_error("/chat")(lambda error: "chat")
        assert socketio.on_error_default(len) is len
        socketio.on_error_default(lambda error: "default")
        client = connect()
        client.connect("/chat")
        assert client.emit("fail", callback=True, namespace="/chat") == "chat"
        assert client.emit("fail", callback=True) == "default"

    def test_error_handlers_must_be_callable(self, socketio: SocketIO) -> None:
        with pytest.raises(ValueError, match="callable"):
            socketio.on_error_default("no")  # type: ignore[type-var]
        with pytest.raises(ValueError, match="callable"):
            socketio.on_error("/chat")("no")  # type: ignore[type-var]

    def test_an_error_of_the_error_handler_is_raised(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on_error_default
        def failed(error: Exception) -> None:
            raise KeyError("worse")

        with pytest.raises(KeyError, match="worse"):
            connect().emit("fail")

    def test_later_events_go_on(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("good", lambda: 1)
        client = connect()
        with pytest.raises(LookupError):
            client.emit("fail")
        assert client.emit("good", callback=True) == 1

    def test_a_wrong_number_of_arguments_is_an_error(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("one", lambda value: value)
        with pytest.raises(TypeError, match="argument"):
            connect().emit("one")
