"""The backend of plain threads: for Werkzeug, gunicorn (sync, gthread) and any other WSGI server."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .pool import ThreadPools
from .process_loop import ProcessLoop, ProcessLoopBackend
from .switching import switch_sooner

__all__ = ["ThreadsBackend"]


def _start_thread(run: Callable[[], None]) -> None:
    switch_sooner()
    threading.Thread(target=run, name="flask-realtime-loop", daemon=True).start()


_process_loop = ProcessLoop(_start_thread)


class ThreadsBackend(ThreadPools, ProcessLoopBackend):
    """Real threads: one loop for all sockets, a bounded pool for handlers (a :class:`.ports.Backend`).

    :param handler_threads: the size of the pool.
    """

    name = "threading"

    def __init__(self, handler_threads: int) -> None:
        ThreadPools.__init__(self, handler_threads)
        ProcessLoopBackend.__init__(self, _process_loop)
