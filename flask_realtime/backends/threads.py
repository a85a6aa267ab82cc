"""The backend of plain threads: for Werkzeug, gunicorn (sync, gthread) and any other WSGI server."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..server.ports import Event, Joinable, Scheduler
from .base import LoopBackend
from .events import make_event
from .lifecycle import drain_at_exit
from .loop import Loop
from .pool import ThreadPool

__all__ = ["ThreadsBackend"]


ASSISTANTS = 2


class _ProcessLoop:
    """The one loop of the process, started when first needed, in the process that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: Loop | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # The thread did not come with us; what it owned belongs to the parent.
        self._lock = threading.Lock()
        self._loop = None

    def get(self) -> Loop:
        loop = self._loop
        if loop is None:
            with self._lock:
                loop = self._loop
                if loop is None:
                    loop = self._loop = Loop(selectors.DefaultSelector())
                    threading.Thread(target=loop.run, name="flask-realtime-loop", daemon=True).start()
        return loop

    @property
    def running(self) -> Loop | None:
        """The loop, if it was started."""
        return self._loop


_process_loop = _ProcessLoop()


class ThreadsBackend(LoopBackend):
    """Real threads: one loop for all sockets, a bounded pool for handlers (a :class:`.ports.Backend`).

    :param handler_threads: the size of the pool.
    """

    name = "threading"

    def __init__(self, handler_threads: int) -> None:
        super().__init__()
        self._handler_threads = handler_threads
        self._own_pools: tuple[ThreadPool, ThreadPool] | None = None
        self._pools_owner = 0

    def loop(self) -> Loop:
        return _process_loop.get()

    # ports.Backend

    def now(self) -> float:
        loop = _process_loop.running
        return time.monotonic() if loop is None else loop.now()

    def lock(self) -> AbstractContextManager[Any]:
        return threading.RLock()

    def event(self) -> Event:
        return make_event()

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self._pools()[0].submit(function, *args)

    def assist(self, function: Callable[..., None], *args: Any) -> None:
        self._pools()[1].submit(function, *args)

    def lend(self, seconds: float) -> None:
        self._pools()[0].lend(seconds)

    def _pools(self) -> tuple[ThreadPool, ThreadPool]:
        """For handlers, and for our own short work, which must not wait for them."""
        pools = self._own_pools
        if pools is None or self._pools_owner != os.getpid():
            # Pools that were inherited by a fork have lost their threads.
            pools = self._own_pools = ThreadPool(self._handler_threads), ThreadPool(ASSISTANTS)
            self._pools_owner = os.getpid()
        return pools

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def keep(self, scheduler: Scheduler) -> None:
        self.loop().keep(scheduler)
        drain_at_exit(self.loop())

    def reschedule(self) -> None:
        loop = _process_loop.running
        if loop is not None:
            loop.wake()
