"""The end of a process, as its clients see it: they are told, and nothing that was accepted is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .engine import Engine

__all__ = ["drain"]

#: the part of the time that running handlers may take; the rest is for flushing
FOR_HANDLERS = 0.7
#: how long to wait for clients that poll: each has to come back to be told
ABSENCE = 1.0  # seconds
STEP = 0.01


def drain(engines: Sequence[Engine], serving: bool) -> None:
    """Refuse new sessions, let handlers finish, flush and close all sessions, run the disconnect handlers.

    Ends after the longest ``drain_timeout`` of the engines at the latest.

    :param serving: HTTP requests are still answered, so a client between two
        polls can come back for its last packets.
    """
    for engine in engines:
        engine.draining = True
    busy = [engine for engine in engines if engine.guests() or engine.work_pending]
    if not busy:
        return
    timeout = max(engine.config.drain_timeout for engine in busy)
    start = busy[0].now()
    # Look and close in one step: a handler that begins between the two would answer to nobody.
    _wait(busy, lambda: _all_closed(busy), start + FOR_HANDLERS * timeout)
    for engine in busy:
        engine.close_all()
    come_back_by = busy[0].now() + (ABSENCE if serving else 0.0)
    _wait(busy, lambda: not any(engine.polling_guests() for engine in busy), come_back_by)
    _wait(busy, lambda: _all_gone(busy), start + timeout)
    leftover = sum(len(engine.guests()) for engine in busy)
    if leftover:
        busy[0].logger.warning("%d sessions were cut off after the drain's %g s", leftover, timeout)


def _all_closed(engines: Sequence[Engine]) -> bool:
    closed = [engine.close_when_idle() for engine in engines]
    return all(closed)


def _all_gone(engines: Sequence[Engine]) -> bool:
    for engine in engines:
        engine.end_absent()  # some have just been written to
    return not any(engine.guests() or engine.work_pending for engine in engines)


def _wait(engines: Sequence[Engine], done: Callable[[], bool], deadline: float) -> None:
    while not done() and engines[0].now() < deadline:
        for engine in engines:
            engine.backend.lend(STEP)
