"""The loop: wake-ups are not lost, exceptions stay where they are, deadlines are kept."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flask_realtime.backends.loop import FLUSHED_AT_ONCE, READ, Loop
from flask_realtime.backends.loop import Connection as LoopConnection
from flask_realtime.backends.pollers import make_poller


class RunningLoop:
    """A loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = Loop(make_poller(None))
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.loop.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def running() -> Iterator[RunningLoop]:
    loop = RunningLoop()
    yield loop
    loop.stop()


@pytest.fixture
def turned() -> Iterator[Loop]:
    """A loop that the test turns."""
    loop = Loop(make_poller(None))
    yield loop
    loop.stop()
    loop.run()


class Connection(LoopConnection):
    scheduled_at: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[int] = []
        self.flushes = 0
        self.error: Exception | None = None

    def handle_events(self, mask: int) -> None:
        self.masks.append(mask)
        if self.error is not None:
            raise self.error

    def flush(self) -> None:
        self.flushes += 1
        if self.error is not None:
            raise self.error

    def handle_timeout(self, now: float) -> float | None:
        self.masks.append(-1)
        if self.error is not None:
            raise self.error
        return None


class Scheduler:
    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.handled = threading.Event()

    def next_deadline(self) -> float | None:
        return self.deadline

    def handle_timeouts(self, now: float) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self.handled.set()


