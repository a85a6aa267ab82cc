"""Bounded pools of reused threads, for handlers and for our own short work."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from ..server.ports import Event, Joinable, Lock
from .events import check_may_wait, make_event

__all__ = ["ThreadPool", "ThreadPools"]

IDLE = 30.0  # seconds after which a thread without work ends
ASSISTANTS = 2

logger: logging.Logger = logging.getLogger("flask_realtime")


class ThreadPool:
    """Runs functions in at most ``size`` threads, started when needed.

    The threads are daemons: a handler that never returns must not keep the
    process alive (the drain has waited for it long enough).
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: queue.SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # functions that no thread has begun
        self._idle = 0  # threads without one
        self._threads = 0
        self._short_of_threads = False

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run it soon. It should not raise; if it does, that is logged."""
        with self._lock:
            self._waiting += 1
            needed = self._waiting > self._idle and self._threads < self._size
            if needed:
                self._threads += 1
        self._queue.put((function, args))
        if needed:
            self._start_thread()

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name="flask-realtime-handler", daemon=True).start()
        except RuntimeError:
            # Python 3.12 starts none while it exits; the drain lends its own thread instead.
            with self._lock:
                self._threads -= 1
                self._short_of_threads = True

    def lend(self, seconds: float) -> None:
        """Wait for so long; with this thread, run what has come and no new thread could be started for."""
        if not self._short_of_threads:
            time.sleep(seconds)
            return
        try:
            function, args = self._queue.get(timeout=seconds)
        except queue.Empty:
            return
        with self._lock:
            self._waiting -= 1
        self._run(function, args)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                function, args = self._queue.get(timeout=IDLE)
            except queue.Empty:
                if self._retire():
                    return
                continue
            with self._lock:
                self._idle -= 1
                self._waiting -= 1
            self._run(function, args)
            # What a function leaves in these names would live until the next one comes.
            del function, args

    @staticmethod
    def _run(function: Callable[..., None], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException:  # SystemExit too: one handler must not take a thread from the others
            logger.exception("error in a handler's thread")

    def _retire(self) -> bool:
        with self._lock:
            self._idle -= 1
            if self._waiting > self._idle:
                return False  # something came at the last moment
            self._threads -= 1
            return True


class ThreadPools:
    """The part of a :class:`.ports.Backend` that is the same wherever handlers run in real threads.

    :param handler_threads: the size of the handlers' pool.
    """

    def __init__(self, handler_threads: int) -> None:
        self._handler_threads = handler_threads
        self._own_pools: tuple[ThreadPool, ThreadPool] | None = None
        self._pools_owner = 0

    def lock(self) -> Lock:
        """See :class:`.ports.Backend`."""
        return threading.RLock()

    def event(self) -> Event:
        """See :class:`.ports.Backend`."""
        return make_event()

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """See :class:`.ports.Backend`."""
        self._pools()[0].submit(function, *args)

    def assist(self, function: Callable[..., None], *args: Any) -> None:
        """See :class:`.ports.Backend`."""
        self._pools()[1].submit(function, *args)

    def lend(self, seconds: float) -> None:
        """See :class:`.ports.Backend`."""
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
        """See :class:`.ports.Backend`."""
        thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float) -> None:
        """See :class:`.ports.Backend`."""
        check_may_wait()
        time.sleep(seconds)
