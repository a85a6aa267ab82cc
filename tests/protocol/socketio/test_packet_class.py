"""Packet classes of python-socketio, and of users, as encoder and decoder."""

from __future__ import annotations

import json
from typing import Any

import pytest
import socketio.msgpack_packet
import socketio.packet
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio import EncodedPacket, JSONSerializer, Packet, PacketType
from flask_realtime.protocol.socketio.packet_class import PacketClassSerializer, is_packet_class

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType
TEXT = socketio.packet.Packet
MSGPACK = socketio.msgpack_packet.MsgPackPacket
PACKETS = [
    Packet(CONNECT),
    Packet(CONNECT, "/admin", {"token": "t", "n": [1, 2.5, None, True]}),
    Packet(DISCONNECT),
    Packet(DISCONNECT, "/admin"),
    Packet(EVENT, "/", ["hello"]),
    Packet(EVENT, "/", ["hello", "wörld", {"a": [1, {"b": None}]}], 0),
    Packet(EVENT, "/a/b", ["hello", -1.5], 123456),
    Packet(EVENT, "/", ["b", b"\x00\xff", {"x": [b"", {"y": b"z"}]}]),
    Packet(EVENT, "/ns", ["b", b"1"], 7),
    Packet(ACK, "/", [], 3),
    Packet(ACK, "/ns", [1, "two"], 45),
    Packet(ACK, "/", [b"1", [b"2"]], 789),
]


def received(decoder: Any, encoded: EncodedPacket) -> Packet | None:
    packet: Packet | None = None if encoded.text is None else decoder.receive_text(encoded.text.decode())
    for data in encoded.binary:
        packet = decoder.receive_binary(data)
    return packet


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
@pytest.mark.parametrize("packet_class", [TEXT, MSGPACK])
def test_round_trip(packet_class: Any, packet: Packet) -> None:
    serializer = PacketClassSerializer(packet_class)
    decoder = serializer.decoder()
    assert received(decoder, serializer.encoder().encode(packet)) == packet
    assert decoder.pending_attachments == 0


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
def test_the_text_class_writes_what_we_write(packet: Packet) -> None:
    theirs = PacketClassSerializer(TEXT).encoder().encode(packet)
    ours = JSONSerializer().encoder().encode(packet)
    assert theirs.text is not None
    assert ours.text is not None
    assert theirs.text.decode() == ours.text.decode().replace("ö", "\\u00f6")
    assert theirs.binary == ours.binary


@pytest.mark.parametrize("packet_class", [TEXT, MSGPACK])
def test_what_the_class_can_not_write(packet_class: Any) -> None:
    encoder = PacketClassSerializer(packet_class).encoder()
    with pytest.raises(TypeError, match=r"event 'e', args\[1\]\['a'\]: .*object.*: <object"):
        encoder.encode(Packet(EVENT, "/", ["e", 1, {"a": object()}]))
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ValueError):
        encoder.encode(Packet(EVENT, "/", ["e", cycle]))
    for packet in (Packet(EVENT, "a", ["e"]), Packet(EVENT, "/a,", ["e"]), Packet(ACK, "/", None, 1)):
        with pytest.raises(ValueError):
            encoder.encode(packet)
    assert encoder.encode(Packet(EVENT, "/", ["e"]))


TEXTS = """x 7 42 4 {} 2{} 2[] 2[1] 2["connect"] 2["e" 2["e"]] 1{} 30 3[] 37{} 4{"message":"x"} 0[] 0"x"
    2/a,b["e"] 51-["e"] 2["e",]""".split()


@pytest.mark.parametrize("text", ["", *TEXTS, "2" + "1" * 101 + '["e"]', "2/" + "a" * 200 + ',["e"]'])
def test_texts_that_are_no_packets(text: str) -> None:
    decoder = PacketClassSerializer(TEXT).decoder()
    if text == '51-["e"]':  # python-socketio does not miss the placeholder
        assert decoder.receive_text(text) is None
        return
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_text(text)
    assert len(caught.value.message) < 300


def test_binary_data_that_nobody_has_announced() -> None:
    with pytest.raises(RemoteProtocolError):
        PacketClassSerializer(TEXT).decoder().receive_binary(b"x")


