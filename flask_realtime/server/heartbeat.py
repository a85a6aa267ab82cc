"""One heap of deadlines for everything that waits: no timer or task per client.

An entry is never removed early. When it comes up, its owner is asked, and says
when it next wants to be asked; an owner whose deadline has moved back simply
answers with the later time.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Protocol

__all__ = ["DeadlineHeap", "DeadlineOwner"]


class DeadlineOwner(Protocol):
    """Something with a deadline."""

    #: the time of its earliest entry in the heap, None where it has none
    scheduled_at: float | None

    def handle_timeout(self, now: float) -> float | None:
        """Do what is due; the next deadline, or None for no more."""
        ...


class DeadlineHeap:
    """Deadlines of owners, earliest first. Not thread-safe: guarded by the engine's lock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, DeadlineOwner]] = []
        self._order = count()

    def schedule(self, owner: DeadlineOwner, when: float | None) -> bool:
        """Ask ``owner`` at ``when``; True where that is now the earliest of all."""
        if when is None or (owner.scheduled_at is not None and owner.scheduled_at <= when):
            return False
        owner.scheduled_at = when
        heappush(self._heap, (when, next(self._order), owner))
        return self._heap[0][2] is owner

    def next_deadline(self) -> float | None:
        """The time of the earliest entry."""
        return self._heap[0][0] if self._heap else None

    def handle_timeouts(self, now: float) -> None:
        """Ask every owner that is due."""
        heap = self._heap
        due = []
        while heap and heap[0][0] <= now:
            when, _, owner = heappop(heap)
            if owner.scheduled_at == when:  # else an earlier entry has taken its place
                owner.scheduled_at = None
                due.append(owner)
        # Each once: an owner that is due again at once can't keep us here.
        fault: Exception | None = None
        for owner in due:
            try:
                self.schedule(owner, owner.handle_timeout(now))
            except Exception as error:  # noqa: BLE001 (it is raised below: the others come first)
                fault = error
        if fault is not None:
            raise fault
