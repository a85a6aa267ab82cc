"""Whether a handler may run right where its event was read."""

from __future__ import annotations

from typing import Final

__all__ = ["LONG", "Pace"]

#: A run that takes longer than this may have waited for something.
LONG: Final = 0.001  # seconds
#: how many quick runs make up for everything
TRUST: Final = 100
#: how many of them a long one costs
COST: Final = 30


class Pace:
    """How long the runs of one handler take.

    A handler that only computes a little is best run where its event was read: handing it to another
    thread costs more than itself. One that waits, for a database for instance, belongs into a thread of its
    own, where many can wait at once. A handler is trusted once its first run was quick, until it has been
    seen to take long more than now and then, and again after a hundred quick runs.
    """

    __slots__ = ("_trust", "known_quick", "waits")

    def __init__(self) -> None:
        # Many handlers that wait, each for the first time, would hold up their loop one after the other.
        self.waits: bool = True
        #: another quick run says nothing new
        self.known_quick: bool = False
        self._trust = TRUST - 1

    def record(self, seconds: float) -> None:
        """A run has taken so long."""
        if seconds < LONG:
            if self._trust < TRUST:
                self._trust += 1
                if self._trust == TRUST:
                    self.waits = False
                    self.known_quick = True
        elif self._trust > COST:
            self._trust -= COST
            self.known_quick = False
        else:
            self.held_up()

    def held_up(self) -> None:
        """A run has held up those who had to wait for it."""
        self.waits = True
        self.known_quick = False
        self._trust = 0
