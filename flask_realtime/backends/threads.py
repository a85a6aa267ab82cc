"""The backend of plain threads: for Werkzeug, gunicorn (sync, gthread) and any other WSGI server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..server.ports import Scheduler
from .base import LoopBackend
from .lifecycle import drain_at_exit
from .loop import Loop
from .pool import ThreadPools
from .process_loop import ProcessLoop

__all__ = ["ThreadsBackend"]


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="flask-realtime-loop", daemon=True).start()


_process_loop = ProcessLoop(_start_thread)


class ThreadsBackend(ThreadPools, LoopBackend):
    """Real threads: one loop for all sockets, a bounded pool for handlers (a :class:`.ports.Backend`).

    :param handler_threads: the size of the pool.
    """

    name = "threading"

    def __init__(self, handler_threads: int) -> None:
        ThreadPools.__init__(self, handler_threads)
        LoopBackend.__init__(self)

    def loop(self) -> Loop:
        return _process_loop.get()

    # ports.Backend

    def now(self) -> float:
        loop = _process_loop.running
        return time.monotonic() if loop is None else loop.now()

    def keep(self, scheduler: Scheduler) -> None:
        self.loop().keep(scheduler)
        drain_at_exit(self.loop())

    def reschedule(self) -> None:
        loop = _process_loop.running
        if loop is not None:
            loop.wake()
