"""The backend on an event loop: its time, its wake-ups, and what it finds behind ``send``."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest
from asgi_driver import eventually, play, played

from flask_realtime.backends.asgi_server import abort_connection
from flask_realtime.backends.asyncio import GRACE, AsyncioBackend, LoopTimer, run_backend
from flask_realtime.backends.bell import Bell
from flask_realtime.backends.held_poll import HeldPoll


class Deadlines:
    """A scheduler that notes when its deadlines were handled."""

    def __init__(self, *deadlines: float) -> None:
        self.deadlines = sorted(deadlines)
        self.handled: list[float] = []

    def next_deadline(self) -> float | None:
        return self.deadlines[0] if self.deadlines else None

    def handle_timeouts(self, now: float) -> None:
        while self.deadlines and self.deadlines[0] <= now:
            self.handled.append(self.deadlines.pop(0))


class TestTime:
    @played
    async def test_deadlines_are_handled_in_time(self) -> None:
        timer = LoopTimer(asyncio.get_running_loop())
        start = timer.now()
        deadlines = Deadlines(start + 0.05, start + 0.1)
        timer.keep(deadlines)
        await eventually(lambda: len(deadlines.handled) == 2)
        assert 0.1 <= timer.now() - start < 0.3

    @played
    async def test_a_deadline_that_has_become_earlier(self) -> None:
        backend = AsyncioBackend(2)
        deadlines = Deadlines(backend.now() + 100)
        backend.keep(deadlines)
        await asyncio.sleep(0.02)

        def hurry() -> None:
            deadlines.deadlines.insert(0, backend.now() + 0.01)
            backend.reschedule()

        threading.Thread(target=hurry).start()
        await eventually(lambda: deadlines.handled, 0.8)

    def test_time_stands_still_while_the_loop_does(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)

        async def test() -> None:
            loop = asyncio.get_running_loop()
            timer = LoopTimer(loop)
            start = timer.now()
            deadlines = Deadlines(start + 0.2)
            timer.keep(deadlines)
            read: list[int] = []

            def unread() -> None:
                # What a client has sent in the meantime is read in a few turns of the loop.
                read.append(len(read))
                if len(read) < 5:
                    loop.call_soon(unread)

            loop.call_soon(unread)
            time.sleep(1.5)
            assert timer.now() - start < 0.2
            timer.catch_up()
            assert timer.now() - start < 0.2, "a request that was waiting finds its session alive"
            await eventually(lambda: deadlines.handled)
            assert len(read) == 5
            assert 0.2 <= timer.now() - start < 0.4

        play(test)
        assert "loop blocked 1." in caplog.text

    @played
    async def test_a_pause_between_two_deadlines(self) -> None:
        timer = LoopTimer(asyncio.get_running_loop())
        start = timer.now()
        timer.keep(deadlines := Deadlines(start + 100))
        time.sleep(1.8)
        await asyncio.sleep(GRACE * 3)
        assert timer.now() - start < 1.3
        assert not deadlines.handled

    @played
    async def test_a_request_comes_after_what_is_due(self) -> None:
        timer = LoopTimer(asyncio.get_running_loop())
        deadlines = Deadlines(timer.now() + 0.03)
        timer.keep(deadlines)
        time.sleep(0.04)
        timer.catch_up()
        assert deadlines.handled

    def test_a_scheduler_that_fails_or_dies(self, caplog: pytest.LogCaptureFixture) -> None:
        class Failing(Deadlines):
            def handle_timeouts(self, now: float) -> None:
                self.deadlines.clear()
                raise ValueError("on purpose")

        async def test() -> None:
            timer = LoopTimer(asyncio.get_running_loop())
            failing, other = Failing(timer.now() + 0.01), Deadlines(timer.now() + 0.01)
            timer.keep(failing)
            timer.keep(other)
            timer.keep(Deadlines(timer.now() + 0.01))
            await eventually(lambda: other.handled)

        play(test)
        assert "on purpose" in caplog.text


class TestCalls:
    @played
    async def test_from_threads_and_from_the_loop(self) -> None:
        backend = AsyncioBackend(2)
        called: list[int] = []

        def call() -> None:
            for i in range(1000):
                backend.call_soon(lambda i=i: called.append(i))  # type: ignore[misc]

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        call()
        await eventually(lambda: len(called) == 5000)

    def test_one_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        async def test() -> None:
            backend = AsyncioBackend(2)
            called: list[str] = []
            backend.call_soon(lambda: 1 / 0)
            backend.call_soon(lambda: called.append("other"))
            await eventually(lambda: called)

        play(test)
        assert "ZeroDivisionError" in caplog.text

    @played
    async def test_work_in_a_thread(self) -> None:
        def fail() -> None:
            raise ValueError("on purpose")

        backend = AsyncioBackend(2)
        assert await backend.in_thread(threading.current_thread) is not threading.current_thread()
        with pytest.raises(ValueError, match="on purpose"):
            await backend.in_thread(fail)

    def test_after_the_end_of_the_loop(self) -> None:
        backends: list[AsyncioBackend] = []

        async def test() -> None:
            backends.append(AsyncioBackend(2))

        play(test)
        backends[0].call_soon(lambda: None)
        backends[0].reschedule()
        ran = threading.Event()

        async def last() -> None:
            ran.set()

        backends[0].submit_async(last)
        assert ran.wait(5)

    @played
    async def test_coroutines_run_in_the_servers_loop(self) -> None:
        async def where() -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        backend = AsyncioBackend(2)
        assert await backend.in_thread(backend.complete, where) is backend.loop
        with pytest.raises(RuntimeError, match="would block"):
            backend.event()

    def test_each_loop_has_its_backend(self) -> None:
        backends: dict[int, AsyncioBackend] = {}

        async def test() -> None:
            backend = run_backend(backends, 2)
            assert run_backend(backends, 2) is backend
            assert list(backends.values()) == [backend]

        play(test)
        play(test)


class TestBell:
    @played
    async def test_a_ring_is_kept(self) -> None:
        bell = Bell(asyncio.get_running_loop())
        bell.ring()
        await asyncio.wait_for(bell.wait(), 1)
        waiting = asyncio.ensure_future(bell.wait())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        bell.ring()
        bell.ring()
        await waiting

    @played
    async def test_a_server_that_raises_when_a_client_has_gone(self) -> None:
        async def receive() -> dict[str, Any]:
            raise OSError("gone")

        async def send(event: dict[str, Any]) -> None: ...

        backend = AsyncioBackend(2)
        with backend.hold_poll(receive, send) as held:
            assert isinstance(held, HeldPoll)
            assert not await held.wait()


class TransportOwner:
    """As uvicorn's protocol."""

    def __init__(self) -> None:
        self.aborted = False
        self.transport = self

    def abort(self) -> None:
        self.aborted = True

    async def send(self, event: dict[str, Any]) -> None: ...


class Forwarder:
    """As hypercorn's streams, over a stream writer."""

    def __init__(self, send: Any, writer: Any = None) -> None:
        self.send = send
        if writer is not None:
            self.writer = writer

    async def app_send(self, event: dict[str, Any]) -> None: ...


def test_a_stuck_connection_is_found_and_broken() -> None:
    owner = TransportOwner()
    abort_connection(owner.send)
    assert owner.aborted

    owner = TransportOwner()
    inner = Forwarder(None, writer=owner)
    abort_connection(Forwarder(inner.app_send).app_send)
    assert owner.aborted


def test_nothing_is_broken_where_nothing_is_found() -> None:
    async def send(event: dict[str, Any]) -> None: ...

    abort_connection(send)
