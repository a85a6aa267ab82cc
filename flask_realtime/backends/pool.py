"""A bounded pool of reused threads, for handlers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["ThreadPool"]

IDLE = 30.0  # seconds after which a thread without work ends

logger = logging.getLogger("flask_realtime")


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

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run it soon. It should not raise; if it does, that is logged."""
        with self._lock:
            self._waiting += 1
            needed = self._waiting > self._idle and self._threads < self._size
            if needed:
                self._threads += 1
        self._queue.put((function, args))
        if needed:
            threading.Thread(target=self._work, name="flask-realtime-handler", daemon=True).start()

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
            try:
                function(*args)
            except BaseException:  # SystemExit too: one handler must not take a thread from the others
                logger.exception("error in a handler's thread")
            # What a function leaves in these names would live until the next one comes.
            del function, args

    def _retire(self) -> bool:
        with self._lock:
            self._idle -= 1
            if self._waiting > self._idle:
                return False  # something came at the last moment
            self._threads -= 1
            return True
