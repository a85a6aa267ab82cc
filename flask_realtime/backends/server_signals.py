"""How an ASGI server is kept from ending before its clients were told.

Every ASGI server closes its websockets itself when it is told to stop, before
it sends ``lifespan.shutdown`` (uvicorn with 1012, daphne by cancelling, hypercorn
after waiting for them), or does not tell us at all (daphne). So we stand before
the server: the signal starts a drain, and when that is done, the server gets it.

Servers learn of a signal in three ways:

- ``signal.signal`` (uvicorn, daphne): our handler takes the place of theirs and
  calls it later.
- ``loop.add_signal_handler`` (granian, gunicorn, hypercorn without workers): the
  loop reads the signal's number from the file descriptor of
  :func:`signal.set_wakeup_fd`. Ours takes its place and passes on what it reads;
  this works with any event loop, and nobody has to be asked for his handler.
- an event of ``multiprocessing`` that the parent sets and the worker asks for
  every 0.1 s (hypercorn with workers, as by default): its ``is_set`` tells the
  worker so when the drain is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from .lifecycle import WATCH_STEP, cut_short, drain_then

__all__ = ["drain_before_server"]

#: A service manager tells all processes, and a parent its workers: a second signal so soon is no impatience.
TOLD_TWICE = 1.0  # seconds

_gates: list[_Gate] = []


def drain_before_server(loop: asyncio.AbstractEventLoop) -> None:
    """Drain when the server is told to stop, and let it stop then; a second signal stops it at once.

    Called in a running loop, once when it starts and again when it has a client;
    does nothing where that is not in the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for gate in _gates:
        if gate.loop is loop:
            gate.hold()
            return
    _gates[:] = [gate for gate in _gates if not gate.loop.is_closed()]
    _gates.append(_Gate(loop))
    _hold_back_event()
    worker = _gunicorn_worker()
    if worker is not None:
        _drain_with_worker(worker, loop)


class _Gate:
    """Stands between the signals and a server."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._since: float | None = None  # when the first signal came
        self._open = False
        self._previous: dict[int, Any] = {}
        self._server_fd = self._writer = -1
        for signum in (signal.SIGTERM, signal.SIGINT):
            previous = signal.getsignal(signum)
            # What Python and asyncio.Runner (a partial) do with Ctrl-C by themselves is no server's doing.
            if previous not in (None, signal.SIG_IGN, signal.default_int_handler) and not isinstance(
                previous, partial
            ):
                self._previous[signum] = previous
                signal.signal(signum, self._handle)
        self._take_wakeup_fd()

    def _take_wakeup_fd(self) -> None:
        """Read what Python writes there for the loop."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._server_fd = signal.set_wakeup_fd(writer)
        if self._server_fd >= 0:
            with contextlib.suppress(NotImplementedError):
                self.loop.add_reader(reader, self._read_wakeups, reader)
                self._writer = writer
                return
        signal.set_wakeup_fd(self._server_fd)
        os.close(reader)
        os.close(writer)

    def hold(self) -> None:
        """Stand there still: uvloop puts its own descriptor back whenever it begins to run.

        A server that runs it once for the lifespan's startup and then for good (granian) would else be told
        at once.
        """
        if self._writer >= 0:
            current = signal.set_wakeup_fd(self._writer)
            if current != self._writer:
                self._server_fd = current

    def _read_wakeups(self, reader: int) -> None:
        # Python runs our handlers before this.
        with contextlib.suppress(BlockingIOError):
            for signum in os.read(reader, 4096):
                if signum not in self._previous:
                    self._tell_loop(signum)

    def _tell_loop(self, signum: int) -> None:
        if self._server_fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._server_fd, bytes([signum]))

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            drain_then(partial(self._finish, signum))
        elif self._open or now - self._since > TOLD_TWICE:
            cut_short()
            self._pass_on(signum)

    def _finish(self, signum: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self.loop.call_soon_threadsafe(self._let_stop, signum)

    def _let_stop(self, signum: int) -> None:
        """After the drain."""
        server = getattr(self._previous[signum], "__self__", None)
        if signum == signal.SIGTERM and getattr(server, "should_exit", None) is False:
            # uvicorn would raise the signal again at its end, and a drained process exits with 0.
            server.should_exit = True  # type: ignore[union-attr]
            self._open = True
        else:
            self._pass_on(signum)

    def _pass_on(self, signum: int) -> None:
        self._open = True
        previous = self._previous[signum]
        if previous is signal.SIG_DFL:
            raise SystemExit(0)
        previous(signum, None)
        self._tell_loop(signum)


def _hold_back_event() -> None:
    """In a worker of hypercorn: let it see the parent's event after the drain."""
    process = multiprocessing.current_process()
    target = getattr(process, "_target", None)
    event = getattr(process, "_kwargs", {}).get("shutdown_event")
    if event is None or getattr(target, "__module__", "").partition(".")[0] != "hypercorn":
        return
    event.is_set = _AfterDrain(event.is_set)


class _AfterDrain:
    """Asked whether to stop: yes, after a drain."""

    def __init__(self, is_set: Callable[[], bool]) -> None:
        self._is_set = is_set
        self._begun = self._done = False

    def __call__(self) -> bool:
        if not self._begun and self._is_set():
            self._begun = True
            drain_then(self._finish)
        return self._done

    def _finish(self) -> None:
        self._done = True


def _gunicorn_worker() -> Any:
    """gunicorn's ASGI worker, in whose ``run()`` this loop runs."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if type(found).__module__ == "gunicorn.workers.gasgi":
            return found
        frame = frame.f_back
    return None


def _drain_with_worker(worker: Any, loop: asyncio.AbstractEventLoop) -> None:
    """By ``--max-requests`` it ends without a signal; and first it waits for its websockets, for long."""
    if worker.alive:
        loop.call_later(WATCH_STEP, _drain_with_worker, worker, loop)
    else:
        drain_then(lambda: None)
