"""Packets in MessagePack; the wire forms are from socket.io-msgpack-parser 3.0.2 (notepack.io 2.2.0)."""

from __future__ import annotations

import datetime
import struct
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio import (
    RESERVED_EVENTS,
    MsgpackDecoder,
    MsgpackEncoder,
    MsgpackSerializer,
    Packet,
    PacketType,
)

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType
UTC = datetime.timezone.utc
ENCODER = MsgpackEncoder()
EVENT_MAP = "83a47479706502a464617461"
MAIN = "a36e7370a12f"


@pytest.fixture
def decoder() -> MsgpackDecoder:
    return MsgpackDecoder(max_message_bytes=1_000_000)


@pytest.mark.parametrize(
    ("wire", "packet"),
    [
        (
            "84a47479706500a464617461d40000a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f",
            Packet(CONNECT),
        ),
        (
            "83a47479706500a46461746181a5746f6b656ea174a36e7370a62f61646d696e",
            Packet(CONNECT, "/admin", {"token": "t"}),
        ),
        (
            "84a47479706501a464617461d40000a36e7370a12fa76f7074696f6e7381a8636f6d7072657373c3",
            Packet(DISCONNECT),
        ),
        (
            (
                "85a47479706502a46461746196a46563686fa9c3a9e282acf09f9880ffcb3ff8000000000000c0c3"
                "a76f7074696f6e7381a8636f6d7072657373c3a26964d40000a36e7370a12f"
            ),
            Packet(EVENT, "/", ["echo", "é€😀", -1, 1.5, None, True]),
        ),
        (
            (
                "84a47479706502a46461746194a46563686fcf001fffffffffffffd3ffe0000000000001cf0000000100000000"
                "a269640ca36e7370a52f63686174"
            ),
            Packet(EVENT, "/chat", ["echo", 2**53 - 1, 1 - 2**53, 2**32], 12),
        ),
        ("84a47479706503a46461746190a2696400a36e7370a12f", Packet(ACK, "/", [], 0)),
        (EVENT_MAP + "93a165d4000081a161d40000" + MAIN, Packet(EVENT, "/", ["e", None, {"a": None}])),
        (
            EVENT_MAP + "93a165d7000000018bcfe5687bd700fffffffffffffa24" + MAIN,
            Packet(
                EVENT,
                "/",
                [
                    "e",
                    datetime.datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC),
                    datetime.datetime(1969, 12, 31, 23, 59, 58, 500000, tzinfo=UTC),
                ],
            ),
        ),
        (EVENT_MAP + "92a165c403010203" + MAIN, Packet(EVENT, "/", ["e", b"\x01\x02\x03"])),
        # An ArrayBuffer, also as long as `undefined` and a date are, and beside a buffer that looks like one.
        (EVENT_MAP + "92a165c7010001" + MAIN, Packet(EVENT, "/", ["e", b"\x01"])),
        (
            EVENT_MAP + "92a16583a161c708000102030405060708a164d7000000000000000008a162c403c70800" + MAIN,
            Packet(
                EVENT,
                "/",
                [
                    "e",
                    {
                        "a": bytes(range(1, 9)),
                        "d": datetime.datetime(1970, 1, 1, 0, 0, 0, 8000, tzinfo=UTC),
                        "b": b"\xc7\x08\x00",
                    },
                ],
            ),
        ),
        (EVENT_MAP + "93a165c70000c70300010203" + MAIN, Packet(EVENT, "/", ["e", b"", b"\x01\x02\x03"])),
        (EVENT_MAP + "92a165c8012c00" + "07" * 300 + MAIN, Packet(EVENT, "/", ["e", b"\x07" * 300])),
        # NaN and Infinity are null in JSON, and so here.
        (
            EVENT_MAP + "94a165cb7ff800000000000091cb7ff000000000000081a178cbfff0000000000000" + MAIN,
            Packet(EVENT, "/", ["e", None, [None], {"x": None}]),
        ),
    ],
)
def test_what_the_official_parser_writes(decoder: MsgpackDecoder, wire: str, packet: Packet) -> None:
    assert decoder.receive_binary(bytes.fromhex(wire)) == packet
    assert decoder.pending_attachments == 0


def wire(**fields: Any) -> bytes:
    return msgspec.msgpack.encode(fields)


