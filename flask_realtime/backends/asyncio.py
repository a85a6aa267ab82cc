"""The backend of ASGI servers: their event loop keeps the time and carries the connections.

Handlers that are plain functions run in threads, as everywhere; coroutine
functions run in the server's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from ..server.asgi_types import Receive, Send
from ..server.engine import Engine
from ..server.ports import Runnable, Scheduler
from .asgi_websocket import ASGITransport
from .coroutines import AsyncFunction, Coroutines
from .daphne_server import daphne_sender
from .held_poll import HeldPoll
from .pool import ThreadPools
from .quick_runner import QuickRunner
from .schedulers import Schedulers
from .switching import switch_sooner
from .task_runner import TaskRunner

__all__ = ["AsyncioBackend", "LoopTimer", "run_backend"]

logger: logging.Logger = logging.getLogger("flask_realtime")

TICK = 1.0  # seconds; how long the loop may stand still unnoticed
SLACK = 0.1  # seconds; a timer that fires later than this was held up
GRACE = 0.05  # seconds to read what has come meanwhile
TURNS = 4  # of the loop: a server hands what it has read on from task to task
ROUNDING = 0.001  # seconds; deadlines come with the timer, not just before it
LOG_FROM = 1.0

T = TypeVar("T")


class LoopTimer:
    """One timer on an event loop for all deadlines, and a time that stands still while the loop does.

    Time does not run past the moment for which the timer is set until the timer has fired. If it fires
    late, the loop was blocked, and what clients have sent meanwhile is still unread: then time goes on
    standing still for a moment in which the loop reads, and all of that is lost time. If it fires in
    time, the loop still turns a few times before deadlines are enforced. The timer is never set for
    more than ``TICK``, so that a pause between two deadlines is noticed as well.

    All methods but :meth:`now` are for the loop's thread.

    :param loop: the running event loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._monotonic = monotonic
        # Until when time runs, and what was lost of it: replaced as one, for other threads read it.
        self._state = float("inf"), 0.0
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._firing = self._recovering = False
        self._schedulers = Schedulers()

    def now(self) -> float:
        """Seconds since some moment, without the time that the loop has lost; from any thread."""
        moment = self._monotonic()
        limit, lost = self._state
        return (moment if moment < limit else limit) - lost

    def keep(self, scheduler: Scheduler) -> None:
        """Handle the deadlines of ``scheduler``."""
        self._schedulers.add(scheduler)
        self.arm()

    def arm(self) -> None:
        """Set the timer, if the next deadline is earlier than it is set for."""
        if self._firing or self._recovering:
            return
        moment = self._monotonic()
        if self._is_late(moment):
            self._recover()
            return
        deadline = self._schedulers.next_deadline()
        if deadline is None:
            self._disarm()
            return
        lost = self._state[1]
        due = max(moment, min(deadline + lost, moment + TICK))
        if self._timer is None or self._due is None or due < self._due:
            self._disarm()
            self._due = due
            self._state = max(moment, due - ROUNDING), lost
            self._timer = self._loop.call_later(due - moment, self._fire)

    def catch_up(self) -> None:
        """A request is about to be dealt with: what is due comes before it."""
        if self._recovering or self._due is None:
            return
        if self._firing:
            self._handle()
        elif self._is_late(self._monotonic()):
            self._recover()
        elif self._due <= self._monotonic():
            self._handle()

    def _is_late(self, moment: float) -> bool:
        return self._due is not None and moment > self._due + SLACK

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._due = None
        self._state = float("inf"), self._state[1]

    def _fire(self) -> None:
        self._timer = None
        if self._is_late(self._monotonic()):
            self._recover()
            return
        deadline = self._schedulers.next_deadline()
        if deadline is None or deadline > self._monotonic() - self._state[1]:
            self._disarm()
            self.arm()
            return
        self._firing = True
        self._turn(TURNS)

    def _turn(self, left: int) -> None:
        if not self._firing:
            return
        if left:
            self._loop.call_soon(self._turn, left - 1)
        else:
            self._handle()

    def _handle(self) -> None:
        self._firing = False
        self._disarm()
        self._schedulers.handle_timeouts(self.now())
        self.arm()

    def _recover(self) -> None:
        self._recovering = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.call_later(GRACE, self._resume)

    def _resume(self) -> None:
        limit, lost = self._state
        blocked = max(0.0, self._monotonic() - limit)
        self._state = float("inf"), lost + blocked
        self._recovering = False
        self._due = None
        if blocked > LOG_FROM:
            logger.warning("loop blocked %.1f s; heartbeats are extended by that much", blocked)
        self.arm()


