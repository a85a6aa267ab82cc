"""A client's handlers: in order, with patience, on a pool that the test turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from still_engine import StillBackend, make_engine

from flask_realtime.server.inbox import MOMENT, PAUSE_AT, RESUME_AT, Inbox
from flask_realtime.server.pace import Pace


class Owner:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        if self.calls[-1:] != ["pause"]:
            self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Backend(StillBackend):
    """Says who is to do it, and the pool does."""

    def __init__(self, pool: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
        super().__init__(threading.RLock())
        self.pool = pool
        self.here = 0

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self.pool.append((function, args))

    def submit_here(self, runnable: Inbox, turn: int) -> None:
        self.here += 1
        assert self.here < 100, "the inbox takes back what it gives"
        self.pool.append((runnable.run_here, (turn,)))


class Room:
    """An inbox, its engine, its pool and the order in which its work began and ended."""

    def __init__(self, patience: float | None = 0.1, client_handlers: int = 64) -> None:
        self.pool: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.backend = Backend(self.pool)
        self.engine = make_engine(
            self.backend,
            max_client_handlers=client_handlers,
            max_queued_bytes=1000,
            max_http_buffer_size=1000,
        )
        self.owner = Owner()
        self.inbox = Inbox(self.engine, self.owner, lambda f, *a: self.pool.append((f, a)), patience)
        self.order: list[Any] = []

    def put(self, name: Any, during: Callable[[], None] | None = None) -> None:
        def work() -> None:
            self.order.append(name)
            if during is not None:
                during()
                self.order.append(f"{name} returns")

        self.inbox.put(work)

    def run(self) -> None:
        """All threads of the pool run until they leave."""
        while self.pool:
            function, args = self.pool.pop(0)
            function(*args)

    def pass_time(self, seconds: float) -> None:
        """While a handler runs: the loop asks for deadlines, and other threads run."""
        self.backend.time += seconds
        self.inbox.scheduled_at = None
        when = self.inbox.handle_timeout(self.backend.time)
        if when is not None:
            assert when > self.backend.time, "the heap would ask for ever"
            self.inbox.scheduled_at = when
        self.run()

    def check_rest(self) -> None:
        assert self.inbox.queue is None
        assert (self.inbox.running, self.engine.work_pending, self.engine.handlers_running) == (0, 0, 0)
        assert len(self.inbox) == 0


@pytest.fixture
def room() -> Room:
    return Room()


def test_work_is_done_in_order_by_one_thread(room: Room) -> None:
    for n in range(10):
        room.put(n)
    assert len(room.pool) == 1
    assert room.engine.work_pending == 10
    room.run()
    assert room.order == list(range(10))
    room.check_rest()


def test_an_idle_inbox_starts_again(room: Room) -> None:
    room.put(1)
    room.run()
    room.put(2)
    assert len(room.pool) == 1
    room.run()
    assert room.order == [1, 2]


def test_put_first_goes_before_what_waits(room: Room) -> None:
    for n in (3, 4):
        room.put(n)
    room.inbox.put_first([(lambda: room.order.append(1), None), (lambda: room.order.append(2), None)])
    room.inbox.put_first([])
    room.run()
    assert room.order == [1, 2, 3, 4]
    room.check_rest()


def test_put_first_of_an_idle_inbox(room: Room) -> None:
    room.inbox.put_first([(lambda: room.order.append(1), None), (lambda: room.order.append(2), None)])
    room.run()
    assert room.order == [1, 2]


def test_counts_while_it_runs(room: Room) -> None:
    seen: list[Any] = []
    room.put("a", lambda: seen.append((room.inbox.running, room.engine.handlers_running, len(room.inbox))))
    room.put("b")
    room.run()
    assert seen == [(1, 1, 1)]


def test_somebody_may_wait_until_it_is_idle(room: Room) -> None:
    assert room.inbox.when_idle(threading.Event) is None
    room.put(1)
    room.put(2)
    event = room.inbox.when_idle(threading.Event)
    assert event is not None
    room.put(3, lambda: room.order.append(event.is_set()))
    room.run()
    assert room.order == [1, 2, 3, False, "3 returns"]
    assert event.is_set()
    assert room.inbox.when_idle(threading.Event) is None


def test_nobody_waits_for_what_takes_its_time(room: Room) -> None:
    waited: list[bool] = []

    def slow() -> None:
        for _ in range(2):
            waited.append(room.inbox.when_idle(threading.Event) is not None)
            room.pass_time(MOMENT)

    room.put("slow", slow)
    room.run()
    assert waited == [True, False]


def test_after_its_patience_the_next_one_starts(room: Room) -> None:
    def slow() -> None:
        room.pass_time(0.05)
        assert room.order == ["slow"]
        room.pass_time(0.05)
        assert room.order == ["slow", "next", "after"]

    room.put("slow", slow)
    room.put("next")
    room.put("after")
    room.run()
    assert room.order == ["slow", "next", "after", "slow returns"]
    room.check_rest()


def test_the_deadline_is_asked_for_when_work_begins_or_when_more_comes(room: Room) -> None:
    room.put("slow", lambda: (setattr(room.backend, "time", 5.0), room.put("late"))[0])
    room.run()
    assert room.engine.next_deadline() == 0.1
    assert room.backend.rescheduled == 1


def test_two_slow_ones(room: Room) -> None:
    def slow() -> None:
        room.pass_time(0.2)

    for name in ("a", "b", "c"):
        room.put(name, slow)
    room.put("d")
    room.run()
    assert room.order == ["a", "b", "c", "d", "c returns", "b returns", "a returns"]
    room.check_rest()


def test_strict_work_waits(room: Room) -> None:
    room = Room(patience=None)
    room.put("slow", lambda: room.pass_time(100))
    room.put("next")
    room.run()
    assert room.order == ["slow", "slow returns", "next"]
    assert room.engine.next_deadline() is None
    assert room.backend.rescheduled == 0


def test_no_patience_at_all() -> None:
    room = Room(patience=0.0)

    def slow() -> None:
        room.pass_time(0)

    room.put("slow", slow)
    room.put("next")
    room.run()
    assert room.order == ["slow", "next", "slow returns"]


def test_a_turn_that_waits_for_a_thread_loses_no_patience(room: Room) -> None:
    room.put("a")
    room.put("b")
    room.backend.time = 5.0
    assert room.inbox.handle_timeout(5.0) == pytest.approx(5.1)
    assert len(room.pool) == 1


def test_nothing_to_time_out(room: Room) -> None:
    assert room.inbox.handle_timeout(1.0) is None
    room.put("a", lambda: room.pass_time(1))
    room.run()
    assert room.inbox.handle_timeout(100.0) is None


def test_at_most_so_many_at_once() -> None:
    room = Room(client_handlers=3)
    most: list[int] = []

    def slow() -> None:
        most.append(room.inbox.running)
        room.pass_time(0.2)

    for n in range(10):
        room.put(n, slow)
    room.run()
    assert max(most) == 3
    assert [name for name in room.order if isinstance(name, int)] == list(range(10))
    room.check_rest()


def test_reading_pauses_and_resumes(room: Room) -> None:
    for n in range(PAUSE_AT - 1):
        room.put(n)
    assert room.owner.calls == []
    room.put("one too many")
    assert room.owner.calls == ["pause"]
    resumed_at: list[int] = []
    room.owner.resume_reading = lambda: resumed_at.append(len(room.inbox))  # type: ignore[method-assign]
    room.run()
    assert resumed_at == [RESUME_AT, 0]


def test_reading_pauses_however_much_comes_at_once(room: Room) -> None:
    room.inbox.put_first([(lambda: None, None)] * (PAUSE_AT + 500))
    assert room.owner.calls == ["pause"]
    room.run()
    assert room.owner.calls[:2] == ["pause", "resume"]


def test_large_events_are_too_much_sooner(room: Room) -> None:
    for _ in range(2):
        room.inbox.put(lambda: None, size=500)
    assert room.owner.calls == []
    room.inbox.put(lambda: None, size=1)
    assert room.owner.calls == ["pause"]
    room.run()
    assert room.owner.calls == ["pause", "resume"]
    room.inbox.put(lambda: None, size=1000)
    assert room.owner.calls == ["pause", "resume"], "what was handled no longer counts"
    room.run()


class Stop(BaseException):
    """Not for us: for the thread."""


def test_what_stops_a_thread_does_not_stop_the_others(room: Room) -> None:
    def stop() -> None:
        raise Stop

    room.put("a", stop)
    room.put("b")
    with pytest.raises(Stop):
        room.run()
    room.run()
    assert room.order == ["a", "b"]
    room.check_rest()


def test_what_stops_the_last_one(room: Room) -> None:
    def stop() -> None:
        raise Stop

    room.put("a", stop)
    with pytest.raises(Stop):
        room.run()
    room.check_rest()
    room.put("b")
    room.run()
    assert room.order == ["a", "b"]


def test_what_stops_a_thread_that_has_lost_its_turn(room: Room) -> None:
    def stop() -> None:
        room.pass_time(0.2)
        raise Stop

    room.put("a", stop)
    room.put("b")
    with pytest.raises(Stop):
        room.run()
    assert room.order == ["a", "b"]
    room.check_rest()


class HoldingGate:
    """Holds everything back until it is opened."""

    def __init__(self) -> None:
        self.closed = True
        self.asked = 0

    def holds(self, work: Callable[[], Any], pace: Pace | None) -> bool:
        self.asked += 1
        return self.closed


@pytest.fixture
def quick() -> Pace:
    pace = Pace()
    pace.record(0.0)
    assert not pace.waits
    return pace


@pytest.fixture
def quick_room() -> Room:
    room = Room()
    room.inbox = Inbox(room.engine, room.owner, None, 0.1)
    return room


def test_what_is_quick_is_done_here(quick_room: Room, quick: Pace) -> None:
    room = quick_room
    for n in range(10):
        room.inbox.put(partial(room.order.append, n), pace=quick)
    room.run()
    assert room.order == list(range(10))
    assert room.backend.here == 1
    room.check_rest()


def test_what_is_quick_may_be_held_back(quick_room: Room, quick: Pace) -> None:
    room, gate = quick_room, HoldingGate()
    room.inbox.put(partial(room.order.append, 1), pace=quick)
    room.inbox.put(partial(room.order.append, "held"), gate, pace=quick)
    room.inbox.put(partial(room.order.append, 2), pace=quick)
    room.run()
    assert room.order == [1, 2]
    assert gate.asked == 1
    room.check_rest()


def test_what_is_quick_need_not_be_held_back(quick_room: Room, quick: Pace) -> None:
    room, gate = quick_room, HoldingGate()
    gate.closed = False
    for n in range(3):
        room.inbox.put(partial(room.order.append, n), gate, pace=quick)
    room.run()
    assert room.order == [0, 1, 2]
    room.check_rest()
