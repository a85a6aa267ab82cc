"""What does not come from the call that the test just makes: waiting, answers, threads, coroutines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from extension.conftest import Connect
from extension.test_async_handlers import until
from flask import Flask, request

from flask_realtime import (
    Namespace,
    SocketIO,
    SocketIOTestClient,
    call,
    call_async,
    disconnect,
    emit,
)
from flask_realtime.backends.coroutines import own_loop
from flask_realtime.backends.memory import MemoryBackend
from flask_realtime.exceptions import CallTimeoutError, ClientGoneError
from flask_realtime.types import DisconnectReason

SOON = 0.05  # seconds
NEVER = 0.01  # seconds


@pytest.fixture(params=["background task", "thread", "coroutine"])
def elsewhere(request: pytest.FixtureRequest, socketio: SocketIO) -> Iterator[Callable[..., None]]:
    """``elsewhere(function)``: runs it a little later, and not in the test's thread."""
    tasks: list[Any] = []

    async def later(function: Callable[[], Any]) -> None:
        await asyncio.sleep(SOON)
        function()

    def run(function: Callable[[], Any]) -> None:
        if request.param == "coroutine":
            tasks.append(asyncio.run_coroutine_threadsafe(later(function), own_loop()))
        elif request.param == "thread":
            tasks.append(threading.Timer(SOON, function))
            tasks[-1].start()
        else:
            tasks.append(socketio.start_background_task(lambda: (socketio.sleep(SOON), function())))

    yield run
    for task in tasks:
        task.result(5) if hasattr(task, "result") else task.join(5)


