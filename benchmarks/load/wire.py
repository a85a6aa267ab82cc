"""Bytes that clients send and servers answer (RFC 6455, section 5.2; Engine.IO v4)."""

from __future__ import annotations

from .faults import Fault

__all__ = [
    "ACCEPT",
    "BINARY",
    "PONG",
    "TEXT",
    "WS_PONG",
    "client_frame",
    "control_frame",
    "server_frame",
    "upgrade_request",
]

TEXT, BINARY, CLOSE, WS_PING, WS_PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FIN, MASKED = 0x80, 0x80
MASK = b"\x3a\x91\x07\xe4"
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # of RFC 6455, section 1.3


def server_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    return _header(opcode, len(payload), 0) + payload


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    length = len(payload)
    pad = (MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return _header(opcode, length, MASKED) + MASK + masked.to_bytes(length, "big")


def _header(opcode: int, length: int, masked: int) -> bytes:
    first = bytes([FIN | opcode])
    if length < 126:
        return first + bytes([masked | length])
    if length < 65_536:
        return first + bytes([masked | 126]) + length.to_bytes(2, "big")
    return first + bytes([masked | 127]) + length.to_bytes(8, "big")


PING = server_frame(b"2")  # Engine.IO's, which is a message to WebSocket
PONG = client_frame(b"3")


def control_frame(data: bytes) -> tuple[int, bytes] | None:
    """A ping that the data begins with: how long it is, and the answer to it.

    It may be Engine.IO's or WebSocket's. The length is 0 where it is not complete.

    :return: None where the data begins with something else.
    :raises Fault: the server closes the connection.
    """
    if data.startswith(PING):
        return len(PING), PONG
    if PING.startswith(data):
        return 0, b""
    opcode = data[0] ^ FIN
    if opcode == CLOSE:
        raise Fault(f"the server closes: {data[:100]!r}")
    if opcode not in (WS_PING, WS_PONG):
        return None
    end = 2 + data[1] if len(data) > 1 else 2
    if len(data) < end:
        return 0, b""
    return end, client_frame(data[2:end], WS_PONG) if opcode == WS_PING else b""


def upgrade_request(port: int) -> bytes:
    """Opens a session on a WebSocket."""
    return (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\nUser-Agent: benchmarks\r\nAccept: */*\r\n\r\n"
    ).encode()
