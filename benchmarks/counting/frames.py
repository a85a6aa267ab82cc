"""WebSocket frames (RFC 6455, section 5.2), made here and not by the code that is counted."""

from __future__ import annotations

import struct

__all__ = ["BINARY", "CLOSE", "TEXT", "frame", "masked"]

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8

FIN = 0x80
MASKED = 0x80
MASK = b"\x3a\x91\x07\xe4"


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A frame as the server sends it; of a payload shorter than 64 KiB."""
    return _header(len(payload), opcode, 0) + payload


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """A frame as a client sends it."""
    body = bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))
    return _header(len(payload), opcode, MASKED) + MASK + body


def _header(length: int, opcode: int, mask_bit: int) -> bytes:
    if length < 126:
        return bytes((FIN | opcode, mask_bit | length))
    return struct.pack("!BBH", FIN | opcode, mask_bit | 126, length)
