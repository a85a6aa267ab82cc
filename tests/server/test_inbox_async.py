"""A client's plain and coroutine handlers in one order, on a pool and an event loop that the test turns."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

import pytest
from still_engine import StillBackend, make_engine

from flask_realtime.server.async_turns import ASYNC_BURST
from flask_realtime.server.inbox import PAUSE_AT, Inbox
from flask_realtime.server.work import AsyncWork


class Lock:
    """Nobody may be suspended while it is held."""

    held = False

    def acquire(self) -> bool:
        assert not self.held
        self.held = True
        return True

    def release(self) -> None:
        self.held = False

    __enter__ = acquire

    def __exit__(self, *args: object) -> None:
        self.release()


class Suspension:
    """A coroutine waits for it until the test resumes the coroutine."""

    def __await__(self) -> Generator[str, None, None]:
        yield "waits"


class Backend(StillBackend):
    """A pool and an event loop in which nothing happens by itself."""

    def __init__(self) -> None:
        super().__init__(Lock())
        self.pool: list[Callable[[], None]] = []
        #: coroutines that can go on
        self.loop: list[Coroutine[Any, Any, None]] = []
        #: coroutines that wait in a handler
        self.waiting: list[Coroutine[Any, Any, None]] = []

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self.pool.append(partial(function, *args))

    def submit_async(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self.loop.append(function(*args))

    def step(self) -> None:
        """The first coroutine that can go on does so, until it waits or leaves."""
        coroutine = self.loop.pop(0)
        try:
            signal = coroutine.send(None)
        except StopIteration:
            return
        finally:
            assert not self._lock.held
        (self.waiting if signal == "waits" else self.loop).append(coroutine)

    def resume(self, index: int = 0) -> None:
        """A handler's waiting is over."""
        self.loop.append(self.waiting.pop(index))

    def run(self) -> None:
        """Everybody does what can be done."""
        while self.pool or self.loop:
            while self.pool:
                self.pool.pop(0)()
            if self.loop:
                self.step()

    def close(self) -> None:
        for coroutine in [*self.loop, *self.waiting]:
            coroutine.close()


class Owner:
    def __init__(self) -> None:
        self.paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Room:
    """An inbox, and the order in which its work began and ended."""

    def __init__(self, patience: float | None = 0.1, client_handlers: int = 64) -> None:
        self.backend = Backend()
        self.engine = make_engine(self.backend, max_client_handlers=client_handlers)
        self.owner = Owner()
        self.inbox = Inbox(self.engine, self.owner, None, patience)
        self.order: list[Any] = []

    def put(self, name: Any, during: Callable[[], None] | None = None) -> None:
        """Plain work."""

        def work() -> None:
            self.order.append(name)
            if during is not None:
                during()
            self.order.append(f"{name} returns")

        self.inbox.put(work)

    def put_async(self, name: Any, during: Callable[[], Awaitable[None]] | None = None) -> None:
        """A coroutine function's."""

        async def work() -> None:
            self.order.append(name)
            if during is not None:
                await during()
            self.order.append(f"{name} returns")

        self.inbox.put(AsyncWork(work))

    def pass_time(self, seconds: float) -> None:
        """The loop asks for deadlines, as the engine has it."""
        self.backend.time += seconds
        when = self.inbox.scheduled_at
        if when is not None and when <= self.backend.time:
            self.inbox.scheduled_at = None
            again = self.inbox.handle_timeout(self.backend.time)
            if again is not None:
                assert again > self.backend.time, "the heap would ask for ever"
                self.inbox.scheduled_at = again

    def run(self) -> None:
        self.backend.run()

    @property
    def started(self) -> list[Any]:
        return [name for name in self.order if not str(name).endswith("returns")]

    def check_rest(self) -> None:
        """Everything is done, and counted."""
        assert len(self.inbox) == self.inbox.running == 0
        assert self.engine.work_pending == self.engine.handlers_running == 0
        assert self.inbox.queue is None
        assert not self.owner.paused
        assert self.backend.pool == self.backend.loop == self.backend.waiting == []


async def wait() -> None:
    """Until the test resumes it."""
    await Suspension()


@pytest.fixture
def room() -> Any:
    room = Room()
    yield room
    room.backend.close()


@pytest.fixture
def strict_room() -> Any:
    room = Room(patience=None)
    yield room
    room.backend.close()


def test_each_kind_has_its_place(room: Room) -> None:
    room.put("plain")
    assert (len(room.backend.pool), len(room.backend.loop)) == (1, 0)
    room.run()
    room.put_async("async")
    assert (len(room.backend.pool), len(room.backend.loop)) == (0, 1)
    room.run()
    assert room.started == ["plain", "async"]
    room.check_rest()


