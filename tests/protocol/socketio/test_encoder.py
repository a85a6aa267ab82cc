"""Packets to the wire, in the default encoding."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest

from flask_realtime.protocol.socketio import Encoder, MsgspecJSON, Packet, PacketType

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = PacketType
ENCODER = Encoder(MsgspecJSON())


@dataclasses.dataclass
class Picture:
    name: str
    pixels: Any


class PictureStruct(msgspec.Struct):
    name: str
    pixels: Any


class Pair(NamedTuple):
    first: Any
    second: Any


class Markup(str):
    """Like Flask's."""


class Colour(enum.Enum):
    RED = "red"


def text_of(*data: Any) -> str:
    encoded = ENCODER.encode(Packet(EVENT, "/", ["e", *data]))
    assert encoded.binary == ()
    assert encoded.text is not None
    return encoded.text.decode().removeprefix('2["e",').removesuffix("]")


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(CONNECT), "0"),
        (Packet(CONNECT, "/", {"sid": "x"}), '0{"sid":"x"}'),
        (Packet(CONNECT, "/ns", {"sid": "x"}), '0/ns,{"sid":"x"}'),
        (Packet(CONNECT, "/", {}), "0{}"),
        (
            Packet(CONNECT_ERROR, "/ns", {"message": "no", "data": {"code": 42}}),
            '4/ns,{"message":"no","data":{"code":42}}',
        ),
        (Packet(DISCONNECT), "1"),
        (Packet(DISCONNECT, "/ns"), "1/ns,"),
        (Packet(EVENT, "/", ["a", 1]), '2["a",1]'),
        (Packet(EVENT, "/", ("a", 1)), '2["a",1]'),
        (Packet(EVENT, "/ns", ["a"]), '2/ns,["a"]'),
        (Packet(EVENT, "/", ["a"], 12), '212["a"]'),
        (Packet(EVENT, "/", ["a"], 0), '20["a"]'),
        (Packet(EVENT, "/ns", ["a"], 12), '2/ns,12["a"]'),
        (Packet(ACK, "/", [], 7), "37[]"),
        (Packet(ACK, "/ns", ["b"], 13), '3/ns,13["b"]'),
        (Packet(BINARY_EVENT, "/", ["a"]), '2["a"]'),
        (Packet(BINARY_ACK, "/", ["a"], 1), '31["a"]'),
        (Packet(EVENT, "/", ["é", "😀", "\x1e"]), '2["é","😀","\\u001e"]'),
    ],
)
def test_text(packet: Packet, text: str) -> None:
    assert ENCODER.encode(packet) == (text.encode(), ())


@pytest.mark.parametrize(
    ("packet", "text", "binary"),
    [
        (Packet(EVENT, "/", ["m", b"x"]), '51-["m",{"_placeholder":true,"num":0}]', (b"x",)),
        (Packet(ACK, "/ns", [b"x"], 789), '61-/ns,789[{"_placeholder":true,"num":0}]', (b"x",)),
        (
            Packet(
                EVENT, "/", ["m", {"a": b"1", "b": [bytearray(b"2"), {"c": memoryview(b"3")}], "n": 1}], 5
            ),
            (
                '53-5["m",{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1},'
                '{"c":{"_placeholder":true,"num":2}}],"n":1}]'
            ),
            (b"1", b"2", b"3"),
        ),
        (Packet(BINARY_EVENT, "/", ["m", b""]), '51-["m",{"_placeholder":true,"num":0}]', (b"",)),
        (Packet(EVENT, "/", ("m", (1, (b"x",)))), '51-["m",[1,[{"_placeholder":true,"num":0}]]]', (b"x",)),
        (Packet(EVENT, "/", ["m", Pair(1, b"x")]), '51-["m",[1,{"_placeholder":true,"num":0}]]', (b"x",)),
        (Packet(EVENT, "/", ["m", {b"x"}]), '51-["m",[{"_placeholder":true,"num":0}]]', (b"x",)),
        (
            Packet(EVENT, "/", ["m", Picture("p", [b"x"])]),
            '51-["m",{"name":"p","pixels":[{"_placeholder":true,"num":0}]}]',
            (b"x",),
        ),
        (
            Packet(EVENT, "/", ["m", PictureStruct("p", Picture("q", b"x"))]),
            '51-["m",{"name":"p","pixels":{"name":"q","pixels":{"_placeholder":true,"num":0}}}]',
            (b"x",),
        ),
    ],
)
def test_binary(packet: Packet, text: str, binary: tuple[bytes, ...]) -> None:
    before = copy.deepcopy(packet.data) if not _holds_views(packet) else None
    encoded = ENCODER.encode(packet)
    assert encoded == (text.encode(), binary)
    assert all(type(attachment) is bytes for attachment in encoded.binary)
    assert before is None or packet.data == before


