"""The one loop of a process, started when first needed, in the process that needs it."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from ..server.ports import Runnable, Scheduler
from .base import LoopBackend
from .lifecycle import drain_at_exit
from .loop import Loop
from .patching import original
from .pollers import make_poller
from .supervision import GreenSupervisor, Supervisor, ThreadSupervisor

__all__ = ["ProcessLoop", "ProcessLoopBackend"]


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

    def _supervise(self, loop: Loop) -> Supervisor:
        return ThreadSupervisor(loop) if self._hub is None else GreenSupervisor(loop, self._hub)

    def get(self) -> Loop:
        """The loop, running."""
        loop = self.running
        if loop is None:
            with self._lock:
                loop = self.running
                if loop is None:
                    loop = self.running = Loop(make_poller(self._hub), supervise=self._supervise)
                    self._start(loop.run)
        return loop


class ProcessLoopBackend(LoopBackend):
    """A backend with one loop for the process.

    :param process_loop: which may serve several backends.
    """

    def __init__(self, process_loop: ProcessLoop) -> None:
        super().__init__()
        self._process_loop = process_loop

    def loop(self) -> Loop:
        """See :class:`.LoopBackend`."""
        return self._process_loop.get()

    def submit_here(self, runnable: Runnable, turn: int) -> None:
        """See :class:`.ports.Backend`."""
        loop = self._process_loop.running
        if loop is None or not loop.take((runnable, turn)):
            self.submit(runnable.run, turn)

    @abstractmethod
    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """See :class:`.ports.Backend`."""

    def now(self) -> float:
        """See :class:`.ports.Backend`."""
        loop = self._process_loop.running
        return time.monotonic() if loop is None else loop.now()

    def keep(self, scheduler: Scheduler) -> None:
        """See :class:`.ports.Backend`."""
        self.loop().keep(scheduler)
        drain_at_exit(self.loop())

    def reschedule(self) -> None:
        """See :class:`.ports.Backend`."""
        loop = self._process_loop.running
        if loop is not None:
            loop.wake()