def test_in_order_one_after_the_other(room: Room) -> None:
    for n in range(0, 12, 3):
        room.put_async(n)
        room.put(n + 1)
        room.put_async(n + 2)
    room.run()
    expected: list[Any] = []
    for n in range(12):
        expected += [n, f"{n} returns"]
    assert room.order == expected
    room.check_rest()


def test_coroutines_that_come_together_cost_one_task(room: Room) -> None:
    for n in range(ASYNC_BURST - 1):
        room.put_async(n)
    assert len(room.backend.loop) == 1
    room.backend.step()
    assert room.started == list(range(ASYNC_BURST - 1))
    room.check_rest()


def test_after_a_burst_others_have_their_turn(room: Room) -> None:
    for n in range(3 * ASYNC_BURST):
        room.put_async(n)
    room.backend.step()
    assert len(room.started) == ASYNC_BURST
    assert len(room.backend.loop) == 1
    room.run()
    assert room.started == list(range(3 * ASYNC_BURST))
    room.check_rest()


def test_work_that_comes_while_a_coroutine_waits(room: Room) -> None:
    room.put_async("slow", wait)
    room.run()
    room.put("plain")
    room.put_async("async")
    room.run()
    assert room.order == ["slow"]
    room.backend.resume()
    room.run()
    assert room.order == ["slow", "slow returns", "plain", "plain returns", "async", "async returns"]
    room.check_rest()


@pytest.mark.parametrize("kinds", ["ap", "aa", "apa", "app", "aap"])
def test_after_its_patience_the_next_one_starts(room: Room, kinds: str) -> None:
    room.put_async("slow", wait)
    for n, kind in enumerate(kinds[1:]):
        if kind == "a":
            room.put_async(n)
        else:
            room.put(n)
    room.run()
    room.pass_time(0.05)
    room.run()
    assert room.order == ["slow"]
    room.pass_time(0.05)
    room.run()
    assert room.started == ["slow", *range(len(kinds) - 1)]
    assert (room.inbox.running, room.engine.handlers_running) == (1, 1)
    room.backend.resume()
    room.run()
    assert room.order[-1] == "slow returns"
    room.check_rest()


def test_after_the_patience_of_a_plain_one_coroutines_start(room: Room) -> None:
    def slow() -> None:
        room.pass_time(0.1)
        room.run()
        assert room.started == ["slow", "async", "plain"]

    room.put("slow", slow)
    room.put_async("async")
    room.put("plain")
    room.run()
    assert room.order[-1] == "slow returns"
    room.check_rest()


def test_a_turn_that_waits_for_its_thread_loses_no_patience(room: Room) -> None:
    """A hand-over counts as waiting: only a handler that runs can use its patience up."""
    room.put_async("async")
    room.put("plain")
    room.put("next")
    room.backend.step()  # the first has returned, and the pool has not begun with the second
    room.pass_time(5)
    room.pass_time(5)
    assert len(room.backend.pool) == 1
    room.run()
    assert room.started == ["async", "plain", "next"]
    room.check_rest()


def test_one_that_has_lost_its_turn_leaves_the_queue_alone(room: Room) -> None:
    room.put_async("slow", wait)
    room.put_async("second", wait)
    room.run()
    room.pass_time(0.1)
    room.run()
    assert room.started == ["slow", "second"]
    room.put("third")
    room.backend.resume(0)
    room.run()
    assert room.order == ["slow", "second", "slow returns"]
    room.backend.resume()
    room.run()
    assert room.order[3:] == ["second returns", "third", "third returns"]
    room.check_rest()


def test_at_most_so_many_at_once() -> None:
    room = Room(client_handlers=3)
    for n in range(8):
        room.put_async(n, wait)
    for _ in range(10):
        room.run()
        room.pass_time(0.2)
    assert room.started == [0, 1, 2]
    while room.backend.waiting:
        room.backend.resume()
        for _ in range(3):
            room.run()
            room.pass_time(0.2)
        assert room.inbox.running <= 3
    assert room.started == list(range(8))
    room.check_rest()


def test_strictly_one_at_a_time(strict_room: Room) -> None:
    room = strict_room
    room.put_async("slow", wait)
    room.put("plain")
    room.put_async("async", wait)
    room.put("last")
    room.run()
    room.pass_time(100)
    room.run()
    assert room.order == ["slow"]
    room.backend.resume()
    room.run()
    assert room.order == ["slow", "slow returns", "plain", "plain returns", "async"]
    room.backend.resume()
    room.run()
    assert room.order[-2:] == ["last", "last returns"]
    room.check_rest()


def test_reading_pauses_and_resumes(room: Room) -> None:
    room.put_async("slow", wait)
    room.run()
    for n in range(PAUSE_AT):
        room.put_async(n)
    assert room.owner.paused
    room.backend.resume()
    room.run()
    assert room.started == ["slow", *range(PAUSE_AT)]
    room.check_rest()


class Stop(BaseException):
    """Not for us: for the task."""


