"""What the loop does with a client's socket: a websocket, or a poll that waits.

Both end in the same way: our half of the connection is shut down, and what the
client still sends is read and thrown away for a moment. Closing a socket with
unread bytes would reset the connection and take our last words with it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..protocol.engineio.transitions import State
from ..protocol.websocket import Closed, WebSocketConnection
from ..server.logs import short
from ..types import DisconnectReason
from .loop import READ, WRITE, Connection
from .sockets import has_bytes, is_tls

if TYPE_CHECKING:
    from ..server.engine import Engine
    from ..server.message import Message
    from ..server.ports import Poll
    from ..server.session import Session
    from .loop import Loop

__all__ = ["AnswerConnection", "PollConnection", "WebSocketTransport"]

_CLOSING: Final = State.CLOSING

READ_SIZE: Final = 65536  # bytes taken from one client in a turn
WRITE_SIZE: Final = 262144  # bytes taken from a queue for one write
LINGER: Final = 2.0  # seconds
RENDER_INLINE: Final = 16384  # bytes of a polling payload that are made into a response on the loop's thread

#: the socket can't be read or written right now
WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError)


class SocketConnection(Connection):
    """A non-blocking socket in the loop: reads, writes what it can, keeps the rest."""

    __slots__ = (
        "_closed",
        "_events",
        "_linger",
        "_progress_by",
        "_tls",
        "_unsent",
        "engine",
        "loop",
        "on_end",
        "owns_socket",
        "scheduled_at",
        "sock",
    )

    def __init__(self, loop: Loop, engine: Engine) -> None:
        super().__init__()
        self.loop: Loop = loop
        self.engine: Engine = engine
        self.sock: socket.socket | None = None
        self.scheduled_at: float | None = None
        #: False for a server's socket that is only borrowed: it stays open when we are done
        self.owns_socket: bool = True
        #: called when the socket has been closed (a parked thread waits for it)
        self.on_end: Callable[[], None] | None = None
        self._events = 0
        self._unsent: memoryview | None = None
        self._progress_by: float | None = None
        self._linger = False
        self._closed = False
        self._tls = False

    @property
    def blocked(self) -> bool:
        """The peer does not read: bytes wait."""
        return self._unsent is not None

    def wake(self) -> None:
        """Flush soon; from any thread."""
        if not self.scheduled and self.sock is not None:
            self.loop.schedule(self)

    def start(self, sock: socket.socket) -> None:
        """The socket is ours (the loop's thread)."""
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._tls = is_tls(sock)
        self._events = READ
        self.loop.register(sock, READ, self)

    def watch(self, events: int) -> None:
        """Wait for these events only."""
        if events == self._events or self._closed or self.sock is None:
            return
        if not events:
            self.loop.unregister(self.sock)
        elif not self._events:
            self.loop.register(self.sock, events, self)
        else:
            self.loop.modify(self.sock, events)
        self._events = events

    def handle_events(self, mask: int) -> None:
        """See :class:`.loop.Connection`."""
        if mask & READ and self.sock is not None and not self._closed:
            try:
                data = self.sock.recv(READ_SIZE)
            except WOULD_BLOCK:
                pass
            except OSError:
                self.close_now()
                self.peer_gone(DisconnectReason.TRANSPORT_ERROR)
            else:
                self._receive(data)
        if mask & WRITE and not self._closed:
            self.flush()

    def _receive(self, data: bytes) -> None:
        assert self.sock is not None
        if not data:
            self.close_now()
            self.peer_gone(DisconnectReason.TRANSPORT_CLOSE)
        elif not self._linger:
            self.receive(data)
            # TLS keeps decrypted bytes that no selector sees.
            if self._tls and not self._closed and self.sock.pending():  # type: ignore[attr-defined]
                self.loop.call_soon(lambda: self.handle_events(READ))

    def write(self, data: bytes) -> bool:
        """Write what the socket takes; True where that was all. Nothing may be unsent before."""
        assert self.sock is not None
        try:
            sent = self.sock.send(data)
        except WOULD_BLOCK:
            sent = 0
        except OSError:
            self.close_now()
            self.peer_gone(DisconnectReason.TRANSPORT_ERROR)
            return False
        if sent == len(data):
            return True
        self._unsent = memoryview(data)[sent:]
        self._await_progress()
        self.watch(self._events | WRITE)
        return False

    def write_unsent(self) -> bool:
        """Go on with what was left; True where nothing is left now."""
        if self._unsent is None:
            return True
        assert self.sock is not None
        try:
            sent = self.sock.send(self._unsent)
        except WOULD_BLOCK:
            return False
        except OSError:
            self.close_now()
            self.peer_gone(DisconnectReason.TRANSPORT_ERROR)
            return False
        if sent < len(self._unsent):
            if sent:
                self._unsent = self._unsent[sent:]
                self._await_progress()
            return False
        self._unsent = self._progress_by = None
        self.watch(self._events & ~WRITE)
        return True

    def _await_progress(self) -> None:
        self._progress_by = self.loop.now() + self.engine.config.write_timeout
        self.loop.schedule_timeout(self, self._progress_by)

    def handle_timeout(self, now: float) -> float | None:
        """See :class:`.DeadlineOwner`: no progress in writing, or the end of the linger."""
        if self._closed or self._progress_by is None:
            return None
        if now < self._progress_by:
            return self._progress_by
        if not self._linger:
            self._log_stall()
            self.close_now()
            self.peer_gone(DisconnectReason.TRANSPORT_ERROR)
        else:
            self.close_now()
        return None

    def _log_stall(self) -> None:
        sid, waiting = self.waiting()
        self.engine.refusals(
            "slow reader", "session %s took no byte for %g s while %d bytes waited; closing it",
            short(sid), self.engine.config.write_timeout, waiting + len(self._unsent or b""),
        )  # fmt: skip

    def finish(self) -> None:
        """All is written: shut our half down, and give the client a moment."""
        if self._closed or self._linger or self.sock is None:
            return
        self._linger = True
        self._unsent = None
        if self._tls:
            with contextlib.suppress(OSError, ValueError):
                self.sock.unwrap()  # type: ignore[attr-defined] # says close_notify; its answer is not waited for
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.watch(READ)
        self._progress_by = self.loop.now() + LINGER
        self.loop.schedule_timeout(self, self._progress_by)

    def close_now(self) -> None:
        """Let go of the socket."""
        if self._closed:
            return
        self._closed = True
        self._unsent = None
        if self.sock is not None:
            if self._events:
                self.loop.unregister(self.sock)
            if self.owns_socket:
                self.sock.close()
        if self.on_end is not None:
            self.on_end()

    # The subclass's part

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        raise NotImplementedError

    def peer_gone(self, reason: DisconnectReason) -> None:
        """The connection is lost; the socket is closed."""
        raise NotImplementedError

    def waiting(self) -> tuple[str, int]:
        """Whose connection it is, and how many bytes are queued behind it."""
        return "?", 0


class WebSocketTransport(SocketConnection):
    """A websocket in the loop (a :class:`.ports.WebSocketTransport`).

    :param websocket: its protocol.
    """

    __slots__ = ("_abort_code", "_out", "_websocket", "session")

    session: Session

    def __init__(self, loop: Loop, engine: Engine, websocket: WebSocketConnection) -> None:
        super().__init__(loop, engine)
        self._websocket = websocket
        self._out: list[bytes] = []
        self._abort_code: int | None = None

    def begin(self, sock: socket.socket, head: bytes, early: bytes) -> None:
        """Answer the handshake and go on (the loop's thread).

        :param head: the 101 response, where the server has not sent it.
        :param early: bytes that came right behind the request.
        """
        if head:
            self._out.insert(0, head)
        self.start(sock)
        self.flush()
        if early and not self._closed:
            self.receive(early)

    # From any thread, with the engine's lock held

    def push(self, message: Message) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        self._out.append(self._encode(message))
        self.wake()

    def abort(self, code: int) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        if self._abort_code is None:
            self._abort_code = code
            self.wake()

    def has_unread(self) -> bool:
        """See :class:`.ports.WebSocketTransport`."""
        if self._closed or self.sock is None:
            return False
        try:
            return has_bytes(self.sock)
        except OSError:
            return False

    # The loop's thread

    def receive(self, data: bytes) -> None:
        """See :class:`SocketConnection`."""
        websocket = self._websocket
        events = websocket.receive_data(data)
        closed = events.pop() if events and type(events[-1]) is Closed else None
        if events:
            self.session.receive(self, events)  # type: ignore[arg-type]
        if closed is not None:
            self._peer_closed(closed)  # type: ignore[arg-type]
            return
        if websocket.outgoing:
            self.wake()
        if self.session.reading_paused:
            self.watch(self._events & ~READ)

    def _peer_closed(self, closed: Closed) -> None:
        if not closed.clean:
            self.engine.refusals(
                "websocket error", "session %s: websocket failed with %d %s",
                short(self.session.sid), closed.code, closed.reason,
            )  # fmt: skip
        reason = DisconnectReason.TRANSPORT_CLOSE if closed.clean else DisconnectReason.TRANSPORT_ERROR
        # Our Close frame answers theirs, or says what they did wrong.
        self._out.append(self._websocket.data_to_send())
        self._abort_code = closed.code
        self.session.transport_closed(self, reason)
        self._write_out_and_finish()

    def peer_gone(self, reason: DisconnectReason) -> None:
        """See :class:`SocketConnection`."""
        self._websocket.receive_eof()
        self.session.transport_closed(self, reason)

    def flush(self) -> None:
        """See :class:`SocketConnection`."""
        if self._closed or self._linger or self.sock is None:
            return
        lock = self.engine.lock
        lock.acquire()
        try:
            if self._abort_code is not None:
                self._finish_with(self._abort_code)
                return
            if self._unsent is not None and not self.write_unsent():
                return
            self._write_queue()
        finally:
            lock.release()
        if not self._events & READ and not self.session.reading_paused:
            self.watch(self._events | READ)

    def waiting(self) -> tuple[str, int]:
        """See :class:`SocketConnection`."""
        return self.session.sid, self.session.outbox.bytes

    def _write_queue(self) -> None:
        session = self.session
        # Pongs. While nothing can be written they are left where only the latest one is kept.
        if self._websocket.outgoing:
            self._out.append(self._websocket.data_to_send())
        carries = session.transport is self
        messages = session.data_to_send(WRITE_SIZE) if carries else []
        while messages or self._out:
            # Counted as queued until it is written; what waits in `_unsent` is bounded by WRITE_SIZE
            # or by one message.
            whole = self.write(self._join(messages))
            if self._closed:
                return
            if messages:
                session.outbox.commit()
            if not whole:
                return
            messages = session.data_to_send(WRITE_SIZE) if carries and session.outbox.messages else []
        if carries and session.protocol.state is _CLOSING and session.drained:
            self._finish_with(session.close_code)

    def _join(self, messages: list[Message]) -> bytes:
        if self._websocket.accepts_frames:
            if len(messages) == 1 and not self._out:
                message = messages[0]
                return message.cached_frame or message.ws_frame
            frames = [message.cached_frame or message.ws_frame for message in messages]
        else:
            frames = [self._encode(message) for message in messages]
        if self._out:
            frames = self._out + frames
            self._out = []
        return b"".join(frames)

    def _encode(self, message: Message) -> bytes:
        websocket = self._websocket
        frames = [] if message.text is None else [websocket.encode_text(message.text)]
        frames += [websocket.encode_binary(data) for data in message.binary]
        return b"".join(frames)

    def _finish_with(self, code: int) -> None:
        if self._unsent is not None:
            # In the middle of a frame no Close can be said, and the peer does not read anyway.
            self.close_now()
            self.session.transport_closed(self, DisconnectReason.TRANSPORT_ERROR)
            return
        self._websocket.close(code)
        self._out.append(self._websocket.data_to_send())
        self._write_out_and_finish()
        self.session.transport_closed(self, DisconnectReason.TRANSPORT_CLOSE)

    def _write_out_and_finish(self) -> None:
        data = b"".join(self._out)
        self._out = []
        if self.sock is None or self._closed:
            return
        if self._unsent is None and data and not self._linger:
            with contextlib.suppress(OSError):
                self.sock.send(data)
        self.finish()


class AnswerConnection(SocketConnection):
    """Says one thing and closes.

    :param response: the complete HTTP response.
    """

    __slots__ = ("_response",)

    def __init__(self, loop: Loop, engine: Engine, response: bytes) -> None:
        super().__init__(loop, engine)
        self._response = response

    def begin(self, sock: socket.socket) -> None:
        """Answer on this socket (the loop's thread)."""
        self.start(sock)
        if self.write(self._response):
            self.finish()

    def receive(self, data: bytes) -> None:
        """See :class:`SocketConnection`: nobody listens any more."""

    def flush(self) -> None:
        """See :class:`SocketConnection`."""
        if not self._closed and self.write_unsent():
            self.finish()

    def peer_gone(self, reason: DisconnectReason) -> None:
        """See :class:`SocketConnection`: then it does not want to know."""


class PollConnection(SocketConnection):
    """A long-poll that waits in the loop, on a socket taken over.

    :param respond: makes the complete HTTP response of a payload.
    """

    __slots__ = ("_poll", "_respond", "_session")

    def __init__(
        self,
        loop: Loop,
        engine: Engine,
        session: Session,
        poll: Poll,
        respond: Callable[[bytes], bytes],
    ) -> None:
        super().__init__(loop, engine)
        self._session = session
        self._poll = poll
        self._respond = respond

    def begin(self, sock: socket.socket) -> None:
        """Wait with this socket (the loop's thread)."""
        self.start(sock)
        self.flush()

    def waiting(self) -> tuple[str, int]:
        """See :class:`SocketConnection`."""
        return self._session.sid, self._session.outbox.bytes

    def receive(self, data: bytes) -> None:
        """A pipelined request, which ``Connection: close`` leaves unanswered."""
        self.watch(self._events & ~READ)

    def peer_gone(self, reason: DisconnectReason) -> None:
        """See :class:`SocketConnection`: an aborted poll."""
        with self.engine.lock:
            self._session.poll_failed(self._poll)

    def flush(self) -> None:
        """See :class:`SocketConnection`."""
        if self._closed or self._linger or self.sock is None:
            return
        if self._poll.answering:
            if self._unsent is not None:
                self._write_or_go_on(None)
            return
        with self.engine.lock:
            payload = self._session.answer_poll(self._poll)
        if payload is None:
            return
        if len(payload) < RENDER_INLINE:
            self._write_or_go_on(self._respond(payload))
        else:
            # It may have to be compressed, which would hold up everybody else here.
            self.engine.backend.assist(self._render, payload)

    def _render(self, payload: bytes) -> None:
        response = self._respond(payload)
        self.loop.call_soon(lambda: self._write_or_go_on(response))

    def _write_or_go_on(self, response: bytes | None) -> None:
        if self._closed:
            return
        # The lock is held from the write to the commit: the client may send its
        # next poll the moment it has read this answer.
        with self.engine.lock:
            whole = self.write_unsent() if response is None else self.write(response)
            if whole and not self._closed:
                self._session.poll_written(self._poll)
                self.finish()
