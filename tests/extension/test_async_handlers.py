"""``async def`` handlers: as good as plain ones everywhere, and cheaper where they wait."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import flask
import pytest
from extension.conftest import Connect
from flask import Flask, current_app, g, request, session, url_for
from werkzeug.test import EnvironBuilder

from flask_realtime import (
    ConnectionRefusedError,
    EngineIO,
    Namespace,
    SocketIO,
    call,
    call_async,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
    rooms,
    send,
)
from flask_realtime.backends.coroutines import own_loop
from flask_realtime.backends.memory import MemoryTransport
from flask_realtime.context import slim_environ
from flask_realtime.types import DisconnectReason

TIMEOUT = 3.0


def until(condition: Callable[[], Any], what: str = "it happens") -> None:
    """Wait for something that other threads do."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT} s: {what}"
        time.sleep(0.001)


class Client:
    """A client in memory whose handlers run where those of real clients do: in threads, in the event loop.

    :param server: a Socket.IO server, or a raw one.
    """

    def __init__(self, app: Flask, server: Any, query: str = "", headers: Any = None) -> None:
        self.server = server
        self.packets: list[str] = []
        self.transport = MemoryTransport(self._receive)
        environ = EnvironBuilder("/socket.io/", query_string=query, headers=headers).get_environ()
        self.session = server.engine.open(self.transport, slim_environ(app, environ))
        self.transport.session = self.session
        with server.engine.lock:
            self.transport.wake()
        self.packets.clear()  # the handshake
        self._ack_id = 0

    def _receive(self, message: Any) -> None:
        if message.text is not None and message.text != b"2":
            self.packets.append(message.text.decode())

    def send(self, *packets: str) -> None:
        self.session.receive(self.transport, list(packets))

    def connect(self, auth: Any = None, wait: bool = True) -> Client:
        self.send("40" + ("" if auth is None else json.dumps(auth)))
        if wait:
            until(lambda: self.answers("40"), "it is connected")
        return self

    def answers(self, prefix: str) -> list[Any]:
        """The packets that begin so, decoded."""
        return [
            json.loads(p[len(prefix) :])
            for p in self.packets.copy()
            if p.startswith((prefix + "[", prefix + "{"))
        ]

    @property
    def sid(self) -> str:
        return str(self.answers("40")[0]["sid"])

    @property
    def events(self) -> list[list[Any]]:
        """Those that ask for no acknowledgement."""
        return self.answers("42")

    def emit(self, *data: Any) -> None:
        self.send("42" + json.dumps(data))

    def call(self, *data: Any) -> list[Any]:
        """Emit, and wait for the acknowledgement."""
        self._ack_id += 1
        self.send(f"42{self._ack_id}{json.dumps(data)}")
        prefix = f"43{self._ack_id}"
        until(lambda: self.answers(prefix), f"{data} is acknowledged")
        values: list[Any] = self.answers(prefix)[0]
        return values

    def requests(self) -> list[tuple[int, list[Any]]]:
        """The events that ask for an acknowledgement."""
        found = []
        for packet in self.packets.copy():
            head, _, data = packet.partition("[")
            if head.startswith("42") and head != "42":
                found.append((int(head[2:]), json.loads("[" + data)))
        return found

    def close(self) -> None:
        with self.server.engine.lock:
            if not self.session.ended:
                self.session.end(DisconnectReason.TRANSPORT_CLOSE)


MakeClient = Callable[..., Client]


@pytest.fixture
def client(app: Flask, socketio: SocketIO) -> Iterator[MakeClient]:
    """``client(query="a=1")``: a new client, connected; ``client(connected=False)``: not yet."""
    clients: list[Client] = []

    def make(connected: bool = True, **options: Any) -> Client:
        clients.append(Client(app, app.extensions["realtime"].server, **options))
        return clients[-1].connect() if connected else clients[-1]

    yield make
    _close(clients)


def _close(clients: list[Client]) -> None:
    for one in clients:
        one.close()
    for one in clients:
        until(lambda one=one: not one.server.engine.work_pending, "the last handlers return")


class Gate:
    """Coroutines wait at it until the test opens it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._waiting: set[asyncio.Event] = set()
        #: how many have come
        self.arrived = 0

    async def wait(self) -> None:
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        setter = functools.partial(loop.call_soon_threadsafe, event.set)
        self._waiting.add(setter)  # type: ignore[arg-type]
        self.arrived += 1
        if not self._open.is_set():
            await asyncio.wait_for(event.wait(), 2 * TIMEOUT)

    def open(self) -> None:
        self._open.set()
        for setter in list(self._waiting):
            setter()  # type: ignore[operator]


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The names of the exceptions that were logged."""
    return [
        r.exc_info[0].__name__ if r.exc_info and r.exc_info[0] else r.getMessage()
        for r in caplog.records
        if r.levelno >= logging.WARNING
    ]


