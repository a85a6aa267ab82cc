"""The backend of plain threads: for Werkzeug, gunicorn (sync, gthread) and any other WSGI server."""

from __future__ import annotations

import os
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
from .process_loop import ProcessLoop

__all__ = ["ThreadsBackend"]


ASSISTANTS = 2


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="flask-realtime-loop", daemon=True).start()


_process_loop = ProcessLoop(_start_thread)


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