def event(*data: Any) -> bytes:
    return wire(type=2, nsp="/", data=["e", *data])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x80",
        wire(type=2, nsp="/"),
        wire(type=2, data=["e"]),
        wire(nsp="/", data=["e"]),
        wire(type=5, nsp="/", data=["e"]),
        wire(type=6, nsp="/", data=["e"], id=1),
        wire(type=-1, nsp="/", data=["e"]),
        wire(type=2.0, nsp="/", data=["e"]),
        wire(type=True, nsp="/", data=["e"]),
        wire(type="2", nsp="/", data=["e"]),
        wire(type=2, nsp=1, data=["e"]),
        wire(type=2, nsp="", data=["e"]),
        wire(type=2, nsp="a", data=["e"]),
        wire(type=2, nsp="/a,b", data=["e"]),
        wire(type=2, nsp="/" + "a" * 200, data=["e"]),
        wire(type=2, nsp="/", data=[]),
        wire(type=2, nsp="/", data={}),
        wire(type=2, nsp="/", data="e"),
        wire(type=2, nsp="/", data=[1]),
        wire(type=2, nsp="/", data=[b"e"]),
        wire(type=2, nsp="/", data=["e"], id=-1),
        wire(type=2, nsp="/", data=["e"], id=2**53 + 1),
        wire(type=2, nsp="/", data=["e"], id=1.0),
        wire(type=2, nsp="/", data=["e"], id="1"),
        wire(type=2, nsp="/", data=["e"], id=True),
        wire(type=3, nsp="/", data=[]),
        wire(type=3, nsp="/", data={}, id=1),
        wire(type=3, nsp="/", id=1),
        wire(type=0, nsp="/", data=[]),
        wire(type=0, nsp="/", data="x"),
        wire(type=0, nsp="/", id=1),
        wire(type=1, nsp="/", data={}),
        wire(type=4, nsp="/", data={"message": "x"}),
        *(wire(type=2, nsp="/", data=[name]) for name in sorted(RESERVED_EVENTS)),
        event() + b"\x00",
        event()[:-1],
        event({1: 2}),
        event({"a": {b"b": 1}}),
        event({(1, 2): 1}),
        event(None)[:-1] + b"\x81\x80\x01",
        event(None)[:-1] + b"\x81\x91\x80\x01",
        event(msgspec.msgpack.Ext(5, b"x")),
        event(msgspec.msgpack.Ext(0, struct.pack(">q", 2**62))),
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e\xa1\xff",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e\xa3\xed\xa0\x80",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + b"\x91" * 200_000,
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e\xc7\x08\x00",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_is_no_packet(decoder: MsgpackDecoder, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_binary(data)
    assert len(caught.value.message) < 300
    decoder.reset()
    assert decoder.receive_binary(event(1)) == Packet(EVENT, "/", ["e", 1])


def test_unknown_extensions_are_named(decoder: MsgpackDecoder) -> None:
    for code in (-2, 1, 5, 127):
        with pytest.raises(RemoteProtocolError, match="Not a MessagePack packet"):
            decoder.receive_binary(event({"deep": [msgspec.msgpack.Ext(code, b"data")]}))
    with pytest.raises(RemoteProtocolError, match="unknown extension type 5"):
        decoder.receive_binary(event(msgspec.msgpack.Ext(5, b"data")))


def test_null_is_absent(decoder: MsgpackDecoder) -> None:
    assert decoder.receive_binary(wire(type=1, nsp="/?t=1", data=None, id=None)) == Packet(DISCONNECT)


def test_text_is_refused(decoder: MsgpackDecoder) -> None:
    with pytest.raises(RemoteProtocolError, match="MessagePack"):
        decoder.receive_text('2["a"]')


def test_long_messages_are_refused() -> None:
    decoder = MsgpackSerializer(max_message_bytes=len(event(1))).decoder()
    assert decoder.receive_binary(event(1)) is not None
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_binary(event(1, 2))
    assert caught.value.close_code == 1009


