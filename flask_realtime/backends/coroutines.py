"""``async def`` handlers: where they run, and how threads wait for them.

On ASGI that is the web server's event loop. Everywhere else the process has one
event loop for them, in a thread of its own (a real one, also where threads are
patched: an event loop can't share its thread with another).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from .events import check_may_wait, make_any_event
from .patching import original, patched_by

if TYPE_CHECKING:
    from ..server.ports import AsyncEvent

__all__ = ["Coroutines", "LoopEvent", "complete", "own_loop", "stop_own_loop", "submit"]

logger: logging.Logger = logging.getLogger("flask_realtime")

STOP_TIMEOUT = 1.0  # seconds

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]

# An event loop keeps only weak references to its tasks.
_tasks: set[asyncio.Task[Any]] = set()


def submit(loop: asyncio.AbstractEventLoop, function: AsyncFunction, args: tuple[Any, ...]) -> None:
    """Run a coroutine function soon, in a context of its own; from any thread."""

    def start() -> None:
        task = loop.create_task(function(*args))
        _tasks.add(task)
        task.add_done_callback(_finished)

    if asyncio._get_running_loop() is loop:
        loop.call_soon(start, context=Context())
    else:
        loop.call_soon_threadsafe(start, context=Context())


def _finished(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and task.exception() is not None:
        logger.error("error in a coroutine", exc_info=task.exception())


def complete(loop: asyncio.AbstractEventLoop, function: AsyncFunction, args: tuple[Any, ...]) -> Any:
    """Run a coroutine function with the context variables of this thread, and wait for its result.

    :raises RuntimeError: this is that loop's own thread.
    """
    if asyncio._get_running_loop() is loop:
        check_may_wait()
    done = make_any_event()
    tasks: list[asyncio.Task[Any]] = []

    def start() -> None:
        tasks.append(loop.create_task(function(*args)))
        tasks[0].add_done_callback(lambda _: done.set())

    loop.call_soon_threadsafe(start)  # in a copy of our context, and so does the task
    done.wait()
    return tasks[0].result()


class LoopEvent:
    """An event that a coroutine waits for and any thread sets (an :class:`.ports.AsyncEvent`)."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        """See :class:`.ports.AsyncEvent`."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout: float | None = None) -> bool:
        """See :class:`.ports.AsyncEvent`."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        return True


class _RealThreads(ThreadPoolExecutor):
    """For ``asyncio.to_thread`` in a patched process, where the standard pool's threads would be greenlets.

    They would belong to the hub of the event loop's thread, and the process would wait for them at
    its exit when that hub runs no more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = original("_thread", "allocate_lock")()
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._busy = 0

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See :class:`concurrent.futures.Executor`."""
        future: Future[Any] = Future()
        with self._lock:
            self._calls.append((future, partial(function, *args, **kwargs)))
            needed = self._busy < self._max_workers
            self._busy += needed
        if needed:
            original("_thread", "start_new_thread")(self._work, ())
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._busy -= 1
                    return
                future, call = self._calls.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 (it is raised where the result is awaited)
                    future.set_exception(error)


class _OwnLoop:
    """The event loop of a process whose web server has none; started when first needed."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A forked child has the loop's memory, but not its thread.
        self._lock = original("_thread", "allocate_lock")()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._ended = False

    def get(self) -> asyncio.AbstractEventLoop:
        if self.loop is None:
            with self._lock:
                if self.loop is None:
                    made = original("_thread", "allocate_lock")()
                    made.acquire()
                    original("_thread", "start_new_thread")(self._run, (made.release,))
                    made.acquire()
        assert self.loop is not None
        return self.loop

    def _run(self, made: Callable[[], None]) -> None:
        # Made here: in a patched process its selector belongs to this thread, which gets a hub of its own.
        self.loop = loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        if patched_by() is not None:
            loop.set_default_executor(_RealThreads())
        made()
        try:
            # What a task has raised may be meant for a program; but the loop is everybody's.
            while self._was_interrupted(loop):
                pass
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
            self._ended = True

    @staticmethod
    def _was_interrupted(loop: asyncio.AbstractEventLoop) -> bool:
        """Run the loop until it is stopped; True where a task has ended it before, by ``SystemExit`` say."""
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            logger.exception("error in a coroutine")
            return True
        return False

    def stop(self) -> None:
        loop, self.loop = self.loop, None
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        deadline = time.monotonic() + STOP_TIMEOUT
        while not self._ended and time.monotonic() < deadline:
            time.sleep(0.005)
        self._ended = False


_own_loop = _OwnLoop()


def own_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process."""
    return _own_loop.get()


def stop_own_loop() -> None:
    """At the end of the process: cancel what still runs in its event loop."""
    _own_loop.stop()


# As early as this, so that it is done last: the drain, which is registered later, still needs the loop.
atexit.register(stop_own_loop)


class Coroutines:
    """The part of a :class:`.ports.Backend` that is for coroutines."""

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """Where ``async def`` handlers run."""
        return own_loop()

    def submit_async(self, function: AsyncFunction, *args: Any) -> None:
        """See :class:`.ports.Backend`."""
        submit(self.event_loop(), function, args)

    def complete(self, function: AsyncFunction, *args: Any) -> Any:
        """See :class:`.ports.Backend`."""
        return complete(self.event_loop(), function, args)

    def async_event(self) -> AsyncEvent:
        """See :class:`.ports.Backend`."""
        return LoopEvent()
