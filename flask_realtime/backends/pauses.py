"""A poll that waits on its server's greenlet for a moment, before its connection is taken over.

A connection that was taken over ends with its answer, and the client has to
make a new one for its next poll, which costs more than the poll itself. What
is answered within the moment goes out through the server, which keeps the
connection. A client that is quiet for longer costs no greenlet: then the loop
has its poll, as it has in a process with threads.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .lifecycle import worker_connections
from .patching import original

__all__ = ["PAUSE", "Pause", "Pauses"]

#: seconds that a poll waits on its greenlet
PAUSE = 2.0
#: Polls that wait so at a time: half of the connections that gunicorn and eventlet allow by default.
MOST = 500


class Pauses:
    """Those of one thread with a hub.

    :param library: ``"gevent"`` or ``"eventlet"``, whose hub it is.
    :param call_soon: runs a function soon, in that thread; from any other.
    """

    def __init__(self, library: str, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._kind: type[Pause] = _GeventPause if library == "gevent" else _EventletPause
        self._most = min(MOST, (worker_connections() or 2 * MOST) // 2)
        #: where the hub is found
        self.hubs: Any = importlib.import_module("gevent.hub" if library == "gevent" else "eventlet.hubs")
        self.call_soon = call_soon
        self.thread_ident: Callable[[], int] = original("_thread", "get_ident")
        self.thread: int = self.thread_ident()
        #: greenlets that wait
        self.waiting: int = 0

    def begin(self) -> Pause | None:
        """One for this greenlet; None where there are enough, and in other threads."""
        if self.waiting >= self._most or self.thread_ident() != self.thread:
            return None
        return self._kind(self)


class Pause(ABC):
    """One wait, of the greenlet that has made it."""

    __slots__ = ("_pauses",)

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses

    def wake(self) -> None:
        """End it, soon; from any thread."""
        if self._pauses.thread_ident() == self._pauses.thread:
            self._wake()
        else:
            self._pauses.call_soon(self._wake)

    def wait(self) -> None:
        """Wait until woken, but for :data:`PAUSE` seconds at most."""
        self._pauses.waiting += 1
        try:
            self._wait()
        finally:
            self._pauses.waiting -= 1

    @abstractmethod
    def _wake(self) -> None:
        """The same in the thread of the hub."""

    @abstractmethod
    def _wait(self) -> None: ...


class _GeventPause(Pause):
    __slots__ = ("_loop", "_waiter")

    def __init__(self, pauses: Pauses) -> None:
        super().__init__(pauses)
        hub = pauses.hubs.get_hub()
        self._loop = hub.loop
        self._waiter = pauses.hubs.Waiter(hub)

    def _wake(self) -> None:
        # Where nobody waits any more, it does nothing.
        self._loop.run_callback(self._waiter.switch, None)

    def _wait(self) -> None:
        with self._loop.timer(PAUSE) as timer:
            timer.start(self._waiter.switch, None)
            self._waiter.get()


class _EventletPause(Pause):
    __slots__ = ("_greenlet", "_hub", "_woken")

    def __init__(self, pauses: Pauses) -> None:
        super().__init__(pauses)
        self._hub = pauses.hubs.get_hub()
        self._greenlet: Any = None
        self._woken = False

    def _wake(self) -> None:
        self._woken = True
        if self._greenlet is not None:
            self._hub.schedule_call_global(0, self._resume)

    def _resume(self) -> None:
        # In the hub. Whoever comes first takes the greenlet: it must not be resumed where it waits next.
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.switch()

    def _wait(self) -> None:
        if self._woken:
            return
        self._greenlet = self._pauses.hubs.greenlet.getcurrent()
        timer = self._hub.schedule_call_global(PAUSE, self._resume)
        try:
            self._hub.switch()
        finally:
            self._greenlet = None
            timer.cancel()