def test_depth(decoder: MsgpackDecoder) -> None:
    value: Any = 1
    for _ in range(99):
        value = [value]
    assert decoder.receive_binary(event(value)) == Packet(EVENT, "/", ["e", value])
    for deep in ([value], {"a": value}):
        with pytest.raises(RemoteProtocolError, match="nested more than 100 levels"):
            decoder.receive_binary(event(deep))


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (Packet(CONNECT, "/", {"sid": "x"}), {"type": 0, "data": {"sid": "x"}, "nsp": "/"}),
        # The official client takes null for data, and a DISCONNECT with data for an error.
        (Packet(DISCONNECT, "/a"), {"type": 1, "nsp": "/a"}),
        (Packet(CONNECT_ERROR, "/", {"message": "m"}), {"type": 4, "data": {"message": "m"}, "nsp": "/"}),
        (Packet(EVENT, "/", ["e"], 0), {"type": 2, "data": ["e"], "nsp": "/", "id": 0}),
        (Packet(BINARY_EVENT, "/", ["e", b"x"]), {"type": 2, "data": ["e", b"x"], "nsp": "/"}),
        (Packet(BINARY_ACK, "/x", [bytearray(b"x")], 3), {"type": 3, "data": [b"x"], "nsp": "/x", "id": 3}),
        (
            Packet(EVENT, "/", ("e", (1, memoryview(b"x1y2")[::2]))),
            {"type": 2, "data": ["e", [1, b"xy"]], "nsp": "/"},
        ),
    ],
)
def test_what_is_written(packet: Packet, expected: dict[str, Any]) -> None:
    encoded = ENCODER.encode(packet)
    assert encoded.text is None
    assert [msgspec.msgpack.decode(message) for message in encoded.binary] == [expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        ([float("inf"), {"a": -float("inf")}], [None, {"a": None}]),
        ({1: {2.5: b"x"}}, {"1": {"2.5": b"x"}}),
        ({3}, [3]),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        ({True: 1, False: 2, None: 3}, {"true": 1, "false": 2, "null": 3}),
        (datetime.time(1, 2, 3), "01:02:03"),
        ({datetime.date(2020, 1, 1): 1}, {"2020-01-01": 1}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values(value: object, expected: object) -> None:
    (message,) = ENCODER.encode(Packet(EVENT, "/", ["e", value])).binary
    assert msgspec.msgpack.decode(message)["data"] == ["e", expected]


def test_dates_are_written_like_the_official_parser_writes_them() -> None:
    """A time without a zone is UTC, and a day its first moment, as in Flask's JSON."""
    zone = datetime.timezone(datetime.timedelta(hours=1))
    for date, hexadecimal in (
        (datetime.datetime(2023, 11, 14, 23, 13, 20, 123456, tzinfo=zone), "d7000000018bcfe5687b"),
        (datetime.datetime.fromisoformat("2023-11-14T22:13:20.123456"), "d7000000018bcfe5687b"),
        (datetime.date(1969, 12, 31), "d700fffffffffad9a400"),
    ):
        for data in (["e", date], ["e", {"deep": (date,)}]):
            (message,) = ENCODER.encode(Packet(EVENT, "/", data)).binary
            assert bytes.fromhex(hexadecimal) in message


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, {b"k": 1}, 1j])
def test_what_can_not_be_sent_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        ENCODER.encode(Packet(EVENT, "/", ["e", value]))


def test_values_that_can_not_be_sent() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for value in (cycle, 2**64, -(2**63) - 1, "\ud800"):
        with pytest.raises(ValueError):
            ENCODER.encode(Packet(EVENT, "/", ["e", value]))
    for packet in (Packet(EVENT, "a", ["e"]), Packet(EVENT, "/a,", ["e"]), Packet(ACK, "/", None, 1)):
        with pytest.raises(ValueError):
            ENCODER.encode(packet)


def test_the_data_is_not_changed() -> None:
    data = ["e", {"a": [float("inf"), datetime.datetime(2020, 1, 1, tzinfo=UTC)], 1: 2}]
    ENCODER.encode(Packet(EVENT, "/", data))
    assert data == ["e", {"a": [float("inf"), datetime.datetime(2020, 1, 1, tzinfo=UTC)], 1: 2}]


text = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
# Bytes that look like the extensions whose header is rewritten, in all places where bytes can stand.
confusing = st.sampled_from([b"\xc7\x08\x00" * 3, b"\xc7\x01\x00\x01", b"\xc7\x08\x00"])


@given(st.lists(values | confusing, max_size=4), st.none() | st.integers(0, 2**53))
def test_round_trip(arguments: list[Any], number: int | None) -> None:
    packet = Packet(EVENT, "/chat", ["e", *arguments], number)
    (message,) = ENCODER.encode(packet).binary
    assert MsgpackDecoder(max_message_bytes=10_000).receive_binary(message) == packet


def _fuzz(data: bytes) -> None:
    decoder = MsgpackDecoder(max_message_bytes=10_000)
    try:
        packet = decoder.receive_binary(data)
    except RemoteProtocolError:
        return
    assert packet is not None
    assert packet.type in (CONNECT, DISCONNECT, EVENT, ACK)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_an_error(data: bytes) -> None:
    _fuzz(data)
    _fuzz(b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1e" + data)


@given(values.map(event), st.data())
def test_a_spoiled_packet_is_a_packet_or_an_error(message: bytes, draw: st.DataObject) -> None:
    position = draw.draw(st.integers(0, len(message) - 1))
    _fuzz(message[:position] + draw.draw(st.binary(max_size=3)) + message[position + 1 :])
