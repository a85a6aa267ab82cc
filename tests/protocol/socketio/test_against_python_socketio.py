"""The same packets, written and read by python-socketio."""

from __future__ import annotations

from typing import Any

import pytest

from flask_realtime.protocol.socketio import Decoder, Encoder, MsgspecJSON, Packet, PacketType

theirs = pytest.importorskip("socketio.packet")

CODEC = MsgspecJSON()
PACKETS = [
    Packet(PacketType.CONNECT),
    Packet(PacketType.CONNECT, "/admin", {"token": "t", "n": [1, 2.5, None, True]}),
    Packet(PacketType.DISCONNECT),
    Packet(PacketType.DISCONNECT, "/admin"),
    Packet(PacketType.EVENT, "/", ["hello"]),
    Packet(PacketType.EVENT, "/", ["hello", "wörld", {"a": [1, {"b": None}]}], 0),
    Packet(PacketType.EVENT, "/a/b", ["hello", -1.5], 123456),
    Packet(PacketType.EVENT, "/", ["b", b"\x00\xff", {"x": [b"", {"y": b"z"}]}]),
    Packet(PacketType.EVENT, "/ns", ["b", b"1"], 7),
    Packet(PacketType.ACK, "/", [], 3),
    Packet(PacketType.ACK, "/ns", [1, "two"], 45),
    Packet(PacketType.ACK, "/", [b"1", [b"2"]], 789),
]


def fields(packet: Any) -> tuple[int, str, Any, int | None]:
    # They keep the binary types, and the namespace None.
    kind = packet.packet_type - 3 if packet.packet_type >= 5 else packet.packet_type
    return kind, packet.namespace or "/", packet.data, packet.id


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
def test_they_read_what_we_write(packet: Packet) -> None:
    encoded = Encoder(CODEC).encode(packet)
    assert encoded.text is not None
    read = theirs.Packet(encoded_packet=encoded.text.decode())
    for attachment in encoded.binary:
        read.add_attachment(attachment)
    assert fields(read) == (packet.type, packet.namespace, packet.data, packet.id)


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
def test_we_read_what_they_write(packet: Packet) -> None:
    written = theirs.Packet(
        packet.type.value, data=packet.data, namespace=packet.namespace, id=packet.id
    ).encode()
    decoder = Decoder(CODEC, max_attachment_bytes=100)
    if isinstance(written, str):
        assert decoder.receive_text(written) == packet
        return
    received = decoder.receive_text(written[0])
    for attachment in written[1:]:
        assert received is None
        received = decoder.receive_binary(attachment)
    assert received == packet


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
def test_both_write_the_same(packet: Packet) -> None:
    encoded = Encoder(CODEC).encode(packet)
    written = theirs.Packet(
        packet.type.value, data=packet.data, namespace=packet.namespace, id=packet.id
    ).encode()
    their_text, *their_binary = [written] if isinstance(written, str) else written
    assert encoded.text is not None
    ours = encoded.text.decode().replace("ö", "\\u00f6")
    assert (ours, list(encoded.binary)) == (their_text, their_binary)
