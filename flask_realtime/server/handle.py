"""What stands for an engine where it may be forgotten: there are no weak references to compiled objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["EngineHandle"]


class EngineHandle:
    """It lives as long as its engine (and is the :class:`.ports.Scheduler` of it)."""

    __slots__ = ("__weakref__", "engine")

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine

    def next_deadline(self) -> float | None:
        """See :class:`.ports.Scheduler`."""
        return self.engine.next_deadline()

    def handle_timeouts(self, now: float) -> None:
        """See :class:`.ports.Scheduler`."""
        self.engine.handle_timeouts(now)
