"""The backend of plain threads: for Werkzeug, gunicorn (sync, gthread) and any other WSGI server."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..protocol.websocket import WebSocketConnection
from ..server.engine import Engine
from ..server.ports import Access, Event, Joinable, Poll, Scheduler
from ..server.session import Session
from .connections import AnswerConnection, PollConnection, WebSocketTransport
from .lifecycle import drain_at_exit
from .loop import Loop
from .pool import ThreadPool
from .takeover import access, borrow, leave_behind, take_over

__all__ = ["ThreadsBackend"]

PARKED_POLL = 20.0  # seconds


class _ProcessLoop:
    """The one loop of the process, started when first needed, in the process that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: Loop | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # The thread did not come with us; what it owned belongs to the parent.
        self._lock = threading.Lock()
        self._loop = None

    def get(self) -> Loop:
        loop = self._loop
        if loop is None:
            with self._lock:
                loop = self._loop
                if loop is None:
                    loop = self._loop = Loop(selectors.DefaultSelector())
                    threading.Thread(target=loop.run, name="flask-realtime-loop", daemon=True).start()
        return loop

    @property
    def running(self) -> Loop | None:
        """The loop, if it was started."""
        return self._loop


_process_loop = _ProcessLoop()


class ThreadsBackend:
    """Real threads: one loop for all sockets, a bounded pool for handlers (a :class:`.ports.Backend`).

    :param handler_threads: the size of the pool.
    """

    name = "threading"

    def __init__(self, handler_threads: int) -> None:
        self._handler_threads = handler_threads
        self._pool: ThreadPool | None = None
        self._pool_owner = 0
        self._parked_polls = 0

    # ports.Backend

    def now(self) -> float:
        loop = _process_loop.running
        return time.monotonic() if loop is None else loop.now()

    def lock(self) -> AbstractContextManager[Any]:
        return threading.RLock()

    def event(self) -> Event:
        return threading.Event()

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        pool = self._pool
        if pool is None or self._pool_owner != os.getpid():
            # A pool that was inherited by a fork has lost its threads.
            pool = self._pool = ThreadPool(self._handler_threads)
            self._pool_owner = os.getpid()
        pool.submit(function, *args)

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        thread = threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True)
        thread.start()
        return thread

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def keep(self, scheduler: Scheduler) -> None:
        _process_loop.get().keep(scheduler)
        drain_at_exit(_process_loop.get())

    def reschedule(self) -> None:
        loop = _process_loop.running
        if loop is not None:
            loop.wake()

    # Connections of WSGI servers

    def access(self, environ: Any) -> Access:
        """How the connection of this request can be had."""
        return access(environ)

    def websocket(self, engine: Engine, environ: Any, websocket: WebSocketConnection) -> WebSocketTransport:
        """A transport for the connection of this request; :meth:`carry_websocket` follows."""
        if access(environ) is Access.TAKE:
            return WebSocketTransport(_process_loop.get(), engine, websocket)
        return WebSocketTransport(Loop(selectors.DefaultSelector()), engine, websocket)

    def carry_websocket(self, transport: WebSocketTransport, environ: Any, head: bytes) -> None:
        """Let the transport have the connection.

        Returns at once where the connection could be taken over; otherwise the
        thread is parked here until the websocket has ended.
        """
        loop = transport.loop
        if loop is _process_loop.running:
            taken = take_over(environ)
            loop.call_soon(lambda: transport.begin(taken.sock, head, taken.early))
            return
        sock, early = borrow(environ)
        transport.owns_socket = False
        transport.on_end = loop.stop
        loop.call_soon(lambda: transport.begin(sock, head, early))
        loop.run()
        leave_behind(sock)

    def answer(self, engine: Engine, environ: Any, response: bytes) -> None:
        """Take the connection over, answer on it and close it (:attr:`.Access.TAKE`)."""
        loop = _process_loop.get()
        connection = AnswerConnection(loop, engine, response)
        taken = take_over(environ)
        loop.call_soon(lambda: connection.begin(taken.sock))

    def hold_poll(
        self, engine: Engine, session: Session, environ: Any, respond: Callable[[bytes], bytes]
    ) -> tuple[Poll, Callable[[], None]]:
        """A poll that the loop answers, and what takes its connection over (:attr:`.Access.TAKE`)."""
        loop = _process_loop.get()
        connection = PollConnection(loop, engine, session, respond)
        connection.poll = poll = Poll(connection.wake)

        def take() -> None:
            taken = take_over(environ)
            loop.call_soon(lambda: connection.begin(taken.sock))

        return poll, take

    def park_poll(self, ready: Event) -> None:
        """Park this thread until the poll has an answer, or has waited long enough.

        A server without sockets to take has few threads, and a parked poll
        holds one of them. The more polls are parked, the sooner each is sent
        back, so that some thread is always about to be free.
        """
        self._parked_polls += 1
        try:
            ready.wait(max(0.05, PARKED_POLL / self._parked_polls**2))
        finally:
            self._parked_polls -= 1
