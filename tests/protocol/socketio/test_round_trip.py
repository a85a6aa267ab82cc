"""What is true of all packets, and of all that is none."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio import (
    RESERVED_EVENTS,
    Decoder,
    JSONSerializer,
    ModuleJSON,
    Packet,
    PacketType,
    Serializer,
)

text = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(text.filter("_placeholder".__ne__), inner, max_size=4)
    ),
    max_leaves=15,
)
namespaces = st.just("/") | st.text(st.characters(codec="utf-8", exclude_characters=",?"), max_size=20).map(
    "/".__add__
)
names = text.filter(lambda name: name not in RESERVED_EVENTS)
ids = st.integers(0, 2**53)
packets = st.one_of(
    st.builds(
        lambda namespace, name, arguments, number: Packet(
            PacketType.EVENT, namespace, [name, *arguments], number
        ),
        namespaces,
        names,
        st.lists(values, max_size=4),
        st.none() | ids,
    ),
    st.builds(Packet, st.just(PacketType.ACK), namespaces, st.lists(values, max_size=4), ids),
    st.builds(Packet, st.just(PacketType.CONNECT), namespaces, st.none() | st.just({"token": "é"})),
    st.builds(Packet, st.just(PacketType.DISCONNECT), namespaces),
)
SERIALIZERS: list[Serializer] = [
    JSONSerializer(max_attachments=1000),
    JSONSerializer(ModuleJSON(json), max_attachments=1000),
]


@given(st.lists(packets, min_size=1, max_size=3))
def test_round_trip(sent: list[Packet]) -> None:
    for serializer in SERIALIZERS:
        decoder = serializer.decoder()
        for packet in sent:
            encoded = serializer.encoder().encode(packet)
            assert encoded.text is not None
            received = decoder.receive_text(encoded.text.decode())
            for index, attachment in enumerate(encoded.binary):
                assert received is None
                assert decoder.pending_attachments == len(encoded.binary) - index
                received = decoder.receive_binary(attachment)
            assert received == packet


fragments = st.sampled_from(
    [
        *'01234567-/,?[]{}":a \x00\\',
        "null",
        "true",
        "connect",
        '["a"]',
        '["a",',
        "NaN",
        "1e999",
        "9" * 20,
        "[" * 150,
        '{"_placeholder":true,"num":0}',
        "٤",
        "\ud800",
        "\\ud800",
    ]
)
messages = st.one_of(st.binary(max_size=30), st.text(), st.lists(fragments, max_size=8).map("".join))


@given(st.lists(messages, max_size=6))
def test_any_messages_give_packets_or_one_kind_of_error(received: list[str | bytes]) -> None:
    """The invariant of the decoder: a Packet, None or RemoteProtocolError, and reset() heals everything."""
    for serializer in SERIALIZERS:
        decoder = serializer.decoder()
        for item in received:
            try:
                packet = decoder.receive_text(item) if isinstance(item, str) else decoder.receive_binary(item)
            except RemoteProtocolError:
                decoder.reset()
            else:
                assert (packet is None) == (decoder.pending_attachments > 0)
        decoder.reset()
        assert decoder.pending_attachments == 0
        assert decoder.receive_text('2["a"]') == Packet(PacketType.EVENT, "/", ["a"])


@given(packets, st.data())
def test_a_spoiled_packet_is_a_packet_or_an_error(packet: Packet, draw: st.DataObject) -> None:
    encoded = SERIALIZERS[0].encoder().encode(packet)
    assert encoded.text is not None
    whole = encoded.text.decode()
    position = draw.draw(st.integers(0, len(whole)))
    decoder = SERIALIZERS[0].decoder()
    try:
        decoder.receive_text(whole[:position] + draw.draw(fragments) + whole[position + 1 :])
    except RemoteProtocolError:
        decoder.reset()


def test_decoders_do_not_share_anything() -> None:
    serializer = JSONSerializer()
    one, other = serializer.decoder(), serializer.decoder()
    assert isinstance(one, Decoder)
    assert serializer.encoder() is serializer.encoder()
    assert one.receive_text('51-["m",{"_placeholder":true,"num":0}]') is None
    assert other.receive_text('2["a"]') == Packet(PacketType.EVENT, "/", ["a"])
    assert one.receive_binary(b"x") == Packet(PacketType.EVENT, "/", ["m", b"x"])
    data: Any = JSONSerializer().encoder().encode(Packet(PacketType.EVENT, "/", ["m", {1}]))
    assert data.text == b'2["m",[1]]'
