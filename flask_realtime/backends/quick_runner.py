"""The thread that runs the quick handlers of an event loop's clients, one after the other.

An event loop must not run a plain function that may wait: nobody can take the
loop over from it. So they run beside it; but a hand-over to a thread of the
pool for each client costs more than most handlers do. This is one thread for
all, which is woken once for what comes together. If a handler holds it up,
another thread takes its place (:mod:`.supervision`), and it is left with that
handler.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextvars import Context

from .supervision import Run, ThreadSupervisor

__all__ = ["IDLE", "QuickRunner"]

IDLE = 30.0  # seconds after which the thread ends where nothing comes

logger: logging.Logger = logging.getLogger("flask_realtime")


class QuickRunner:
    """Runs what is quick in a thread of its own, which is started when needed."""

    def __init__(self) -> None:
        self._runs: queue.SimpleQueue[Run] = queue.SimpleQueue()
        # Between the last run and the end of the thread.
        self._lock = threading.Lock()
        self._supervisor: ThreadSupervisor | None = None

    def submit(self, run: Run) -> bool:
        """Have it done soon, by :meth:`.ports.Runnable.run_here`; False where nobody would look on."""
        with self._lock:
            if self._supervisor is None:
                self._start()
            if self._supervisor is None or not self._supervisor.watches:
                return False
            self._runs.put(run)
            return True

    def _start(self) -> None:
        supervisor = ThreadSupervisor(self)
        try:
            threading.Thread(target=self.run, name="flask-realtime-quick", daemon=True).start()
        except RuntimeError:  # the process may have no more; and Python 3.12 starts none while it exits
            supervisor.close()
        else:
            self._supervisor = supervisor

    def depose(self) -> None:
        """Whoever runs them is held up: another :meth:`run` follows, and that one sees it and leaves."""

    def run(self) -> None:
        """Run what comes, until nothing does for a while, or until somebody else goes on."""
        while True:
            try:
                run = self._runs.get(timeout=IDLE)
            except queue.Empty:
                if self._retire():
                    return
            else:
                if not self._run(run):
                    return
                del run  # it would live until the next one comes

    def _run(self, run: Run) -> bool:
        """False where another thread has taken the place of this one."""
        supervisor = self._supervisor
        assert supervisor is not None
        watch = supervisor.begin(run)
        try:
            # What it leaves in context variables is not for those of other clients.
            Context().run(run[0].run_here, run[1])
        except BaseException:  # SystemExit too: one handler must not take the thread from the others
            logger.exception("error in a handler")
        try:
            watch.pop()
        except IndexError:
            return False
        return True

    def _retire(self) -> bool:
        with self._lock:
            if self._supervisor is None or not self._runs.empty():
                return False  # something came at the last moment
            self._supervisor.close()
            self._supervisor = None
            return True
