"""Refusals: counted always, logged within reason."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_realtime.server.logs import BURST, WINDOW, RefusalLog, short

LOGGER = logging.getLogger("test_logs")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> RefusalLog:
    return RefusalLog(LOGGER, clock, lambda function, *args: function(*args))


def test_one_line_and_one_count(log: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    log("bad thing", "session %s: %d", "abc", 5)
    assert log.counts == {"bad thing": 1}
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.WARNING, "session abc: 5")]


def test_many_of_a_kind(log: RefusalLog, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(1000):
        log("bad thing", "number %d", n)
    assert log.counts["bad thing"] == 1000
    assert [r.getMessage() for r in caplog.records] == [f"number {n}" for n in range(BURST)]
    caplog.clear()
    clock.now += WINDOW
    log("bad thing", "the next")
    assert [r.getMessage() for r in caplog.records] == [
        f"bad thing: {1000 - BURST} more lines like this in 10 s",
        "the next",
    ]


def test_kinds_have_limits_of_their_own(log: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        log("one", "one")
    log("two", "two")
    assert [r.getMessage() for r in caplog.records] == ["one"] * BURST + ["two"]
    assert log.counts == {"one": 20, "two": 1}


def test_a_quiet_window_leaves_no_summary(
    log: RefusalLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(BURST):
        log("one", "one")
    clock.now += WINDOW
    log("one", "again")
    assert [r.getMessage() for r in caplog.records] == ["one"] * BURST + ["again"]


def test_lines_are_written_elsewhere(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Who refuses holds the engine's lock, and a log handler may do anything."""
    elsewhere: list[Any] = []
    log = RefusalLog(LOGGER, clock, lambda *call: elsewhere.append(call))
    log("bad thing", "session %s", "abc")
    assert caplog.records == []
    ((function, *args),) = elsewhere
    function(*args)
    assert [r.getMessage() for r in caplog.records] == ["session abc"]


def test_a_log_shows_six_characters_of_a_session_id() -> None:
    assert short("abcdefghijklmnopqrst") == "abcdef"
