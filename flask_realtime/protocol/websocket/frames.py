"""Frames, RFC 6455, section 5.2, and close codes, section 7.4.

A client's frame is masked, a server's is not: what is encoded here can be
shared by all clients, what is decoded here is unmasked first.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

from flask_realtime.protocol.errors import RemoteProtocolError

FIN: Final = 0x80
RSV1: Final = 0x40
RSV: Final = 0x70
MASKED: Final = 0x80
CONTROL: Final = 0x08
"""The bit of an opcode that makes it a control frame."""

MAX_CONTROL_PAYLOAD: Final = 125
"""Bytes. The same number is the longest payload with a length of 7 bits."""


class Opcode(IntEnum):
    """What a frame carries (section 11.8)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection ends (section 7.4.1 and IANA's registry)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """Never on the wire: the Close frame had no code."""
    ABNORMAL = 1006
    """Never on the wire: the connection ended without a Close frame."""
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


OPCODES: Final = frozenset(Opcode)

_TEXT_HEADERS: Final = [bytes((FIN | Opcode.TEXT, length)) for length in range(MAX_CONTROL_PAYLOAD + 1)]
_SHORT: Final = Struct("!BBH")
_LONG: Final = Struct("!BBQ")
_CODE: Final = Struct("!H")


def valid_close_code(code: int) -> bool:
    """May this code stand in a Close frame (section 7.4.2)?"""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


def encode_frame(opcode: int, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """One whole unmasked frame.

    :param fin: this is the last frame of its message.
    :param rsv1: the message is compressed (RFC 7692, section 6).
    """
    first = opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0)
    length = len(payload)
    if length <= MAX_CONTROL_PAYLOAD:
        return bytes((first, length)) + payload
    if length < 0x10000:
        return _SHORT.pack(first, 126, length) + payload
    return _LONG.pack(first, 127, length) + payload


def encode_text_frame(payload: bytes) -> bytes:
    """One whole unmasked frame of a text that is not compressed."""
    length = len(payload)
    if length <= MAX_CONTROL_PAYLOAD:
        return _TEXT_HEADERS[length] + payload
    return encode_frame(Opcode.TEXT, payload)


def encode_close(code: int, reason: str = "") -> bytes:
    """A Close frame.

    :param code: :attr:`CloseCode.NO_STATUS` makes a frame without code and reason.
    :param reason: cut to what the frame can hold, 123 bytes of UTF-8.
    :raises ValueError: the code must not be sent.
    """
    if code == CloseCode.NO_STATUS:
        return encode_frame(Opcode.CLOSE, b"")
    if not valid_close_code(code):
        raise ValueError(f"close code {code} must not be sent")
    text = reason.encode("utf-8", "replace")[: MAX_CONTROL_PAYLOAD - _CODE.size]
    # A character that the cut went through is left out.
    return encode_frame(Opcode.CLOSE, _CODE.pack(code) + text.decode("utf-8", "ignore").encode())


def decode_close(payload: bytes) -> tuple[int, str]:
    """The code and the reason in a Close frame's unmasked payload.

    :raises RemoteProtocolError: 1002 for the code, 1007 for the reason.
    """
    # 7.1.5: "If this Close control frame contains no status code, _The
    # WebSocket Connection Close Code_ is considered to be 1005."
    if not payload:
        return int(CloseCode.NO_STATUS), ""
    # 5.5.1: "If there is a body, the first two bytes of the body MUST be a
    # 2-byte unsigned integer".
    if len(payload) < _CODE.size:
        raise RemoteProtocolError("Close frame with half a code")
    code: int = _CODE.unpack_from(payload)[0]
    if not valid_close_code(code):
        raise RemoteProtocolError(f"close code {code} must not be sent")
    return code, decode_utf8(payload[_CODE.size :])


def decode_utf8(payload: bytes) -> str:
    """:raises RemoteProtocolError: 1007, it is not UTF-8 (section 8.1)."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise invalid_utf8() from None


def invalid_utf8() -> RemoteProtocolError:
    return RemoteProtocolError("text is not valid UTF-8", close_code=CloseCode.INVALID_DATA)


def check_control(first: int, second: int) -> None:
    """:raises RemoteProtocolError: a control frame must not begin with these two bytes."""
    # 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT
    # be fragmented."
    if not first & FIN:
        raise RemoteProtocolError("fragmented control frame")
    if second & 0x7F > MAX_CONTROL_PAYLOAD:
        raise RemoteProtocolError(f"control frame with more than {MAX_CONTROL_PAYLOAD} bytes")


def header_size(second: int) -> int:
    """How long a client's header is, its mask included, from its second byte."""
    length = second & 0x7F
    return 6 if length < 126 else 8 if length == 126 else 14


def payload_length(data: bytes, pos: int) -> int:
    """The payload's length from the header that stands whole at ``pos``.

    :raises RemoteProtocolError: the length is not encoded as it has to be.
    """
    length = data[pos + 1] & 0x7F
    if length < 126:
        return length
    # 5.2: "the minimal number of bytes MUST be used to encode the length" and, of
    # 64 bits, "the most significant bit MUST be 0".
    size, least = (2, 126) if length == 126 else (8, 0x10000)
    length = int.from_bytes(data[pos + 2 : pos + 2 + size], "big")
    if length < least or length >> 63:
        raise RemoteProtocolError("frame length in a wrong form")
    return length
