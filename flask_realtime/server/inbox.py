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
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from .async_turns import take_turn
from .pace import LONG, Pace
from .work import AsyncWork, Work

if TYPE_CHECKING:
    from .engine import Engine
    from .ports import AnyEvent

__all__ = ["MOMENT", "Inbox"]

#: Events that may wait for one client at the very most, where it can't be left unread.
MAX_BACKLOG: Final = 10_000
#: Events that may wait for one client before we stop reading from it.
PAUSE_AT: Final = 1000
RESUME_AT: Final = 500
#: how soon to look again whether the next event may start
PATIENCE_STEP: Final = 0.01  # seconds
#: how long a poll waits for the handlers of what its client has sent before
MOMENT: Final = 0.02  # seconds


class InboxOwner(Protocol):
    """What the inbox tells its session."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Gate(Protocol):
    """What can hold work back at the moment when it should start."""

    def holds(self, work: Work, pace: Pace | None) -> bool:
        """True where the gate has taken the work, and will put it again. The lock is held."""
        ...


#: Work, what may hold it back, and how long it takes. Without a pace it is never done in the loop, and a
#: coroutine function's has none.
Entry = tuple[Work, Gate | None, Pace | None]


class Inbox:
    """Work that is started in order (a :class:`.ports.Runnable`).

    :param host: runs a function for a client that a test drives, instead of the backend.
    :param patience: seconds after which the next work may start although the
        one before still runs; None for strictly one at a time.
    """

    __slots__ = (
        "_host",
        "_owner",
        "_pace_here",
        "_set_idle",
        "_started_at",
        "_turn",
        "_working",
        "engine",
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
        self.engine: Engine = engine
        self._owner = owner
        self._host = host
        self.patience: float | None = patience
        self.queue: deque[Entry] | None = None  # made when needed: an idle client has none
        self.running: int = 0
        self.received: int = 0
        self.scheduled_at: float | None = None
        self._turn = 0
        self._working = False
        # That of the event that somebody waits for.
        self._set_idle: Callable[[], None] | None = None
        # That of what runs in the loop.
        self._pace_here: Pace | None = None
        # When the running work of this turn has started; None while the turn waits for a thread, and in the
        # loop, which nobody can overtake.
        self._started_at: float | None = None

    def put(self, work: Work, gate: Gate | None = None, size: int = 0, pace: Pace | None = None) -> None:
        """Start ``work`` after what was put before. The engine's lock is held.

        :param gate: asked when its turn has come; it may keep the work.
        :param size: the bytes that have brought it.
        :param pace: how long it takes, where it may be quick; None for a coroutine function.
        """
        queue = self.queue
        if queue is None:
            queue = self.queue = deque()
        queue.append((work, gate, pace))
        self.engine.work_pending += 1
        if not self._working:
            self._working = True
            self._turn += 1
            self._give_turn()
        elif self._started_at is not None and self.scheduled_at is None and self.patience is not None:
            self.engine.schedule(self, self._started_at + self.patience)
        # Large events are too much sooner. Counted since the last rest, which is at least what waits.
        self.received += size
        if len(queue) >= PAUSE_AT or (size and self.received > self.engine.config.max_queued_bytes):
            self._owner.pause_reading()

    @property
    def idle(self) -> bool:
        """Nothing waits, and nothing runs that others would wait for."""
        return not self._working

    def when_idle(self, make: Callable[[], AnyEvent]) -> AnyEvent | None:
        """See :meth:`.SessionApplication.when_idle`. The engine's lock is held."""
        started = self._started_at
        if not self._working or (started is not None and self.engine.now() - started >= MOMENT):
            return None
        event = make()
        self._set_idle = event.set
        return event

    def __len__(self) -> int:
        return 0 if self.queue is None else len(self.queue)

    def put_first(self, works: list[tuple[Work, Pace | None]]) -> None:
        """Start these before everything that waits, in their order. The engine's lock is held."""
        for work, pace in works:
            self.put(work, pace=pace)
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
        backend = self.engine.backend
        work, gate, pace = self.queue[0]
        asynchronous = type(work) is AsyncWork
        if self._host is not None:
            if asynchronous:
                self._host(backend.complete, take_turn, self, self._turn)
            else:
                self._host(self.run, self._turn)
        elif asynchronous:
            backend.submit_async(take_turn, self, self._turn)
        elif gate is None and pace is not None and not pace.waits:  # run_here() would give it back
            backend.submit_here(self, self._turn)
        else:
            backend.submit(self.run, self._turn)

    # In the loop

    def run_here(self, turn: int) -> None:
        """See :class:`.ports.Runnable`."""
        engine = self.engine
        lock, clock = engine.lock, engine.stopwatch
        pace: Pace | None = None
        begun = clock()
        while True:
            lock.acquire()
            try:
                if pace is None:
                    self.running += 1
                    engine.handlers_running += 1
                else:
                    engine.work_pending -= 1
                    ended = clock()
                    if ended - begun >= LONG or not pace.known_quick:
                        pace.record(ended - begun)
                    begun = ended
                queue = self.queue
                # Where it was held up, this is no longer the loop's thread.
                if not queue or turn != self._turn or self._started_at is not None:
                    self._leave_loop(turn, pace)
                    return
                work, gate, next_pace = queue[0]
                if gate is not None or next_pace is None or next_pace.waits:
                    self._leave_loop(turn, pace)
                    return
                queue.popleft()
                if len(queue) == RESUME_AT:
                    self._owner.resume_reading()
                self._pace_here = pace = next_pace
            finally:
                lock.release()
            try:
                work()
            except BaseException:
                # It was meant for the thread, not for the client's other events.
                self.abandon(turn)
                raise

    def _leave_loop(self, turn: int, pace: Pace | None) -> None:
        """What is next, if anything, is not for the loop.

        :param pace: that of what was done last.
        """
        self.running -= 1
        self.engine.handlers_running -= 1
        if turn == self._turn:
            self._end_turn()
        elif pace is not None:
            pace.held_up()  # it has used up the patience

    def held_up(self) -> None:
        """See :class:`.ports.Runnable`."""
        with self.engine.lock:
            pace = self._pace_here
            if pace is None:
                return  # it has just returned
            pace.held_up()
            self._started_at = now = self.engine.now()
            if self.queue and self.scheduled_at is None and self.patience is not None:
                self.engine.schedule(self, now + self.patience)

    # In a thread

    def run(self, turn: int) -> None:
        """See :class:`.ports.Runnable`."""
        entry = self._next(turn)
        while entry is not None:
            try:
                entry[0]()
            except BaseException:
                # It was meant for the thread, not for the client's other events.
                self.abandon(turn)
                raise
            entry = self._next(turn, finished=entry)

    # In the event loop

    def next_async(self, turn: int) -> Work | None:
        """What :func:`.take_turn` is to do now, if anything. The lock is held."""
        entry = self._begin_next(turn, self.engine.now(), asynchronous=True)
        return None if entry is None else entry[0]

    # The turn

    def abandon(self, turn: int) -> None:
        """This thread has to leave: let another one go on."""
        with self.engine.lock:
            self.count_finished()
            if turn == self._turn:
                self._end_turn()

    def _end_turn(self) -> None:
        self._pace_here = None
        if self.queue:
            self._start_turn()
        else:
            self._rest()

    def count_finished(self) -> None:
        """What has run is done. The lock is held."""
        self.running -= 1
        self.engine.handlers_running -= 1
        self.engine.work_pending -= 1

    def _rest(self) -> None:
        self._working = False
        self.queue = self._started_at = None
        self.received = 0
        self._owner.resume_reading()
        if self._set_idle is not None:
            self._set_idle()
            self._set_idle = None

    def _next(self, turn: int, finished: Entry | None = None) -> Entry | None:
        """What is to be done now (in a thread, without the lock)."""
        engine = self.engine
        with engine.lock:
            now = engine.now()
            if finished is not None:
                self.count_finished()
                pace = finished[2]
                if pace is not None:
                    started = self._started_at
                    if turn == self._turn and started is not None:
                        pace.record(now - started)
                    else:
                        pace.held_up()  # it has used up the patience
            return self._begin_next(turn, now, asynchronous=False)

    def _begin_next(self, turn: int, now: float, asynchronous: bool) -> Entry | None:
        """What is first in the queue, begun; None where it is not for this turn, or of the other kind."""
        if turn != self._turn:
            return None
        entry = self._pop()
        if entry is None:
            self._rest()
            return None
        if (type(entry[0]) is AsyncWork) is not asynchronous:
            self._give_back(entry)
            return None
        self._begin(now)
        return entry

    def _give_back(self, entry: Entry) -> None:
        """It is done elsewhere; no gate holds it any more."""
        assert self.queue is not None
        self.queue.appendleft((entry[0], None, entry[2]))
        self._give_turn()

    def _begin(self, now: float) -> None:
        """What was first in the queue begins to run."""
        self.running += 1
        self.engine.handlers_running += 1
        self._started_at = now
        queue = self.queue
        if queue:
            if self.scheduled_at is None and self.patience is not None:
                self.engine.schedule(self, now + self.patience)
            if len(queue) == RESUME_AT:
                self._owner.resume_reading()

    def _pop(self) -> Entry | None:
        while self.queue:
            entry = self.queue.popleft()
            work, gate, pace = entry
            if gate is None or not gate.holds(work, pace):
                return entry
            self.engine.work_pending -= 1
        return None

    def handle_timeout(self, now: float) -> float | None:
        """The patience may have run out (see :class:`.DeadlineOwner`)."""
        if not (self._working and self.queue) or self.patience is None:
            return None
        again = now + max(self.patience, PATIENCE_STEP)
        if self._started_at is None or self.running >= self.engine.config.client_handlers:
            return again
        due = self._started_at + self.patience
        if now < due:
            return due
        self._start_turn()
        return again
