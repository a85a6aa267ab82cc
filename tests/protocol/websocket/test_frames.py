from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.websocket.frames import (
    CloseCode,
    Opcode,
    decode_close,
    encode_close,
    encode_frame,
    valid_close_code,
)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        # RFC 6455, section 5.7
        (encode_frame(Opcode.TEXT, b"Hello"), b"\x81\x05Hello"),
        (encode_frame(Opcode.TEXT, b"Hel", fin=False), b"\x01\x03Hel"),
        (encode_frame(Opcode.CONTINUATION, b"lo"), b"\x80\x02lo"),
        (encode_frame(Opcode.PING, b"Hello"), b"\x89\x05Hello"),
        (encode_frame(Opcode.PONG, b"Hello"), b"\x8a\x05Hello"),
        (encode_frame(Opcode.BINARY, bytes(256)), b"\x82\x7e\x01\x00" + bytes(256)),
        (encode_frame(Opcode.BINARY, bytes(65536)), b"\x82\x7f" + (65536).to_bytes(8, "big") + bytes(65536)),
        # RFC 7692, section 7.2.3.1
        (
            encode_frame(Opcode.TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv1=True),
            b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        ),
    ],
)
def test_frames_of_the_rfcs(frame: bytes, expected: bytes) -> None:
    assert frame == expected


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_shortest_length(length: int, header: str) -> None:
    assert encode_frame(Opcode.BINARY, bytes(length)) == bytes.fromhex(header) + bytes(length)


def test_valid_close_codes() -> None:
    valid = {code for code in range(0x10000) if valid_close_code(code)}
    assert valid == {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (1000, "", b"\x88\x02\x03\xe8"),
        (1001, "bye", b"\x88\x05\x03\xe9bye"),
        (CloseCode.NO_STATUS, "", b"\x88\x00"),
        (1000, "x" * 200, b"\x88\x7d\x03\xe8" + b"x" * 123),
        (1000, "x" * 122 + "é", b"\x88\x7c\x03\xe8" + b"x" * 122),
        (1000, "x" * 121 + "é", b"\x88\x7d\x03\xe8" + b"x" * 121 + "é".encode()),
        (1000, "\ud800", b"\x88\x03\x03\xe8?"),
    ],
)
def test_encode_close(code: int, reason: str, expected: bytes) -> None:
    assert encode_close(code, reason) == expected


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000, 70000])
def test_codes_that_must_not_be_sent(code: int) -> None:
    with pytest.raises(ValueError):
        encode_close(code)


@given(st.integers(3000, 4999), st.text(max_size=40).filter(lambda text: len(text.encode()) <= 123))
def test_close_round_trip(code: int, reason: str) -> None:
    assert decode_close(encode_close(code, reason)[2:]) == (code, reason)


@pytest.mark.parametrize(
    ("payload", "close_code"),
    [(b"\x03", 1002), (b"\x03\xee", 1002), (b"\x00\x00", 1002), (b"\x03\xe8\xff", 1007)],
)
def test_bad_close_payload(payload: bytes, close_code: int) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_close(payload)
    assert caught.value.close_code == close_code
