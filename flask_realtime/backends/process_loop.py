"""The one loop of a process, started when first needed, in the process that needs it."""

from __future__ import annotations

import os
from collections.abc import Callable

from .loop import Loop
from .patching import original
from .pollers import make_poller

__all__ = ["ProcessLoop"]


class ProcessLoop:
    """A loop that comes to life when it is asked for.

    :param start: runs a function in a new thread or greenlet.
    :param hub: whose hub that thread has, if it has one (see :func:`.make_poller`).
    """

    def __init__(self, start: Callable[[Callable[[], None]], object], hub: str | None = None) -> None:
        self._start = start
        self._hub = hub
        self._lock = original("_thread", "allocate_lock")()
        #: the loop, if it was started
        self.running: Loop | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A thread does not come along, a greenlet does; in both cases what it owned belongs to the parent.
        self._lock = original("_thread", "allocate_lock")()
        loop, self.running = self.running, None
        if loop is not None:
            loop.abandon()

    def get(self) -> Loop:
        """The loop, running."""
        loop = self.running
        if loop is None:
            with self._lock:
                loop = self.running
                if loop is None:
                    loop = self.running = Loop(make_poller(self._hub))
                    self._start(loop.run)
        return loop
