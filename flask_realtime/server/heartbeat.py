"""One heap of deadlines for everything that waits: no timer or task per client.

An entry is not removed when its owner's deadline moves back: when it comes up, its
owner is asked, and answers with the later time. Entries that say nothing any more,
for their owners have gone or have an earlier one, are removed all at once, when
they are more than half of the heap.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final, Protocol

__all__ = ["DeadlineHeap", "DeadlineOwner"]

#: outdated entries that are not worth looking for
FEW: Final = 100


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
        self._outdated = 0

    def schedule(self, owner: DeadlineOwner, when: float | None) -> bool:
        """Ask ``owner`` at ``when``; True where that is now the earliest of all."""
        if when is None or (owner.scheduled_at is not None and owner.scheduled_at <= when):
            return False
        earlier_than_before = owner.scheduled_at is not None
        owner.scheduled_at = when
        if earlier_than_before:
            self._outdate()
        heappush(self._heap, (when, next(self._order), owner))
        return self._heap[0][2] is owner

    def forget(self, owner: DeadlineOwner) -> None:
        """``owner`` is not asked any more; soon nothing here keeps it alive."""
        if owner.scheduled_at is not None:
            owner.scheduled_at = None
            self._outdate()

    def _outdate(self) -> None:
        self._outdated += 1
        # Looking at all of them is paid for by those that have become outdated since the last time.
        if self._outdated > max(FEW, len(self._heap) // 2):
            heap = [entry for entry in self._heap if entry[2].scheduled_at == entry[0]]
            heapify(heap)
            self._heap = heap  # not in place: see next_deadline()
            self._outdated = 0

    def next_deadline(self) -> float | None:
        """The time of the earliest entry. The loop asks without the lock."""
        heap = self._heap
        return heap[0][0] if heap else None

    def handle_timeouts(self, now: float) -> None:
        """Ask every owner that is due."""
        heap = self._heap
        due = []
        while heap and heap[0][0] <= now:
            when, _, owner = heappop(heap)
            if owner.scheduled_at == when:
                owner.scheduled_at = None
                due.append(owner)
            else:
                self._outdated -= 1
        # Each once: an owner that is due again at once can't keep us here.
        fault: Exception | None = None
        for owner in due:
            try:
                self.schedule(owner, owner.handle_timeout(now))
            except Exception as error:  # noqa: BLE001 (it is raised below: the others come first)
                fault = error
        if fault is not None:
            raise fault
