"""Engine.IO packets and their text form.

Source: Engine.IO protocol v4, headings "Protocol" and "Packet encoding > WebSocket".
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt


class PacketType(IntEnum):
    """The digit that every Engine.IO packet begins with."""

    OPEN = 0
    CLOSE = 1
    PING = 2
    PONG = 3
    MESSAGE = 4
    UPGRADE = 5
    NOOP = 6


class Packet(NamedTuple):
    """One Engine.IO packet.

    :param type: what the packet is for.
    :param data: the payload; ``bytes`` only in a MESSAGE.
    """

    type: PacketType
    data: str | bytes = ""


# A lookup costs a fifth of PacketType(int(digit)), and knows no digits but the ASCII ones.
_TYPE_OF_DIGIT: Final = {str(kind.value): kind for kind in PacketType}


def decode_text(text: str) -> Packet:
    """Read one packet from a WebSocket text message, or from one part of a polling payload.

    The ``b`` prefix belongs to polling payloads only and is refused here.

    :raises RemoteProtocolError: where the text does not begin with a digit from 0 to 6.
    """
    kind = _TYPE_OF_DIGIT.get(text[:1])
    if kind is None:
        raise RemoteProtocolError(f"Not an Engine.IO packet: {excerpt(text)}")
    return Packet(kind, text[1:])


def encode_text(packet: Packet) -> bytes:
    """Write a packet as the UTF-8 payload of a WebSocket text message.

    :raises TypeError: for binary data, which a WebSocket sends as it is.
    :raises ValueError: for text that UTF-8 can't hold (a lone surrogate).
    """
    if not isinstance(packet.data, str):
        raise TypeError("binary data has no text form: send it as a binary message, or in base64 by polling")
    return b"%d%b" % (packet.type, packet.data.encode())
