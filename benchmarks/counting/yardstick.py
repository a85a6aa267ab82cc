"""Plain Python, which shows how dear this build of the interpreter is.

Two builds of one version differ by a tenth in how many instructions they need, and in much the same way for
all that is written in Python. What is kept is compared after it was scaled by this. Whoever changes it has
to count everything again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from threading import RLock

__all__ = ["run"]

current: ContextVar[object] = ContextVar("current")


class Parcel:
    """Something small that is made for each message."""

    __slots__ = ("_wire", "kind", "payload")

    def __init__(self, kind: int, payload: bytes) -> None:
        self.kind = kind
        self.payload = payload
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """Computed once."""
        if self._wire is None:
            self._wire = bytes((0x80 | self.kind, len(self.payload))) + self.payload
        return self._wire


class Office:
    """What passes parcels on."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._waiting: deque[tuple[Callable[[Parcel], int], Parcel]] = deque()
        self._seen: dict[str, int] = {}
        self._boxes: dict[str, list[Parcel]] = {"a": [], "b": []}

    def receive(self, text: str) -> None:
        """Take a parcel in."""
        name, _, rest = text.partition(":")
        parcel = Parcel(len(name), rest.encode())
        with self._lock:
            self._seen[name] = self._seen.get(name, 0) + 1
            self._waiting.append((partial(self._deliver, "a" if len(rest) % 2 else "b"), parcel))

    def work(self) -> int:
        """Deliver what waits."""
        done = 0
        while self._waiting:
            function, parcel = self._waiting.popleft()
            try:
                done += copy_context().run(function, parcel)
            except KeyError:
                done -= 1
        return done

    def _deliver(self, box: str, parcel: Parcel) -> int:
        token = current.set(parcel)
        try:
            if len(parcel.payload) > 100 or parcel.kind > 100:
                return 0
            self._boxes[box].append(parcel)
            return self._total(box)
        finally:
            current.reset(token)

    def _total(self, box: str) -> int:
        parcels = self._boxes[box]
        wire = b"".join([parcel.wire for parcel in parcels])
        if len(parcels) >= 4:
            parcels.clear()
        return len(wire)


def run(rounds: int) -> int:
    """So many rounds; what they add up to."""
    office = Office()
    total = 0
    for i in range(rounds):
        office.receive("echo:hello, everybody")
        office.receive("ack:and to you!")
        total += office.work() + i
    return total
