"""What the generator can do: each program is a dataclass of settings with a ``run`` method."""

from __future__ import annotations

from typing import Protocol

from ..loop import Loop
from ..target import Report, Target
from .connections import Connects, Memory
from .growth import Growth
from .messages import Echo, Groups, Polling
from .slow import Slow

__all__ = ["PROGRAMS", "Connects", "Echo", "Groups", "Growth", "Memory", "Polling", "Program", "Slow"]


class Program(Protocol):
    """A dataclass, so that its settings can be passed as JSON."""

    def run(self, loop: Loop, target: Target) -> Report: ...


PROGRAMS: dict[str, type[Connects | Echo | Groups | Growth | Memory | Polling | Slow]] = {
    program.__name__: program for program in (Connects, Echo, Groups, Growth, Memory, Polling, Slow)
}
