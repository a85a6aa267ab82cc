"""How python-socketio's arguments say what an event carries, and who gets it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..types import Room, Sid, Target

__all__ = ["Rooms", "Skipped", "several", "target_of", "values_of"]

Rooms = Room | Iterable[Room] | None
Skipped = Sid | Iterable[Sid] | None


def several(value: Any) -> tuple[Any, ...]:
    """One room (or sid) or several, as a tuple."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def target_of(to: Rooms, skip_sid: Skipped) -> Target:
    """Who an emit goes to; without ``to``, everybody."""
    return Target(None if to is None else several(to), frozenset(several(skip_sid)))


def values_of(data: Any) -> list[Any]:
    """The arguments of an event: a tuple stands for several, None for none."""
    if data is None:
        return []
    return list(data) if isinstance(data, tuple) else [data]
