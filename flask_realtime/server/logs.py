"""Log lines that a hostile client can't turn into a flood, and their counters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

__all__ = ["RefusalLog", "short"]

WINDOW = 10.0  # seconds
BURST = 5  # lines of one kind in a window


def short(sid: str) -> str:
    """As much of a session id as a log may show."""
    return sid[:6]


class RefusalLog:
    """Logs what clients did wrong: one line and one count each, rate-limited per kind.

    Refusals happen with the engine's lock held, and a log handler may do
    anything (emit the line to a browser, say, which takes that lock): so the
    lines are written elsewhere, soon.

    :param now: the time in seconds, as the engine's.
    :param submit: runs a function elsewhere, as :meth:`.Backend.assist`.
    """

    def __init__(self, logger: logging.Logger, now: Callable[[], float], submit: Callable[..., None]) -> None:
        self.logger = logger
        self._now = now
        self._submit = submit
        #: how often each kind has happened, whether or not it was logged
        self.counts: Counter[str] = Counter()
        self._windows: dict[str, tuple[float, int]] = {}

    def move(self, now: Callable[[], float], submit: Callable[..., None]) -> None:
        """Take the time from elsewhere, and write elsewhere."""
        self._now = now
        self._submit = submit
        self._windows.clear()

    def __call__(self, kind: str, message: str, *args: object, level: int = logging.WARNING) -> None:
        """Count one ``kind``; log ``message % args`` unless there were many of late."""
        self.counts[kind] += 1
        now = self._now()
        since, lines = self._windows.get(kind, (now, 0))
        if now - since >= WINDOW:
            if lines > BURST:
                self._submit(
                    self.logger.log,
                    level,
                    "%s: %d more lines like this in %.0f s",
                    kind,
                    lines - BURST,
                    WINDOW,
                )
            since, lines = now, 0
        self._windows[kind] = since, lines + 1
        if lines < BURST:
            self._submit(self.logger.log, level, message, *args)
