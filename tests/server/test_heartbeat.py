"""The heap of deadlines."""

from __future__ import annotations

import contextlib
import gc
import sys
import weakref
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.server.heartbeat import DeadlineHeap


class Owner:
    """Wants to be asked at these times, one after the other."""

    def __init__(self, *later: float | None) -> None:
        self.scheduled_at: float | None = None
        self.later = list(later)
        self.asked: list[float] = []

    def handle_timeout(self, now: float) -> float | None:
        self.asked.append(now)
        return self.later.pop(0) if self.later else None


def test_owners_are_asked_when_they_are_due_and_in_order() -> None:
    heap = DeadlineHeap()
    order: list[str] = []

    class Named(Owner):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def handle_timeout(self, now: float) -> float | None:
            order.append(self.name)
            return None

    for name, when in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("later", 9.0)):
        heap.schedule(Named(name), when)
    assert heap.next_deadline() == 1.0
    heap.handle_timeouts(0.9)
    assert order == []
    heap.handle_timeouts(3.0)
    assert order == ["a", "b", "c"]
    assert heap.next_deadline() == 9.0


def test_equal_deadlines_keep_their_order() -> None:
    heap = DeadlineHeap()
    owners = [Owner() for _ in range(3)]
    for owner in owners:
        heap.schedule(owner, 1.0)
    heap.handle_timeouts(1.0)
    assert [owner.asked for owner in owners] == [[1.0]] * 3


def test_nothing_to_schedule() -> None:
    heap, owner = DeadlineHeap(), Owner()
    assert heap.schedule(owner, None) is False
    assert heap.next_deadline() is None
    assert owner.scheduled_at is None


def test_the_result_says_whether_it_is_the_earliest() -> None:
    heap = DeadlineHeap()
    assert heap.schedule(Owner(), 5.0) is True
    assert heap.schedule(Owner(), 6.0) is False
    assert heap.schedule(Owner(), 4.0) is True


def test_a_later_time_adds_nothing() -> None:
    heap, owner = DeadlineHeap(), Owner()
    heap.schedule(owner, 5.0)
    assert heap.schedule(owner, 7.0) is False
    assert heap.schedule(owner, 5.0) is False
    heap.handle_timeouts(10.0)
    assert owner.asked == [10.0]


def test_an_earlier_time_takes_the_place_of_a_later_one() -> None:
    heap, owner = DeadlineHeap(), Owner()
    heap.schedule(owner, 5.0)
    assert heap.schedule(owner, 3.0) is True
    heap.handle_timeouts(3.0)
    assert owner.asked == [3.0]
    heap.handle_timeouts(5.0)
    assert owner.asked == [3.0]


def test_an_owner_is_asked_again_when_it_says() -> None:
    heap, owner = DeadlineHeap(), Owner(4.0, 6.0)
    heap.schedule(owner, 2.0)
    heap.handle_timeouts(2.0)
    assert heap.next_deadline() == 4.0
    heap.handle_timeouts(5.0)
    heap.handle_timeouts(6.0)
    heap.handle_timeouts(100.0)
    assert owner.asked == [2.0, 5.0, 6.0]
    assert heap.next_deadline() is None


def test_an_owner_that_schedules_itself_while_it_is_asked() -> None:
    heap = DeadlineHeap()

    class Busy(Owner):
        def handle_timeout(self, now: float) -> float | None:
            super().handle_timeout(now)
            heap.schedule(self, now + 1)
            return now + 5

    owner = Busy()
    heap.schedule(owner, 1.0)
    heap.handle_timeouts(1.0)
    assert heap.next_deadline() == 2.0


class Failing(Owner):
    """One that has a fault."""

    def handle_timeout(self, now: float) -> float | None:
        super().handle_timeout(now)
        raise RuntimeError


def test_a_fault_of_one_owner_costs_the_others_nothing() -> None:
    heap = DeadlineHeap()
    before, failing, after = Owner(), Failing(), Owner()
    for owner in (before, failing, after):
        heap.schedule(owner, 1.0)
    for _ in range(2):
        with contextlib.suppress(RuntimeError):
            heap.handle_timeouts(1.0)
    assert [len(owner.asked) for owner in (before, failing, after)] == [1, 1, 1]


