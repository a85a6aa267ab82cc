"""The schedulers that a loop keeps: whose deadline is next, and who is to be told of the time."""

from __future__ import annotations

import logging
import weakref

from ..server.ports import Scheduler

__all__ = ["Schedulers"]

logger: logging.Logger = logging.getLogger("flask_realtime")


class Schedulers:
    """A :class:`.ports.Scheduler` of schedulers. All methods are for the loop's thread."""

    def __init__(self) -> None:
        # Weak: an engine lives as long as its app or its clients do.
        self._schedulers: list[weakref.ref[Scheduler]] = []

    def __len__(self) -> int:
        return len(self._schedulers)

    def add(self, scheduler: Scheduler) -> None:
        """Handle the deadlines of ``scheduler``."""
        self._schedulers.append(weakref.ref(scheduler))

    def next_deadline(self) -> float | None:
        """The earliest of all."""
        first = None
        for reference in self._schedulers.copy():
            scheduler = reference()
            if scheduler is None:
                self._schedulers.remove(reference)
                continue
            deadline = scheduler.next_deadline()
            if deadline is not None and (first is None or deadline < first):
                first = deadline
        return first

    def handle_timeouts(self, now: float) -> None:
        """Tell all of them the time."""
        for reference in self._schedulers:
            scheduler = reference()
            if scheduler is not None:
                try:
                    scheduler.handle_timeouts(now)
                except Exception:
                    # A fault of ours with one client must not end the time for all others.
                    logger.exception("error in the loop")
