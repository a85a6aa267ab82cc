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

logger: logging.Logger = logging.getLogger("flask_realtime")


class LoopClock:
    """Seconds since some moment, without the time that the loop has lost."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # Until when the loop is known to be alive, and what it has lost: replaced as one, for other
        # threads read it.
        self._state = math.inf, 0.0

    def now(self) -> float:
        """The time; may be called from any thread."""
        alive_until, lost = self._state
        return min(self._monotonic(), alive_until) - lost

    def sleeping(self, timeout: float | None) -> None:
        """The loop goes to sleep, for ``timeout`` seconds at most."""
        self._alive_for(math.inf if timeout is None else timeout)

    def awake(self) -> float:
        """The loop runs, and reads before it asks for deadlines; returns :meth:`now`."""
        return self._alive_for(0.0)

    def _alive_for(self, seconds: float) -> float:
        now = self._monotonic()
        alive_until, lost = self._state
        blocked = max(0.0, now - alive_until)
        self._state = now + seconds + SLACK, lost + blocked
        if blocked > LOG_FROM:
            logger.warning("loop blocked %.1f s; heartbeats are extended by that much", blocked)
        return now - lost - blocked
