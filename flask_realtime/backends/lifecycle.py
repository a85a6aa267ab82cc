"""The end of a process: clients are told, queues are flushed, disconnect handlers run."""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..server.drain import drain as drain_engines
from . import uwsgi_server
from .connections import LINGER
from .events import make_any_event, wait_readable
from .patching import green_hub, original, patched_by, start_thread, throw_into_main

if TYPE_CHECKING:
    from ..server.engine import Engine
    from ..server.handle import EngineHandle
    from .loop import Loop

__all__ = [
    "after_drain",
    "cut_short",
    "drain",
    "drain_at_exit",
    "drain_on_sigterm",
    "drain_then",
    "in_async_worker",
    "revive",
    "stopping_on_signals",
    "watch",
    "worker_connections",
]

#: how often a gunicorn worker is asked whether it is to end
WATCH_STEP = 0.25  # seconds


class _Drain:
    """A drain of one process: it happens once, and whoever ends the process waits for it."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.done = make_any_event()
        #: somebody can't wait
        self.cut_short = False


_handles: weakref.WeakSet[EngineHandle] = weakref.WeakSet()
_drain: _Drain | None = None  # the one that has begun
_beginning = original("_thread", "allocate_lock")()
_registered_by = 0  # the process that will drain at its exit
_loop: Loop | None = None  # its loop, which has the last words to write
_watch: _WorkerWatch | None = None  # the loop itself holds it weakly
_afterwards: list[Callable[[], None]] = []  # done when nobody emits any more


def watch(engine: Engine) -> None:
    """Drain this engine when the process ends."""
    _handles.add(engine.handle)


def _engines() -> list[Engine]:
    return [handle.engine for handle in list(_handles)]


def after_drain(function: Callable[[], None]) -> None:
    """Call ``function`` at the end of each drain of the process."""
    _afterwards.append(function)


def _forked() -> None:
    for engine in _engines():
        engine.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def drain(serving: bool) -> None:
    """Drain all engines of the process, once; one that has begun elsewhere is waited for.

    :param serving: HTTP requests are still answered meanwhile.
    """
    global _drain
    with _beginning:
        begun = _drain if _drain is not None and _drain.pid == os.getpid() else None
        if begun is None:
            _drain = _Drain()
    if begun is not None:
        if not begun.cut_short:
            begun.done.wait()
        return
    try:
        drain_engines(_engines(), serving)
        deadline = time.monotonic() + LINGER
        while _loop is not None and not _loop.quiet and time.monotonic() < deadline:
            time.sleep(0.01)
        for function in _afterwards:
            function()
    finally:
        if _drain is not None:
            _drain.done.set()


class _WorkerWatch:
    """Drains when a gunicorn worker is to end (a :class:`.ports.Scheduler`).

    The worker knows it from SIGTERM or by ``--max-requests``, and tells nobody
    until its exit. That may be too late: it first waits for its requests, to
    which websockets belong that its own threads are parked on (TLS in the
    process), and is killed if that takes too long.
    """

    def __init__(self, worker: Any, loop: Loop) -> None:
        self._worker = worker
        self._due: float | None = loop.now() + WATCH_STEP
        loop.keep(self)

    def next_deadline(self) -> float | None:
        return self._due

    def handle_timeouts(self, now: float) -> None:
        if self._due is None or now < self._due:
            return
        if self._worker.alive:
            self._due = now + WATCH_STEP
        else:
            self._due = None
            drain_then(lambda: None)


def _gunicorn_worker() -> Any:
    """The worker of this process, if it is one of gunicorn's: its method handles SIGTERM."""
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    is_gunicorn = any(base.__module__.partition(".")[0] == "gunicorn" for base in type(worker).__mro__)
    return worker if is_gunicorn and hasattr(worker, "alive") else None  # not the arbiter


def in_async_worker() -> bool:
    """Whether this is a gunicorn worker that has a greenlet for each connection."""
    bases = type(_gunicorn_worker()).__mro__
    return any(base.__module__ == "gunicorn.workers.base_async" for base in bases)


def worker_connections() -> int | None:
    """How many connections the gunicorn worker of this process has at most, if it is one that says so."""
    most = getattr(_gunicorn_worker(), "worker_connections", None)
    return most if isinstance(most, int) else None


def revive() -> None:
    """A server starts (again): what was drained before may serve."""
    global _drain
    _drain = None
    for engine in _engines():
        engine.draining = False


def drain_then(finish: Callable[[], object]) -> None:
    """Drain while HTTP is still served, then call ``finish``; returns at once."""

    def work() -> None:
        try:
            drain(serving=True)
        finally:
            finish()

    start_thread(work, "flask-realtime-drain")


def cut_short() -> None:
    """Somebody can't wait for the drain that has begun."""
    if _drain is not None:
        _drain.cut_short = True


def drain_at_exit(loop: Loop) -> None:
    """Have this process drain when it exits; a gunicorn worker, as soon as it is to end."""
    global _registered_by, _loop, _watch
    if _registered_by != os.getpid():
        _registered_by = os.getpid()
        _loop = loop
        worker = _gunicorn_worker()
        _watch = None if worker is None else _WorkerWatch(worker, loop)
        drain_this = partial(_drain_of, os.getpid())
        atexit.register(drain_this)
        uwsgi_server.at_exit(drain_this)


def _drain_of(pid: int) -> None:
    # A child that was forked later inherits the registration, but not the clients.
    if pid == os.getpid():
        drain(serving=False)


def drain_on_sigterm() -> None:
    """On SIGTERM, drain while HTTP is still served, then exit with status 0; a second SIGTERM exits at once.

    Does nothing outside the main thread, or where the signal has a handler
    already (a server such as gunicorn has its own, and exits in its own way).
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    received = 0

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        if received > 1:
            cut_short()
            _exit()
        # The second signal, which ends the process, is then our own.
        drain_then(partial(os.kill, os.getpid(), signal.SIGTERM))

    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, handle)


def _exit() -> None:
    if patched_by() is None:
        raise SystemExit(0)
    throw_into_main(SystemExit(0))


@contextmanager
def stopping_on_signals(stop: Callable[[], object]) -> Iterator[list[int]]:
    """In this block, SIGTERM and SIGINT drain while HTTP is served, then ``stop``; a second one just stops.

    Only in the main thread, and only for signals that nobody else handles.

    :returns: the signals that have come.
    """
    received: list[int] = []

    def handle(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        if len(received) == 1:
            drain_then(stop)
        else:
            cut_short()
            # Not here: the server may run below us on this very stack.
            start_thread(stop, "flask-realtime-stop")

    ours = []
    with suppress(ValueError):  # not the main thread
        for signum in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler):
                ours.append((signum, signal.signal(signum, handle)))
    try:
        with _prompt_signals() if ours else nullcontext():
            yield received
    finally:
        for signum, previous in ours:
            signal.signal(signum, previous)


@contextmanager
def _prompt_signals() -> Iterator[None]:
    """Have a hub notice signals at once.

    Python runs their handlers when the main thread runs Python again. A signal
    that comes just before a hub goes to sleep would wait for the next event, so
    the interpreter is told to write to a pipe, which is an event.
    """
    hub = green_hub()
    if hub is None:
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ended = False

    def read() -> None:
        while not ended:
            wait_readable(reader, None)
            os.read(reader, 4096)
        os.close(reader)

    importlib.import_module(hub).spawn(read)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        ended = True
        os.write(writer, b"\0")
        os.close(writer)