def test_an_owner_that_is_due_again_at_once_is_asked_once_in_a_turn() -> None:
    heap, owner = DeadlineHeap(), Owner(*[1.0] * 100)
    heap.schedule(owner, 1.0)
    heap.handle_timeouts(1.0)
    assert owner.asked == [1.0]
    assert heap.next_deadline() == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50)), max_size=40), st.integers(1, 60))
def test_every_owner_is_asked_once_at_its_earliest_time(schedules: list[tuple[int, int]], now: int) -> None:
    heap = DeadlineHeap()
    owners = [Owner() for _ in range(5)]
    for index, when in schedules:
        heap.schedule(owners[index], float(when))
    heap.handle_timeouts(float(now))
    for index, owner in enumerate(owners):
        times = [when for i, when in schedules if i == index]
        assert len(owner.asked) == (bool(times) and min(times) <= now)
    heap.handle_timeouts(1000.0)
    assert heap.next_deadline() is None
    assert all(len(owner.asked) <= 1 for owner in owners)


def test_who_has_gone_is_not_asked() -> None:
    heap, gone, there = DeadlineHeap(), Owner(), Owner()
    for owner in (gone, there):
        heap.schedule(owner, 1.0)
    heap.forget(gone)
    heap.forget(gone)
    heap.handle_timeouts(1.0)
    assert (gone.asked, there.asked) == ([], [1.0])
    assert heap.next_deadline() is None


def test_who_has_gone_may_come_back() -> None:
    heap, owner = DeadlineHeap(), Owner()
    heap.schedule(owner, 1.0)
    heap.forget(owner)
    heap.schedule(owner, 2.0)
    heap.handle_timeouts(1.0)
    assert owner.asked == []
    heap.handle_timeouts(2.0)
    assert owner.asked == [2.0]


def test_who_has_gone_does_not_live_until_its_deadline() -> None:
    heap, there = DeadlineHeap(), Owner()
    heap.schedule(there, 500.0)
    alive: weakref.WeakSet[Owner] = weakref.WeakSet()
    for when in range(2000):
        owner = Owner()
        alive.add(owner)
        heap.schedule(owner, float(when))
        heap.forget(owner)
    del owner
    gc.collect()
    assert len(alive) <= 101
    heap.handle_timeouts(1000.0)
    assert there.asked == [1000.0]


def test_an_owner_that_is_often_due_earlier_has_few_entries() -> None:
    heap, there, owner = DeadlineHeap(), Owner(), Owner()
    heap.schedule(there, 1.0)
    before = sys.getrefcount(owner)
    for when in range(2000, 0, -1):
        heap.schedule(owner, float(when))
    assert sys.getrefcount(owner) - before <= 102
    heap.handle_timeouts(1.0)
    assert (there.asked, owner.asked) == ([1.0], [1.0])
    heap.handle_timeouts(2000.0)
    assert owner.asked == [1.0]


@pytest.mark.parametrize("seed", range(20))
def test_among_many_who_come_and_go_each_is_asked_once_when_it_is_due(seed: int) -> None:
    random = Random(seed)
    heap, now = DeadlineHeap(), 0.0
    owners = [Owner() for _ in range(300)]
    due: dict[Owner, float] = {}
    expected: dict[Owner, list[float]] = {owner: [] for owner in owners}
    for _ in range(3000):
        owner, step = random.choice(owners), random.random()
        if step < 0.6:
            when = now + random.randrange(1, 100)
            heap.schedule(owner, when)
            due[owner] = min(when, due.get(owner, when))
        elif step < 0.99:
            heap.forget(owner)
            due.pop(owner, None)
        else:
            now += random.randrange(10)
            heap.handle_timeouts(now)
            for each in [each for each, when in due.items() if when <= now]:
                expected[each].append(now)
                del due[each]
    assert {owner: owner.asked for owner in owners} == expected
