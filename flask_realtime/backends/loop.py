"""The loop: one per process, owner of all client sockets that were taken over.

Only the thread that leads it touches the poller and the connections' buffers. Other
threads hand it work (:meth:`Loop.call_soon`), say that a connection has
something to write (:meth:`Loop.schedule`), and wake it if it sleeps.

Handlers that are quick run in the loop itself, right after their event was
read. If one is not, another thread leads the loop from where it stands
(:mod:`.supervision`), so what a turn has still to do is kept in the loop.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

from ..server.heartbeat import DeadlineHeap, DeadlineOwner
from ..server.ports import Scheduler
from .clock import LoopClock
from .patching import original, patched_by, throw_into_main
from .pollers import READ, WRITE, Poller
from .schedulers import Schedulers
from .supervision import Run, Supervisor

if TYPE_CHECKING:
    import socket

__all__ = ["READ", "WRITE", "Connection", "Loop"]

get_ident: Final[Callable[[], int]] = original("_thread", "get_ident")

#: Connections that are flushed in one turn. A broadcast to ten thousand clients takes some twenty turns, and
#: between them the loop reads, answers others and keeps deadlines.
FLUSHED_AT_ONCE: Final = 500

logger: logging.Logger = logging.getLogger("flask_realtime")


class Connection:
    """What the loop owns. The loop alone calls these."""

    __slots__ = ("scheduled",)

    def __init__(self) -> None:
        #: it is in the list of connections to flush
        self.scheduled: bool = False

    def handle_events(self, mask: int) -> None:
        """The socket is readable, writable or both."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what there is."""
        raise NotImplementedError


