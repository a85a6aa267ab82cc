"""Coroutines that are mostly over at their first step, without a task for each.

A task costs more than most of what is to be done for a client: to start a
handler that only emits, or to hand a message to a server whose buffers have
room. So what comes together is done in one task, one after the other. If one
has to wait, that task is its own from then on, and another goes on with the
rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType
from types import coroutine as awaitable
from typing import Any, Protocol, TypeVar

__all__ = ["TaskRunner", "Writer", "begin", "rest_of"]

logger: logging.Logger = logging.getLogger("flask_realtime")

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]
T = TypeVar("T")


@awaitable
def rest_of(begun: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """The rest of a coroutine that was begun by hand, with ``begun.send(None)``, and its result.

    :param waits_for: what that gave.
    """
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 (the coroutine has to deal with it)
            try:
                waits_for = begun.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
        else:
            # An event loop sends nothing but None.
            result = yield from begun
            return result


def begin(work: Awaitable[T]) -> tuple[T | None, Awaitable[T] | None]:
    """Take the first step of some work: its result, or what to await for the result."""
    if type(work) is not CoroutineType:
        return None, work
    try:
        waits_for = work.send(None)
    except StopIteration as stop:
        return stop.value, None
    return None, rest_of(work, waits_for)


@awaitable
def _rest_within(
    context: Context, begun: Coroutine[Any, Any, Any], waits_for: Any
) -> Generator[Any, None, None]:
    """The same, with a context of its own."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 (the coroutine has to deal with it)
                waits_for = context.run(begun.throw, error)
            else:
                waits_for = context.run(begun.send, None)
    except StopIteration:
        pass


async def _nothing() -> None:
    """In the place of a rest."""


class Writer(Protocol):
    """Who has something to write."""

    def flush(self) -> Awaitable[None] | None:
        """Write it; what has to wait is given back, to be awaited."""
        ...


class TaskRunner:
    """Runs handlers in an event loop, and then whoever has something to write because of them.

    Any thread may submit. A handler has the task to itself from the moment when it first waits; before, it is
    shared with others. Each has its own context.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handlers: deque[tuple[AsyncFunction, tuple[Any, ...]]] = deque()
        self._writers: deque[Writer] = deque()
        # A task is at work, or about to be.
        self._active = False
        # The task that is about to be; and all of them, for an event loop keeps only weak references.
        self._next: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, function: AsyncFunction, *args: Any) -> None:
        """Run a handler soon."""
        self._handlers.append((function, args))
        if not self._active:
            self._activate()

    def submit_writer(self, writer: Writer) -> None:
        """Have it write soon, after the handlers."""
        self._writers.append(writer)
        if not self._active:
            self._activate()

    def _activate(self) -> None:
        # Two threads may come here at once. Then the second task finds nothing to do.
        self._active = True
        if asyncio._get_running_loop() is self._loop:
            self._start()
        else:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody is left there
                self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        # Not by the loop's task factory, which may start tasks at once: in here, with the engine's lock held.
        self._next = task = asyncio.Task(self._run(), loop=self._loop)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task is self._next:
            self._go_on()  # somebody has cancelled it before it began

    async def _run(self) -> None:
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._next = None
        try:
            waiting = None
            try:
                waiting = self._begin_handlers(task) or self._flush_writers()
            finally:
                self._go_on()
            if waiting is not None:
                await waiting
        except Exception:
            logger.exception("error in a coroutine")

    # What is submitted meanwhile is for the next task, so that the loop can read in between.

    def _begin_handlers(self, task: asyncio.Task[None]) -> Awaitable[None] | None:
        """Begin those that have been submitted, up to the first that waits, or the end of ``task``."""
        for _ in range(len(self._handlers)):
            function, args = self._handlers.popleft()
            context, begun = Context(), function(*args)
            try:
                waits_for = context.run(begun.send, None)
            except StopIteration:
                pass
            except Exception:
                logger.exception("error in a coroutine")
            except asyncio.CancelledError:
                return _nothing()
            else:
                return _rest_within(context, begun, waits_for)
            if getattr(task, "_must_cancel", False):
                return _nothing()  # it has cancelled the task, which is to hit nobody else
        return None

    def _flush_writers(self) -> Awaitable[None] | None:
        for _ in range(len(self._writers)):
            try:
                waiting = self._writers.popleft().flush()
            except Exception:
                logger.exception("error while writing")
            else:
                if waiting is not None:
                    return waiting
        return None

    def _go_on(self) -> None:
        """Have another task do what is left."""
        # In this order: who submits looks at the flag afterwards.
        self._active = False
        if self._handlers or self._writers:
            self._active = True
            self._start()
