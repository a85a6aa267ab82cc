"""The Socket.IO client of one session, and its sockets: one per namespace.

All methods expect the engine's lock to be held, unless they say otherwise.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from ..protocol.errors import RemoteProtocolError
from ..protocol.socketio import Packet, PacketType
from ..types import DisconnectReason, Room
from .acks import PendingAcks
from .inbox import MAX_BACKLOG, RESUME_AT, Inbox
from .logs import short
from .message import Message
from .outbox import Outbox
from .pace import Pace
from .work import Work

if TYPE_CHECKING:
    from .ports import AnyEvent
    from .server import Server
    from .session import Session

__all__ = ["Client", "Socket", "SocketState"]


# An enum's members are slow to look up in the enum.
_CONNECT: Final = PacketType.CONNECT
_DISCONNECT: Final = PacketType.DISCONNECT
_EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK

#: how many namespaces that a client has left are remembered
MAX_LEFT: Final = 100


class SocketState(Enum):
    """The life of a socket, in this order (a refused one goes straight to the end)."""

    CONNECTING = "connecting"  # its connect handler has not returned
    CONNECTED = "connected"
    DISCONNECTING = "disconnecting"  # its disconnect handler has not returned
    GONE = "gone"


_CONNECTING: Final = SocketState.CONNECTING
_CONNECTED: Final = SocketState.CONNECTED


class Socket:
    """A client in a namespace: what users see as ``request.sid``."""

    __slots__ = (
        "_acks",
        "_buffered",
        "_held",
        "client",
        "ending",
        "namespace",
        "rooms",
        "scope",
        "sid",
        "state",
        "store",
    )

    def __init__(self, client: Client, namespace: str) -> None:
        # 96 bits; not derived from the session's id, which is a secret.
        self.sid: str = secrets.token_urlsafe(12)
        self.client: Client = client
        self.namespace: str = namespace
        self.state: SocketState = SocketState.CONNECTING
        self.rooms: set[Room] | None = None
        #: why it ends, where that is known before connect has returned
        self.ending: DisconnectReason | None = None
        #: the extension's: what its handlers' contexts share
        self.scope: Any = None
        #: :meth:`.Server.get_session`'s data
        self.store: dict[str, Any] | None = None
        self._acks: PendingAcks | None = None
        # While connecting: what is to be sent after the CONNECT, and events that came early.
        self._buffered: Outbox | None = None
        self._held: list[tuple[Work, Pace | None]] | None = None

    def send(self, message: Message) -> None:
        """Send a message, or keep it until the connection is accepted."""
        if self.state is _CONNECTED:
            self.client.session.send(message)
        elif self.state is _CONNECTING:
            if self._buffered is None:
                self._buffered = Outbox()
            if not self._buffered.append(message, self.client.server.engine.outbox_limits):
                self.client.session.overflow(self._buffered)

    @property
    def acks(self) -> PendingAcks:
        """The acknowledgements that this client owes us."""
        if self._acks is None:
            self._acks = PendingAcks(self.client.server.config.max_pending_acks)
        return self._acks

    @property
    def held(self) -> int:
        """How many events wait for the connect handler."""
        return 0 if self._held is None else len(self._held)

    @property
    def pending_acks(self) -> int:
        return 0 if self._acks is None else len(self._acks.receivers)

    def holds(self, work: Work, pace: Pace | None) -> bool:
        """Keep an event whose turn came before connect has returned (see :class:`.Gate`)."""
        if self.state is not SocketState.CONNECTING:
            return False
        if self._held is None:
            self._held = []
        self._held.append((work, pace))
        return True

    def accept(self, connect: Message) -> None:
        """Connect has succeeded: tell the client, then all that waited for it."""
        self.state = SocketState.CONNECTED
        self.client.session.send(connect)
        buffered, self._buffered = self._buffered, None
        for message in () if buffered is None else buffered.messages:
            self.client.session.send(message)
        held, self._held = self._held, None
        if held:
            self.client.inbox.put_first(held)

    def drop(self) -> None:
        """It is over: nothing that waited will happen."""
        self.state = SocketState.GONE
        held, self._held, self._buffered = self._held, None, None
        if held:
            self.client.resume_reading()
        self.forget_acks()

    def forget_acks(self) -> None:
        """Whoever waits for its acknowledgements waits in vain."""
        if self._acks is not None:
            for receiver in self._acks.forget_all():
                receiver(None)


class Client:
    """What speaks Socket.IO on one session (a :class:`.SessionApplication`)."""

    __slots__ = (
        "_attachments_by",
        "_connect_by",
        "_decoder",
        "_left",
        "inbox",
        "scheduled_at",
        "server",
        "session",
        "sockets",
    )

    def __init__(self, server: Server, session: Session) -> None:
        self.server: Server = server
        self.session: Session = session
        self.sockets: dict[str, Socket] = {}
        self.inbox: Inbox = Inbox(server.engine, self, session.host, server.config.patience)
        self.scheduled_at: float | None = None
        self._decoder = server.serializer.decoder()
        self._connect_by: float | None = server.engine.now() + server.config.connect_timeout
        self._attachments_by: float | None = None
        # Namespaces that this client was in: events for them may still be under way.
        self._left: set[str] | None = None
        server.engine.schedule(self, self._connect_by)

    # Packets

    def receive_message(self, data: str | bytes) -> None:
        """See :class:`.SessionApplication`."""
        decoder = self._decoder
        packet = decoder.receive_text(data) if type(data) is str else decoder.receive_binary(data)  # type: ignore[arg-type]
        if packet is None:
            self.inbox.received += len(data)
            self._await_attachments()
            return
        self._attachments_by = None
        kind = packet.type
        if kind is _EVENT:
            socket = self.sockets.get(packet.namespace) or self._socket(packet.namespace)
            if socket is not None:
                self.server.receive_event(socket, packet, len(data))
        elif kind is _ACK:
            self._receive_ack(packet)
        elif kind is _CONNECT:
            self._receive_connect(packet)
        else:
            self._receive_disconnect(packet)

    def _await_attachments(self) -> None:
        if self._attachments_by is None:
            self._attachments_by = self.server.engine.now() + self.server.config.attachments_timeout
            self.server.engine.schedule(self, self._attachments_by)

    def _socket(self, namespace: str) -> Socket | None:
        """The socket in this namespace; None where it has just left.

        :raises RemoteProtocolError: it never was in it.
        """
        socket = self.sockets.get(namespace)
        if socket is None and not (self._left and namespace in self._left):
            raise RemoteProtocolError(f"a packet for namespace {namespace[:50]!r}, which is not connected")
        return socket

    def _receive_ack(self, packet: Packet) -> None:
        socket = self._socket(packet.namespace)
        receiver = None if socket is None or packet.id is None else socket.acks.pop(packet.id)
        if receiver is None:
            self.server.engine.refusals("unknown ack", "session %s: ack of id %r, which nobody waits for",
                                        short(self.session.sid), packet.id)  # fmt: skip
        else:
            receiver(packet.data)

    def _receive_connect(self, packet: Packet) -> None:
        namespace = packet.namespace
        if namespace in self.sockets:
            raise RemoteProtocolError(f"a second CONNECT for namespace {namespace[:50]!r}")
        if not self.server.accepts(namespace):
            self.server.refuse(self, namespace, "Invalid namespace")
        elif len(self.sockets) >= self.server.config.max_namespaces:
            self.server.refuse(self, namespace, "Too many namespaces")
        else:
            socket = self.sockets[namespace] = Socket(self, namespace)
            self.server.begin_connect(socket, packet.data)

    def _receive_disconnect(self, packet: Packet) -> None:
        socket = self._socket(packet.namespace)
        if socket is not None:
            self.leave(socket, DisconnectReason.CLIENT_DISCONNECT)

    # Leaving

    def leave(self, socket: Socket, reason: DisconnectReason) -> None:
        """The socket's connection ends; its disconnect handler runs after connect has returned."""
        self._forget(socket)
        socket.forget_acks()
        if socket.state is SocketState.CONNECTING:
            socket.ending = socket.ending or reason
        elif socket.state is SocketState.CONNECTED:
            self.server.begin_disconnect(socket, reason)

    def refused(self, socket: Socket) -> None:
        """Its connect has failed; events that are under way are dropped."""
        self._forget(socket)

    def _forget(self, socket: Socket) -> None:
        if self.sockets.get(socket.namespace) is socket:
            del self.sockets[socket.namespace]
        if self._left is None:
            self._left = set()
        if len(self._left) < MAX_LEFT:
            self._left.add(socket.namespace)

    def connected(self) -> None:
        """One of its connects has succeeded: the session may live."""
        self._connect_by = None

    def session_closed(self, reason: DisconnectReason) -> None:
        """See :class:`.SessionApplication`."""
        self._connect_by = self._attachments_by = None
        self.server.engine.unschedule(self)
        self._decoder.reset()
        for socket in list(self.sockets.values()):
            self.leave(socket, reason)

    # Time and pressure

    def handle_timeout(self, now: float) -> float | None:
        """See :class:`.DeadlineOwner`."""
        if not self.session.alive:
            return None
        if self._connect_by is not None and now >= self._connect_by:
            self._give_up("connect timeout", "no CONNECT in time")
        elif self._attachments_by is not None and now >= self._attachments_by:
            self._give_up("attachments timeout", "attachments did not come in time")
        return min((d for d in (self._connect_by, self._attachments_by) if d is not None), default=None)

    def _give_up(self, kind: str, why: str) -> None:
        self.server.engine.refusals(kind, "session %s: %s; closing it", short(self.session.sid), why)
        self.session.end(DisconnectReason.TRANSPORT_ERROR)

    @property
    def pending_attachments(self) -> int:
        return self._decoder.pending_attachments

    def backlog(self) -> int:
        """See :class:`.SessionApplication`."""
        return len(self.inbox) + sum(socket.held for socket in self.sockets.values())

    def when_idle(self, make: Callable[[], AnyEvent]) -> AnyEvent | None:
        """See :class:`.SessionApplication`."""
        return self.inbox.when_idle(make)

    def pause_reading(self) -> None:
        """Its handlers can't keep up: stop reading from it (see :class:`.InboxOwner`)."""
        if not any(socket.pending_acks for socket in self.sockets.values()):
            self.session.pause_reading()
        elif self.backlog() > MAX_BACKLOG:
            # A handler may wait for an acknowledgement, so it has to be read; but not without an end.
            self._give_up("too many events", "more events than the handlers can take")

    def resume_reading(self) -> None:
        """They have caught up."""
        if not self.session.reading_paused or self.inbox.received > self.server.config.max_queued_bytes:
            return
        if not any(socket.held for socket in self.sockets.values()) and self.backlog() <= RESUME_AT:
            self.session.resume_reading()
