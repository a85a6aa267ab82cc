"""A real engine at a time that a test sets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask_realtime.config import ServerConfig
from flask_realtime.server.engine import Engine
from flask_realtime.server.ports import Lock

__all__ = ["StillBackend", "make_engine"]


class StillBackend:
    """What an engine needs to be made; nothing happens by itself, and time stands still.

    :param lock: the engine's.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self.time = 0.0
        #: how often a deadline has become the first of all
        self.rescheduled = 0

    def lock(self) -> Lock:
        return self._lock

    def now(self) -> float:
        return self.time

    stopwatch = now

    def assist(self, function: Callable[..., None], *args: Any) -> None: ...

    def keep(self, scheduler: object) -> None: ...

    def reschedule(self) -> None:
        self.rescheduled += 1


def make_engine(backend: StillBackend, **options: Any) -> Engine:
    """The engine of a server with these options, and without an application."""
    application: Any = None
    return Engine(ServerConfig(**options), backend, application, logging.getLogger("test"))  # type: ignore[arg-type]
