"""The clock that stands still while the loop does."""

from __future__ import annotations

import pytest

from flask_realtime.backends.clock import LOG_FROM, SLACK, LoopClock


class Time:
    """The machine's clock."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> LoopClock:
    return LoopClock(time)


def test_before_the_loop_has_run_it_is_an_ordinary_clock(clock: LoopClock, time: Time) -> None:
    assert clock.now() == 1000.0
    time.now += 50
    assert clock.now() == 1050.0


def test_while_the_loop_sleeps_it_runs(clock: LoopClock, time: Time) -> None:
    clock.sleeping(10.0)
    time.now += 7
    assert clock.now() == 1007.0
    assert clock.awake() == 1007.0


def test_a_sleep_without_end(clock: LoopClock, time: Time) -> None:
    clock.sleeping(None)
    time.now += 1e6
    assert clock.now() == clock.awake() == 1000.0 + 1e6


def test_it_stands_still_when_the_loop_sleeps_too_long(
    clock: LoopClock, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    clock.sleeping(10.0)
    time.now += 100
    assert clock.now() == pytest.approx(1010.0 + SLACK)
    time.now += 100
    assert clock.now() == pytest.approx(1010.0 + SLACK)
    assert clock.awake() == pytest.approx(1010.0 + SLACK)
    assert [r.getMessage() for r in caplog.records] == [
        "loop blocked 189.9 s; heartbeats are extended by that much"
    ]


def test_it_stands_still_when_the_loop_works_too_long(
    clock: LoopClock, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    clock.sleeping(0.0)
    clock.awake()
    time.now += 60
    assert clock.now() == pytest.approx(1000.0 + SLACK)
    clock.sleeping(5.0)
    assert clock.now() == pytest.approx(1000.0 + SLACK)
    time.now += 1
    assert clock.now() == pytest.approx(1001.0 + SLACK)
    assert "loop blocked 59.9 s" in caplog.text


def test_it_goes_on_from_where_it_stood(clock: LoopClock, time: Time) -> None:
    clock.sleeping(1.0)
    time.now += 31
    clock.awake()
    clock.sleeping(100.0)
    time.now += 5
    assert clock.now() == pytest.approx(1006.0 + SLACK)


def test_short_delays_are_no_news(clock: LoopClock, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    clock.sleeping(1.0)
    time.now += 1.0 + SLACK + LOG_FROM / 2
    clock.awake()
    assert caplog.records == []


def test_it_never_runs_backwards(clock: LoopClock, time: Time) -> None:
    seen = [clock.now()]
    for timeout, slept, worked in ((0.0, 5.0, 0.0), (1.0, 0.5, 9.0), (None, 3.0, 2.0), (2.0, 2.05, 0.05)):
        clock.sleeping(timeout)
        seen.append(clock.now())
        time.now += slept
        seen += [clock.now(), clock.awake(), clock.now()]
        time.now += worked
        seen.append(clock.now())
    assert seen == sorted(seen)
