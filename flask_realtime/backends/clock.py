"""A clock that stands still while the loop does.

Nobody may be timed out for time in which the loop could not read: a handler
that held the interpreter, a suspended laptop, a paused container. So the
engine's time never runs further than a little slack beyond the last moment at
which the loop was known to be alive; what is beyond that is lost time.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

__all__ = ["LoopClock"]

SLACK = 0.1  # seconds; less than any sensible heartbeat
LOG_FROM = 1.0

logger = logging.getLogger("flask_realtime")


class LoopClock:
    """Seconds since some moment, without the time that the loop has lost."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lost = 0.0
        self._alive_until = math.inf

    def now(self) -> float:
        """The time; may be called from any thread."""
        now = self._monotonic()
        if now > self._alive_until:
            now = self._alive_until
        return now - self._lost

    def sleeping(self, timeout: float | None) -> None:
        """The loop goes to sleep, for ``timeout`` seconds at most."""
        self.awake()  # what it did until now may have taken too long
        self._alive_until = math.inf if timeout is None else self._monotonic() + timeout + SLACK

    def awake(self) -> float:
        """The loop runs, and reads before it asks for deadlines; returns :meth:`now`."""
        now = self._monotonic()
        blocked = now - self._alive_until
        if blocked > 0:
            self._lost += blocked
            if blocked > LOG_FROM:
                logger.warning("loop blocked %.1f s; heartbeats are extended by that much", blocked)
        self._alive_until = now + SLACK
        return now - self._lost
