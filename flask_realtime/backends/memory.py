"""A backend without threads or real time, and a websocket without a socket: for tests.

Nothing happens by itself. A test moves the clock (:meth:`MemoryBackend.advance`)
and has the loop and the handlers run until nothing is left to do
(:meth:`MemoryBackend.settle`), so every order of events can be played exactly.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..server.message import Message
from ..server.ports import Event, Joinable, Lock, Runnable, Scheduler
from ..types import DisconnectReason
from .base import LoopBackend
from .clock import LoopClock
from .loop import Loop
from .pollers import make_poller

if TYPE_CHECKING:
    from ..server.session import Session

__all__ = ["MemoryBackend", "MemoryTransport"]

EVERYTHING = 1 << 40  # bytes
Task = tuple[Callable[..., None], tuple[Any, ...]]


class MemoryTransport:
    """A websocket that is read at once (a :class:`.ports.WebSocketTransport`).

    :param receive: gets each message, with the engine's lock held.
    """

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._receive = receive
        self.session: Session | None = None
        #: the close code, once it is closed
        self.closed: int | None = None
        #: set it to play a client that does not read
        self.blocked = False

    def wake(self) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        session = self.session
        if session is None or self.closed is not None or self.blocked or session.transport is not self:
            return
        messages = list(session.data_to_send(EVERYTHING))
        session.outbox.commit()
        for message in messages:
            self._receive(message)
        if session.drained:
            self.closed = session.close_code
            session.end(DisconnectReason.TRANSPORT_CLOSE)

    def push(self, message: Message) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        self._receive(message)

    def abort(self, code: int) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        if self.closed is None:
            self.closed = code

    def has_unread(self) -> bool:
        """See :class:`.ports.WebSocketTransport`."""
        return False


def _run_all(tasks: deque[Task]) -> int:
    count = 0
    while tasks:
        function, args = tasks.popleft()
        function(*args)
        count += 1
    return count


class VirtualClock(LoopClock):
    """A clock that only a test moves. No time is lost in between."""

    def __init__(self) -> None:
        super().__init__(lambda: self.time)
        self.time: float = 0.0

    def sleeping(self, timeout: float | None) -> None:
        """See :class:`.LoopClock`."""

    def awake(self) -> float:
        """See :class:`.LoopClock`."""
        return self.time


class _FinishedTask:
    """A background task that has run (a :class:`.ports.Joinable`)."""

    def join(self, timeout: float | None = None) -> None:
        """It has returned already."""

    def is_alive(self) -> bool:
        """It is not."""
        return False


class MemoryBackend(LoopBackend):
    """Everything in the thread of the test, at a time that the test says (a :class:`.ports.Backend`)."""

    name = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.clock: VirtualClock = VirtualClock()
        self.stopwatch: Callable[[], float] = self.now
        self.tasks: deque[Task] = deque()
        self.assistance: deque[Task] = deque()
        self._loop = Loop(make_poller(None), self.clock)
        self._schedulers: list[Scheduler] = []

    @property
    def time(self) -> float:
        """The virtual time; to set it is to let time pass without anybody noticing yet."""
        return self.clock.time

    @time.setter
    def time(self, value: float) -> None:
        self.clock.time = value

    # ports.Backend

    def loop(self) -> Loop:
        return self._loop

    def now(self) -> float:
        return self.time

    def lock(self) -> Lock:
        return threading.RLock()

    def event(self) -> Event:
        return threading.Event()

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self.tasks.append((function, args))

    def submit_here(self, runnable: Runnable, turn: int) -> None:
        self.submit(runnable.run, turn)

    def assist(self, function: Callable[..., None], *args: Any) -> None:
        self.assistance.append((function, args))

    def lend(self, seconds: float) -> None:
        self.advance(seconds)

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        function(*args, **kwargs)
        return _FinishedTask()

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def keep(self, scheduler: Scheduler) -> None:
        self._schedulers.append(scheduler)

    def reschedule(self) -> None:
        """Deadlines are looked at whenever the clock is moved."""

    # What a test calls

    def settle(self) -> None:
        """Run the loop and the handlers until nothing is left to do at this moment."""
        idle_turns = 0
        while idle_turns < 2:
            before = len(self.tasks)
            self._loop.turn(wait=False)
            idle_turns = 0 if self.run_tasks() or before else idle_turns + 1

    def run_tasks(self) -> int:
        """Run the handlers that wait; how many there were."""
        return self.run_assistance() + _run_all(self.tasks)

    def run_assistance(self) -> int:
        """Run what the engine itself has put off; how much there was."""
        return _run_all(self.assistance)

    def advance(self, seconds: float) -> None:
        """Move the clock, stopping at every deadline on the way."""
        end = self.time + seconds
        while True:
            deadlines = [d for d in (s.next_deadline() for s in self._schedulers) if d is not None]
            step = min([end, *deadlines])
            self.time = max(self.time, step)
            for scheduler in self._schedulers:
                scheduler.handle_timeouts(self.time)
            self.settle()
            if step >= end:
                return

    def close(self) -> None:
        """Close the loop's descriptors."""
        self._loop.stop()
        self._loop.run()
