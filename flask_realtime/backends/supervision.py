"""What notices that a handler holds up its loop, and has another thread or greenlet go on with it.

A loop runs handlers that are quick right where it has read their events (:meth:`.Loop.take`). Whether one is
quick is known for sure only when it has returned. So somebody looks on: if it waits, the loop is taken over,
and the thread (or greenlet) that has led it until then is left with the handler.
"""

from __future__ import annotations

import importlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

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

    def begin(self, run: Run) -> None:
        """A run begins, in the loop."""
        ...

    def end(self, run: Run) -> bool:
        """It has ended; False where the loop has been taken over from it meanwhile."""
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
        # Between the end of a run and the moment when the loop is taken over.
        self._lock = threading.Lock()
        self._run: Run | None = None
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

    def begin(self, run: Run) -> None:
        """See :class:`Supervisor`."""
        self._run = run
        if self._resting:
            self._resting = False
            self._woken.set()

    def end(self, run: Run) -> bool:
        """See :class:`Supervisor`."""
        with self._lock:
            # Who was held up may return while its successor runs something: that is not his to end.
            mine = self._run is run
            if mine:
                self._run = None
        return mine

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
            if self._run is not None:  # it has begun just before, and woken nobody
                self._resting = False
                self._woken.set()

    def _look_until_quiet(self) -> Run | None:
        """The run that the loop has been taken over from, or None where nothing is run any more."""
        seen: Run | None = None
        looks = 0
        while looks < REST_AFTER:
            time.sleep(LOOK_EVERY)
            run = self._run
            looks = looks + 1 if run is None else 0
            if run is not None and run is seen and self._take_over(run):
                return run
            seen = run
        return None

    def _take_over(self, run: Run) -> bool:
        with self._lock:
            if self._run is not run:
                return False
            self._run = None
            self._loop.depose()
            return True


class GreenSupervisor:
    """A call that the hub makes as soon as the handler lets it, and that is taken back when it never did.

    :param library: whose hub, ``"gevent"`` or ``"eventlet"``.
    """

    watches = True

    def __init__(self, loop: Loop, library: str) -> None:
        self._loop = loop
        self._run: Run | None = None
        self._call: Any = None
        module = importlib.import_module(library)
        if library == "gevent":
            self._spawn = module.spawn
            self._soon = module.get_hub().loop.run_callback
            self._cancel = "stop"
        else:
            hub = importlib.import_module("eventlet.hubs").get_hub()
            self._spawn = module.spawn
            self._soon = partial(hub.schedule_call_global, 0)
            self._cancel = "cancel"

    def begin(self, run: Run) -> None:
        """See :class:`Supervisor`."""
        self._run = run
        self._call = self._soon(self._take_over)

    def end(self, run: Run) -> bool:
        """See :class:`Supervisor`."""
        if self._run is not run:
            return False
        self._run = None
        getattr(self._call, self._cancel)()
        return True

    def replace(self) -> bool:
        """See :class:`Supervisor`."""
        self._loop.depose()
        self._spawn(self._loop.run)
        return True

    def close(self) -> None:
        """See :class:`Supervisor`."""

    def _take_over(self) -> None:
        # In the hub, which no handler has.
        run, self._run = self._run, None
        if run is not None:
            run[0].held_up()
            self.replace()
