"""Whether the broker is there: one log line when it is lost, one when it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["Backoff", "Outage"]

FIRST_WAIT = 0.1  # seconds
LONGEST_WAIT = 5.0
#: after it has worked for so long, a failure is the first one again
STABLE = 10.0
STEP = 0.1


class Backoff:
    """Waits longer after each failure.

    :param stopped: whether to wait no longer.
    """

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._next = FIRST_WAIT
        self._works_since: float | None = None

    def succeeded(self) -> None:
        """It works."""
        if self._works_since is None:
            self._works_since = time.monotonic()

    def wait(self) -> None:
        """It has failed. What fails again soon after it has worked is not tried at once."""
        if self._works_since is not None and time.monotonic() >= self._works_since + STABLE:
            self._next = FIRST_WAIT
        self._works_since = None
        until = time.monotonic() + self._next
        self._next = min(self._next * 2, LONGEST_WAIT)
        while not self._stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(STEP, left))


class Outage:
    """What the tasks of a link have seen of the broker.

    :param name: of the channel, as logs show it.
    :param lock: guards it; the tasks are in threads of their own.
    """

    def __init__(self, name: str, logger: logging.Logger, lock: AbstractContextManager[object]) -> None:
        self._name = name
        self._logger = logger
        self._lock = lock
        self._works: dict[str, bool] = {}
        self._lost_at = 0.0

    @property
    def connected(self) -> bool:
        """Everything that was tried works, and something was."""
        works = self._works.copy()
        return bool(works) and all(works.values())

    @property
    def lost(self) -> bool:
        """Something that was tried does not work."""
        return not all(self._works.copy().values())

    def failed(self, task: str, error: BaseException) -> None:
        """A task could not go on."""
        with self._lock:
            first = not self.lost
            self._works[task] = False
            if first:
                self._lost_at = time.monotonic()
        if first:
            self._logger.warning(
                "message queue %s: no connection (%s); trying again", self._name, _reason(error)
            )

    def succeeded(self, task: str) -> None:
        """A task gets through."""
        if self._works.get(task):
            return
        with self._lock:
            was_lost = self.lost
            self._works[task] = True
            back = was_lost and not self.lost
        if back:
            self._logger.warning(
                "message queue %s: connected again after %.1f s",
                self._name,
                time.monotonic() - self._lost_at,
            )


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