class AsyncioBackend(ThreadPools, Coroutines):
    """The event loop of an ASGI server, and a bounded pool of threads (a :class:`.ports.Backend`).

    Made in the loop that it is for.

    :param handler_threads: the size of the pool.
    :raises RuntimeError: no event loop runs here.
    """

    name = "asyncio"

    def __init__(self, handler_threads: int) -> None:
        super().__init__(handler_threads)
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._timer = LoopTimer(self.loop)
        self.now: Callable[[], float] = self._timer.now
        self.stopwatch: Callable[[], float] = time.monotonic
        self._ready: deque[Callable[[], object]] = deque()
        self._called = False
        self._rearming = False
        self._writing: set[ASGITransport] = set()
        self._writes = _WriteTimes(self._writing, self.now)
        self._tasks = TaskRunner(self.loop)
        self._quick = QuickRunner()
        self.call_soon(partial(self._timer.keep, self._writes))

    # ports.Backend

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """See :class:`.Coroutines`."""
        # After the server's end, the last disconnect handlers still have to run somewhere.
        return super().event_loop() if self.loop.is_closed() else self.loop

    def keep(self, scheduler: Scheduler) -> None:
        """See :class:`.ports.Backend`."""
        self.call_soon(partial(self._timer.keep, scheduler))

    def reschedule(self) -> None:
        """See :class:`.ports.Backend`."""
        if not self._rearming:
            self._rearming = True
            self.call_soon(self._rearm)

    def _rearm(self) -> None:
        self._rearming = False
        self._timer.arm()

    def submit_async(self, function: AsyncFunction, *args: Any) -> None:
        """See :class:`.ports.Backend`."""
        if self.loop.is_closed():
            super().submit_async(function, *args)
        else:
            self._tasks.submit(function, *args)

    def submit_here(self, runnable: Runnable, turn: int) -> None:
        """See :class:`.ports.Backend`. An event loop can't be taken over from a function that waits."""
        if not self._quick.submit((runnable, turn)):
            self.submit(runnable.run, turn)

    # The loop

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the loop; from any thread. What comes together costs one wake-up."""
        self._ready.append(function)
        if self._called:
            return
        self._called = True
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody is left there
            if asyncio._get_running_loop() is self.loop:
                self.loop.call_soon(self._run_ready)
            else:
                self.loop.call_soon_threadsafe(self._run_ready)

    def _run_ready(self) -> None:
        # First of all: what is appended from here on calls us again.
        self._called = False
        for _ in range(len(self._ready)):
            try:
                self._ready.popleft()()
            except Exception:
                logger.exception("error in the loop")

    def catch_up(self) -> None:
        """Do what is due, before a request finds a session that is overdue."""
        self._timer.catch_up()

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """The result of some short work that would hold up the loop."""
        future: asyncio.Future[T] = self.loop.create_future()

        def work() -> None:
            try:
                settle = partial(future.set_result, function(*args))
            except Exception as error:  # noqa: BLE001 (it is raised where the result is awaited)
                settle = partial(future.set_exception, error)
            self.call_soon(lambda: None if future.done() else settle())

        self.assist(work)
        return await future

    def sender(self, send: Send) -> Send:
        """What to send with: the server's own function, unless that lacks something."""
        return daphne_sender(send)

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """The result of ``work``.

        :raises TimeoutError: it took longer.
        """
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError as error:  # another class before Python 3.11
            raise TimeoutError from error

    def hold_poll(self, receive: Receive, send: Send) -> HeldPoll:
        """A poll of the request that these belong to."""
        return HeldPoll(self.loop, self.call_soon, receive, send)

    def websocket(self, engine: Engine, receive: Receive, send: Send) -> ASGITransport:
        """A transport for a websocket that is not accepted yet; ``carry()`` follows."""
        return ASGITransport(self.loop, self._tasks, self._writing, engine, receive, send)


class _WriteTimes:
    """Asks the transports that are writing whether they get on (a :class:`.ports.Scheduler`)."""

    def __init__(self, writing: set[ASGITransport], now: Callable[[], float]) -> None:
        self._writing = writing
        self._now = now
        self._asked_at = 0.0

    def next_deadline(self) -> float | None:
        return self._asked_at + TICK if self._writing else None

    def handle_timeouts(self, now: float) -> None:
        if self._writing and now >= self._asked_at + TICK:
            self._asked_at = now
            for transport in self._writing.copy():
                transport.check_progress(now)


def run_backend(backends: dict[int, AsyncioBackend], handler_threads: int) -> AsyncioBackend:
    """The backend of the running loop, out of ``backends`` or made and added there.

    An app may meet several loops one after another (in tests), so those of closed ones are removed.
    """
    loop = asyncio.get_running_loop()
    backend = backends.get(id(loop))
    if backend is None or backend.loop is not loop:
        for key in [key for key, old in backends.items() if old.loop.is_closed()]:
            del backends[key]
        switch_sooner()
        backend = backends[id(loop)] = AsyncioBackend(handler_threads)
    return backend