class TestWaitFor:
    def test_an_event_that_comes_later(
        self, socketio: SocketIO, connect: Connect, elsewhere: Callable[..., None]
    ) -> None:
        client = connect()
        elsewhere(lambda: socketio.emit("tick", ({"n": 1}, b"bytes")))
        item = client.wait_for("tick")
        assert item == {"name": "tick", "args": [{"n": 1}, b"bytes"], "namespace": "/"}
        assert client.get_received() == []

    def test_an_event_that_has_come(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        for n in (1, 2):
            socketio.emit("tick", n)
        socketio.emit("tock")
        assert client.wait_for("tick", timeout=0)["args"] == [1]
        assert [item["name"] for item in client.get_received()] == ["tick", "tock"]

    def test_what_came_before_it_stays(
        self, socketio: SocketIO, connect: Connect, elsewhere: Callable[..., None]
    ) -> None:
        client = connect()
        elsewhere(lambda: [socketio.emit(name) for name in ("one", "two", "three")])
        client.wait_for("three")
        assert [item["name"] for item in client.get_received()] == ["one", "two"]

    def test_any_event(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.on_event("connect", lambda: None, "/chat")
        client.connect("/chat")
        socketio.emit("elsewhere")
        threading.Timer(SOON, lambda: socketio.emit("any", namespace="/chat")).start()
        assert client.wait_for(namespace="/chat")["name"] == "any"
        assert client.wait_for()["name"] == "elsewhere"

    def test_messages_are_bare(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.send("text")
        assert client.wait_for("message")["args"] == "text"

    def test_nothing_else_has_come(self, connect: Connect) -> None:
        client = connect()
        with pytest.raises(TimeoutError) as failure:
            client.wait_for("tick", timeout=NEVER)
        assert str(failure.value) == "no 'tick' in namespace '/' within 0.01 s; nothing else has come"
        with pytest.raises(TimeoutError, match="no event in namespace '/' within"):
            client.wait_for(timeout=NEVER)

    def test_the_timeout_lists_what_has_come(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda: None, "/chat")
        client = connect()
        client.connect("/chat")
        for name in ("tock", "tick-tock", "tock"):
            socketio.emit(name)
        socketio.emit("tick", namespace="/chat")
        with pytest.raises(TimeoutError) as failure:
            client.wait_for("tick", timeout=NEVER)
        assert str(failure.value) == (
            "no 'tick' in namespace '/' within 0.01 s;"
            " what has come: 'tock' (2 times), 'tick-tock', 'tick' in '/chat'"
        )
        assert len(client.get_received()) == 3

    def test_it_takes_no_longer_than_said(self, connect: Connect) -> None:
        client = connect()
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            client.wait_for("tick", timeout=0.1)
        assert time.monotonic() - start >= 0.1

    def test_not_connected(self, connect: Connect) -> None:
        client = connect()
        client.disconnect()
        with pytest.raises(RuntimeError, match="not connected: namespace '/' has ended: client disconnect"):
            client.wait_for("tick")
        with pytest.raises(RuntimeError, match=r"not connected: connect\('/chat'\) was not called"):
            client.wait_for("tick", "/chat")

    def test_the_end_of_the_connection_ends_it(
        self, socketio: SocketIO, connect: Connect, elsewhere: Callable[..., None]
    ) -> None:
        client = connect()
        sid = client.get_sid()
        elsewhere(lambda: (socketio.emit("last"), socketio.current_server.disconnect(sid)))
        with pytest.raises(RuntimeError, match="has ended: server disconnect; what has come: 'last'"):
            client.wait_for("tick")
        assert client.wait_for("last")["name"] == "last"

    def test_what_a_handler_raises_meanwhile(
        self, socketio: SocketIO, connect: Connect, elsewhere: Callable[..., None]
    ) -> None:
        socketio.on_event("disconnect", lambda: 1 / 0)
        client = connect()
        sid = client.get_sid()
        elsewhere(lambda: socketio.current_server.disconnect(sid))
        with pytest.raises(ZeroDivisionError):
            client.wait_for("tick")

    def test_a_virtual_clock_does_not_take_the_time(self, app: Flask, socketio: SocketIO) -> None:
        engine = socketio.current_server.engine
        app.test_client().get("/socket.io/")  # with the first request, a backend is chosen
        backend = MemoryBackend()
        engine.use(backend)
        try:
            with socketio.test_client(app) as client:
                start = time.monotonic()
                with pytest.raises(TimeoutError):
                    client.wait_for("tick", timeout=3600)
                assert time.monotonic() - start < 60
                assert backend.time == pytest.approx(3600, abs=0.1)
                socketio.emit("tick")
                assert client.wait_for("tick", timeout=3600)
                assert backend.time == pytest.approx(3600, abs=0.1)
        finally:
            backend.close()

    def test_all_that_many_threads_emit_arrives(self, socketio: SocketIO, connect: Connect) -> None:
        threads, each = 8, 50
        client = connect()
        received: list[Any] = []

        def work(number: int) -> None:
            for n in range(each):
                socketio.emit("from thread", (number, n))

        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        while len(received) < threads * each:
            received.append(client.wait_for("from thread")["args"])
            received += [item["args"] for item in client.get_received()]
        for worker in workers:
            worker.join()
        for number in range(threads):
            assert [n for thread, n in received if thread == number] == list(range(each))


class TestThreads:
    """Several threads drive clients of one server: each call waits for its own handlers."""

    def test_acks_are_not_lost(self, socketio: SocketIO, connect: Connect) -> None:
        def handler(n: int) -> int:
            time.sleep(0.001)
            return n

        socketio.on_event("slow", handler)
        wrong: list[Any] = []

        def work(number: int) -> None:
            client = connect()
            for n in range(20):
                answer = client.emit("slow", number * 100 + n, callback=True)
                if answer != number * 100 + n:
                    wrong.append((number, n, answer))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_one_client_in_two_threads(self, socketio: SocketIO, connect: Connect) -> None:
        cancelled = threading.Event()
        started = threading.Event()

        def slow() -> str:
            started.set()
            return "cancelled" if cancelled.wait(5) else "not cancelled"

        socketio.on_event("slow", slow)
        socketio.on_event("cancel", cancelled.set)
        client = connect()
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(client.emit("slow", callback=True)))
        thread.start()
        assert started.wait(5)
        client.emit("cancel")
        thread.join()
        assert answers == ["cancelled"]

    def test_what_another_thread_begins_is_waited_for(self, socketio: SocketIO, connect: Connect) -> None:
        log: list[str] = []
        inside, go_on = threading.Event(), threading.Event()

        def first() -> None:
            inside.set()
            assert go_on.wait(5)
            log.append("first")

        socketio.on_event("first", first)
        socketio.on_event("second", lambda: log.append("second"))
        client = connect()
        thread = threading.Thread(target=client.emit, args=("first",))
        thread.start()
        assert inside.wait(5)
        client.emit("second")  # starts when the patience has run out
        assert log == ["second"]
        go_on.set()
        thread.join()
        assert log == ["second", "first"]

    def test_a_handler_that_waits_for_the_client_does_not_hold_it(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        socketio.on_event("ask", lambda: call("question", timeout=5))
        client = connect()
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(client.emit("ask", callback=True)))
        thread.start()
        received: list[Any] = []
        while not received:
            received = client.get_received()
        client.acknowledge(received[0], "yes")
        thread.join()
        assert answers == ["yes"]

    def test_a_handler_that_does_not_return(
        self, socketio: SocketIO, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flask_realtime.test_client.TIMEOUT", 0.05)
        inside, go_on = threading.Event(), threading.Event()
        socketio.on_event("stuck", lambda: inside.set() or go_on.wait(5))
        client = connect()
        thread = threading.Thread(target=client.emit, args=("stuck",))
        thread.start()
        assert inside.wait(5)
        with pytest.raises(TimeoutError, match=r"a handler of the client, .* still runs after 0\.05 s"):
            client.close()
        go_on.set()
        thread.join()


class TestDisconnectElsewhere:
    def test_the_handler_has_run_when_a_view_returns(
        self, app: Flask, socketio: SocketIO, connect: Connect
    ) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        client = connect()
        app.add_url_rule("/kick/<sid>", "kick", lambda sid: disconnect(sid, "/") or "kicked")
        assert app.test_client().get(f"/kick/{client.get_sid()}").text == "kicked"
        assert reasons == ["server disconnect"]
        assert not client.is_connected()

    def test_it_runs_after_the_handler_that_disconnects(self, socketio: SocketIO, connect: Connect) -> None:
        log: list[str] = []

        @socketio.on("leave")
        def leave() -> None:
            disconnect()
            log.append("leave returns")

        socketio.on_event("disconnect", log.append)
        connect().emit("leave")
        assert log == ["leave returns", "server disconnect"]

    def test_in_a_coroutine(self, socketio: SocketIO, connect: Connect) -> None:
        log: list[str] = []

        @socketio.on("leave")
        async def leave() -> None:
            disconnect()
            await asyncio.sleep(0)
            log.append("leave returns")

        socketio.on_event("disconnect", log.append)
        connect().emit("leave")
        assert log == ["leave returns", "server disconnect"]

    def test_waiting_for_it(
        self, socketio: SocketIO, connect: Connect, elsewhere: Callable[..., None]
    ) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        client = connect()
        sid = client.get_sid()
        elsewhere(lambda: socketio.current_server.disconnect(sid))
        assert client.wait_for_disconnect() == "server disconnect"
        assert reasons == ["server disconnect"]
        assert client.wait_for_disconnect() == "server disconnect"  # it still is

    def test_waiting_for_the_end_of_the_session(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        session = client._session
        assert session is not None

        def end() -> None:
            with session.engine.lock:
                session.end(DisconnectReason.PING_TIMEOUT)

        threading.Timer(SOON, end).start()
        assert client.wait_for_disconnect() == "ping timeout"

    def test_waiting_in_vain(self, connect: Connect) -> None:
        client = connect()
        with pytest.raises(TimeoutError, match=r"still connected to namespace '/' after 0.01 s"):
            client.wait_for_disconnect(timeout=NEVER)
        with pytest.raises(RuntimeError, match="not connected"):
            client.wait_for_disconnect("/chat", timeout=NEVER)


class TestAnswers:
    """Acknowledgements that the server asks for."""

    @pytest.mark.parametrize(
        ("answer", "result"),
        [
            ("yes", "yes"),
            (None, None),
            ((1, 2), (1, 2)),
            ([1, 2], [1, 2]),
            ({"a": b"bytes"}, {"a": b"bytes"}),
            (b"bytes", b"bytes"),
            (lambda *args: list(args), [1, "two"]),
            (lambda *args: args, (1, "two")),
            (lambda *args: None, None),
        ],
    )
    def test_call_in_a_handler(
        self, socketio: SocketIO, connect: Connect, answer: object, result: object
    ) -> None:
        results: list[object] = []

        @socketio.on("ask")
        def ask() -> str:
            results.append(call("question", 1, "two", timeout=5))
            return "asked"

        client = connect()
        client.answer("question", answer)
        for _ in range(2):
            assert client.emit("ask", callback=True) == "asked"
        assert results == [result, result]
        assert [item["args"] for item in client.get_received()] == [[1, "two"]] * 2

    def test_call_async(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("ask")
        async def ask(n: int) -> Any:
            return await call_async("question", n, timeout=5)

        client = connect()
        client.answer("question", lambda n: n + 1)
        assert client.emit("ask", 1, callback=True) == 2
        client.answer("question", "constant")
        assert client.emit("ask", 1, callback=True) == "constant"

    def test_an_async_answer(self, socketio: SocketIO, connect: Connect) -> None:
        async def answer(n: int) -> int:
            await asyncio.sleep(0.01)
            return n * 2

        socketio.on_event("ask", lambda n: call("question", n, timeout=5))
        client = connect()
        client.answer("question", answer)
        assert client.emit("ask", 4, callback=True) == 8

    def test_the_callback_of_an_emit(self, socketio: SocketIO, connect: Connect) -> None:
        answers: list[Any] = []
        client = connect()
        client.answer("question", ("one", b"two"))
        socketio.emit("question", callback=lambda *args: answers.append(args))
        client.get_received()
        assert answers == [("one", b"two")]

    def test_the_callback_runs_in_the_context_of_the_client(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        @socketio.on("ask")
        def ask() -> None:
            emit("question", callback=lambda n: emit("answered", [n, request.sid]))

        client = connect()
        client.answer("question", 7)
        client.emit("ask")
        assert client.wait_for("answered")["args"] == [[7, client.get_sid()]]

    def test_each_namespace_has_its_own(self, socketio: SocketIO, connect: Connect) -> None:
        for namespace in ("/", "/chat"):
            socketio.on_event("ask", lambda: call("question", timeout=5), namespace)
        client = connect("/chat")
        client.connect("/")
        client.answer("question", "main")
        client.answer("question", "chat", namespace="/chat")
        assert client.emit("ask", callback=True) == "main"
        assert client.emit("ask", callback=True, namespace="/chat") == "chat"

    def test_an_answer_that_fails(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("ask", lambda: call("question", timeout=0.05))
        client = connect()
        client.answer("question", lambda: 1 / 0)
        with pytest.raises((ZeroDivisionError, CallTimeoutError)):
            client.emit("ask")

    def test_an_answer_that_takes_its_time_does_not_hold_the_server(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        release = threading.Event()
        slow, other = connect(), connect()
        slow.answer("question", lambda: "late" if release.wait(5) else "never")
        answers: list[Any] = []
        task = socketio.start_background_task(
            lambda: answers.append(socketio.call("question", to=slow.get_sid(), timeout=5))
        )
        slow.wait_for("question")
        socketio.emit("tick")
        assert other.wait_for("tick")
        assert answers == []
        release.set()
        task.join(5)
        assert answers == ["late"]

    @pytest.mark.parametrize("answer", [object(), lambda: object()])
    def test_an_answer_that_cannot_be_sent(
        self, socketio: SocketIO, connect: Connect, answer: object
    ) -> None:
        client = connect()
        client.answer("question", answer)
        socketio.emit("question", callback=lambda: None)
        with pytest.raises(TypeError, match="can't be sent"):
            client.wait_for("never")

    def test_by_hand_it_can_be_tried_again(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        answers: list[Any] = []
        socketio.emit("question", callback=answers.append)
        question = client.wait_for("question")
        with pytest.raises(TypeError):
            client.acknowledge(question, object())
        client.acknowledge(question, 1)
        assert answers == [1]

    def test_by_hand_when_it_is_too_late(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.emit("question", callback=lambda: None)
        question = client.wait_for("question")
        client.disconnect()
        with pytest.raises(RuntimeError, match="not connected"):
            client.acknowledge(question, 1)

    def test_by_hand(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        answers: list[Any] = []
        task = socketio.start_background_task(
            lambda: answers.append(socketio.call("question", 1, to=client.get_sid(), timeout=5))
        )
        question = client.wait_for("question")
        assert question == {"name": "question", "args": [1], "namespace": "/"}
        client.acknowledge(question, "a", b"b")
        task.join(5)
        assert answers == [("a", b"b")]
        with pytest.raises(RuntimeError, match="does not wait for an acknowledgement of 'question'"):
            client.acknowledge(question)

    def test_by_hand_with_a_callback(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        answers: list[Any] = []
        socketio.emit("question", callback=lambda *args: answers.append(args))
        client.acknowledge(client.wait_for("question"))
        assert answers == [()]

    def test_nobody_asked(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        client.answer("tick", "never needed")
        socketio.emit("tick")
        with pytest.raises(RuntimeError, match="does not wait"):
            client.acknowledge(client.wait_for("tick"), 1)

    def test_no_answer(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("ask", lambda: call("question", timeout=0.02))
        client = connect()
        with pytest.raises(CallTimeoutError, match="did not acknowledge 'question' within"):
            client.emit("ask")

    def test_it_leaves_before_it_answers(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        errors: list[Exception] = []

        def ask() -> None:
            try:
                socketio.call("question", to=client.get_sid(), timeout=5)
            except ClientGoneError as error:
                errors.append(error)

        task = socketio.start_background_task(ask)
        client.wait_for("question")
        client.disconnect()
        task.join(5)
        assert len(errors) == 1


class TestCoroutines:
    def test_all_kinds_of_async_handlers(self, socketio: SocketIO, connect: Connect) -> None:
        log: list[Any] = []

        @socketio.on("connect")
        async def connected(auth: Any) -> None:
            await asyncio.sleep(0)
            emit("hello", auth)

        @socketio.on("event")
        async def event(n: int) -> int:
            await asyncio.sleep(0.001)
            emit("echoed", n)
            return n

        @socketio.on("disconnect")
        async def disconnected(reason: str) -> None:
            await asyncio.sleep(0)
            log.append(reason)

        client = connect(auth={"a": 1})
        assert client.wait_for("hello", timeout=0)["args"] == [{"a": 1}]
        assert [client.emit("event", n, callback=True) for n in range(3)] == [0, 1, 2]
        assert [item["args"] for item in client.get_received()] == [[0], [1], [2]]
        client.disconnect()
        assert log == ["client disconnect"]

    def test_a_class(self, socketio: SocketIO, connect: Connect) -> None:
        class Chat(Namespace):
            async def on_event(self, n: int) -> int:
                await asyncio.sleep(0)
                return n

        socketio.on_namespace(Chat("/chat"))
        assert connect("/chat").emit("event", 5, callback=True, namespace="/chat") == 5

    def test_errors_are_raised(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("fail")
        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError

        with pytest.raises(LookupError):
            connect().emit("fail")

    def test_what_a_task_of_a_handler_emits_later(self, socketio: SocketIO, connect: Connect) -> None:
        tasks: list[asyncio.Task[None]] = []

        async def later() -> None:
            await asyncio.sleep(SOON)
            emit("later")

        @socketio.on("event")
        async def event() -> None:
            tasks.append(asyncio.create_task(later()))

        client = connect()
        client.emit("event")
        assert client.wait_for("later")

    def test_a_test_that_is_a_coroutine_itself(self, socketio: SocketIO, connect: Connect) -> None:
        @socketio.on("event")
        async def event(n: int) -> int:
            await asyncio.sleep(0.001)
            socketio.start_background_task(socketio.emit, "later", n)
            return n

        socketio.on_event("plain", lambda n: n)

        async def test() -> None:
            client = connect()
            assert client.emit("event", 1, callback=True) == 1
            assert client.emit("plain", 2, callback=True) == 2
            assert client.wait_for("later")["args"] == [1]
            client.close()

        asyncio.run(test())

    def test_under_asgi(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        pytest.importorskip("a2wsgi")

        @socketio.on("event")
        async def event(n: int) -> int:
            await asyncio.sleep(0)
            return n

        socketio.asgi_app(app)
        assert connect().emit("event", 1, callback=True) == 1


def test_closing(socketio: SocketIO, connect: Connect) -> None:
    reasons: list[tuple[str, str]] = []
    for namespace in ("/", "/chat"):
        socketio.on_event(
            "disconnect", lambda reason, namespace=namespace: reasons.append((namespace, reason)), namespace
        )
    with connect() as client:
        client.connect("/chat")
        assert socketio.stats()["sessions"] == 1
    assert sorted(reasons) == [("/", "client disconnect"), ("/chat", "client disconnect")]
    assert not client.is_connected()
    assert not client.is_connected("/chat")
    assert socketio.stats()["sessions"] == 0
    client.close()
    assert len(reasons) == 2


def test_nothing_is_left_of_clients_that_have_gone(socketio: SocketIO, connect: Connect) -> None:
    """As real clients, which close a connection that no namespace needs."""
    socketio.on_event("connect", lambda auth: auth is not None, "/guarded")
    socketio.on_event("kick", lambda: disconnect())
    one, two, three = connect(), connect(), connect("/guarded")
    one.disconnect()
    two.emit("kick")
    assert [c.is_connected() for c in (one, two)] == [False, False]
    assert not three.is_connected("/guarded")
    until(lambda: socketio.stats()["sessions"] == 0)
    three.connect("/guarded", auth={})
    assert three.is_connected("/guarded")


def test_an_app_without_the_extension() -> None:
    with pytest.raises(RuntimeError, match=r"call init_app\(app\) first"):
        SocketIOTestClient(Flask("bare"), SocketIO())
