"""Which handlers are quick."""

from __future__ import annotations

from flask_realtime.server.pace import COST, LONG, TRUST, Pace

QUICK, SLOW = LONG / 10, LONG * 10


def trusted() -> Pace:
    pace = Pace()
    pace.record(QUICK)
    return pace


def test_a_handler_is_trusted_when_its_first_run_was_quick() -> None:
    pace = Pace()
    assert pace.waits
    pace.record(QUICK)
    assert not pace.waits


def test_one_that_waits_from_the_beginning_is_not() -> None:
    pace = Pace()
    for _ in range(5):
        pace.record(SLOW)
        assert pace.waits
    pace.record(QUICK)
    assert pace.waits


def test_a_long_run_now_and_then_is_nothing() -> None:
    pace = trusted()
    for _ in range(20):
        pace.record(SLOW)
        for _ in range(COST):
            pace.record(QUICK)
        assert not pace.waits


def test_long_runs_one_after_the_other_are_waiting() -> None:
    pace = trusted()
    runs = 0
    while not pace.waits:
        pace.record(SLOW)
        runs += 1
    assert 2 <= runs <= 4


def test_one_run_that_has_held_up_others_is_enough() -> None:
    pace = trusted()
    pace.held_up()
    assert pace.waits


def test_many_quick_runs_make_up_for_it() -> None:
    pace = trusted()
    pace.held_up()
    for _ in range(TRUST - 1):
        pace.record(QUICK)
    assert pace.waits
    pace.record(QUICK)
    assert not pace.waits