def plainly(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """A decorator that knows nothing of coroutines: it returns one."""

    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def wrapped(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """The same by the book."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


every_style = pytest.mark.parametrize("style", [itself, plainly, wrapped])


# A. Handlers


class TestFunctions:
    @pytest.mark.parametrize(
        ("value", "answer"),
        [(None, []), (1, 1), ((1, 2), [1, 2]), ((), []), ([1], [1]), (b"x", b"x"), (False, False)],
    )
    @every_style
    def test_what_is_returned_acknowledges(
        self, socketio: SocketIO, connect: Connect, value: object, answer: object, style: Any
    ) -> None:
        async def handler() -> object:
            await asyncio.sleep(0)
            return value

        socketio.on_event("event", style(handler))
        client = connect()
        assert client.emit("event", callback=True) == answer
        assert client.emit("event") is None

    @every_style
    def test_connect_event_and_disconnect(self, socketio: SocketIO, connect: Connect, style: Any) -> None:
        seen: list[Any] = []

        @socketio.on("connect")
        @style
        async def connected(auth: Any) -> None:
            await asyncio.sleep(0)
            seen.append(("connect", auth))
            emit("welcome")

        @socketio.on("event")
        @style
        async def event(*args: Any) -> None:
            await asyncio.sleep(0)
            seen.append(args)

        @socketio.on("disconnect")
        @style
        async def disconnected(reason: str) -> None:
            await asyncio.sleep(0)
            seen.append(("disconnect", reason))

        client = connect(auth={"token": "t"})
        client.emit("event", 1, {"two": b"2"})
        assert [item["name"] for item in client.get_received()] == ["welcome"]
        client.disconnect()
        assert seen == [("connect", {"token": "t"}), (1, {"two": b"2"}), ("disconnect", "client disconnect")]

    def test_connect_and_disconnect_without_arguments(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[str] = []

        @socketio.on("connect")
        @wrapped
        async def connected() -> None:
            seen.append("connect")

        @socketio.on("disconnect")
        async def disconnected() -> None:
            seen.append("disconnect")

        connect(auth={}).disconnect()
        assert seen == ["connect", "disconnect"]

    def test_catch_alls(self, app: Flask) -> None:
        socketio = SocketIO(app, namespaces="*")

        @socketio.on("*")
        async def anything(event: str, *args: Any) -> list[Any]:
            await asyncio.sleep(0)
            return [event, *args]

        @socketio.on("event", namespace="*")
        async def anywhere() -> str:
            await asyncio.sleep(0)
            return request.namespace

        client = socketio.test_client(app)
        client.connect("/any")
        assert client.emit("what", 1, callback=True) == ["what", 1]
        assert client.emit("event", callback=True, namespace="/any") == "/any"

    @pytest.mark.parametrize("json", [False, True])
    def test_message_and_json(self, socketio: SocketIO, connect: Connect, json: bool) -> None:
        @socketio.on("message")
        @socketio.on("json")
        async def received(data: Any) -> None:
            await asyncio.sleep(0)
            send(data, json=json)

        client = connect()
        client.send({"a": 1}, json=json)
        assert [item["args"] for item in client.get_received()] == [{"a": 1}]

    def test_other_callables(self, socketio: SocketIO, connect: Connect) -> None:
        class Callable_:
            async def __call__(self, value: int) -> int:
                await asyncio.sleep(0)
                return value * 2

            async def method(self, value: int) -> int:
                await asyncio.sleep(0)
                return value * 3

            @staticmethod
            async def static(value: int) -> int:
                await asyncio.sleep(0)
                return value * 4

        async def multiply(factor: int, value: int) -> int:
            await asyncio.sleep(0)
            return factor * value

        handlers = [
            Callable_(),
            Callable_().method,
            Callable_.static,
            functools.partial(multiply, 5),
            functools.partial(functools.partial(multiply), 6),
            functools.partial(Callable_()),
            lambda value: multiply(8, value),
        ]
        for number, handler in enumerate(handlers):
            socketio.on_event(f"event{number}", handler)
        client = connect()
        answers = [client.emit(f"event{number}", 10, callback=True) for number in range(len(handlers))]
        assert answers == [20, 30, 40, 50, 60, 20, 80]

    def test_they_run_in_one_event_loop_and_not_in_this_thread(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        seen: set[Any] = set()

        @socketio.on("event")
        async def handler() -> None:
            seen.add((asyncio.get_running_loop(), threading.get_ident()))

        one, other = connect(), connect()
        one.emit("event")
        other.emit("event")
        assert len(seen) == 1
        assert threading.get_ident() not in {ident for _, ident in seen}


class TestAsyncGenerators:
    """They would never run."""

    async def generator(self, *args: Any) -> Any:
        yield 1

    @pytest.fixture(params=["function", "method", "partial", "object", "callable"])
    def generators(self, request: pytest.FixtureRequest) -> Any:
        async def generator(*args: Any) -> Any:
            yield 1

        class Callable_:
            async def __call__(self, *args: Any) -> Any:
                yield 1

        return {
            "function": generator,
            "method": self.generator,
            "partial": functools.partial(generator),
            "object": Callable_(),
            "callable": Callable_().__call__,
        }[request.param]

    def test_as_handlers(self, socketio: SocketIO, generators: Any) -> None:
        with pytest.raises(TypeError, match="generator"):
            socketio.on_event("event", generators)
        with pytest.raises(TypeError, match="generator"):
            socketio.on("event")(generators)

    def test_as_methods(self, socketio: SocketIO) -> None:
        class Chat(Namespace):
            async def on_event(self) -> Any:
                yield 1

        with pytest.raises(TypeError, match="generator"):
            socketio.on_namespace(Chat())

    @pytest.mark.parametrize("name", ["on_connect", "on_message", "on_disconnect"])
    def test_of_the_raw_engine(self, app: Flask, name: str) -> None:
        async def generator(*args: Any) -> Any:
            yield 1

        with pytest.raises(TypeError, match="generator"):
            getattr(EngineIO(app), name)(generator)


class TestNamespaces:
    def test_methods(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[Any] = []

        class Chat(Namespace):
            async def on_connect(self, auth: Any) -> None:
                await asyncio.sleep(0)
                seen.append(("connect", auth, request.namespace))

            async def on_disconnect(self) -> None:
                await asyncio.sleep(0)
                seen.append(("disconnect", request.sid))

            async def on_event(self, value: int) -> tuple[int, str]:
                await asyncio.sleep(0)
                self.emit("answer", value, to=request.sid)
                return value, request.sid

            def on_plain(self) -> str:
                return request.sid

            @wrapped
            async def on_wrapped(self, value: int) -> list[Any]:
                await asyncio.sleep(0)
                return [value, request.sid]

        socketio.on_namespace(Chat("/chat"))
        client = connect("/chat", auth={"name": "me"})
        value, sid = client.emit("event", 1, callback=True, namespace="/chat")
        assert value == 1
        assert client.emit("plain", callback=True, namespace="/chat") == sid
        assert client.emit("wrapped", 2, callback=True, namespace="/chat") == [2, sid]
        assert client.emit("unknown", callback=True, namespace="/chat") is None
        assert [item["args"] for item in client.get_received("/chat")] == [[1]]
        client.disconnect("/chat")
        assert seen == [("connect", {"name": "me"}, "/chat"), ("disconnect", sid)]

    def test_for_every_namespace(self, app: Flask) -> None:
        socketio = SocketIO(app, namespaces="*")

        class Anywhere(Namespace):
            async def on_event(self) -> list[Any]:
                await asyncio.sleep(0)
                self.emit("answer")
                return [request.namespace]

        socketio.on_namespace(Anywhere("*"))
        client = socketio.test_client(app, namespace="/a")
        assert client.emit("event", callback=True, namespace="/a") == ["/a"]
        assert [item["name"] for item in client.get_received("/a")] == ["answer"]

    def test_an_overriding_coroutine(self, socketio: SocketIO, connect: Connect) -> None:
        seen: list[str] = []

        class Chat(Namespace):
            async def trigger_event(self, event: str, *args: Any) -> Any:
                await asyncio.sleep(0)
                seen.append(event)
                return await super().trigger_event(event, *args)

            async def on_connect(self) -> None:
                await asyncio.sleep(0)

            async def on_event(self, value: int) -> list[Any]:
                await asyncio.sleep(0)
                return [value, request.event["message"]]

            async def on_disconnect(self, reason: str) -> None:
                seen.append(reason)

        socketio.on_namespace(Chat())
        client = connect()
        assert client.emit("event", 1, callback=True) == [1, "event"]
        client.disconnect()
        assert seen == ["connect", "event", "disconnect", "client disconnect"]

    def test_an_overriding_coroutine_and_events_without_a_method(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        """The plain way to override it, as with python-socketio: ``await super().trigger_event(...)``."""

        class Chat(Namespace):
            async def trigger_event(self, event: str, *args: Any) -> Any:
                return await super().trigger_event(event, *args)

            async def on_event(self) -> str:
                return "here"

            def on_plain(self) -> str:
                return "plain"

        socketio.on_namespace(Chat())
        client = connect()
        assert client.emit("event", callback=True) == "here"
        assert client.emit("unknown", callback=True) is None
        assert client.emit("plain", callback=True) == "plain"

    def test_an_overriding_function_that_renames(self, socketio: SocketIO, connect: Connect) -> None:
        """A plain function, whose name for the event is not that of a coroutine function."""

        class Chat(Namespace):
            def trigger_event(self, event: str, *args: Any) -> Any:
                return super().trigger_event(event.replace("-", "_"), *args)

            async def on_my_event(self, value: int) -> list[Any]:
                await asyncio.sleep(0)
                return [value, request.event["message"]]

        socketio.on_namespace(Chat())
        assert connect().emit("my-event", 1, callback=True) == [1, "my_event"]

    def test_an_overriding_function_that_answers_with_a_coroutine(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        class Chat(Namespace):
            def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
                return self.anything(event, *args)

            async def anything(self, event: str, *args: Any) -> list[Any] | None:
                await asyncio.sleep(0)
                return None if event in ("connect", "disconnect") else [event, *args]

        socketio.on_namespace(Chat())
        assert connect().emit("event", 1, callback=True) == ["event", 1]

    @pytest.mark.parametrize("async_handler", [False, True])
    @pytest.mark.parametrize("async_hook", [False, True])
    def test_the_error_hook(
        self, socketio: SocketIO, connect: Connect, async_handler: bool, async_hook: bool
    ) -> None:
        class Chat(Namespace):
            pass

        def fail(self: Chat) -> None:
            raise LookupError("on purpose")

        async def fail_later(self: Chat) -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        def error(self: Chat, error: Exception) -> str:
            return f"{error!r}"

        async def error_later(self: Chat, error: Exception) -> str:
            await asyncio.sleep(0)
            return f"{error!r}"

        Chat.on_event = fail_later if async_handler else fail  # type: ignore[attr-defined]
        Chat.error = error_later if async_hook else error  # type: ignore[attr-defined]
        socketio.on_namespace(Chat())
        assert connect().emit("event", callback=True) == "LookupError('on purpose')"

    def test_a_refusal_is_not_for_the_error_hook(self, socketio: SocketIO, connect: Connect) -> None:
        class Chat(Namespace):
            async def on_connect(self) -> None:
                await asyncio.sleep(0)
                raise ConnectionRefusedError("go away")

            async def error(self, error: Exception) -> None:
                raise AssertionError("not an error")

        socketio.on_namespace(Chat())
        assert connect().refusals == {"/": {"message": "go away"}}

    def test_a_client_that_goes_while_trigger_event_waits(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        gate = Gate()
        seen: list[str] = []

        class Chat(Namespace):
            async def trigger_event(self, event: str, *args: Any) -> Any:
                if event == "event":
                    await gate.wait()
                return await super().trigger_event(event, *args)

            async def on_connect(self) -> None: ...

            async def on_event(self) -> None: ...

            async def on_disconnect(self) -> None:
                seen.append("disconnect")

        socketio.on_namespace(Chat())
        one = client()
        one.emit("event")
        until(lambda: gate.arrived)
        one.close()
        until(lambda: socketio.stats()["sockets"] == 0 and seen, "its disconnect handler has returned")
        gate.open()
        until(lambda: not one.server.engine.work_pending)
        assert errors_of(caplog) == []


class TestErrors:
    def test_are_logged_once_and_never_acknowledge(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        @socketio.on("fail")
        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        @socketio.on("next")
        async def following() -> str:
            return "here"

        one = client()
        one.send('427["fail"]')
        assert one.call("next") == ["here"]
        assert errors_of(caplog) == ["LookupError"]
        assert "handler of event 'fail' in namespace '/' failed" in caplog.text
        assert not any(p.startswith("437") for p in one.packets)

    # SystemExit: see backends/test_coroutines.py, in a process of its own
    @pytest.mark.parametrize("error", [asyncio.CancelledError, TimeoutError, StopIteration])
    @every_style
    def test_of_a_special_kind_take_nobody_with_them(
        self, socketio: SocketIO, client: MakeClient, error: type[BaseException], style: Any
    ) -> None:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise error

        async def following() -> str:
            await asyncio.sleep(0)
            return "here"

        socketio.on_event("fail", style(fail))
        socketio.on_event("next", style(following))
        one, other = client(), client()
        one.send('427["fail"]')
        assert one.call("next") == ["here"]
        assert other.call("next") == ["here"]
        assert not any(p.startswith("437") for p in one.packets)

    def test_what_cannot_be_acknowledged(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        @socketio.on("event")
        async def handler() -> object:
            return object()

        one = client()
        one.send('427["event"]')
        until(lambda: not one.server.engine.work_pending)
        assert errors_of(caplog) == ["TypeError"]

    @pytest.mark.parametrize("async_handler", [False, True])
    @pytest.mark.parametrize("async_error", [False, True])
    @pytest.mark.parametrize("default", [False, True])
    def test_error_handlers(
        self, socketio: SocketIO, connect: Connect, async_handler: bool, async_error: bool, default: bool
    ) -> None:
        def fail() -> None:
            g.value = 1
            raise LookupError("on purpose")

        async def fail_later() -> None:
            await asyncio.sleep(0)
            fail()

        def error(error: Exception) -> list[Any]:
            return [repr(error), request.sid, request.event["message"], g.value]

        async def error_later(failure: Exception) -> list[Any]:
            await asyncio.sleep(0)
            return error(failure)

        socketio.on_event("event", fail_later if async_handler else fail)
        register = socketio.on_error_default if default else socketio.on_error()
        register(error_later if async_error else error)
        socketio.on_event("who", lambda: request.sid)
        client = connect()
        sid = client.emit("who", callback=True)
        assert client.emit("event", callback=True) == ["LookupError('on purpose')", sid, "event", 1]

    def test_on_error_goes_before_the_default(self, socketio: SocketIO, connect: Connect) -> None:
        async def fail() -> None:
            raise LookupError

        @socketio.on_error("/chat")
        async def chat(error: Exception) -> str:
            return "chat"

        @socketio.on_error_default
        async def default(error: Exception) -> str:
            return "default"

        for namespace in ("/", "/chat"):
            socketio.on_event("event", fail, namespace)
        client = connect("/chat")
        client.connect()
        assert client.emit("event", callback=True, namespace="/chat") == "chat"
        assert client.emit("event", callback=True) == "default"

    @pytest.mark.parametrize("async_handler", [False, True])
    def test_an_error_in_an_error_handler(
        self, socketio: SocketIO, connect: Connect, async_handler: bool
    ) -> None:
        def fail() -> None:
            raise LookupError

        async def fail_later() -> None:
            await asyncio.sleep(0)
            raise LookupError

        @socketio.on_error_default
        async def error(error: Exception) -> None:
            await asyncio.sleep(0)
            raise ValueError("another one") from error

        socketio.on_event("event", fail_later if async_handler else fail)
        with pytest.raises(ValueError, match="another one"):
            connect().emit("event")

    def test_a_coroutine_that_a_plain_function_returns_fails_as_the_function_does(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        @socketio.on("event")
        @plainly
        async def handler() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        client = connect()
        with pytest.raises(LookupError, match="on purpose"):
            client.emit("event")
        socketio.on_error()(lambda error: f"handled {error!r}")
        assert client.emit("event", callback=True) == "handled LookupError('on purpose')"


class TestRefusal:
    @every_style
    def test_by_false(self, socketio: SocketIO, connect: Connect, style: Any) -> None:
        gone: list[str] = []

        async def connected(auth: Any) -> bool:
            await asyncio.sleep(0)
            emit("never")
            return False

        socketio.on_event("connect", style(connected))
        socketio.on_event("disconnect", gone.append)
        client = connect()
        assert not client.is_connected()
        assert client.refusals == {"/": {"message": "Connection rejected by server"}}
        assert client.queue == gone == []

    @every_style
    def test_by_an_error(self, socketio: SocketIO, connect: Connect, style: Any) -> None:
        async def connected(auth: Any) -> None:
            await asyncio.sleep(0)
            raise ConnectionRefusedError("go away", {"until": "tomorrow"})

        socketio.on_event("connect", style(connected))
        # An error handler is not asked.
        socketio.on_error_default(lambda error: None)
        assert connect().refusals == {"/": {"message": "go away", "data": {"until": "tomorrow"}}}

    def test_by_a_fault(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        @socketio.on("connect")
        async def connected() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        one = client(connected=False)
        one.connect(wait=False)
        until(lambda: one.packets)
        assert one.packets == ['44{"message":"Connection rejected by server"}']
        assert errors_of(caplog) == ["LookupError"]

    @pytest.mark.parametrize("value", [None, True, 0, "", []])
    def test_by_nothing_else(self, socketio: SocketIO, connect: Connect, value: object) -> None:
        async def connected() -> object:
            return value

        socketio.on_event("connect", connected)
        assert connect().is_connected()


class TestAckCallbacks:
    @every_style
    def test_of_an_event(self, socketio: SocketIO, client: MakeClient, style: Any) -> None:
        seen: list[Any] = []

        @style
        async def callback(*values: Any) -> None:
            await asyncio.sleep(0)
            seen.append((values, request.sid, request.namespace, current_app.name))
            emit("thanks")

        socketio.on_event("ask", lambda: emit("question", callback=callback))
        one = client()
        one.emit("ask")
        until(one.requests)
        one.send(f"43{one.requests()[0][0]}[1,2]")
        until(lambda: one.events == [["thanks"]])
        assert seen == [((1, 2), one.sid, "/", "app")]
        assert socketio.stats()["pending_acks"] == 0

    @every_style
    def test_from_outside(self, socketio: SocketIO, client: MakeClient, style: Any) -> None:
        seen: list[Any] = []

        @style
        async def callback(*values: Any) -> None:
            await asyncio.sleep(0)
            seen.append((values, flask.has_request_context()))

        clients = [client() for _ in range(3)]
        socketio.emit("question", callback=callback)
        for number, one in enumerate(clients):
            one.send(f"43{one.requests()[0][0]}[{number}]")
        until(lambda: len(seen) == 3)
        assert sorted(seen) == [((n,), False) for n in range(3)]

    @every_style
    def test_errors_are_logged_once(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture, style: Any
    ) -> None:
        @style
        async def callback() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        one = client()
        socketio.emit("question", callback=callback)
        one.send(f"43{one.requests()[0][0]}[]")
        until(lambda: not one.server.engine.work_pending)
        assert errors_of(caplog) == ["LookupError"]


class TestEngineIO:
    @pytest.fixture
    def engine(self, app: Flask) -> EngineIO:
        return EngineIO(app)

    @pytest.fixture
    def raw(self, app: Flask, engine: EngineIO) -> Iterator[Callable[[], Client]]:
        clients: list[Client] = []

        def make() -> Client:
            clients.append(Client(app, app.extensions["engineio"].server))
            return clients[-1]

        yield make
        _close(clients)

    @every_style
    def test_all_handlers(self, engine: EngineIO, raw: Callable[[], Client], style: Any) -> None:
        seen: list[Any] = []

        @engine.on_connect
        @style
        async def connected(session: Any) -> None:
            await asyncio.sleep(0.02)
            seen.append("connect")

        @engine.on_message
        @style
        async def received(session: Any, data: Any) -> None:
            await asyncio.sleep(0)
            seen.append(data)
            session.send(data)

        @engine.on_disconnect
        @style
        async def disconnected(session: Any, reason: str) -> None:
            await asyncio.sleep(0)
            seen.append(reason)

        one = raw()
        one.send("4one", "4two")
        until(lambda: one.packets == ["4one", "4two"])
        one.close()
        until(lambda: len(seen) == 4)
        assert seen == ["connect", "one", "two", "transport close"]

    def test_disconnect_without_a_reason(self, engine: EngineIO, raw: Callable[[], Client]) -> None:
        gone: list[Any] = []

        @engine.on_disconnect
        async def disconnected(session: Any) -> None:
            gone.append(session.sid)

        one = raw()
        one.close()
        until(lambda: gone)
        assert gone == [one.session.sid]

    @every_style
    def test_errors_are_logged_once(
        self, engine: EngineIO, raw: Callable[[], Client], caplog: pytest.LogCaptureFixture, style: Any
    ) -> None:
        @engine.on_message
        @style
        async def received(session: Any, data: Any) -> None:
            await asyncio.sleep(0)
            if data == "fail":
                raise LookupError("on purpose")
            session.send(data)

        one = raw()
        one.send("4fail", "4next")
        until(lambda: one.packets == ["4next"])
        assert errors_of(caplog) == ["LookupError"]

    def test_order_with_plain_handlers(self, engine: EngineIO, raw: Callable[[], Client]) -> None:
        seen: list[Any] = []
        engine.on_connect(lambda session: seen.append("connect"))
        engine.on_disconnect(lambda session: seen.append("disconnect"))

        @engine.on_message
        async def received(session: Any, data: Any) -> None:
            await asyncio.sleep(0)
            seen.append(data)

        one = raw()
        one.send(*(f"4{n}" for n in range(20)))
        one.close()
        until(lambda: "disconnect" in seen)
        assert seen == ["connect", *map(str, range(20)), "disconnect"]


# B. The context


def snapshot() -> dict[str, Any]:
    """Everything in the context that belongs to the client or the event."""
    return {
        "sid": request.sid,
        "namespace": request.namespace,
        "event": request.event,
        "args": request.args["n"],
        "header": request.headers["X-N"],
        "session": session.get("n"),
        "g": g.get("n"),
        "app": current_app.name,
        "url": url_for("user", name=request.args["n"]),
    }


class TestContext:
    @pytest.fixture(autouse=True)
    def routes(self, app: Flask) -> None:
        app.add_url_rule("/user/<name>", "user", lambda name: name)

    def test_stays_while_others_run(self, socketio: SocketIO, client: MakeClient) -> None:
        """Every client has sync and async handlers that wait for the others' in the middle."""
        number = 12
        gate = Gate()
        barrier = threading.Barrier(number + 1, timeout=TIMEOUT)
        seen: list[Any] = []

        @socketio.on("connect")
        async def connected() -> None:
            await asyncio.sleep(0)
            session["n"] = request.args["n"]

        @socketio.on("wait")
        async def wait(value: int) -> None:
            assert "n" not in g
            g.n = value
            before = snapshot()
            await gate.wait()
            await asyncio.sleep(0)
            seen.append((value, before, snapshot()))
            emit("done", value)

        @socketio.on("block")
        def block(value: int) -> None:
            assert "n" not in g
            g.n = value
            before = snapshot()
            barrier.wait()
            seen.append((value, before, snapshot()))
            emit("done", value)

        clients = [client(query=f"n={n}", headers={"X-N": str(n)}) for n in range(number)]
        for n, one in enumerate(clients):
            one.emit("wait", n)
            one.emit("block", n + 100)
        until(lambda: gate.arrived == number)
        barrier.wait()
        gate.open()
        until(lambda: len(seen) == 2 * number)
        for value, before, after in seen:
            n = value % 100
            assert before == after
            assert before["event"] == {"message": "wait" if value < 100 else "block", "args": (value,)}
            assert (before["sid"], before["g"], before["namespace"]) == (clients[n].sid, value, "/")
            assert (before["args"], before["header"], before["session"]) == (str(n),) * 3
            assert (before["app"], before["url"]) == ("app", f"/user/{n}")
        for n, one in enumerate(clients):
            until(lambda one=one: len(one.events) == 2)
            assert sorted(one.events) == [["done", n], ["done", n + 100]]

    def test_of_a_coroutine_that_a_plain_function_returns(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        def handler(value: int) -> Any:
            g.n = session["n"] = value

            async def later() -> Any:
                before = snapshot()
                await asyncio.sleep(0)
                session["n"] += 1
                g.n += 1
                return [before["sid"] == request.sid, before["event"]["message"], snapshot()["g"]]

            return later()

        socketio.on_event("get", lambda: session["n"])
        client = connect(query_string="n=1", headers={"X-N": "1"})
        assert client.emit("event", 5, callback=True) == [True, "event", 6]
        assert client.emit("get", callback=True) == 6

    def test_g_is_new_for_every_event(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("count")
        async def count() -> int:
            await asyncio.sleep(0)
            g.count = g.get("count", 0) + 1
            return g.count

        client = connect()
        assert [client.emit("count", callback=True) for _ in range(3)] == [1, 1, 1]

    def test_nothing_of_it_is_left_in_the_loop(self, socketio: SocketIO, connect: Connect) -> None:
        async def handler() -> None:
            await asyncio.sleep(0)

        async def look() -> bool:
            return flask.has_request_context() or flask.has_app_context()

        socketio.on_event("event", handler)
        connect().emit("event")
        assert asyncio.run_coroutine_threadsafe(look(), own_loop()).result(TIMEOUT) is False
        assert not flask.has_request_context()

    def test_the_context_of_whoever_drives_the_test_client_is_not_seen(
        self, app: Flask, socketio: SocketIO, connect: Connect
    ) -> None:
        @socketio.on("event")
        async def handler() -> list[Any]:
            seen = [request.path, g.get("value")]
            g.value = "inner"
            return seen

        client = connect()
        with app.test_request_context("/outer"):
            g.value = "outer"
            assert client.emit("event", callback=True) == ["/socket.io/", None]
            assert (request.path, g.value) == ("/outer", "outer")

    def test_tasks_keep_it(self, socketio: SocketIO, client: MakeClient) -> None:
        gate = Gate()
        tasks: list[asyncio.Task[None]] = []

        async def later(value: int) -> None:
            await gate.wait()
            emit("later", [value, request.sid, request.event["args"], g.value, session["value"]])

        @socketio.on("event")
        async def handler(value: int) -> None:
            g.value = session["value"] = value
            tasks.append(asyncio.create_task(later(value)))

        clients = [client(), client()]
        for n, one in enumerate(clients):
            one.emit("event", n)
        until(lambda: gate.arrived == 2 and not clients[0].server.engine.work_pending)
        gate.open()
        for n, one in enumerate(clients):
            until(lambda one=one: one.events)
            assert one.events == [["later", [n, one.sid, [n], n, n]]]

    def test_gather_and_threads_share_it(self, socketio: SocketIO, connect: Connect) -> None:
        async def add(value: int) -> str:
            await asyncio.sleep(0)
            g.values.append(value)
            return request.sid

        def blocking() -> str:
            g.values.append(3)
            return request.sid

        @socketio.on("event")
        async def handler() -> bool:
            g.values = []
            sids = await asyncio.gather(add(1), add(2), asyncio.to_thread(blocking))
            return sorted(g.values) == [1, 2, 3] and set(sids) == {request.sid}

        assert connect().emit("event", callback=True) is True

    def test_the_functions_act_for_the_client(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("go")
        async def go() -> list[Any]:
            join_room("room")
            await asyncio.sleep(0)
            emit("to me")
            emit("to the room", to="room")
            emit("to others", to="room", include_self=False)
            send("message")
            emit("to all", broadcast=True)
            joined = sorted(set(rooms()) - {request.sid})
            leave_room("room")
            left = sorted(set(rooms()) - {request.sid})
            return [joined, left]

        @socketio.on("join")
        async def join() -> None:
            await asyncio.sleep(0)
            join_room("room")

        @socketio.on("close")
        async def close() -> None:
            close_room("room")
            await asyncio.sleep(0)
            emit("nobody", to="room")

        @socketio.on("leave")
        async def leave() -> None:
            await asyncio.sleep(0)
            disconnect()

        one, other = connect(), connect()
        other.emit("join")
        assert one.emit("go", callback=True) == [["room"], []]
        names = [item["name"] for item in one.get_received()]
        assert names == ["to me", "to the room", "message", "to all"]
        names = [item["name"] for item in other.get_received()]
        assert names == ["to the room", "to others", "to all"]
        one.emit("close")
        assert other.get_received() == []
        one.emit("leave")
        assert not one.is_connected()
        assert other.is_connected()


class TestTeardown:
    @pytest.fixture
    def log(self, app: Flask) -> list[Any]:
        log: list[Any] = []
        app.teardown_request(lambda error: log.append(("request", error, request.sid, g.get("value"))))
        app.teardown_appcontext(lambda error: log.append(("appcontext", error)))
        return log

    @every_style
    def test_runs_once_after_the_handler(
        self, socketio: SocketIO, connect: Connect, log: list[Any], style: Any
    ) -> None:
        @socketio.on("event")
        @style
        async def handler() -> str:
            g.value = 1
            log.append("begins")
            await asyncio.sleep(0.01)
            log.append("ends")
            return request.sid

        sid = connect().emit("event", callback=True)
        assert log == ["begins", "ends", ("request", None, sid, 1), ("appcontext", None)]

    @every_style
    def test_gets_the_error(self, socketio: SocketIO, connect: Connect, log: list[Any], style: Any) -> None:
        error = LookupError("on purpose")

        @socketio.on("event")
        @style
        async def handler() -> None:
            await asyncio.sleep(0)
            raise error

        with pytest.raises(LookupError):
            connect().emit("event")
        assert [entry[:2] for entry in log] == [("request", error), ("appcontext", error)]

    def test_an_error_that_is_handled_is_none(
        self, socketio: SocketIO, connect: Connect, log: list[Any]
    ) -> None:
        @socketio.on_error_default
        async def handled(error: Exception) -> None:
            await asyncio.sleep(0)
            log.append("handled")

        @socketio.on("event")
        async def handler() -> None:
            raise LookupError

        connect().emit("event")
        assert [entry[:2] for entry in log] == ["ha", ("request", None), ("appcontext", None)]

    def test_each_waiting_handler_has_its_own(
        self, app: Flask, socketio: SocketIO, client: MakeClient
    ) -> None:
        log: list[Any] = []
        app.teardown_request(lambda error: log.append((request.sid, request.event["message"])))
        gate = Gate()

        @socketio.on("slow")
        async def slow() -> None:
            await gate.wait()

        @socketio.on("quick")
        async def quick() -> None: ...

        clients = [client() for _ in range(5)]
        for one in clients:
            one.emit("slow")
        until(lambda: gate.arrived == 5)
        other = client()
        assert other.call("quick") == []
        assert log == [(other.sid, "quick")]
        gate.open()
        until(lambda: len(log) == 6)
        assert sorted(log[1:]) == sorted((one.sid, "slow") for one in clients)


class TestSession:
    def test_managed(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("set")
        async def set_value(value: str) -> None:
            await asyncio.sleep(0)
            session["value"] = value

        @socketio.on("get")
        async def get() -> Any:
            await asyncio.sleep(0)
            return session.get("value")

        @socketio.on("disconnect")
        async def disconnected() -> None:
            seen.append(session.get("value"))

        seen: list[Any] = []
        one, other = connect(), connect()
        one.emit("set", "mine")
        assert one.emit("get", callback=True) == "mine"
        assert other.emit("get", callback=True) == []
        one.disconnect()
        assert seen == ["mine"]

    def test_unmanaged_is_saved_after_the_handler(self, app: Flask) -> None:
        from extension.test_context import ServerSideInterface

        app.session_interface = interface = ServerSideInterface()
        socketio = SocketIO(app, manage_session=False)

        @app.route("/set/<value>")
        def set_over_http(value: str) -> str:
            session["value"] = value
            return ""

        @socketio.on("set")
        async def set_value(value: str) -> str:
            await asyncio.sleep(0)
            before = session.get("value")
            session["value"] = value
            return str(before)

        @socketio.on("get")
        async def get() -> Any:
            await asyncio.sleep(0)
            return session.get("value")

        @socketio.on("fail")
        async def fail() -> None:
            session["value"] = "half done"
            await asyncio.sleep(0)
            raise LookupError

        http = app.test_client()
        http.get("/set/from http")
        client = socketio.test_client(app, flask_test_client=http)
        assert client.emit("set", "from an event", callback=True) == "from http"
        saved = interface.saved
        with pytest.raises(LookupError):
            client.emit("fail")
        assert client.emit("get", callback=True) == "from an event"
        assert interface.saved == saved
        assert list(interface.store.values()) == [{"value": "from an event"}]


# C. Order


class TestOrder:
    def test_sync_and_async_start_in_order_of_arrival(self, socketio: SocketIO, client: MakeClient) -> None:
        started: list[int] = []

        def plain(number: int) -> None:
            started.append(number)

        async def coroutine(number: int) -> None:
            started.append(number)
            await asyncio.sleep(0)

        socketio.on_event("plain", plain)
        socketio.on_event("coroutine", coroutine)
        socketio.on_event("hidden", plainly(coroutine))
        one = client()
        kinds = ["plain", "coroutine", "coroutine", "plain", "hidden", "coroutine", "plain", "plain"]
        for number in range(200):
            one.emit(kinds[number % len(kinds)], number)
        until(lambda: len(started) == 200)
        assert started == list(range(200))

    @pytest.mark.parametrize(
        ("first", "second"),
        [("async", "async"), ("async", "sync"), ("sync", "async"), ("hidden", "async"), ("async", "hidden")],
    )
    def test_strictly_one_at_a_time(self, app: Flask, first: str, second: str) -> None:
        socketio = SocketIO(app, async_handlers=False)
        order: list[str] = []
        gate, blocked = Gate(), threading.Event()

        def plain(name: str, wait: bool) -> None:
            order.append(f"{name} begins")
            if wait:
                gate.arrived += 1
                blocked.wait(TIMEOUT)
            order.append(f"{name} ends")

        async def coroutine(name: str, wait: bool) -> None:
            order.append(f"{name} begins")
            if wait:
                await gate.wait()
            order.append(f"{name} ends")

        for kind, handler in {"sync": plain, "async": coroutine, "hidden": plainly(coroutine)}.items():
            socketio.on_event(kind, handler)
        one = Client(app, socketio.current_server).connect()
        one.emit(first, "first", True)
        one.emit(second, "second", False)
        until(lambda: gate.arrived)
        # Patience is 0.1 s where there is any.
        time.sleep(0.15)
        assert order == ["first begins"]
        gate.open()
        blocked.set()
        until(lambda: len(order) == 4)
        assert order == ["first begins", "first ends", "second begins", "second ends"]
        _close([one])

    def test_after_its_patience_the_next_ones_start_beside_a_slow_one(
        self, app: Flask, socketio: SocketIO, client: MakeClient
    ) -> None:
        gate = Gate()
        order: list[Any] = []

        @socketio.on("slow")
        async def slow() -> None:
            order.append("slow")
            await gate.wait()
            order.append("slow ends")

        @socketio.on("quick")
        async def quick(number: int) -> None:
            order.append(number)

        socketio.on_event("plain", order.append)
        one = client()
        began = time.monotonic()
        one.emit("slow")
        for number in range(0, 10, 2):
            one.emit("quick", number)
            one.emit("plain", number + 1)
        until(lambda: len(order) == 11)
        assert time.monotonic() - began >= 0.09
        assert order == ["slow", *range(10)]
        gate.open()
        until(lambda: order[-1] == "slow ends")

    def test_a_slow_plain_one_does_not_hold_back_coroutines_for_ever(
        self, socketio: SocketIO, client: MakeClient
    ) -> None:
        release = threading.Event()
        socketio.on_event("slow", lambda: release.wait(TIMEOUT))

        @socketio.on("quick")
        async def quick() -> str:
            return "here"

        one = client()
        one.emit("slow")
        assert one.call("quick") == ["here"]
        release.set()

    def test_no_more_at_once_than_allowed(self, app: Flask) -> None:
        socketio = SocketIO(app, max_client_handlers=3, handler_patience=0.0)
        gate = Gate()
        started: list[int] = []
        running = most = 0

        @socketio.on("slow")
        async def slow(number: int) -> None:
            nonlocal running, most
            started.append(number)
            running += 1
            most = max(most, running)
            await gate.wait()
            await asyncio.sleep(0)
            running -= 1

        one = Client(app, socketio.current_server).connect()
        for number in range(10):
            one.emit("slow", number)
        until(lambda: gate.arrived == 3)
        time.sleep(0.1)  # there would be time for more
        assert started == [0, 1, 2]
        assert socketio.stats()["handlers_running"] == 3
        gate.open()
        until(lambda: len(started) == 10)
        assert started == list(range(10))
        assert most == 3
        _close([one])

    def test_a_slow_one_does_not_delay_other_clients(self, socketio: SocketIO, client: MakeClient) -> None:
        gate = Gate()

        @socketio.on("slow")
        async def slow() -> None:
            await gate.wait()

        @socketio.on("quick")
        async def quick() -> str:
            return "here"

        slow_ones = [client() for _ in range(3)]
        for one in slow_ones:
            one.emit("slow")
        until(lambda: gate.arrived == 3)
        other = client()
        for _ in range(20):
            assert other.call("quick") == ["here"]
        assert socketio.stats()["handlers_running"] == 3
        gate.open()

    def test_a_flood_of_one_client_does_not_starve_another(
        self, socketio: SocketIO, client: MakeClient
    ) -> None:
        """Coroutines that never wait would keep the loop to themselves."""
        count = 0

        @socketio.on("flood")
        async def flood() -> None:
            nonlocal count
            count += 1
            time.sleep(0.001)

        @socketio.on("quick")
        async def quick() -> str:
            return "here"

        one, other = client(), client()
        for _ in range(400):
            one.emit("flood")
        until(lambda: count)
        assert other.call("quick") == ["here"]
        assert count < 300
        until(lambda: count == 400)

    def test_many_may_wait_without_threads(self, app: Flask) -> None:
        socketio = SocketIO(app, handler_threads=4)
        gate = Gate()

        @socketio.on("wait")
        async def wait(number: int) -> int:
            await gate.wait()
            return number

        clients = [Client(app, socketio.current_server).connect() for _ in range(500)]
        threads = threading.active_count()
        for number, one in enumerate(clients):
            one.send(f'421["wait",{number}]')
        until(lambda: gate.arrived == 500)
        assert socketio.stats()["handlers_running"] == 500
        assert threading.active_count() <= threads + 4
        gate.open()
        for number, one in enumerate(clients):
            until(lambda one=one: one.answers("431"))
            assert one.answers("431") == [[number]]
        assert socketio.stats()["handlers_running"] == 0
        _close(clients)


class TestLife:
    def test_events_are_held_until_connect_has_returned(self, socketio: SocketIO, client: MakeClient) -> None:
        gate = Gate()
        order: list[Any] = []

        @socketio.on("connect")
        async def connected() -> None:
            order.append("connect begins")
            emit("early")
            await gate.wait()
            order.append("connect ends")

        @socketio.on("async")
        async def coroutine(number: int) -> None:
            order.append(number)
            emit("got", number)

        socketio.on_event("sync", order.append)
        one = client(connected=False)
        one.connect(wait=False)
        for number in range(0, 10, 2):
            one.emit("async", number)
            one.emit("sync", number + 1)
        until(lambda: gate.arrived)
        time.sleep(0.15)  # longer than the patience
        assert order == ["connect begins"]
        assert one.packets == []
        gate.open()
        until(lambda: len(order) == 12)
        assert order == ["connect begins", "connect ends", *range(10)]
        until(lambda: len(one.events) == 6)
        assert one.packets[0].startswith("40{")
        assert one.events == [["early"], *(["got", n] for n in range(0, 10, 2))]

    def test_held_events_are_dropped_when_connect_refuses(
        self, socketio: SocketIO, client: MakeClient
    ) -> None:
        gate = Gate()
        called: list[str] = []

        @socketio.on("connect")
        async def connected() -> bool:
            await gate.wait()
            return False

        @socketio.on("event")
        async def event() -> None:
            called.append("event")

        socketio.on_event("disconnect", lambda: called.append("disconnect"))
        one = client(connected=False)
        one.connect(wait=False)
        one.emit("event")
        until(lambda: gate.arrived)
        gate.open()
        until(lambda: one.packets and not one.server.engine.work_pending)
        assert one.packets == ['44{"message":"Connection rejected by server"}']
        assert called == []

    @pytest.mark.parametrize("async_connect", [False, True])
    @pytest.mark.parametrize("async_disconnect", [False, True])
    @pytest.mark.parametrize("how", ["closed", "left"])
    def test_disconnect_comes_after_connect_and_once(
        self, socketio: SocketIO, client: MakeClient, async_connect: bool, async_disconnect: bool, how: str
    ) -> None:
        gate, blocked = Gate(), threading.Event()
        order: list[str] = []

        async def connect_later() -> None:
            await gate.wait()
            order.append("connected")

        def connect_now() -> None:
            gate.arrived += 1
            blocked.wait(TIMEOUT)
            order.append("connected")

        async def disconnect_later(reason: str) -> None:
            await asyncio.sleep(0)
            order.append(reason)

        socketio.on_event("connect", connect_later if async_connect else connect_now)
        socketio.on_event("disconnect", disconnect_later if async_disconnect else order.append)
        one = client(connected=False)
        one.connect(wait=False)
        until(lambda: gate.arrived)
        if how == "closed":
            one.close()
        else:
            one.send("41")
        time.sleep(0.15)  # longer than the patience
        assert order == []
        gate.open()
        blocked.set()
        until(lambda: len(order) == 2)
        one.close()
        until(lambda: not one.server.engine.work_pending)
        assert order == ["connected", "transport close" if how == "closed" else "client disconnect"]
        assert socketio.stats()["sockets"] == 0

    def test_disconnect_follows_the_events(self, socketio: SocketIO, client: MakeClient) -> None:
        order: list[Any] = []

        @socketio.on("event")
        async def event(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        @socketio.on("disconnect")
        async def disconnected() -> None:
            order.append("disconnect")

        one = client()
        for number in range(30):
            one.emit("event", number)
        one.close()
        until(lambda: "disconnect" in order)
        assert order == [*range(30), "disconnect"]

    def test_a_failing_disconnect_handler_forgets_the_client(
        self, socketio: SocketIO, client: MakeClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        @socketio.on("disconnect")
        async def disconnected() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        client().close()
        until(lambda: socketio.stats()["sockets"] == 0)
        assert errors_of(caplog) == ["LookupError"]


# D. call_async


class TestCallAsync:
    @pytest.mark.parametrize(
        ("answer", "value"), [("[]", None), ("[1]", 1), ("[[1]]", [1]), ("[1,2]", (1, 2)), ("[null]", None)]
    )
    @pytest.mark.parametrize("way", ["function", "extension", "namespace"])
    def test_answers(self, socketio: SocketIO, client: MakeClient, answer: str, value: Any, way: str) -> None:
        results: list[Any] = []

        class Main(Namespace):
            async def on_ask(self) -> None:
                if way == "function":
                    results.append(await call_async("question", 1))
                elif way == "extension":
                    results.append(await socketio.call_async("question", 1, to=request.sid))
                else:
                    results.append(await self.call_async("question", 1, to=request.sid))

        socketio.on_namespace(Main())
        one = client()
        one.emit("ask")
        until(one.requests)
        ack_id, event = one.requests()[0]
        assert event == ["question", 1]
        assert socketio.stats()["pending_acks"] == 1
        one.send(f"43{ack_id}{answer}")
        until(lambda: results)
        assert results == [value]
        assert socketio.stats()["pending_acks"] == 0

    def test_in_another_event_loop(self, socketio: SocketIO, client: MakeClient) -> None:
        one = client()
        answers: list[Any] = []

        def ask() -> None:
            answers.append(asyncio.run(socketio.call_async("question", to=one.sid, timeout=TIMEOUT)))

        thread = threading.Thread(target=ask)
        thread.start()
        until(one.requests)
        one.send(f'43{one.requests()[0][0]}["here"]')
        thread.join(TIMEOUT)
        assert answers == ["here"]

    def test_many_at_once_answered_in_any_order(self, socketio: SocketIO, client: MakeClient) -> None:
        @socketio.on("ask")
        async def ask() -> list[Any]:
            return list(await asyncio.gather(*(call_async("question", n) for n in range(50))))

        one = client()
        one.send('427["ask"]')
        until(lambda: len(one.requests()) == 50)
        for ack_id, (_, number) in reversed(one.requests()):
            one.send(f"43{ack_id}[{number * 2}]")
        until(lambda: one.answers("437"))
        assert one.answers("437") == [[[n * 2 for n in range(50)]]]

    @pytest.mark.parametrize("timeout", [0, 0.01])
    def test_no_answer_in_time(self, socketio: SocketIO, client: MakeClient, timeout: float) -> None:
        @socketio.on("ask")
        async def ask() -> str:
            with pytest.raises(TimeoutError, match=r"did not acknowledge 'question' within"):
                await call_async("question", timeout=timeout)
            return "timed out"

        one = client()
        assert one.call("ask") == ["timed out"]
        assert socketio.stats()["pending_acks"] == 0
        one.send(f"43{one.requests()[0][0]}[]")  # too late
        assert socketio.refusals()["unknown ack"] == 1

    def test_a_client_that_is_not_there(self, socketio: SocketIO) -> None:
        with pytest.raises(TimeoutError, match="no client 'nobody'"):
            asyncio.run(socketio.call_async("question", to="nobody"))
        with pytest.raises(ValueError, match="to="):
            asyncio.run(socketio.call_async("question"))

    def test_a_client_that_goes(self, socketio: SocketIO, client: MakeClient) -> None:
        errors: list[Exception] = []

        @socketio.on("ask")
        async def ask() -> None:
            try:
                await call_async("question", timeout=None)
            except TimeoutError as error:
                errors.append(error)

        one = client()
        one.emit("ask")
        until(one.requests)
        one.close()
        until(lambda: errors)
        assert "gone" in str(errors[0])
        assert socketio.stats()["pending_acks"] == 0

    def test_what_cannot_be_sent(self, socketio: SocketIO, client: MakeClient) -> None:
        one = client()
        with pytest.raises(TypeError):
            asyncio.run(socketio.call_async("question", object(), to=one.sid))
        assert socketio.stats()["pending_acks"] == 0

    @pytest.mark.parametrize("how", ["cancel", "wait_for"])
    def test_cancellation_forgets_it(self, socketio: SocketIO, client: MakeClient, how: str) -> None:
        @socketio.on("ask")
        async def ask() -> str:
            if how == "wait_for":
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(call_async("question"), 0.01)
            else:
                task = asyncio.ensure_future(call_async("question"))
                while not socketio.stats()["pending_acks"]:
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return f"{socketio.stats()['pending_acks']} pending"

        assert client().call("ask") == ["0 pending"]

    def test_asking_another_client(self, socketio: SocketIO, client: MakeClient) -> None:
        @socketio.on("ask")
        async def ask(sid: str) -> Any:
            return await call_async("question", to=sid)

        one, other = client(), client()
        one.send(f'427["ask","{other.sid}"]')
        until(other.requests)
        other.send(f'43{other.requests()[0][0]}["from the other"]')
        until(lambda: one.answers("437"))
        assert one.answers("437") == [["from the other"]]


class TestWaitingInACoroutine:
    """What would block the event loop, for all its coroutines, says how to do it."""

    @pytest.mark.parametrize("way", ["function", "extension", "namespace"])
    def test_call(self, socketio: SocketIO, connect: Connect, way: str) -> None:
        class Main(Namespace):
            async def on_ask(self) -> None:
                if way == "function":
                    call("question")
                elif way == "extension":
                    socketio.call("question", to=request.sid)
                else:
                    self.call("question", to=request.sid)

        socketio.on_namespace(Main())
        with pytest.raises(RuntimeError, match="call_async"):
            connect().emit("ask")
        assert socketio.stats()["pending_acks"] == 0

    def test_call_in_a_foreign_event_loop(self, socketio: SocketIO, client: MakeClient) -> None:
        one = client()

        async def ask() -> None:
            socketio.call("question", to=one.sid, timeout=0.2)

        with pytest.raises(RuntimeError, match="call_async"):
            asyncio.run(ask())

    def test_sleep(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        async def handler() -> None:
            socketio.sleep(0.05)

        with pytest.raises(RuntimeError, match=r"asyncio\.sleep"):
            connect().emit("event")

    def test_call_in_a_thread_of_a_coroutine_may_wait(self, socketio: SocketIO, client: MakeClient) -> None:
        @socketio.on("ask")
        async def ask() -> Any:
            return await asyncio.to_thread(call, "question", timeout=TIMEOUT)

        one = client()
        one.send('427["ask"]')
        until(one.requests)
        one.send(f'43{one.requests()[0][0]}["here"]')
        until(lambda: one.answers("437"))
        assert one.answers("437") == [["here"]]


# E. The test client


class TestTestClient:
    def test_the_handler_has_finished(self, socketio: SocketIO, connect: Connect) -> None:
        done: list[int] = []

        @socketio.on("event")
        async def handler(number: int) -> None:
            await asyncio.sleep(0.002)
            emit("got", number)
            done.append(number)

        client = connect()
        for number in range(20):
            client.emit("event", number)
            assert done[-1] == number
            assert [item["args"] for item in client.get_received()] == [[number]]

    @pytest.mark.parametrize("style", [itself, plainly])
    def test_errors_are_raised(self, socketio: SocketIO, connect: Connect, style: Any) -> None:
        @style
        async def fail(*args: Any) -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        async def fine() -> int:
            return 1

        for event in ("event", "disconnect"):
            socketio.on_event(event, fail)
        socketio.on_event("fine", fine)
        client = connect()
        with pytest.raises(LookupError, match="on purpose"):
            client.emit("event")
        assert client.emit("fine", callback=True) == 1
        with pytest.raises(LookupError, match="on purpose"):
            client.disconnect()
        socketio.on_event("connect", fail)
        with pytest.raises(LookupError, match="on purpose"):
            connect()

    def test_what_one_client_does_to_another_is_done(self, socketio: SocketIO, connect: Connect) -> None:
        gone: list[str] = []
        sids: list[str] = []

        @socketio.on("connect")
        async def connected() -> None:
            await asyncio.sleep(0)
            sids.append(request.sid)

        @socketio.on("disconnect")
        async def disconnected(reason: str) -> None:
            await asyncio.sleep(0)
            gone.append(reason)

        @socketio.on("kick")
        async def kick(sid: str) -> None:
            await asyncio.sleep(0)
            disconnect(sid)

        one, two = connect(), connect()
        one.emit("kick", sids[1])
        assert not two.is_connected()
        assert gone == ["server disconnect"]

    def test_sync_and_async_handlers_beside_each_other(self, socketio: SocketIO, connect: Connect) -> None:
        order: list[Any] = []

        @socketio.on("async")
        async def coroutine(number: int) -> None:
            await asyncio.sleep(0)
            order.append(number)

        socketio.on_event("sync", order.append)
        client = connect()
        for number in range(10):
            client.emit("async" if number % 3 else "sync", number)
        assert order == list(range(10))

    def test_in_a_coroutine(self, socketio: SocketIO, connect: Connect) -> None:
        """Of an asyncio test, say: its loop has to wait, but the handlers have another one."""

        @socketio.on("event")
        async def handler() -> int:
            await asyncio.sleep(0)
            return 1

        socketio.on_event("plain", lambda: 2)
        client = connect()

        async def test() -> None:
            assert client.emit("plain", callback=True) == 2
            assert client.emit("event", callback=True) == 1

        asyncio.run(test())
        assert client.emit("plain", callback=True) == 2
        assert client.emit("event", callback=True) == 1