@pytest.mark.parametrize("lost_turn", [False, True])
def test_a_cancelled_task_takes_no_others_with_it(room: Room, lost_turn: bool) -> None:
    room.put_async("a", wait)
    room.put_async("b")
    room.put("c")
    room.run()
    if lost_turn:
        room.pass_time(0.2)
        room.run()
    task = room.backend.waiting.pop()
    with pytest.raises(Stop):
        task.throw(Stop)
    room.run()
    assert room.started == ["a", "b", "c"]
    room.check_rest()


def test_a_task_that_is_cancelled_between_two_handlers(room: Room) -> None:
    """While it lets others run, after a burst."""
    for n in range(ASYNC_BURST + 3):
        room.put_async(n)
    room.backend.step()
    task = room.backend.loop.pop()
    with pytest.raises(Stop):
        task.throw(Stop)
    room.run()
    assert room.started == list(range(ASYNC_BURST + 3))
    room.check_rest()


class Connecting:
    """A gate as a socket is one that connects."""

    def __init__(self) -> None:
        self.open = False
        self.held: list[Any] = []

    def holds(self, work: Any, pace: Any) -> bool:
        if not self.open:
            self.held.append((work, pace))
        return not self.open


def test_held_work_keeps_its_kind_and_order(room: Room) -> None:
    gate = Connecting()

    def work_of(name: str) -> Any:
        return partial(room.order.append, name)

    async def coroutine(name: str) -> None:
        room.order.append(name)

    async def connect() -> None:
        await wait()
        gate.open = True
        held, gate.held = gate.held, []
        room.inbox.put_first(held)

    room.put_async("connect", connect)
    works = [AsyncWork(coroutine, "a"), work_of("b"), work_of("c"), AsyncWork(coroutine, "d")]
    for work in works[:3]:
        room.inbox.put(work, gate)
    room.run()
    room.pass_time(0.2)
    room.run()
    assert room.order == ["connect"]
    assert gate.held == [(work, None) for work in works[:3]]
    assert room.engine.work_pending == 1
    # One that comes later still comes last.
    room.inbox.put(works[3], gate)
    room.backend.resume()
    room.run()
    assert gate.held == []
    assert [name for name in room.order if name in "abcd"] == ["a", "b", "c", "d"]
    room.check_rest()


def test_coroutines_for_a_test_client_run_where_it_says() -> None:
    """With a host, the event loop is asked to complete them, the test waiting."""
    room = Room()
    hosted: list[tuple[Any, ...]] = []
    room.backend.complete = lambda function, *args: hosted.append(("complete", *args))  # type: ignore[attr-defined]
    room.inbox = Inbox(room.engine, room.owner, lambda f, *args: f(*args), 0.1)  # type: ignore[arg-type]
    room.put_async("async")
    assert hosted == [("complete", room.inbox, 1)]


@pytest.mark.parametrize("patience", [None, 0.0, 0.1])
@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens(patience: float | None, seed: int) -> None:
    """Any mix of kinds, waits, clock and cancellations: all start, in order, never more than allowed."""
    chance = random.Random(seed)
    limit = chance.choice([1, 2, 5])
    room = Room(patience, limit)
    inside = 0
    put = 0
    nested = chance.random() < 0.3

    def enter(name: int) -> None:
        nonlocal inside
        inside += 1
        assert inside <= (1 if patience is None else limit)
        room.order.append(name)

    def leave() -> None:
        nonlocal inside
        inside -= 1

    def plain(name: int) -> None:
        enter(name)
        if nested and chance.random() < 0.3:  # others act while this thread runs
            room.pass_time(chance.choice([0.05, 0.2]))
            while room.backend.loop and chance.random() < 0.7:
                room.backend.step()
        leave()

    async def coroutine(name: int, waits: int) -> None:
        enter(name)
        try:
            for _ in range(waits):
                await wait()
        finally:
            leave()

    while put < 60 or room.engine.work_pending:
        assert not room.order or room.order == list(range(len(room.order)))
        action = chance.random()
        if put < 60 and action < 0.4:
            if chance.random() < 0.5:
                room.inbox.put(partial(plain, put))
            else:
                room.inbox.put(AsyncWork(coroutine, put, chance.choice([0, 0, 1, 3])))
            put += 1
        elif action < 0.55:
            room.pass_time(chance.choice([0.01, 0.1, 0.5]))
        elif action < 0.7 and room.backend.pool:
            room.backend.pool.pop(0)()
        elif action < 0.85 and room.backend.loop:
            room.backend.step()
        elif room.backend.waiting:
            index = chance.randrange(len(room.backend.waiting))
            if chance.random() < 0.15:
                with pytest.raises(Stop):
                    room.backend.waiting.pop(index).throw(Stop)
            else:
                room.backend.resume(index)
        elif put >= 60:
            room.run()
            room.pass_time(0.1)
    assert room.order == list(range(60))
    room.check_rest()
