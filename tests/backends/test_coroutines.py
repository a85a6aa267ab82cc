"""The event loop of the process: begun when needed, one in a process, gone at its end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import Any

import pytest
from backends.script import APP, every_library, every_patch, run_part, run_script, until

from flask_realtime.backends import coroutines
from flask_realtime.backends.coroutines import LoopEvent, complete, own_loop, submit

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")


async def where() -> tuple[asyncio.AbstractEventLoop, int, str]:
    await asyncio.sleep(0)
    return asyncio.get_running_loop(), threading.get_ident(), variable.get()


class TestOwnLoop:
    def test_is_one_whoever_asks_first(self) -> None:
        loops: list[Any] = []
        barrier = threading.Barrier(8)

        def ask() -> None:
            barrier.wait(5)
            loops.append(own_loop())

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert set(loops) == {own_loop()}
        assert len(loops) == 8

    def test_runs_in_a_thread_of_its_own(self) -> None:
        loop, thread, _ = complete(own_loop(), where, ())
        assert loop is own_loop()
        assert thread != threading.get_ident()

    def test_begins_when_it_is_needed(self) -> None:
        script = """
            from flask_realtime.backends.coroutines import _own_loop
            socketio.on("plain")(lambda: 1)
            client = socketio.test_client(app)
            assert client.emit("plain", callback=True) == 1
            assert _own_loop.loop is None

            @socketio.on("event")
            async def handler():
                return 2

            assert client.emit("event", callback=True) == 2
            assert _own_loop.loop is not None
            client.disconnect()
        """
        run_script(script, setup=APP)

    def test_survives_a_task_that_exits(self) -> None:
        """A task of the app, that nobody awaits: SystemExit and KeyboardInterrupt pass through a loop."""
        script = """
            import logging
            logging.disable()

            async def fail():
                sys.exit(3)

            @socketio.on("task")
            async def task():
                tasks.append(asyncio.ensure_future(fail()))

            @socketio.on("fine")
            async def fine():
                await asyncio.sleep(0)
                return "here"

            tasks = []
            client = Client(app, socketio.current_server).connect()
            client.emit("task")
            until(lambda: tasks and tasks[0].done())
            assert client.call("fine") == ["here"]
            client.close()
            until(lambda: not socketio.current_server.engine.work_pending)
            tasks[0].exception()
        """
        run_script(script, setup=APP)

    @every_patch
    def test_survives_a_coroutine_that_exits(self, library: str) -> None:
        """One that a plain function has returned: as SystemExit of any other handler, it is just logged."""
        script = """
            import logging
            logging.disable()

            async def fail():
                await asyncio.sleep(0)
                sys.exit(3)

            async def fine():
                await asyncio.sleep(0)
                return "here"

            socketio.on("fail")(lambda: fail())
            socketio.on("fine")(fine)
            client = Client(app, socketio.current_server).connect()
            client.emit("fail")
            assert client.call("fine") == ["here"]
            client.close()
            until(lambda: not socketio.current_server.engine.work_pending)
        """
        run_script(script, library, setup=APP)


class TestSubmit:
    def test_from_a_thread_and_from_the_loop(self) -> None:
        seen: list[int] = []

        async def note(number: int) -> None:
            seen.append(number)
            if number < 3:
                submit(own_loop(), note, (number + 1,))

        submit(own_loop(), note, (1,))
        until(lambda: seen == [1, 2, 3])

    def test_in_order(self) -> None:
        seen: list[int] = []

        async def note(number: int) -> None:
            seen.append(number)

        for number in range(200):
            submit(own_loop(), note, (number,))
        until(lambda: len(seen) == 200)
        assert seen == list(range(200))

    def test_in_a_context_of_its_own(self) -> None:
        seen: list[str] = []

        async def note() -> None:
            seen.append(variable.get())
            variable.set("inner")

        async def outer() -> None:
            variable.set("outer")
            submit(own_loop(), note, ())

        variable.set("thread")
        submit(own_loop(), note, ())
        submit(own_loop(), note, ())
        complete(own_loop(), outer, ())
        until(lambda: len(seen) == 3)
        assert seen == ["none"] * 3

    def test_an_error_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def fail() -> None:
            raise LookupError("on purpose")

        submit(own_loop(), fail, ())
        until(lambda: caplog.records)
        assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
            (logging.ERROR, "error in a coroutine")
        ]
        until(lambda: not coroutines._tasks)

    def test_a_task_is_held_until_it_has_finished(self) -> None:
        """The loop itself has only weak references."""
        import gc

        done: list[str] = []
        futures: list[asyncio.Future[None]] = []

        async def wait() -> None:
            future = asyncio.get_running_loop().create_future()
            futures.append(future)
            await future
            done.append("done")

        submit(own_loop(), wait, ())
        until(lambda: futures)
        gc.collect()
        own_loop().call_soon_threadsafe(futures[0].set_result, None)
        until(lambda: done)


class TestComplete:
    def test_a_result_and_an_error(self) -> None:
        async def double(value: int) -> int:
            await asyncio.sleep(0)
            return value * 2

        async def fail() -> None:
            await asyncio.sleep(0)
            raise LookupError("on purpose")

        assert complete(own_loop(), double, (21,)) == 42
        with pytest.raises(LookupError, match="on purpose"):
            complete(own_loop(), fail, ())

    def test_cancellation(self) -> None:
        async def cancel() -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            complete(own_loop(), cancel, ())

    def test_in_the_context_of_the_caller(self) -> None:
        variable.set("mine")
        assert complete(own_loop(), where, ())[2] == "mine"

    def test_many_at_once(self) -> None:
        number = 20
        started = threading.Semaphore(0)
        results: list[int] = []
        gates: list[asyncio.Event] = []

        async def wait(value: int) -> int:
            gates.append(asyncio.Event())
            gate = gates[-1]
            started.release()
            await gate.wait()
            return value

        threads = [
            threading.Thread(target=lambda n=n: results.append(complete(own_loop(), wait, (n,))))
            for n in range(number)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert started.acquire(timeout=5)
        for gate in gates:
            own_loop().call_soon_threadsafe(gate.set)
        for thread in threads:
            thread.join(5)
        assert sorted(results) == list(range(number))

    def test_in_an_event_loop_it_would_never_end(self) -> None:
        async def nested() -> None:
            complete(own_loop(), where, ())

        with pytest.raises(RuntimeError, match="block the event loop"):
            complete(own_loop(), nested, ())
        # Another loop has to wait; the test client does it in asyncio tests.
        asyncio.run(nested())


class TestLoopEvent:
    @staticmethod
    def play(test: Any) -> Any:
        return complete(own_loop(), test, ())

    def test_set_before(self) -> None:
        async def test() -> bool:
            event = LoopEvent()
            event.set()
            event.set()
            return await event.wait(1) and await event.wait() and await event.wait(None)

        assert self.play(test)

    def test_set_by_a_thread(self) -> None:
        async def test() -> bool:
            event = LoopEvent()
            waiting = [asyncio.ensure_future(event.wait(5)) for _ in range(3)]
            await asyncio.sleep(0)
            threading.Thread(target=event.set).start()
            return all(await asyncio.gather(*waiting))

        assert self.play(test)

    @pytest.mark.parametrize("timeout", [0, 0.01])
    def test_timeout(self, timeout: float) -> None:
        async def test() -> bool:
            event = LoopEvent()
            timed_out = not await event.wait(timeout)
            event.set()
            return timed_out and await event.wait(1)

        assert self.play(test)

    def test_set_after_the_end_of_the_loop(self) -> None:
        async def make() -> LoopEvent:
            return LoopEvent()

        asyncio.run(make()).set()

    def test_only_in_a_coroutine(self) -> None:
        with pytest.raises(RuntimeError):
            LoopEvent()


WAITING = """
async def forever(name):
    try:
        await asyncio.sleep(1000)
    finally:
        print(name, "ends", flush=True)