def _holds_views(packet: Packet) -> bool:
    return "memory" in repr(packet.data)


def test_attachments_are_snapshots() -> None:
    pixels = bytearray(b"before")
    encoded = ENCODER.encode(Packet(EVENT, "/", ["m", pixels, memoryview(pixels)[::2]]))
    pixels[:] = b"after!"
    assert encoded.binary == (b"before", b"bfr")


def test_the_data_is_not_changed() -> None:
    inner = {"b": b"x"}
    data = ["m", inner, [inner]]
    ENCODER.encode(Packet(EVENT, "/", data))
    assert data == ["m", {"b": b"x"}, [{"b": b"x"}]]
    assert data[1] is inner


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2.0, "2.0"),
        (2**64, "18446744073709551616"),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        ({1: 2, 1.5: 3}, '{"1":2,"1.5":3}'),
        ({True: 1, False: 2, None: 3}, '{"true":1,"false":2,"null":3}'),
        (
            {uuid.UUID(int=1): 1, Colour.RED: 2, PacketType.ACK: 3},
            f'{{"{uuid.UUID(int=1)}":1,"red":2,"3":3}}',
        ),
        ({1}, "[1]"),
        (Markup("<b>"), '"<b>"'),
        ({Markup("k"): 1}, '{"k":1}'),
        (Picture("p", Markup("x")), '{"name":"p","pixels":"x"}'),
        (Colour.RED, '"red"'),
        (PacketType.ACK, "3"),
        (Decimal("1.50"), '"1.50"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc), '"2020-01-02T00:00:00Z"'),
        (Picture("p", datetime.date(2020, 1, 2)), '{"name":"p","pixels":"2020-01-02"}'),
        (Pair(1, [2]), "[1,[2]]"),
        ({"_placeholder": True, "num": 0}, '{"_placeholder":true,"num":0}'),
    ],
)
def test_values(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, 1j, {b"k": 1}, {(1, 2): 3}, Picture, Picture("p", object()), range(3)]
)
def test_what_can_not_be_sent_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError):
        text_of(value)
    with pytest.raises(TypeError):
        ENCODER.encode(Packet(EVENT, "/", ["e", b"x", value]))


def test_a_lone_surrogate_can_not_be_sent() -> None:
    for data in (["\ud800"], [{"\udfff": 1}], [b"x", "\ud800"]):
        with pytest.raises(ValueError):
            text_of(*data)


def _cycles() -> list[Any]:
    in_list: list[Any] = []
    in_list.append(in_list)
    in_dict: dict[str, Any] = {}
    in_dict["self"] = [in_dict]
    record = Picture("p", None)
    record.pixels = record
    return [in_list, in_dict, record]


@pytest.mark.parametrize("value", _cycles())
def test_data_that_refers_to_itself_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="refers to itself"):
        ENCODER.encode(Packet(EVENT, "/", ["e", value]))
    with pytest.raises(ValueError, match="refers to itself"):
        ENCODER.encode(Packet(EVENT, "/", ["e", b"x", value]))


def test_binary_data_only_in_events_and_acks() -> None:
    for kind in (CONNECT, CONNECT_ERROR):
        with pytest.raises(TypeError, match="binary"):
            ENCODER.encode(Packet(kind, "/", {"message": b"x"}))


def test_what_looks_like_a_placeholder_can_not_be_sent_beside_binary_data() -> None:
    with pytest.raises(ValueError, match="_placeholder"):
        ENCODER.encode(Packet(EVENT, "/", ["e", {"_placeholder": True, "num": 99}, b"x"]))


@pytest.mark.parametrize("kind", [EVENT, ACK])
def test_data_is_needed(kind: PacketType) -> None:
    with pytest.raises(ValueError, match="needs data"):
        ENCODER.encode(Packet(kind, "/", None, 1))


@pytest.mark.parametrize("namespace", ["", "a", "a/b", "/a,b", "/\ud800"])
def test_bad_namespaces(namespace: str) -> None:
    for kind, data in ((EVENT, ["e"]), (EVENT, ["e", b"x"]), (CONNECT, {}), (DISCONNECT, None)):
        with pytest.raises(ValueError):
            ENCODER.encode(Packet(kind, namespace, data))
