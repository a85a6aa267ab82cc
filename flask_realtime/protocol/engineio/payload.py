"""The body of a polling request or response: packets joined by a separator.

Source: Engine.IO protocol v4, heading "Packet encoding > HTTP long-polling".
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final

from flask_realtime.protocol.engineio.packet import Packet, PacketType, decode_text
from flask_realtime.protocol.errors import RemoteProtocolError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable

SEPARATOR: Final = b"\x1e"
"""The record separator between two packets of a payload."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def decode_payload(body: bytes, *, max_packets: int) -> list[Packet]:
    """Read all packets of a POST body, in order. At least one is returned.

    :param max_packets: how many packets one payload may hold. They are counted before anything is split,
        so a body made of separators costs nothing but the count.
    :raises RemoteProtocolError: for text that is not UTF-8, an empty body or packet, an unknown packet type,
        bad base64, too many packets. Nothing of the payload is to be used then.
    """
    count = body.count(SEPARATOR) + 1
    if count > max_packets:
        raise RemoteProtocolError(f"Too many packets in one payload: {count}, the limit is {max_packets}")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"The payload is not UTF-8: {excerpt(body)}") from error
    return [_decode_part(part) for part in text.split("\x1e")]


def _decode_part(part: str) -> Packet:
    if part.startswith("b"):
        return Packet(PacketType.MESSAGE, _decode_base64(part[1:]))
    return decode_text(part)


def _decode_base64(text: str) -> bytes:
    # binascii skips what it does not know, and its strict mode differs between Python's versions. A length
    # divisible by four leaves no way for the padding to be wrong.
    if len(text) % 4 or _BASE64.fullmatch(text) is None:
        raise RemoteProtocolError(f"Not base64: {excerpt(text)}")
    return binascii.a2b_base64(text)


def encode_base64_packet(data: bytes) -> bytes:
    """Write a binary message as one part of a payload: ``b`` and base64."""
    return b"b" + binascii.b2a_base64(data, newline=False)


def encode_payload(parts: Iterable[bytes]) -> bytes:
    """Join encoded packets into the body of a polling response."""
    return SEPARATOR.join(parts)