"""


class TestExit:
    @every_patch
    def test_what_still_runs_is_cancelled_quietly(self, library: str) -> None:
        script = """
            began = threading.Event()

            @socketio.on("event")
            async def handler():
                tasks.append(asyncio.create_task(forever("task")))
                await asyncio.sleep(0)
                began.set()
                await forever("handler")

            tasks = []
            client = Client(app, socketio.current_server).connect()
            client.emit("event")
            until(began.is_set)
            client.close()
        """
        assert sorted(run_script(script, library, setup=APP + WAITING).split("\n")) == [
            "",
            "handler ends",
            "task ends",
        ]

    def test_before_any_session(self) -> None:
        """Nobody has told the process's end of the loop that only a view has needed."""
        script = """
            from flask_realtime.backends.coroutines import own_loop, submit
            began = []

            async def handler():
                began.append(1)
                await forever("handler")

            submit(own_loop(), handler, ())
            until(lambda: began)
        """
        run_script(script, setup=APP + WAITING)

    def test_stop_and_begin_again(self) -> None:
        script = """
            from flask_realtime.backends.coroutines import complete, own_loop, stop_own_loop, submit
            stop_own_loop()
            began = []

            async def handler():
                began.append(1)
                await forever("handler")

            first = own_loop()
            submit(first, handler, ())
            until(lambda: began)
            stop_own_loop()
            until(first.is_closed)
            assert own_loop() is not first

            async def one():
                return 1

            assert complete(own_loop(), one, ()) == 1
            stop_own_loop()
            stop_own_loop()
        """
        assert run_script(script, setup=APP + WAITING) == "handler ends\n"


