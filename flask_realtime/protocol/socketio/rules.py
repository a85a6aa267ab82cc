"""What a packet must look like, whichever way it is encoded.

Source: Socket.IO protocol v5, heading "Exchange protocol"; the reserved names are the official parser's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.packet import PacketType

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.packet import Packet

# An enum's members are slow to look up in the enum.
_CONNECT: Final = PacketType.CONNECT
_DISCONNECT: Final = PacketType.DISCONNECT
_EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK

RESERVED_EVENTS: Final = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
"""Names that stand for something that happened here: no client may run those handlers."""

MAX_ACK_ID: Final = 2**53
"""The largest acknowledgement id: up to here a JavaScript number is exact."""

MAX_NAMESPACE_LENGTH: Final = 200
"""The longest name of a namespace that a client may ask for, in characters."""

MAX_DEPTH: Final = 100
"""How many lists and objects a client may put into each other, counting the list of arguments."""


def check_namespace(name: str) -> str:
    """Refuse the name of a namespace that could not be told from the rest of a packet.

    :raises ValueError: where it does not begin with ``/``, or contains a comma.
    """
    if not name.startswith("/") or "," in name:
        raise ValueError(f"a namespace begins with '/' and has no comma: {excerpt(name)}")
    return name


def read_namespace(name: str) -> str:
    """The namespace that a client names, without the query string that old clients add to it.

    :raises RemoteProtocolError: where it is too long, or not the name of a namespace.
    """
    if "?" in name:
        name = name.partition("?")[0]
    if len(name) > MAX_NAMESPACE_LENGTH:
        raise RemoteProtocolError(f"The namespace is too long: {excerpt(name)}")
    if not name.startswith("/") or "," in name:
        raise RemoteProtocolError(f"Not a namespace: {excerpt(name)}")
    return name


def check_event(data: object) -> None:
    """Refuse the data of an EVENT that is not a list with the event's name first.

    :raises RemoteProtocolError: also where the name is one of :data:`RESERVED_EVENTS`.
    """
    if type(data) is not list or not data:
        raise RemoteProtocolError(f"The data of an event is not a list with its name: {excerpt(data)}")
    name = data[0]
    if type(name) is not str:
        raise RemoteProtocolError(f"The name of an event is not a string: {excerpt(name)}")
    if name in RESERVED_EVENTS:
        raise RemoteProtocolError(f"A client may not send the reserved event {name!r}")


def check_packet(packet: Packet) -> None:
    """Check type, data and id of a packet from a client against each other; data that is None is absent.

    :raises RemoteProtocolError: where they do not fit, and for a CONNECT_ERROR, which only a server sends.
    """
    kind = packet.type
    if packet.id is not None and not 0 <= packet.id <= MAX_ACK_ID:
        raise RemoteProtocolError(f"The acknowledgement id is out of range: {packet.id}")
    if kind is _EVENT:
        check_event(packet.data)
    elif kind is _ACK:
        _check_ack(packet)
    elif packet.id is not None:
        raise RemoteProtocolError(f"A {kind.name} packet has no id: {packet.id}")
    elif kind is _CONNECT:
        if packet.data is not None and type(packet.data) is not dict:
            raise RemoteProtocolError(f"The data of CONNECT is not an object: {excerpt(packet.data)}")
    elif kind is not _DISCONNECT:
        raise RemoteProtocolError(f"A client may not send {kind.name}")
    elif packet.data is not None:
        raise RemoteProtocolError(f"A DISCONNECT packet has no data: {excerpt(packet.data)}")


def _check_ack(packet: Packet) -> None:
    if packet.id is None:
        raise RemoteProtocolError("An acknowledgement without an id")
    if type(packet.data) is not list:
        raise RemoteProtocolError(f"The data of an acknowledgement is not a list: {excerpt(packet.data)}")
