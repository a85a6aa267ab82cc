"""Socket.IO packets.

Source: Socket.IO protocol v5, headings "Exchange protocol" and "Packet encoding".
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import msgspec


class PacketType(IntEnum):
    """What a Socket.IO packet is for."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


# A Struct is built in a quarter of the time of a NamedTuple or a dataclass. A packet never refers to itself,
# so the garbage collector need not look at it.
class Packet(msgspec.Struct, frozen=True, gc=False):
    """One Socket.IO packet, with its binary data in place.

    :param type: BINARY_EVENT and BINARY_ACK exist on the wire only: no decoder returns them, and an encoder
        picks them by itself.
    :param namespace: begins with ``/``.
    :param data: EVENT: a list, the event's name first. ACK: the list of arguments. CONNECT: a dict or None.
        CONNECT_ERROR: a dict. DISCONNECT: None.
    :param id: the acknowledgement asked for (EVENT) or answered (ACK).
    """

    type: PacketType
    namespace: str = "/"
    data: Any = None
    id: int | None = None


class EncodedPacket(NamedTuple):
    """A packet as Engine.IO messages: first the text, then every binary one, in order and with none between.

    :param text: UTF-8, without the ``4`` of the Engine.IO message; None where the packet is all binary.
    :param binary: the attachments, or the one binary message of a packet without text.
    """

    text: bytes | None
    binary: tuple[bytes, ...] = ()
