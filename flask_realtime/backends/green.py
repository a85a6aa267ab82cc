"""The backend of a process that gevent or eventlet has patched: greenlets instead of threads.

The loop is a greenlet that waits through the hub, and a handler is a greenlet
too. They take turns where one waits, never in the middle of the engine's work:
nothing that is done with its lock held can switch. So the lock may be a real
one, and real threads (of the hub's thread pool, or the event loop's of
``async def`` handlers) may call in as well.
"""

from __future__ import annotations

import _thread
import importlib
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ..server.ports import Event, Joinable, Lock
from .events import check_may_wait, make_event
from .patching import original
from .process_loop import ProcessLoop, ProcessLoopBackend

__all__ = ["GreenBackend"]

JOIN_STEP = 0.01  # seconds

logger: logging.Logger = logging.getLogger("flask_realtime")

Function = Callable[..., object]


class GreenPool:
    """Runs functions in at most ``size`` greenlets at once, in the order of their submission.

    :param spawn: starts a greenlet, soon.
    """

    def __init__(self, spawn: Callable[[Callable[[], None]], object], size: int) -> None:
        self._spawn = spawn
        self._size = size
        self._tasks: deque[tuple[Function, tuple[Any, ...]]] = deque()
        self._greenlets = 0

    def submit(self, function: Function, *args: Any) -> None:
        """Run it soon. It should not raise; if it does, that is logged."""
        self._tasks.append((function, args))
        # Whether a greenlet that works will wait, nobody knows: so there is one for each
        # function, and those that find the work done by others just end.
        if self._greenlets < self._size:
            self._greenlets += 1
            self._spawn(self._work)

    def _work(self) -> None:
        while self._tasks:
            function, args = self._tasks.popleft()
            try:
                function(*args)
            except BaseException:  # SystemExit too; it was one handler's
                logger.exception("error in a handler's greenlet")
        self._greenlets -= 1


class _Task:
    """A background greenlet, joined from any thread (a :class:`.ports.Joinable`)."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._sleep = sleep
        self._done = False

    def run(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            function(*args, **kwargs)
        except SystemExit:
            pass  # as in a thread, it ends the task, and nobody hears of it
        except BaseException:
            logger.exception("error in a background task")
        finally:
            self._done = True

    def is_alive(self) -> bool:
        """Whether it has not returned yet."""
        return not self._done

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has returned."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._done and (deadline is None or time.monotonic() < deadline):
            self._sleep(JOIN_STEP)


class GreenBackend(ProcessLoopBackend):
    """Greenlets (a :class:`.ports.Backend`).

    :param library: ``"gevent"`` or ``"eventlet"``, which has patched the process.
    :param handler_greenlets: how many handlers may run at once.
    """

    def __init__(self, library: str, handler_greenlets: int) -> None:
        super().__init__(_process_loop(library))
        self.name = library
        module = importlib.import_module(library)
        self._green_sleep = module.sleep
        self._spawn = module.spawn_raw if library == "gevent" else module.spawn_n
        self._pool = GreenPool(self._spawn, handler_greenlets)
        self._thread_ident: Callable[[], int] = original("_thread", "get_ident")
        self._thread = self._thread_ident()

    # ports.Backend

    def lock(self) -> Lock:
        return _thread.RLock()

    def event(self) -> Event:
        return make_event()

    def _start(self, function: Function, *args: Any) -> None:
        """Run it in a greenlet, which belongs to the thread that makes it."""
        loop = self._process_loop.running
        if self._thread_ident() == self._thread:
            self._spawn(function, *args)
        elif loop is not None:
            loop.call_soon(partial(self._spawn, function, *args))
        else:
            # Nobody has connected yet, and only our own thread could start the loop: so a real thread it is.
            original("_thread", "start_new_thread")(function, args)

    def submit(self, function: Function, *args: Any) -> None:
        if self._thread_ident() == self._thread:
            self._pool.submit(function, *args)
        else:
            self._start(self._pool.submit, function, *args)

    def assist(self, function: Function, *args: Any) -> None:
        self._start(_logged, function, args)

    def lend(self, seconds: float) -> None:
        self.sleep(seconds)

    def spawn(self, function: Function, *args: Any, **kwargs: Any) -> Joinable:
        task = _Task(self.sleep)
        self._start(task.run, function, args, kwargs)
        return task

    def sleep(self, seconds: float) -> None:
        check_may_wait()
        if self._thread_ident() == self._thread:
            self._green_sleep(seconds)
        else:
            original("time", "sleep")(seconds)


def _logged(function: Function, args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    except Exception:
        logger.exception("error in a greenlet")


_process_loops: dict[str, ProcessLoop] = {}


def _process_loop(library: str) -> ProcessLoop:
    if library not in _process_loops:
        module = importlib.import_module(library)
        _process_loops[library] = ProcessLoop(module.spawn, library)
    return _process_loops[library]
