"""Engine.IO packets as WebSocket text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.engineio.packet import Packet, PacketType, decode_text, encode_text
from flask_realtime.protocol.errors import RemoteProtocolError

WIRE_FORMS = [
    ('0{"sid":"x"}', Packet(PacketType.OPEN, '{"sid":"x"}')),
    ("1", Packet(PacketType.CLOSE)),
    ("2probe", Packet(PacketType.PING, "probe")),
    ("3probe", Packet(PacketType.PONG, "probe")),
    ("4", Packet(PacketType.MESSAGE, "")),
    ("4hello", Packet(PacketType.MESSAGE, "hello")),
    ("4€ 😀\x1e", Packet(PacketType.MESSAGE, "€ 😀\x1e")),
    ("42", Packet(PacketType.MESSAGE, "2")),
    ("5", Packet(PacketType.UPGRADE)),
    ("6", Packet(PacketType.NOOP)),
]


@pytest.mark.parametrize(("text", "packet"), WIRE_FORMS)
def test_wire_form(text: str, packet: Packet) -> None:
    assert decode_text(text) == packet
    assert encode_text(packet) == text.encode()


def test_the_decoded_type_is_an_enum() -> None:
    assert decode_text("4").type is PacketType.MESSAGE


@pytest.mark.parametrize("text", ["", "7", "9", "abc", "bAQIDBA==", " 4", "-1", "٤", "４", "²", "\x04"])
def test_what_is_no_packet(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="Not an Engine"):
        decode_text(text)


def test_the_error_holds_an_excerpt_only() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_text("x" * 100_000)
    assert len(caught.value.message) < 200


def test_binary_data_has_no_text_form() -> None:
    with pytest.raises(TypeError, match="binary"):
        encode_text(Packet(PacketType.MESSAGE, b"x"))


def test_a_lone_surrogate_can_not_be_sent() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_text(Packet(PacketType.MESSAGE, "\ud800"))


@given(st.text())
def test_any_text_is_a_packet_or_an_error(text: str) -> None:
    try:
        packet = decode_text(text)
    except RemoteProtocolError:
        return
    assert f"{packet.type.value}{packet.data!s}" == text