class Loop:
    """Waits on a poller, in whatever thread or greenlet :meth:`run` is called.

    :param poller: a fresh one, made for that thread.
    :param supervise: makes what looks on while handlers run in the loop; without it, none do.
    """

    def __init__(
        self,
        poller: Poller,
        clock: LoopClock | None = None,
        supervise: Callable[[Loop], Supervisor] | None = None,
    ) -> None:
        self.clock: LoopClock = clock or LoopClock()
        self.now: Callable[[], float] = self.clock.now
        self._poller = poller
        self._waker, self._wakeable = original("socket", "socketpair")()
        self._waker.setblocking(False)
        self._wakeable.setblocking(False)
        poller.register(self._wakeable.fileno(), READ, None)
        self._ready: deque[Callable[[], None]] = deque()
        self._dirty: deque[Connection] = deque()
        self._schedulers = Schedulers()
        self._deadlines = DeadlineHeap()
        # Who leads, and where the turn stands: what was read, and what it has brought to be run.
        self._leader: object = None
        self._led_by = 0
        self._events: deque[tuple[Connection | None, int]] = deque()
        self._runs: deque[Run] = deque()
        self._reading = False
        self._turned_at = 0.0
        self._supervise = supervise
        self._supervisor: Supervisor | None = None
        self._sleeping = False
        self._stopped = False
        self._abandoned = False

    # From any thread. Appending to a list or a deque is atomic; the order "append, then look whether
    # the loop sleeps" here, and "say that it sleeps, then look at the lists" there, loses no wake-up.

    def call_soon(self, function: Callable[[], None]) -> None:
        """Have the loop call ``function``."""
        self._ready.append(function)
        self.wake()

    def schedule(self, connection: Connection) -> None:
        """Have the loop flush ``connection`` at the end of its turn."""
        if not connection.scheduled:
            connection.scheduled = True
            self._dirty.append(connection)
            if self._sleeping:
                self.wake()

    def keep(self, scheduler: Scheduler) -> None:
        """Handle the deadlines of ``scheduler``."""
        reference = weakref.ref(scheduler)  # an engine may be gone before its loop turns
        self.call_soon(lambda: self._keep(reference()))

    def _keep(self, scheduler: Scheduler | None) -> None:
        if scheduler is not None:
            self._schedulers.add(scheduler)

    def wake(self) -> None:
        """End the loop's sleep, if it sleeps."""
        if self._sleeping:
            self._sleeping = False
            # A full buffer is a wake-up too; a closed one is a loop that has ended.
            with contextlib.suppress(OSError):
                self._waker.send(b"\0")

    @property
    def quiet(self) -> bool:
        """It has no connections and nothing to do."""
        return len(self._poller) <= 1 and not self._ready and not self._dirty

    def stop(self) -> None:
        """Have :meth:`run` return after this turn."""
        self._stopped = True
        self._sleeping = True
        self.wake()

    def abandon(self) -> None:
        """In a forked child: the loop is the parent's, and so are its sockets.

        They stay open: a hub may still wait for the number of our poller.
        """
        self._abandoned = True

    # From the loop's own thread

    def take(self, run: Run) -> bool:
        """Have ``run`` done after what is just being read; False where nothing is, in this thread."""
        if self._reading and get_ident() == self._led_by:
            self._runs.append(run)
            return True
        return False

    def depose(self) -> None:
        """Whoever has led the loop is held up: another :meth:`run` follows."""
        self._leader = None

    def register(self, sock: socket.socket, events: int, connection: Connection) -> None:
        """Call ``connection.handle_events`` on these events."""
        self._poller.register(sock.fileno(), events, connection)

    def modify(self, sock: socket.socket, events: int) -> None:
        """Change the events."""
        self._poller.modify(sock.fileno(), events)

    def unregister(self, sock: socket.socket) -> None:
        """No more events."""
        self._poller.unregister(sock.fileno())

    def schedule_timeout(self, owner: DeadlineOwner, when: float) -> None:
        """Ask a connection at ``when``."""
        self._deadlines.schedule(owner, when)

    def run(self) -> None:
        """Turn until stopped, or until somebody else leads the loop."""
        leader = self._leader = object()
        self._led_by = get_ident()
        leads = True
        if self._supervisor is None and self._supervise is not None:
            self._supervisor = self._supervise(self)
        try:
            while leads and self._leader is leader and not (self._stopped or self._abandoned):
                try:
                    leads = self.turn()
                except (KeyboardInterrupt, SystemExit) as interruption:
                    if patched_by() is None:
                        raise
                    # A signal has hit this greenlet; the loop has last words to write.
                    throw_into_main(interruption)
                except BaseException:
                    # It was meant for a handler that this greenlet has run: by a timeout that the handler
                    # has left behind, or by somebody who kills its greenlet, and waits for the end of it.
                    if self._supervisor is None or not self._supervisor.replace():
                        raise
                    logger.exception("the loop's greenlet was hit; another one goes on")
        finally:
            if leads and self._leader is leader:
                self._close()

    def _close(self) -> None:
        if self._supervisor is not None:
            self._supervisor.close()
        self._poller.close()
        self._waker.close()
        self._wakeable.close()

    def turn(self, wait: bool = True) -> bool:
        """Wait once, unless told not to; then read, run what is quick, do what is due, and write.

        :returns: False where another thread goes on with the loop, though it may not have said so yet (by
            :meth:`depose`).
        """
        if not (self._events or self._runs) and not self._wait(wait):
            return True
        if not self._read():
            return self._abandoned
        while self._ready:
            self._guard(self._ready.popleft())
        self._guard(self._deadlines.handle_timeouts, self._turned_at)
        self._schedulers.handle_timeouts(self._turned_at)
        if self._dirty:
            self._flush()
        return True

    def _wait(self, wait: bool) -> bool:
        self._poller.breathe()
        # From here on, others wake us; so what they have added before is seen below.
        self._sleeping = True
        timeout = 0.0 if self._ready or self._dirty or self._stopped or not wait else self._timeout()
        self.clock.sleeping(timeout)
        self._events.extend(self._poller.poll(timeout))
        if self._abandoned:
            return False
        self._sleeping = False
        self._turned_at = self.clock.awake()
        return True

    def _read(self) -> bool:
        """Read, and run what that brings; False where another thread goes on with it."""
        events, runs = self._events, self._runs
        may_run = self._supervisor is not None and self._supervisor.watches
        while True:
            while runs:
                if not self._run(runs.popleft()):
                    return False
            if not events:
                return True
            connection, mask = events.popleft()
            if connection is None:
                self._drain_waker()
                continue
            self._reading = may_run
            try:
                connection.handle_events(mask)
            except Exception:
                # A fault of ours with one client must not end the loop for all others.
                logger.exception("error in the loop")
            self._reading = False

    def _run(self, run: Run) -> bool:
        """False where this thread has lost the loop over it."""
        supervisor = self._supervisor
        assert supervisor is not None
        watch = supervisor.begin(run)
        try:
            # What it leaves in context variables is not for those of other clients.
            copy_context().run(run[0].run_here, run[1])
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)) and patched_by() and watch:
                watch.clear()
                raise  # a signal has hit this greenlet
            logger.exception("error in a handler")
        try:
            watch.pop()
        except IndexError:
            return False
        # In a child that the handler has forked, what there is to be read is the parent's.
        return not self._abandoned

    def _flush(self) -> None:
        # What is scheduled while we flush waits for the next turn, so that one
        # busy client can't keep the loop from reading.
        dirty = self._dirty
        for _ in range(min(len(dirty), FLUSHED_AT_ONCE)):
            connection = dirty.popleft()
            connection.scheduled = False
            try:
                connection.flush()
            except Exception:
                logger.exception("error in the loop")

    def _guard(self, function: Callable[..., None], *args: int | float) -> None:
        try:
            function(*args)
        except Exception:
            logger.exception("error in the loop")

    def _drain_waker(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._wakeable.recv(4096)) == 4096:
                pass

    def _timeout(self) -> float | None:
        deadlines = self._deadlines.next_deadline(), self._schedulers.next_deadline()
        first = min((deadline for deadline in deadlines if deadline is not None), default=None)
        return None if first is None else max(0.0, first - self.now())
