"""What all backends with a loop over sockets have in common: the connections of WSGI servers."""

from __future__ import annotations

import importlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from ..protocol.websocket import WebSocketConnection
from ..server.engine import Engine
from ..server.ports import Access, Event, Poll
from ..server.session import Session
from .connections import AnswerConnection, PollConnection, WebSocketTransport
from .coroutines import Coroutines
from .lifecycle import in_async_worker
from .loop import Loop
from .patching import green_hub
from .pauses import Pause, Pauses
from .pollers import make_poller
from .takeover import (
    access,
    borrow,
    client_has_left,
    hasten,
    is_green,
    is_upgraded,
    leave,
    leave_behind,
    take_over,
)

__all__ = ["LoopBackend"]

PARKED_POLL = 20.0  # seconds
PARKED_LEAST = 0.3
PARKED_STEP = 0.1


class LoopBackend(Coroutines, ABC):
    """Takes connections over into its loop, or parks the thread that serves them."""

    #: see :class:`.ports.Backend`
    name: str

    def __init__(self) -> None:
        #: see :class:`.ports.Backend`
        self.stopwatch: Callable[[], float] = time.monotonic
        self._parked_polls = 0
        # What is known when the first poll has come.
        self._pauses: Pauses | Literal[False] | None = None
        self._parked_lock = threading.Lock()

    @abstractmethod
    def loop(self) -> Loop:
        """The loop of this process, started when first needed."""

    def access(self, environ: Any) -> Access:
        """How the connection of this request can be had."""
        return access(environ)

    def hasten(self, environ: Any) -> None:
        """Have the server write the response at once."""
        hasten(environ)

    def is_upgraded(self, environ: Any) -> bool:
        """Whether the server has answered the websocket handshake itself."""
        return is_upgraded(environ)

    def leave(self, environ: Any) -> None:
        """The server has no response to write."""
        leave(environ)

    def websocket(self, engine: Engine, how: Access, websocket: WebSocketConnection) -> WebSocketTransport:
        """A transport for a connection that can be had so; :meth:`carry_websocket` follows."""
        if how is Access.TAKE:
            return WebSocketTransport(self.loop(), engine, websocket)
        return WebSocketTransport(Loop(make_poller(green_hub())), engine, websocket)

    def carry_websocket(self, transport: WebSocketTransport, environ: Any, head: bytes) -> None:
        """Let the transport have the connection.

        Returns at once where the connection could be taken over; otherwise the
        thread is parked here until the websocket has ended.
        """
        loop = transport.loop
        if loop is self.loop():
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
        loop = self.loop()
        connection = AnswerConnection(loop, engine, response)
        taken = take_over(environ)
        loop.call_soon(lambda: connection.begin(taken.sock))

    def hold_poll(
        self, engine: Engine, session: Session, poll: Poll, environ: Any, respond: Callable[[bytes], bytes]
    ) -> None:
        """Take the connection of a poll over, and let the loop answer it (:attr:`.Access.TAKE`).

        :raises OSError: see :func:`.take_over`.
        """
        loop = self.loop()
        connection = PollConnection(loop, engine, session, poll, respond)
        taken = take_over(environ)
        # What was to be said before this moment is found when it begins.
        poll.wake = connection.wake
        loop.call_soon(lambda: connection.begin(taken.sock))

    def pause(self, environ: Any) -> Pause | None:
        """What a poll waits with on the server's own greenlet, before it is held; None where it does not."""
        if self._pauses is None:
            self._pauses = self._make_pauses(environ)
        return self._pauses.begin() if self._pauses else None

    def _make_pauses(self, environ: Any) -> Pauses | Literal[False]:
        library = green_hub()
        # A process may be patched, and its server have one thread or a few (gunicorn's sync worker, uWSGI).
        if not (is_green(environ) or in_async_worker()):
            return False
        if library == "gevent":
            return Pauses("gevent", importlib.import_module("gevent").get_hub().loop.run_callback_threadsafe)
        if library == "eventlet" == self.name:
            return Pauses("eventlet", self.loop().call_soon)
        return False  # threads are dear, and nobody outside of eventlet's thread can wake its hub

    def has_left(self, environ: Any) -> bool:
        """Whether the client of this request has gone (:attr:`.Access.TAKE`)."""
        return client_has_left(environ)

    def park_poll(self, environ: Any, ready: Event) -> None:
        """Park this thread until the poll has an answer, or has waited long enough.

        A server without sockets to take has few threads, and a parked poll
        holds one of them. The more polls are parked, the sooner each is sent
        back, so that some thread is always about to be free. A server with one
        thread has none to spare.
        """
        if green_hub() is not None:
            ready.wait(PARKED_POLL)  # greenlets are cheap
            return
        if not environ.get("wsgi.multithread"):
            ready.wait(PARKED_STEP)
            return
        with self._parked_lock:
            self._parked_polls += 1
        try:
            waited = 0.0
            while waited < max(PARKED_LEAST, PARKED_POLL / self._parked_polls**2) and not ready.wait(
                PARKED_STEP
            ):
                waited += PARKED_STEP
        finally:
            with self._parked_lock:
                self._parked_polls -= 1