class TestFork:
    FORK = """
        began = threading.Event()
        gate = []

        @socketio.on("wait")
        async def wait():
            gate.append(asyncio.Event())
            began.set()
            await gate[0].wait()
            return "waited"

        @socketio.on("fine")
        async def fine():
            await asyncio.sleep(0)
            return os.getpid()

        client = Client(app, socketio.current_server).connect()
        client.send('427["wait"]')
        until(began.is_set)
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            other = Flask("other")
            of_child = SocketIO(other)
            of_child.on("fine")(fine)
            mine = Client(other, of_child.current_server).connect()
            assert mine.call("fine") == [os.getpid()]
            mine.close()
            until(lambda: not of_child.current_server.engine.work_pending)
            END
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
        assert client.call("fine") == [os.getpid()]
        from flask_realtime.backends.coroutines import own_loop
        own_loop().call_soon_threadsafe(gate[0].set)
        until(lambda: client.answers("437"))
        assert client.answers("437") == [["waited"]]
        client.close()
        until(lambda: not socketio.current_server.engine.work_pending)
    """

    @every_patch
    def test_a_child_has_its_own_loop(self, library: str) -> None:
        run_script(self.FORK.replace("END", "os._exit(0)"), library, setup=APP)

    def test_a_child_may_end_as_any_process(self) -> None:
        script = """
            from flask_realtime.backends.coroutines import complete, own_loop, submit
            began = threading.Event()

            async def wait():
                began.set()
                await forever("handler")

            async def where():
                await asyncio.sleep(0)
                return os.getpid()

            submit(own_loop(), wait, ())
            until(began.is_set)
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                assert complete(own_loop(), where, ()) == os.getpid()
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert complete(own_loop(), where, ()) == os.getpid()
            from flask_realtime.backends.coroutines import stop_own_loop
            stop_own_loop()
        """
        assert run_script(script, setup=APP + WAITING) == "handler ends\n"

    def test_a_fork_in_a_handlers_thread(self) -> None:
        script = """
            @socketio.on("fork")
            def fork():
                pid = os.fork()
                if pid == 0:
                    signal.alarm(10)
                    from flask_realtime.backends.coroutines import complete, own_loop

                    async def one():
                        return 1

                    os._exit(0 if complete(own_loop(), one, ()) == 1 else 1)
                return os.waitpid(pid, 0)[1]

            @socketio.on("fine")
            async def fine():
                return 1

            client = Client(app, socketio.current_server).connect()
            assert client.call("fine") == [1]
            assert client.call("fork") == [0]
            assert client.call("fine") == [1]
            client.close()
            until(lambda: not socketio.current_server.engine.work_pending)
        """
        run_script(script, setup=APP)


TICKER = """
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.002)

threading.Thread(target=tick, daemon=True).start()
"""


