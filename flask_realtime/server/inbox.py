"""A client's handlers: started in the order of its events, on the backend's pool.

The inbox is an actor. While it has something to do, one pool thread works
through it (it has the *turn*), so ten events that arrive together cost one
hand-over, not ten. A handler that outlasts the patience loses the turn: the
next event starts on another thread, and when the slow handler returns, its
thread sees that the turn has moved on, and leaves. Coroutine functions have
their turns in the backend's event loop, in the same order. And a handler that
is known to be quick has its turn right where its event was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .engine import Engine
    from .pace import Pace
    from .ports import Backend

__all__ = ["FAILURE", "AsyncWork", "Inbox", "PacedWork", "Work", "awaited", "completed", "in_thread"]

#: Events that may wait for one client at the very most, where it can't be left unread.
MAX_BACKLOG = 10_000
#: Events that may wait for one client before we stop reading from it.
PAUSE_AT = 1000
RESUME_AT = 500
#: how soon to look again whether the next event may start
PATIENCE_STEP = 0.01  # seconds

#: after how many coroutines of one client the event loop's other tasks have their turn
ASYNC_BURST = 10

#: One handler's run. It must not raise.
Work = Callable[[], Any]

#: what one handler may raise without taking others with it
FAILURE = (Exception, SystemExit)


class AsyncWork(partial[Any]):
    """Work that returns a coroutine."""


class PacedWork(partial[Any]):
    """Work that may be quick."""

    pace: Pace

    @classmethod
    def of(cls, pace: Pace, function: Callable[..., None], *args: Any) -> PacedWork:
        """``function(*args)``, which takes as long as ``pace`` tells."""
        work = cls(function, *args)
        work.pace = pace
        return work


def completed(backend: Backend, result: Any) -> Any:
    """The result of a function of the app, in a thread.

    A plain function may hide a coroutine function, as a decorator does: then this waits for it.
    """
    if not iscoroutine(result):
        return result

    async def finish() -> Any:
        return await result

    return backend.complete(finish)


async def awaited(result: Any) -> Any:
    """The result of a function of the app, in a coroutine: it may be a plain one, or give an awaitable."""
    return await result if isawaitable(result) else result


async def in_thread(backend: Backend, function: Callable[[], Any]) -> Any:
    """The result of a plain function, in a coroutine that must not wait for it."""
    done = backend.async_event()
    outcome: list[Any] = []
    context = copy_context()

    def work() -> None:
        try:
            outcome.extend((context.run(function), None))
        except BaseException as error:  # noqa: BLE001 (it is raised where the result is awaited)
            outcome.extend((None, error))
        finally:
            done.set()

    backend.submit(work)
    await done.wait()
    value, error = outcome
    if error is not None:
        raise error
    return value


def _is_asynchronous(work: Work) -> bool:
    return type(work) is AsyncWork


def _is_synchronous(work: Work) -> bool:
    return type(work) is not AsyncWork


def _is_quick(work: Work) -> bool:
    """It may be done in the loop."""
    return isinstance(work, PacedWork) and not work.pace.waits


class _Breather:
    """Awaited, it lets the other tasks of the event loop run."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class InboxOwner(Protocol):
    """What the inbox tells its session."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Gate(Protocol):
    """What can hold work back at the moment when it should start."""

    def holds(self, work: Work) -> bool:
        """True where the gate has taken the work, and will put it again. The lock is held."""
        ...


class Inbox:
    """Work that is started in order (a :class:`.ports.Runnable`).

    :param host: runs a function for a client that a test drives, instead of the backend.
    :param patience: seconds after which the next work may start although the
        one before still runs; None for strictly one at a time.
    """

    __slots__ = (
        "_current",
        "_engine",
        "_host",
        "_owner",
        "_started_at",
        "_turn",
        "_working",
        "patience",
        "queue",
        "received",
        "running",
        "scheduled_at",
    )

    def __init__(
        self,
        engine: Engine,
        owner: InboxOwner,
        host: Callable[..., None] | None,
        patience: float | None,
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._host = host
        self.patience: float | None = patience
        self.queue: deque[tuple[Work, Gate | None]] | None = None  # made when needed: an idle client has none
        self.running: int = 0
        self.received: int = 0
        self.scheduled_at: float | None = None
        self._turn = 0
        # What runs in the loop.
        self._current: Work | None = None
        self._working = False
        # When the running work of this turn has started; None while the turn waits for a thread.
        self._started_at: float | None = None

    def put(self, work: Work, gate: Gate | None = None, size: int = 0) -> None:
        """Start ``work`` after what was put before. The engine's lock is held.

        :param gate: asked when its turn has come; it may keep the work.
        :param size: the bytes that have brought it.
        """
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
        queue.append((work, gate))
        self._engine.work_pending += 1
        if not self._working:
            self._working = True
            self._start_turn()
        elif self.patience is not None and self._started_at is not None and self.scheduled_at is None:
            self._engine.schedule(self, self._started_at + self.patience)
        # Large events are too much sooner. Counted since the last rest, which is at least what waits.
        self.received += size
        if len(queue) >= PAUSE_AT or (size and self.received > self._engine.config.max_queued_bytes):
            self._owner.pause_reading()

    @property
    def idle(self) -> bool:
        """Nothing waits, and nothing runs that others would wait for."""
        return not self._working

    def __len__(self) -> int:
        return 0 if self.queue is None else len(self.queue)

    def put_first(self, works: list[Work]) -> None:
        """Start these before everything that waits, in their order. The engine's lock is held."""
        for work in works:
            self.put(work)
        assert self.queue is not None or not works
        if works and self.queue is not None:
            self.queue.rotate(len(works))

    def _start_turn(self) -> None:
        self._turn += 1
        self._give_turn()

    def _give_turn(self) -> None:
        """Have somebody do what is first in the queue. The lock is held."""
        self._started_at = None
        assert self.queue
        backend = self._engine.backend
        work = self.queue[0][0]
        asynchronous = type(work) is AsyncWork
        if self._host is not None:
            if asynchronous:
                self._host(backend.complete, self._run_async, self._turn)
            else:
                self._host(self.run, self._turn)
        elif asynchronous:
            backend.submit_async(self._run_async, self._turn)
        elif _is_quick(work):
            backend.submit_here(self, self._turn)
        else:
            backend.submit(self.run, self._turn)

    def run(self, turn: int) -> None:
        """See :class:`.ports.Runnable`."""
        self._run(turn, _is_synchronous)

    def run_here(self, turn: int) -> None:
        """See :class:`.ports.Runnable`."""
        self._run(turn, _is_quick)

    def _run(self, turn: int, may_do: Callable[[Work], bool]) -> None:
        """Work while the turn is ours (in a thread, without the lock).

        :param may_do: whether some work may be done here.
        """
        work = self._next(turn, may_do)
        while work is not None:
            try:
                work()
            except BaseException:
                # It was meant for the thread, not for the client's other events.
                self._abandon(turn)
                raise
            work = self._next(turn, may_do, finished=work)

    def held_up(self) -> None:
        """See :class:`.ports.Runnable`."""
        current = self._current
        if isinstance(current, PacedWork):
            current.pace.held_up()

    async def _run_async(self, turn: int) -> None:
        """The same for coroutine functions (in the event loop, without the lock)."""
        work = self._next(turn, _is_asynchronous)
        done = 0
        while work is not None:
            try:
                await work()
                done += 1
                if done % ASYNC_BURST == 0:
                    await _Breather()
            except BaseException:  # CancelledError too
                self._abandon(turn)
                raise
            work = self._next(turn, _is_asynchronous, finished=work)

    def _abandon(self, turn: int) -> None:
        """This thread has to leave: let another one go on."""
        with self._engine.lock:
            self._count_finished()
            if turn == self._turn:
                if self.queue:
                    self._start_turn()
                else:
                    self._rest()

    def _count_finished(self) -> None:
        self.running -= 1
        self._engine.handlers_running -= 1
        self._engine.work_pending -= 1

    def _rest(self) -> None:
        self._working = False
        self.queue = self._started_at = None
        self.received = 0
        self._owner.resume_reading()

    def _next(self, turn: int, may_do: Callable[[Work], bool], finished: Work | None = None) -> Work | None:
        engine = self._engine
        with engine.lock:
            now = engine.now()
            if finished is not None:
                self._count_finished()
                if isinstance(finished, PacedWork):
                    started = self._started_at
                    if turn == self._turn and started is not None:
                        finished.pace.record(now - started)
                    else:
                        finished.pace.held_up()  # it has used up the patience
            if turn != self._turn:
                return None
            work = self._pop()
            if work is None:
                self._current = None
                self._rest()
                return None
            if not may_do(work):
                # It is done elsewhere; no gate holds it any more.
                assert self.queue is not None
                self.queue.appendleft((work, None))
                self._give_turn()
                return None
            self.running += 1
            engine.handlers_running += 1
            self._current = work
            self._started_at = now
            if self.queue:
                if self.scheduled_at is None and self.patience is not None:
                    engine.schedule(self, now + self.patience)
                if len(self.queue) == RESUME_AT:
                    self._owner.resume_reading()
            return work

    def _pop(self) -> Work | None:
        while self.queue:
            work, gate = self.queue.popleft()
            if gate is None or not gate.holds(work):
                return work
            self._engine.work_pending -= 1
        return None

    def handle_timeout(self, now: float) -> float | None:
        """The patience may have run out (see :class:`.DeadlineOwner`)."""
        if not (self._working and self.queue) or self.patience is None:
            return None
        again = now + max(self.patience, PATIENCE_STEP)
        if self._started_at is None or self.running >= self._engine.config.client_handlers:
            return again
        due = self._started_at + self.patience
        if now < due:
            return due
        self._start_turn()
        return again
