"""Payloads of HTTP long-polling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.engineio.packet import Packet, PacketType, encode_text
from flask_realtime.protocol.engineio.payload import (
    SEPARATOR,
    decode_payload,
    encode_base64_packet,
    encode_payload,
)
from flask_realtime.protocol.errors import RemoteProtocolError


def message(data: str | bytes) -> Packet:
    return Packet(PacketType.MESSAGE, data)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        (b"4hello", [message("hello")]),
        (b"4", [message("")]),
        (b"4hello\x1e2\x1e4world", [message("hello"), Packet(PacketType.PING), message("world")]),
        (b"4hello\x1ebAQIDBA==", [message("hello"), message(b"\x01\x02\x03\x04")]),
        (b"b", [message(b"")]),
        (b"bAQ==", [message(b"\x01")]),
        (b"bAQI=", [message(b"\x01\x02")]),
        (b"bAQID\x1e4b", [message(b"\x01\x02\x03"), message("b")]),
        (b"b+/+/", [message(b"\xfb\xff\xbf")]),
        ("4€".encode(), [message("€")]),
    ],
)
def test_payload(body: bytes, packets: list[Packet]) -> None:
    assert decode_payload(body, max_packets=3) == packets


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"abc",
        b"9",
        b"\x1e",
        b"4a\x1e",
        b"\x1e4a",
        b"4a\x1e\x1e4b",
        b"4\xff",
        b"4\xed\xa0\x80",
        b"4\xc0\x80",
        "٤a".encode(),
        b"bA",
        b"bAA",
        b"bAAA",
        b"bAQ=",
        b"bAQ===",
        b"bAQ==AQ==",
        b"bA===",
        b"b====",
        b"bAQID====",
        b"b=AQI",
        b"bAQI=\n",
        b"bAQ ID",
        b"bAQID\n\n\n\n",
        b"b AQI",
        b"b-_-_",
        "bAQIé".encode(),
        "bAQI４".encode(),
    ],
)
def test_what_is_no_payload(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_payload(body, max_packets=10)


def test_packets_are_counted_before_they_are_split() -> None:
    assert len(decode_payload(b"\x1e".join([b"2"] * 1000), max_packets=1000)) == 1000
    with pytest.raises(
        RemoteProtocolError, match="Too many packets in one payload: 1000001, the limit is 1000"
    ):
        decode_payload(b"\x1e" * 1_000_000, max_packets=1000)


def test_the_error_holds_an_excerpt_only() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_payload(b"b" + b"!" * 100_000, max_packets=1)
    assert len(caught.value.message) < 200


def test_encode_payload() -> None:
    assert encode_payload([b"4a", encode_base64_packet(b"\x01\x02\x03\x04")]) == b"4a\x1ebAQIDBA=="
    assert encode_payload([b"6"]) == b"6"


packets = st.one_of(
    st.builds(
        Packet, st.sampled_from(PacketType), st.text(st.characters(codec="utf-8", exclude_characters="\x1e"))
    ),
    st.builds(message, st.binary()),
)


@given(st.lists(packets, min_size=1, max_size=5))
def test_round_trip(sent: list[Packet]) -> None:
    parts = [
        encode_base64_packet(packet.data) if isinstance(packet.data, bytes) else encode_text(packet)
        for packet in sent
    ]
    assert decode_payload(encode_payload(parts), max_packets=5) == sent


@given(st.one_of(st.binary(), st.text("b4A=+/ \x1e").map(str.encode)))
def test_any_body_gives_packets_or_an_error(body: bytes) -> None:
    try:
        received = decode_payload(body, max_packets=4)
    except RemoteProtocolError:
        return
    assert len(received) == body.count(SEPARATOR) + 1 <= 4