PATCHED = {
    "the test client": """
@socketio.on("event")
async def handler(value):
    g.value = value
    before = ticks
    await asyncio.sleep(0.05)
    emit("got", g.value)
    return ticks - before > 5

@socketio.on("hidden")
def hidden(value):
    return handler(value)

client = socketio.test_client(app)
assert client.emit("event", 1, callback=True) is True
assert client.emit("hidden", 2, callback=True) is True
assert [item["args"] for item in client.get_received()] == [[1], [2]]
client.disconnect()
assert socketio.current_server.backend.name in ("gevent", "eventlet")
""",
    "clients": """
native = original("_thread", "get_ident")
main = native()
threads = set()

@socketio.on("connect")
async def connected():
    await asyncio.sleep(0)

@socketio.on("async")
async def coroutine(value):
    threads.add(native())
    await asyncio.sleep(0.01)
    return [value, request.sid]

@socketio.on("hidden")
def hidden(value):
    assert native() == main
    return coroutine(value)

@socketio.on("sync")
def plain(value):
    assert native() == main
    time.sleep(0.01)
    return [value, request.sid]

clients = [Client(app, socketio.current_server).connect() for _ in range(30)]
kinds = ["async", "hidden", "sync"]
before = ticks
for n, client in enumerate(clients):
    for m, kind in enumerate(kinds):
        client.send(f'42{m + 1}["{kind}",{n}]')
for n, client in enumerate(clients):
    until(lambda: len(client.packets) == 4)
    for m in range(3):
        assert client.answers(f"43{m + 1}") == [[[n, client.sid]]]
assert ticks > before
assert len(threads) == 1 and main not in threads
for client in clients:
    client.close()
until(lambda: not socketio.current_server.engine.work_pending)
assert socketio.stats()["sockets"] == 0
""",
    "call and call async": """
@socketio.on("sync")
def plain():
    before = ticks
    answer = call("question", timeout=5)
    return [answer, ticks - before > 5]

@socketio.on("async")
async def coroutine():
    try:
        call("question")
    except RuntimeError as error:
        assert "call_async" in str(error)
    return [await call_async("question", timeout=5), True]

@socketio.on("timeout")
async def timeout():
    try:
        await call_async("question", timeout=0.01)
    except TimeoutError:
        return "timed out"

client = Client(app, socketio.current_server).connect()
for n, kind in enumerate(["sync", "async"]):
    client.send(f'42{n + 1}["{kind}"]')
    until(lambda: len(client.requests()) == n + 1)
    time.sleep(0.05)
    client.send(f'43{client.requests()[n][0]}["yes"]')
    until(lambda: client.answers(f"43{n + 1}"))
    assert client.answers(f"43{n + 1}") == [[["yes", True]]], client.packets
client.send('429["timeout"]')
until(lambda: client.answers("439"))
assert client.answers("439") == [["timed out"]]
assert socketio.stats()["pending_acks"] == 0
client.close()
until(lambda: not socketio.current_server.engine.work_pending)
""",
    "background tasks of a coroutine": """
native = original("_thread", "get_ident")
main = native()

@socketio.on("event")
async def handler():
    sid = request.sid
    def work():
        assert native() == main
        time.sleep(0.01)
        socketio.emit("worked", to=sid)
    socketio.start_background_task(work)
    return "begun"

client = Client(app, socketio.current_server).connect()
assert client.call("event") == ["begun"]
until(lambda: client.events)
assert client.events == [["worked"]]
client.close()
until(lambda: not socketio.current_server.engine.work_pending)
""",
}


@every_library
class TestPatched:
    """In a process of greenlets the loop has a real thread; whoever waits for it lets the others run."""

    @pytest.mark.parametrize("part", PATCHED)
    def test_together(self, library: str, part: str) -> None:
        run_part(part, PATCHED, library, APP + TICKER)

    def test_threads_of_a_coroutine(self, library: str) -> None:
        """asyncio has threads for what blocks: ``to_thread``, and ``getaddrinfo`` of every connection."""
        script = """
            @socketio.on("event")
            async def handler():
                address = await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
                return await asyncio.to_thread(lambda: request.event["message"])

            client = Client(app, socketio.current_server).connect()
            client.emit("event")
            try:
                assert client.call("event") == ["event"]
            finally:
                if not client.answers("431"):
                    os._exit(1)  # it would wait for ever
            client.close()
            until(lambda: not socketio.current_server.engine.work_pending)
        """
        run_script(script, library, setup=APP + TICKER)

    def test_a_background_task_before_there_is_any_client(self, library: str) -> None:
        """The first to need the loop of greenlets is a real thread, where no hub runs."""
        script = """
            worked = []

            async def begin():
                socketio.start_background_task(worked.append, 1)

            from flask_realtime.backends.coroutines import complete, own_loop
            complete(own_loop(), begin, ())
            until(lambda: worked)
        """
        run_script(script, library, setup=APP + TICKER)