def test_attachments() -> None:
    decoder = PacketClassSerializer(TEXT, max_attachments=2, max_attachment_bytes=5).decoder()
    two = '52-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert decoder.receive_text(two) is None
    assert decoder.pending_attachments == 2
    with pytest.raises(RemoteProtocolError, match="missing"):
        decoder.receive_text('2["e"]')
    assert decoder.receive_binary(b"12") is None
    assert decoder.pending_attachments == 1
    with pytest.raises(RemoteProtocolError, match="limit is 5") as caught:
        decoder.receive_binary(b"3456")
    assert caught.value.close_code == 1009
    decoder.reset()
    assert decoder.pending_attachments == 0
    assert decoder.receive_text('2["e"]') == Packet(EVENT, "/", ["e"])
    with pytest.raises(RemoteProtocolError, match="limit is 2"):
        decoder.receive_text(two.replace("52-", "53-"))
    for wrong in ("7", '"x"', "-9", "null"):
        assert decoder.receive_text(f'51-["e",{{"_placeholder":true,"num":{wrong}}}]') is None
        with pytest.raises(RemoteProtocolError):
            decoder.receive_binary(b"x")
        decoder.reset()


def test_a_module_for_json_stays_with_one_serializer() -> None:
    """In python-socketio it is set on the class, for the whole process."""

    class Module:
        @staticmethod
        def dumps(value: Any, **options: Any) -> str:
            return json.dumps(value, **options).upper()

        loads = staticmethod(json.loads)

    packet = Packet(EVENT, "/", ["e"])
    before = TEXT.json
    assert PacketClassSerializer(TEXT, Module).encoder().encode(packet).text == b'2["E"]'
    assert PacketClassSerializer(TEXT).encoder().encode(packet).text == b'2["e"]'
    assert TEXT.json is before


class Minimal:
    """No more than the interface asks for: packets are lists in JSON, in bytes."""

    def __init__(
        self,
        packet_type: int = 2,
        data: Any = None,
        namespace: str | None = None,
        id: int | None = None,
        encoded_packet: bytes | None = None,
    ) -> None:
        self.packet_type, self.data, self.namespace, self.id = packet_type, data, namespace, id
        self.attachment_count = 0
        if encoded_packet is not None:
            self.packet_type, self.data, self.namespace, self.id = json.loads(encoded_packet)

    def encode(self) -> bytes:
        return json.dumps([self.packet_type, self.data, self.namespace, self.id]).encode()

    def add_attachment(self, attachment: bytes) -> bool:
        raise ValueError("there are none")


def test_a_class_of_ones_own() -> None:
    serializer = PacketClassSerializer(Minimal)
    packet = Packet(EVENT, "/a", ["e", {"k": [1]}], 3)
    encoded = serializer.encoder().encode(packet)
    assert encoded == (None, (b'[2, ["e", {"k": [1]}], "/a", 3]',))
    decoder = serializer.decoder()
    assert decoder.receive_binary(encoded.binary[0]) == packet
    for wrong in (b"[", b"{}", b"[2]", b'["2",["e"],"/",null]', b'[9,["e"],"/",null]', b'[true,["e"],"/",1]',
                  b'[2,["e"],1,null]', b'[2,["e"],"/","1"]', b'[2,["e"],"/",true]'):  # fmt: skip
        with pytest.raises(RemoteProtocolError):
            decoder.receive_binary(wrong)


@pytest.mark.parametrize("candidate", [TEXT, MSGPACK, MSGPACK.configure(), Minimal])
def test_what_is_a_packet_class(candidate: object) -> None:
    assert is_packet_class(candidate)


@pytest.mark.parametrize("candidate", [None, "msgpack", 1, int, json, TEXT(), JSONSerializer, lambda: TEXT])
def test_what_is_none(candidate: object) -> None:
    assert not is_packet_class(candidate)


def test_what_a_class_must_not_give() -> None:
    class Wrong(Minimal):
        def encode(self) -> Any:
            return ["2", "3"]

    with pytest.raises(TypeError, match="only the first may be text"):
        PacketClassSerializer(Wrong).encoder().encode(Packet(EVENT, "/", ["e"]))


@given(st.text(max_size=30) | st.binary(max_size=30), st.sampled_from([TEXT, MSGPACK, Minimal]))
def test_anything_is_a_packet_or_an_error(message: str | bytes, packet_class: Any) -> None:
    decoder = PacketClassSerializer(packet_class).decoder()
    try:
        if isinstance(message, str):
            decoder.receive_text(message)
        else:
            decoder.receive_binary(message)
    except RemoteProtocolError:
        pass
