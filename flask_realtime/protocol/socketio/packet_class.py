"""Packet classes of other libraries: what ``serializer=`` of Flask-SocketIO and python-socketio takes.

Such a class is both encoder and decoder. An encoder calls ``cls(packet_type=..., data=..., namespace=...,
id=...)`` and then ``encode()``, which gives text, bytes, or a list of the text and its attachments. A decoder
calls ``cls(encoded_packet=message)`` for a message, and ``add_attachment(data)`` as often as
``attachment_count`` says; the fields are then those that the encoder gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.packet import EncodedPacket, Packet, PacketType
from flask_realtime.protocol.socketio.rules import check_namespace, check_packet, read_namespace
from flask_realtime.protocol.socketio.unsendable import FAILURES, raise_explained

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_TYPE = {
    PacketType.BINARY_EVENT: PacketType.EVENT,
    PacketType.BINARY_ACK: PacketType.ACK,
}
_TOO_BIG = 1009


class PacketObject(Protocol):
    """A packet as an instance of such a class."""

    packet_type: int
    data: Any
    namespace: str | None
    id: int | None
    attachment_count: int

    def encode(self) -> str | bytes | list[str | bytes]:
        """The packet for the wire."""
        ...

    def add_attachment(self, attachment: bytes, /) -> bool:
        """Take an attachment; True with the last one."""
        ...


PacketClass = type[PacketObject]


def is_packet_class(candidate: object) -> bool:
    """Tell a packet class from anything else, without making a packet."""
    return isinstance(candidate, type) and all(
        callable(getattr(candidate, name, None)) for name in ("encode", "add_attachment")
    )


class PacketClassSerializer:
    """Speaks whatever a packet class does.

    :param packet_class: see the head of this module.
    :param json: the module that the class writes and reads JSON with, if it does; None leaves it its own.
    :param max_attachments: how many attachments one packet of a client may have.
    :param max_attachment_bytes: how long they may be together.
    """

    __slots__ = ("_class", "_max_attachment_bytes", "_max_attachments")

    def __init__(
        self,
        packet_class: Callable[..., PacketObject],
        json: object = None,
        *,
        max_attachments: int = 10,
        max_attachment_bytes: int = 1_000_000,
    ) -> None:
        if json is not None and isinstance(packet_class, type):
            # A class of our own: the module must not reach other servers that use the same one.
            own: Any = type(packet_class.__name__, (packet_class,), {"json": json})
            packet_class = own
        self._class = packet_class
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes

    @property
    def packet_class(self) -> Callable[..., PacketObject]:
        """What makes the packets."""
        return self._class

    def encoder(self) -> PacketClassEncoder:
        """The encoder that all clients share."""
        return PacketClassEncoder(self._class)

    def decoder(self) -> PacketClassDecoder:
        """A new decoder, for one client."""
        return PacketClassDecoder(
            self._class,
            max_attachments=self._max_attachments,
            max_attachment_bytes=self._max_attachment_bytes,
        )


class PacketClassEncoder:
    """Writes packets with a packet class."""

    __slots__ = ("_class",)

    def __init__(self, packet_class: Callable[..., PacketObject]) -> None:
        self._class = packet_class

    def encode(self, packet: Packet) -> EncodedPacket:
        """See :class:`.PacketEncoder`. What the class itself raises is passed on."""
        check_namespace(packet.namespace)
        kind = _PLAIN_TYPE.get(packet.type, packet.type)
        if packet.data is None and kind in (PacketType.EVENT, PacketType.ACK):
            raise ValueError(f"{kind.name} needs data")
        try:
            return _encoded(self._write(packet, packet.data))
        except FAILURES as error:
            raise_explained(packet, error, lambda value: self._write(packet, ["", value]))

    def _write(self, packet: Packet, data: Any) -> str | bytes | list[str | bytes]:
        # Numbers, not members of our enum: a class may write them with str().
        return self._class(
            packet_type=packet.type.value, data=data, namespace=packet.namespace, id=packet.id
        ).encode()


def _encoded(written: str | bytes | list[str | bytes]) -> EncodedPacket:
    first, *attachments = written if isinstance(written, (list, tuple)) else [written]
    binary = tuple(bytes(attachment) for attachment in attachments if not isinstance(attachment, str))
    if len(binary) < len(attachments):
        raise TypeError("of what a packet class gives for one packet, only the first may be text")
    if isinstance(first, str):
        return EncodedPacket(first.encode(), binary)
    return EncodedPacket(None, (bytes(first), *binary))


class PacketClassDecoder:
    """Reads the packets of one client with a packet class.

    Whatever the class raises about what a client has sent is a :class:`.RemoteProtocolError`.
    """

    __slots__ = ("_class", "_max_attachment_bytes", "_max_attachments", "_partial", "_size")

    def __init__(
        self, packet_class: Callable[..., PacketObject], *, max_attachments: int, max_attachment_bytes: int
    ) -> None:
        self._class = packet_class
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._partial: PacketObject | None = None
        self._size = 0

    @property
    def pending_attachments(self) -> int:
        """How many attachments of the current packet are still to come."""
        partial = self._partial
        return 0 if partial is None else partial.attachment_count - len(getattr(partial, "attachments", ()))

    def reset(self) -> None:
        """Forget the packet that waits for attachments, if any."""
        self._partial = None

    def receive_text(self, text: str) -> Packet | None:
        """See :class:`.PacketDecoder`."""
        if self._partial is not None:
            raise RemoteProtocolError("A text packet where attachments are missing")
        return self._receive(text)

    def receive_binary(self, data: bytes) -> Packet | None:
        """See :class:`.PacketDecoder`."""
        partial = self._partial
        if partial is None:
            return self._receive(data)
        self._size += len(data)
        if self._size > self._max_attachment_bytes:
            raise RemoteProtocolError(
                f"{self._size} bytes of attachments in one packet, the limit is {self._max_attachment_bytes}",
                close_code=_TOO_BIG,
            )
        try:
            complete = partial.add_attachment(data)
        except Exception as error:
            raise _refusal(error, data) from error
        if not complete:
            return None
        self._partial = None
        return _checked(partial)

    def _receive(self, message: str | bytes) -> Packet | None:
        try:
            received = self._class(encoded_packet=message)
            count = received.attachment_count or 0
        except Exception as error:
            raise _refusal(error, message) from error
        if count > self._max_attachments:
            raise RemoteProtocolError(
                f"{count} attachments in one packet, the limit is {self._max_attachments}"
            )
        packet = _checked(received)
        if count == 0:
            return packet
        self._partial = received
        self._size = 0
        return None


def _refusal(error: Exception, message: str | bytes) -> RemoteProtocolError:
    reason = f"{type(error).__name__}: {str(error)[:80]}"
    return RemoteProtocolError(f"Not a Socket.IO packet ({reason}): {excerpt(message)}")


def _checked(received: PacketObject) -> Packet:
    """A packet, held to the same rules as any other.

    :raises RemoteProtocolError: it breaks one of them.
    """
    number, namespace = received.id, received.namespace
    if number is not None and type(number) is not int:
        raise RemoteProtocolError(f"The acknowledgement id is not an integer: {excerpt(number)}")
    if namespace is not None and type(namespace) is not str:
        raise RemoteProtocolError(f"Not a namespace: {excerpt(namespace)}")
    packet = Packet(_type_of(received.packet_type), read_namespace(namespace or "/"), received.data, number)
    check_packet(packet)
    return packet


def _type_of(number: object) -> PacketType:
    if type(number) is not int or not 0 <= number < len(PacketType):
        raise RemoteProtocolError(f"The type of a packet is unknown: {excerpt(number)}")
    kind = PacketType(number)
    return _PLAIN_TYPE.get(kind, kind)