class TestWakeUps:
    def test_call_soon_wakes_a_sleeping_loop(self, running: RunningLoop) -> None:
        for _ in range(200):
            done = threading.Event()
            running.loop.call_soon(done.set)
            assert done.wait(5)

    def test_from_many_threads(self, running: RunningLoop) -> None:
        counts = dict.fromkeys(range(4), 0)

        def count(n: int) -> None:
            counts[n] += 1

        def work(n: int) -> None:
            for _ in range(500):
                running.loop.call_soon(lambda: count(n))

        threads = [threading.Thread(target=work, args=(n,)) for n in counts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = threading.Event()
        running.loop.call_soon(done.set)
        assert done.wait(5)
        assert set(counts.values()) == {500}

    def test_schedule_flushes_once(self, turned: Loop) -> None:
        connection = Connection()
        turned.schedule(connection)
        turned.schedule(connection)
        turned.turn(wait=False)
        assert connection.flushes == 1
        assert not connection.scheduled
        turned.schedule(connection)
        turned.turn(wait=False)
        assert connection.flushes == 2

    def test_schedule_wakes_a_sleeping_loop(self, running: RunningLoop) -> None:
        flushed = threading.Event()
        connection = Connection()
        connection.flush = flushed.set  # type: ignore[method-assign]
        time.sleep(0.01)
        running.loop.schedule(connection)
        assert flushed.wait(5)

    def test_what_is_scheduled_while_flushing_waits_for_the_next_turn(self, turned: Loop) -> None:
        class Busy(Connection):
            def flush(self) -> None:
                super().flush()
                turned.schedule(self)

        connection = Busy()
        turned.schedule(connection)
        turned.turn(wait=False)
        assert connection.flushes == 1
        turned.turn(wait=True)  # does not sleep
        assert connection.flushes == 2

    def test_a_broadcast_to_very_many_does_not_keep_the_loop_from_reading(self, turned: Loop) -> None:
        receivers = [Connection() for _ in range(2 * FLUSHED_AT_ONCE + 1)]
        for receiver in receivers:
            turned.schedule(receiver)
        ours, theirs = socket.socketpair()
        sender = Connection()
        turned.register(ours, READ, sender)
        flushed = []
        for turn in range(3):
            theirs.send(b"x")
            turned.turn(wait=False)
            ours.recv(1)
            assert sender.masks == [READ] * (turn + 1)
            flushed.append(sum(receiver.flushes for receiver in receivers))
        assert flushed == [FLUSHED_AT_ONCE, 2 * FLUSHED_AT_ONCE, len(receivers)]
        assert [receiver.flushes for receiver in receivers] == [1] * len(receivers), (
            "in their order, each once"
        )
        turned.unregister(ours)
        ours.close()
        theirs.close()

    def test_a_deadline_that_becomes_earlier_while_the_loop_looks_at_them(self, running: RunningLoop) -> None:
        """Another thread adds a deadline after the loop has asked for it and before it sleeps."""

        class Late(Scheduler):
            asked = 0

            def next_deadline(self) -> float | None:
                found = self.deadline
                self.asked += 1
                if self.asked == 3:
                    self.deadline = 0.0
                    running.loop.wake()
                return found

        scheduler = Late()
        running.loop.keep(scheduler)
        for _ in range(3):
            time.sleep(0.02)
            running.loop.wake()
        assert scheduler.handled.wait(2)

    def test_reschedule_wakes_a_sleeping_loop(self, running: RunningLoop) -> None:
        scheduler = Scheduler()
        running.loop.keep(scheduler)
        time.sleep(0.02)
        scheduler.deadline = running.loop.now() + 0.02
        running.loop.wake()
        assert scheduler.handled.wait(2)

    def test_thousands_of_wake_ups_block_nobody(self, turned: Loop) -> None:
        for _ in range(100_000):
            turned._sleeping = True
            turned.wake()
        turned.turn()
        started = time.monotonic()
        turned.schedule(Connection())
        turned.turn()
        assert time.monotonic() - started < 1

    def test_wakes_after_the_end(self) -> None:
        loop = RunningLoop()
        loop.stop()
        loop.loop.call_soon(lambda: None)
        loop.loop._sleeping = True
        loop.loop.wake()


class TestExceptions:
    @pytest.fixture
    def pair(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        one, other = socket.socketpair()
        yield one, other
        one.close()
        other.close()

    def test_of_a_call(self, turned: Loop, caplog: pytest.LogCaptureFixture) -> None:
        done: list[int] = []
        turned.call_soon(lambda: 1 // 0)
        turned.call_soon(lambda: done.append(1))
        turned.turn(wait=False)
        assert done == [1]
        assert [r.getMessage() for r in caplog.records] == ["error in the loop"]

    def test_of_a_flush(self, turned: Loop, caplog: pytest.LogCaptureFixture) -> None:
        bad, good = Connection(), Connection()
        bad.error = RuntimeError()
        turned.schedule(bad)
        turned.schedule(good)
        turned.turn(wait=False)
        assert good.flushes == 1
        assert len(caplog.records) == 1

    def test_of_events(
        self, turned: Loop, pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
    ) -> None:
        bad, good = Connection(), Connection()
        bad.error = RuntimeError()
        turned.register(pair[0], READ, bad)
        turned.register(pair[1], READ, good)
        pair[0].send(b"x")
        pair[1].send(b"x")
        turned.turn(wait=False)
        assert (bad.masks, good.masks) == ([READ], [READ])
        assert len(caplog.records) == 1
        turned.unregister(pair[0])
        turned.unregister(pair[0])
        turned.unregister(pair[1])

    def test_of_a_scheduler(self, turned: Loop, caplog: pytest.LogCaptureFixture) -> None:
        class Bad(Scheduler):
            def handle_timeouts(self, now: float) -> None:
                raise RuntimeError

        bad, good = Bad(), Scheduler(0.0)
        turned.keep(bad)
        turned.keep(good)
        turned.turn(wait=False)
        assert good.handled.is_set()
        assert len(caplog.records) == 1

    def test_of_a_deadline(self, turned: Loop, caplog: pytest.LogCaptureFixture) -> None:
        bad, good = Connection(), Connection()
        bad.error = RuntimeError()
        turned.schedule_timeout(bad, 0.0)
        turned.schedule_timeout(good, 1.0)
        turned.turn(wait=False)
        turned.turn(wait=False)
        assert good.masks == [-1]
        assert len(caplog.records) == 1


class TestSchedulers:
    def test_deadlines_of_connections(self, turned: Loop) -> None:
        early, late = Connection(), Connection()
        turned.schedule_timeout(early, turned.now() - 1)
        turned.schedule_timeout(late, turned.now() + 1000)
        turned.turn()
        assert (early.masks, late.masks) == ([-1], [])

    def test_the_loop_sleeps_no_longer_than_the_first_deadline(self, turned: Loop) -> None:
        scheduler = Scheduler(turned.now() + 0.03)
        turned.keep(scheduler)
        turned.schedule_timeout(Connection(), turned.now() + 1000)
        started = time.monotonic()
        while not scheduler.handled.is_set():
            turned.turn()
        assert 0.02 < time.monotonic() - started < 5

    def test_an_engine_that_nobody_holds_is_forgotten(self, turned: Loop) -> None:
        scheduler = Scheduler(turned.now() + 1000)
        turned.keep(scheduler)
        turned.turn(wait=False)
        assert len(turned._schedulers) == 1
        del scheduler
        gc.collect()
        turned.wake()
        turned.call_soon(lambda: None)
        turned.turn()
        turned._timeout()
        assert len(turned._schedulers) == 0

    def test_quiet(self, turned: Loop) -> None:
        turned.turn(wait=False)
        assert turned.quiet
        turned.call_soon(lambda: None)
        assert not turned.quiet
        turned.turn(wait=False)
        one, other = socket.socketpair()
        with one, other:
            turned.register(one, READ, Connection())
            assert not turned.quiet
            turned.unregister(one)
        assert turned.quiet


def test_a_loop_lets_go_of_its_descriptors() -> None:
    loop: Any = RunningLoop()
    loop.stop()
    assert loop.loop._waker.fileno() == loop.loop._wakeable.fileno() == -1
