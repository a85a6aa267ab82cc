"""One Engine.IO session on the server: its protocol state, queue and transport.

All methods expect the engine's lock to be held, unless they say otherwise.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from ..protocol.engineio.packet import PacketType, decode_text, encode_text
from ..protocol.engineio.payload import SEPARATOR, decode_payload
from ..protocol.engineio.request import ErrorCode
from ..protocol.engineio.session import SessionProtocol
from ..protocol.engineio.transitions import State
from ..protocol.errors import RemoteProtocolError
from ..types import DisconnectReason
from .inbox import MAX_BACKLOG
from .logs import short
from .message import CLOSE, NOOP, PING, Message
from .outbox import Outbox
from .ports import Host, Poll, SessionApplication, WebSocketTransport

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Session"]

#: packets in one polling response; python-engineio's client takes 16, a ping and a close among them
MAX_RESPONSE_PACKETS: Final = 14
GOING_AWAY: Final = 1001
#: no message is accepted any more
# An enum's members are slow to look up in the enum.
_CLOSED: Final = State.CLOSED
_CLOSING: Final = State.CLOSING
OVER: Final = (_CLOSED, _CLOSING)
NORMAL_CLOSURE: Final = 1000


class Session:
    """One client connection.

    :param engine: the engine that it belongs to.
    :param sid: its secret id (not the ``request.sid`` of Socket.IO).
    :param protocol: its state machine.
    :param environ: what is kept of the handshake's request, for the handlers.
    :param host: who drives it instead of a peer on the network, if it is a test.
    """

    __slots__ = (
        "_posting",
        "application",
        "candidate",
        "close_code",
        "engine",
        "environ",
        "host",
        "outbox",
        "poll",
        "protocol",
        "reading_paused",
        "scheduled_at",
        "sid",
        "transport",
    )

    application: SessionApplication

    def __init__(
        self,
        engine: Engine,
        sid: str,
        protocol: SessionProtocol,
        environ: Any,
        host: Host | None = None,
    ) -> None:
        self.engine: Engine = engine
        self.host: Host | None = host
        self.sid: str = sid
        self.protocol: SessionProtocol = protocol
        self.environ: dict[str, Any] = environ
        self.outbox: Outbox = Outbox()
        #: the websocket that carries the session
        self.transport: WebSocketTransport | None = None
        #: the websocket that climbs the upgrade ladder
        self.candidate: WebSocketTransport | None = None
        #: the long-poll that waits or is being answered
        self.poll: Poll | None = None
        self.close_code: int = NORMAL_CLOSURE
        #: the application can't take more for now
        self.reading_paused: bool = False
        self.scheduled_at: float | None = None
        # Since when a POST has been read
        self._posting: float | None = None

    @property
    def alive(self) -> bool:
        """Messages are still accepted."""
        return self.protocol.alive

    @property
    def ended(self) -> bool:
        return self.protocol.state is State.CLOSED

    @property
    def transport_name(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return "polling" if self.transport is None else "websocket"

    # Sending

    def send(self, message: Message) -> None:
        """Queue a message; never waits. A session that is over drops it."""
        state = self.protocol.state
        if state is _CLOSED or state is _CLOSING:
            return
        if message.volatile and self._is_behind(message):
            return
        if not self.outbox.append(message, self.engine.outbox_limits):
            self.overflow(self.outbox)
        elif self.transport is not None:
            self.transport.wake()
        else:
            self.wake()

    def _is_behind(self, message: Message) -> bool:
        limits = self.engine.outbox_limits
        return (
            (self.transport is not None and self.transport.blocked)
            or self.outbox.bytes + message.size > limits.max_bytes
            or self.outbox.packets + message.packets > limits.max_packets
        )

    def overflow(self, outbox: Outbox) -> None:
        """More waits for the client than may: send it away."""
        self.engine.refusals(
            "slow reader",
            "session %s does not read: %d packets, %d bytes waited; closing it",
            short(self.sid), outbox.packets, outbox.bytes,
        )  # fmt: skip
        self.end(DisconnectReason.TRANSPORT_ERROR)

    def wake(self) -> None:
        """Tell whoever can write that there is something to do."""
        if self.transport is not None:
            self.transport.wake()
        elif self.poll is not None and not self.poll.answering:
            self.poll.wake()

    def _collect(self, max_bytes: int, max_packets: int = sys.maxsize) -> list[Message]:
        messages = self.outbox.take(max_bytes, max_packets)
        # A ping passes what is queued, so that a long queue can't time a client out.
        return [PING, *messages] if self.protocol.take_ping() else messages

    # The websocket as transport

    def data_to_send(self, max_bytes: int) -> list[Message]:
        """What the websocket is to write now; followed by :meth:`.Outbox.commit`.

        The list is the queue itself: encode it before the lock is released.
        """
        if self.poll is not None:
            return []  # released, but not written yet; poll_written() wakes us
        return self._collect(max_bytes) if self.protocol.ping_queued else self.outbox.take(max_bytes)

    @property
    def drained(self) -> bool:
        """We have closed, and nothing is left to write."""
        return self.protocol.state is State.CLOSING and not self.outbox.waiting

    def receive(self, transport: WebSocketTransport, messages: list[str | bytes]) -> None:
        """Messages from a websocket, in order; takes the lock itself.

        A message that breaks a rule ends the session (or the upgrade).
        """
        protocol, receive_message = self.protocol, self.application.receive_message
        lock = self.engine.lock
        lock.acquire()
        try:
            for message in messages:
                if transport is not self.transport:
                    self._receive_probe(transport, message)
                elif type(message) is not str:
                    if protocol.state not in OVER:
                        receive_message(message)
                elif message[:1] != "4":
                    self._receive_packet(message)
                elif protocol.state not in OVER:
                    receive_message(message[1:])
        except RemoteProtocolError as error:
            self._refuse(transport, error)
        finally:
            lock.release()

    def _receive_packet(self, text: str) -> None:
        if self.ended:
            return
        now = self.engine.now()
        if self.protocol.receive_packet(decode_text(text), now):
            self.end(DisconnectReason.CLIENT_DISCONNECT)
        else:
            self.engine.schedule(self)

    def _refuse(self, transport: WebSocketTransport, error: RemoteProtocolError) -> None:
        self.engine.refusals("protocol error", "session %s: %s", short(self.sid), error.message)
        if transport is self.transport:
            if self.host is not None:
                self.host.session_refused(error)
            transport.abort(error.close_code)
            self.end(DisconnectReason.TRANSPORT_ERROR)
        else:
            self._fail_upgrade(transport, error.close_code)

    def transport_closed(self, transport: WebSocketTransport, reason: DisconnectReason) -> None:
        """A websocket is gone; takes the lock itself."""
        with self.engine.lock:
            if transport is self.transport:
                self.end(reason)
            else:
                self._fail_upgrade(transport, NORMAL_CLOSURE)

    # The upgrade: 2probe -> 3probe, the waiting GET is released with a NOOP, 5

    def begin_upgrade(self, candidate: WebSocketTransport) -> None:
        """A websocket asks to become the transport.

        :raises RemoteProtocolError: a second upgrade is refused; the session goes on.
        """
        self.protocol.begin_upgrade(self.engine.now())
        self.candidate = candidate
        self.engine.schedule(self)

    def _receive_probe(self, transport: WebSocketTransport, message: str | bytes) -> None:
        if transport is not self.candidate:
            return
        if isinstance(message, bytes):
            raise RemoteProtocolError("broken upgrade: a binary message before the upgrade packet")
        answer = self.protocol.receive_probe_packet(decode_text(message))
        if answer is not None:
            transport.push(Message.of(encode_text(answer)))
        if not self.protocol.upgrading:
            self.transport, self.candidate = transport, None
            self.engine.upgraded(self)
        if self.poll is not None and not self.poll.answering:
            self.poll.wake()
        self.wake()

    def _fail_upgrade(self, transport: WebSocketTransport, close_code: int) -> None:
        transport.abort(close_code)
        if transport is self.candidate:
            self.candidate = None
            self.protocol.abort_upgrade()
            self.wake()

    # Long-polling

    def check_polling(self) -> None:
        """Polling requests are for sessions on polling.

        :raises RemoteProtocolError: the session has moved to a websocket.
        """
        if self.transport is not None:
            raise RemoteProtocolError(
                "the session has been upgraded to websocket", code=ErrorCode.BAD_REQUEST
            )

    def begin_poll(self, poll: Poll) -> None:
        """A GET has arrived.

        :raises RemoteProtocolError: another one is pending. Both end, and the session too.
        """
        self.check_polling()
        if self.poll is not None:
            self.end(DisconnectReason.TRANSPORT_ERROR, farewell=CLOSE.payload_part)
            raise RemoteProtocolError("a second GET while one is pending", code=ErrorCode.BAD_REQUEST)
        self.poll = poll

    def answer_poll(self, poll: Poll) -> bytes | None:
        """The payload to answer with, or None where there is nothing to say yet.

        After a payload was given, :meth:`poll_written` or :meth:`poll_failed` follows.
        """
        if poll.farewell is not None:
            poll.answering = True
            return poll.farewell
        if self.protocol.state is State.PROBED or self.transport is not None:
            # What is queued is kept for the websocket; only a ping can't wait.
            poll.answering = True
            on_polling = self.transport is None
            return PING.payload_part if on_polling and self.protocol.take_ping() else NOOP.payload_part
        messages = self._collect(self.engine.config.max_http_buffer_size, MAX_RESPONSE_PACKETS)
        parts = [message.payload_part for message in messages]
        if not parts:
            if not self.drained:
                return None
            # By itself: the JavaScript client drops what comes together with it.
            parts.append(CLOSE.payload_part)
            poll.last = True
        poll.answering = True
        return SEPARATOR.join(parts)

    def release_poll(self, poll: Poll) -> bytes:
        """A poll has waited long enough: the payload that sends it back with nothing."""
        poll.answering = True
        return NOOP.payload_part

    def withdraw_poll(self, poll: Poll) -> None:
        """A poll could not be made to wait, and was not answered: as if it had not come."""
        if poll is self.poll and not poll.answering:
            self.poll = None

    def poll_written(self, poll: Poll) -> None:
        """The response was written: only now do its messages leave the queue."""
        if poll is self.poll:
            self.poll = None
            # A released (NOOP) poll has taken nothing.
            self.outbox.commit()
            if self.transport is not None:
                self.transport.wake()
            elif poll.last:
                self.end(DisconnectReason.SERVER_DISCONNECT)
        if poll.finished is not None:
            poll.finished.set()

    def poll_failed(self, poll: Poll) -> None:
        """The client has gone before its response was written."""
        if poll is self.poll:
            self.poll = None
            if self.transport is None or self.outbox.taken:
                # Nobody knows what of its messages has arrived.
                self.end(DisconnectReason.TRANSPORT_ERROR)
            else:
                self.transport.wake()  # it was only to be released; the websocket carries on
        if poll.finished is not None:
            poll.finished.set()

    def begin_post(self) -> None:
        """A POST has arrived.

        :raises RemoteProtocolError: another one is still being read; the session ends.
        """
        self.check_polling()
        if self._posting is not None:
            self.end(DisconnectReason.TRANSPORT_ERROR)
            raise RemoteProtocolError("a second POST while one is pending", code=ErrorCode.BAD_REQUEST)
        if self.reading_paused and self.application.backlog() > MAX_BACKLOG:
            # A websocket is simply not read; a POST has been sent already.
            self.fail()
            raise RemoteProtocolError("more events than the handlers can take", status=429)
        self._posting = self.engine.now()

    def end_post(self) -> None:
        """The POST has been dealt with."""
        self._posting = None

    def check_living(self) -> None:
        """
        :raises RemoteProtocolError: the session has ended.
        """
        if self.ended:
            raise RemoteProtocolError("Session ID unknown", code=ErrorCode.SESSION_UNKNOWN)

    def fail(self) -> None:
        """A request of the session broke a rule: it is over, and its poll is told."""
        self.end(DisconnectReason.TRANSPORT_ERROR, farewell=CLOSE.payload_part)

    def receive_payload(self, body: bytes) -> bool:
        """The packets of a POST, in order; False where messages among them came too late.

        :raises RemoteProtocolError: the body breaks a rule; :meth:`fail` is to follow.
        """
        self.check_living()
        accepted = True
        for packet in decode_payload(body, max_packets=self.engine.config.max_payload_packets):
            if self.ended:
                return accepted
            if packet.type is PacketType.MESSAGE:
                if self.protocol.alive:
                    self.application.receive_message(packet.data)
                else:
                    accepted = False
            elif self.protocol.receive_packet(packet, self.engine.now()):
                self.end(DisconnectReason.CLIENT_DISCONNECT, farewell=NOOP.payload_part)
        self.engine.schedule(self)
        return accepted

    # Pressure: what the application can't take is left in the client's own buffers

    def pause_reading(self) -> None:
        """Read no more from the peer for now."""
        self.reading_paused = True

    def resume_reading(self) -> None:
        """Read on."""
        if self.reading_paused:
            self.reading_paused = False
            if self.transport is not None:
                self.transport.wake()

    # The end

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Close gracefully: what is queued goes out first. No more is accepted."""
        if not self.protocol.alive:
            return
        self.close_code = code
        self.protocol.close(self.engine.now())
        if self.candidate is not None and not self.protocol.upgrading:
            self.candidate.abort(code)
            self.candidate = None
        self.engine.schedule(self)
        self.application.session_closed(
            DisconnectReason.TRANSPORT_CLOSE if code == GOING_AWAY else DisconnectReason.SERVER_DISCONNECT
        )
        self.wake()

    def end(self, reason: DisconnectReason, farewell: bytes = CLOSE.payload_part) -> None:
        """The session is over now; what is queued is dropped."""
        if self.ended:
            return
        told = not self.protocol.alive
        self.protocol.end()
        self.outbox.clear()
        self.engine.forget(self, reason)
        for websocket in (self.transport, self.candidate):
            if websocket is not None:
                websocket.abort(self.close_code)
        self.candidate = None
        if self.poll is not None and not self.poll.answering:
            self.poll.farewell = farewell
            self.poll.wake()
        self.poll = None
        if not told:
            self.application.session_closed(reason)
        if self.host is not None:
            self.host.session_ended(reason)

    # Time

    def handle_timeout(self, now: float) -> float | None:
        """A deadline of the session has come (see :class:`.DeadlineOwner`)."""
        deadline = self.protocol.next_deadline()
        while deadline is not None and deadline <= now:
            self._handle_deadline(now)
            deadline = self.protocol.next_deadline()
        return deadline

    def _handle_deadline(self, now: float) -> None:
        due = self.protocol.handle_timeout(now)
        if due.upgrade and self.candidate is not None:
            self.engine.refusals(
                "upgrade timeout", "session %s: upgrade not completed in time", short(self.sid)
            )
            self._fail_upgrade(self.candidate, NORMAL_CLOSURE)
        elif due.closing:
            self.end(DisconnectReason.SERVER_DISCONNECT)
        elif due.heartbeat:
            self._heartbeat_missed(now)
        elif self.protocol.ping_queued:
            self.wake()

    def _heartbeat_missed(self, now: float) -> None:
        transport = self.transport
        if transport is not None and (transport.blocked or transport.has_unread()):
            # It may be slow, but it isn't dead: its answer waits to be read, or our ping waits behind what
            # it is just reading. One that reads nothing at all is sent away by the write timeout.
            self.protocol.postpone_timeout(now)
            transport.wake()
        elif self._posting is not None and now - self._posting < self.engine.config.write_timeout:
            # Its answer can't come before the POST that it is just sending.
            self.protocol.postpone_timeout(now)
        elif self.engine.config.monitor_clients:
            self.end(DisconnectReason.PING_TIMEOUT)
        else:
            self.protocol.postpone_timeout(now)
