"""What notices that a handler holds up its loop, and has another thread or greenlet go on with it.

A loop runs handlers that are quick right where it has read their events (:meth:`.Loop.take`). Whether one is
quick is known for sure only when it has returned. So somebody looks on: if it waits, the loop is taken over,
and the thread (or greenlet) that has led it until then is left with the handler.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..server.ports import Runnable
    from .loop import Loop

__all__ = ["GreenSupervisor", "Run", "Supervisor", "ThreadSupervisor"]

#: A run that is still there at the second look has held up the loop for long enough.
LOOK_EVERY = 0.005  # seconds
#: after how many looks with nothing to see it rests until it is woken
REST_AFTER = 20

#: what is run, and its turn; each run is a new tuple
Run = tuple["Runnable", int]
#: Holds the run that is under way, and nothing between two of them. Who takes it out, the loop at its end or
#: the supervisor before, has the loop from then on. That is one operation, so it needs no lock.
Watch = list[Run]


class Led(Protocol):
    """What a thread leads, and what it runs handlers in."""

    def run(self) -> None:
        """Lead it, until somebody else does."""
        ...

    def depose(self) -> None:
        """Whoever leads it is held up: another :meth:`run` follows."""
        ...


class Supervisor(Protocol):
    """Looks on while a loop runs a handler."""

    #: False where nobody does, so that handlers have to run elsewhere
    watches: bool

    def begin(self, run: Run) -> Watch:
        """A run begins, in the loop.

        :returns: what the loop takes it out of when it has ended; where that is empty then, the loop has been
            taken over meanwhile.
        """
        ...

    def replace(self) -> bool:
        """Have another greenlet lead the loop from now on; False where a thread leads it."""
        ...

    def close(self) -> None:
        """The loop has ended."""
        ...


class ThreadSupervisor:
    """A thread that looks on, and leads the loop when it has to; then the next one looks on.

    It costs nothing while nothing runs, and two hundred looks a second while the loop is busy.
    """

    def __init__(self, loop: Led) -> None:
        self._loop = loop
        self._watch: Watch = []
        self._resting = True
        self._woken = threading.Event()
        self._closed = False
        self.watches: bool = False
        self._start()

    def _start(self) -> None:
        self._resting = True
        thread = threading.Thread(target=self._look_on, name="flask-realtime-loop", daemon=True)
        try:
            thread.start()
            self.watches = True
        except RuntimeError:  # the process may have no more; and Python 3.12 starts none while it exits
            self.watches = False

    def begin(self, run: Run) -> Watch:
        """See :class:`Supervisor`."""
        watch = self._watch
        watch.append(run)
        if self._resting:
            self._resting = False
            self._woken.set()
        return watch

    def replace(self) -> bool:
        """See :class:`Supervisor`: nobody throws anything into a thread."""
        return False

    def close(self) -> None:
        """See :class:`Supervisor`."""
        self._closed = True
        self._woken.set()

    def _look_on(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            if self._closed:
                return
            held_up = self._look_until_quiet()
            if held_up is not None:
                held_up[0].held_up()
                self._start()
                self._loop.run()
                return
            self._resting = True
            if self._watch:  # it has begun just before, and woken nobody
                self._resting = False
                self._woken.set()

    def _look_until_quiet(self) -> Run | None:
        """The run that the loop has been taken over from, or None where nothing is run any more."""
        seen: Run | None = None
        looks = 0
        while looks < REST_AFTER:
            time.sleep(LOOK_EVERY)
            run = next(iter(self._watch[:1]), None)
            looks = looks + 1 if run is None else 0
            if run is not None and run is seen:
                taken = self._take_over()
                if taken is not None:
                    return taken
            seen = run
        return None

    def _take_over(self) -> Run | None:
        watch = self._watch
        try:
            run = watch.pop()  # the one that was seen, or one that has begun at the last moment
        except IndexError:  # it has ended at the last moment
            return None
        self._watch = []
        self._loop.depose()
        return run


class GreenSupervisor:
    """A call that the hub makes as soon as a handler lets it, or between two turns of the loop.

    :param library: whose hub, ``"gevent"`` or ``"eventlet"``.
    """

    watches = True

    def __init__(self, loop: Loop, library: str) -> None:
        self._loop = loop
        self._watch: Watch = []
        self._called = False
        self._spawn: Callable[[Callable[[], None]], object] = importlib.import_module(library).spawn
        self._soon: Callable[[Callable[[], None]], object]
        if library == "gevent":
            self._soon = importlib.import_module("gevent").get_hub().loop.run_callback
        else:
            hub = importlib.import_module("eventlet.hubs").get_hub()
            self._soon = partial(hub.schedule_call_global, 0)

    def begin(self, run: Run) -> Watch:
        """See :class:`Supervisor`."""
        watch = self._watch
        watch.append(run)
        if not self._called:
            self._called = True
            self._soon(self._look)
        return watch

    def replace(self) -> bool:
        """See :class:`Supervisor`."""
        self._watch = []
        self._loop.depose()
        self._spawn(self._loop.run)
        return True

    def close(self) -> None:
        """See :class:`Supervisor`."""

    def _look(self) -> None:
        # In the hub, which no handler has: if one runs, it waits.
        self._called = False
        if self._watch:
            run = self._watch.pop()
            run[0].held_up()
            self.replace()
