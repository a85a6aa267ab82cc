"""Packets from the wire, in the default encoding."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio import (
    RESERVED_EVENTS,
    Decoder,
    JSONCodec,
    ModuleJSON,
    MsgspecJSON,
    Packet,
    PacketType,
)

CONNECT, DISCONNECT, EVENT, ACK = list(PacketType)[:4]


@pytest.fixture(params=["msgspec", "module"])
def codec(request: pytest.FixtureRequest) -> JSONCodec:
    return MsgspecJSON() if request.param == "msgspec" else ModuleJSON(json)


@pytest.fixture
def decoder(codec: JSONCodec) -> Decoder:
    return Decoder(codec, max_attachments=3, max_attachment_bytes=10)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", Packet(CONNECT)),
        ("0{}", Packet(CONNECT, "/", {})),
        ('0{"token":"t"}', Packet(CONNECT, "/", {"token": "t"})),
        ("0/admin", Packet(CONNECT, "/admin")),
        ("0/admin,", Packet(CONNECT, "/admin")),
        ('0/admin,{"token":"t"}', Packet(CONNECT, "/admin", {"token": "t"})),
        ("0/admin?token=1234&uid=a,{}", Packet(CONNECT, "/admin", {})),
        ("0/a-b/c d,", Packet(CONNECT, "/a-b/c d")),
        ("0/" + "x" * 199, Packet(CONNECT, "/" + "x" * 199)),
        ("0/?x=" + "x" * 300, Packet(CONNECT, "/")),
        ("1", Packet(DISCONNECT)),
        ("1/admin,", Packet(DISCONNECT, "/admin")),
        ('2["a",1]', Packet(EVENT, "/", ["a", 1])),
        ('2/ns,["a"]', Packet(EVENT, "/ns", ["a"])),
        ('2/,["a"]', Packet(EVENT, "/", ["a"])),
        ('212["a"]', Packet(EVENT, "/", ["a"], 12)),
        ('20["a"]', Packet(EVENT, "/", ["a"], 0)),
        ('2/ns,12["a"]', Packet(EVENT, "/ns", ["a"], 12)),
        ('29007199254740992["a"]', Packet(EVENT, "/", ["a"], 2**53)),
        (
            '2["message",{"_placeholder":true,"num":0}]',
            Packet(EVENT, "/", ["message", {"_placeholder": True, "num": 0}]),
        ),
        ('2 ["a"]', Packet(EVENT, "/", ["a"])),
        ('2["é","😀","\\ud83d\\ude00"]', Packet(EVENT, "/", ["é", "😀", "😀"])),
        ("37[]", Packet(ACK, "/", [], 7)),
        ('3/ns,0["b",null]', Packet(ACK, "/ns", ["b", None], 0)),
        ('2["a",18446744073709551615]', Packet(EVENT, "/", ["a", 2**64 - 1])),
        ('2["a",18446744073709551616]', Packet(EVENT, "/", ["a", 2**64])),
    ],
)
def test_text(decoder: Decoder, text: str, packet: Packet) -> None:
    decoded = decoder.receive_text(text)
    assert decoded == packet
    assert decoder.pending_attachments == 0
    assert decoded is not None
    assert type(decoded.type) is PacketType


NOT_PACKETS = [
    "",
    "a",
    "7",
    "9[]",
    "٢[]",
    '２["a"]',
    "abc",
    # CONNECT and DISCONNECT
    "0[]",
    "0null",
    '0"x"',
    "01",
    "01{}",
    "0/a,null",
    "0a",
    "0/" + "x" * 200,
    '1{"a":1}',
    "1null",
    "112",
    # only a server sends CONNECT_ERROR
    '4{"message":"x"}',
    "4",
    # EVENT
    "2",
    "212",
    "2{}",
    "2[]",
    "2null",
    '2"a"',
    "2[1]",
    "2[null]",
    '2[["a"]]',
    '2[{"a":1}]',
    '2["a"]x',
    '2["a"]["b"]',
    '2["a"',
    '2["a',
    '2["a",]',
    "2['a']",
    "2abc[]",
    '2/["a"]',
    '2/ns["a"]',
    '2ns,["a"]',
    '2,["a"]',
    '2-1["a"]',
    '2+1["a"]',
    '21.5["a"]',
    '2٤["a"]',
    '2²["a"]',
    '29007199254740993["a"]',
    '2123456789012345678901234567890["a"]',
    '21-["a"]',
    # ACK
    "3[]",
    "31",
    "31{}",
    "31null",
    "3/ns,[]",
    # attachments
    "5",
    '5["a"]',
    '5-["a"]',
    '54-["a"]',
    '5٤-["a"]',
    '51["a"]',
    '5-1-["a"]',
    '5+1-["a"]',
    '5 1-["a"]',
    '51.0-["a"]',
    '599999999999999999999-["a"]',
    '51-["a"]',
    '51-["a",{"_placeholder":true}]',
    '51-["a",{"_placeholder":true,"num":1}]',
    '51-["a",{"_placeholder":true,"num":-1}]',
    '51-["a",{"_placeholder":true,"num":"0"}]',
    '51-["a",{"_placeholder":true,"num":0.0}]',
    '51-["a",{"_placeholder":true,"num":false}]',
    '51-["a",{"_placeholder":true,"num":null}]',
    '51-["a",{"_placeholder":false,"num":0}]',
    '51-["a",{"_placeholder":1,"num":0}]',
    '52-["a",{"_placeholder":true,"num":0}]',
    '52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]',
    '51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":2}]',
    '50-["a",{"_placeholder":true,"num":0}]',
    '51-[{"_placeholder":true,"num":0}]',
    '51-{"_placeholder":true,"num":0}',
    '51-["connect",{"_placeholder":true,"num":0}]',
    '61-[{"_placeholder":true,"num":0}]',
    # JSON
    '2["a",NaN]',
    '2["a",Infinity]',
    '2["a",-Infinity]',
    '2["a",1e999]',
    '2["a","\\ud800"]',
    '2["a","\\udc00\\ud800"]',
    '2["a",{"\\ud800":1}]',
    '2["a","\ud800"]',
    '2["a","\x01"]',
    '2["a",01]',
    '2["a",' + "1" * 5000 + "]",
]


@pytest.mark.parametrize("text", NOT_PACKETS, ids=lambda text: ascii(text[:40]))
def test_what_is_no_packet(decoder: Decoder, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_text(text)
    assert len(caught.value.message) < 300
    assert decoder.pending_attachments == 0
    decoder.reset()
    assert decoder.receive_text('2["a"]') == Packet(EVENT, "/", ["a"])


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_reserved_names(decoder: Decoder, name: str) -> None:
    for text in (f'2["{name}"]', f'2/ns,1["{name}",1]', f'50-["{name}"]', f'2[ "{name}"]'):
        with pytest.raises(RemoteProtocolError, match="reserved"):
            decoder.receive_text(text)
    assert decoder.receive_text(f'2["x","{name}"]') == Packet(EVENT, "/", ["x", name])


def test_attachments(decoder: Decoder) -> None:
    first, second, third = (f'{{"_placeholder":true,"num":{number}}}' for number in range(3))
    text = f'53-/ns,7["m",{third},[{{"a":{first}}},{second}]]'
    assert decoder.receive_text(text) is None
    assert decoder.pending_attachments == 3
    assert decoder.receive_binary(b"0") is None
    assert decoder.receive_binary(b"") is None
    assert decoder.pending_attachments == 1
    assert decoder.receive_binary(b"2") == Packet(EVENT, "/ns", ["m", b"2", [{"a": b"0"}, b""]], 7)
    assert decoder.pending_attachments == 0


def test_a_binary_ack(decoder: Decoder) -> None:
    assert decoder.receive_text('61-789[{"_placeholder":true,"num":0,"other":1}]') is None
    assert decoder.receive_binary(b"x") == Packet(ACK, "/", [b"x"], 789)


def test_one_attachment_in_two_places(decoder: Decoder) -> None:
    decoder.receive_text('51-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]')
    assert decoder.receive_binary(b"x") == Packet(EVENT, "/", ["m", b"x", b"x"])


def test_zero_attachments_do_not_wedge_the_client(decoder: Decoder) -> None:
    assert decoder.receive_text('50-["a",1]') == Packet(EVENT, "/", ["a", 1])
    assert decoder.receive_text("60-7[]") == Packet(ACK, "/", [], 7)
    assert decoder.receive_text('2["b"]') == Packet(EVENT, "/", ["b"])


def test_text_in_place_of_an_attachment(decoder: Decoder) -> None:
    decoder.receive_text('51-["m",{"_placeholder":true,"num":0}]')
    with pytest.raises(RemoteProtocolError, match="1 attachments are missing"):
        decoder.receive_text('2["a"]')
    decoder.reset()
    assert decoder.pending_attachments == 0
    assert decoder.receive_text('2["a"]') == Packet(EVENT, "/", ["a"])


def test_an_attachment_of_no_packet(decoder: Decoder) -> None:
    with pytest.raises(RemoteProtocolError, match="no packet has announced"):
        decoder.receive_binary(b"x")


def test_too_many_attachments(decoder: Decoder) -> None:
    with pytest.raises(RemoteProtocolError, match="4 attachments in one packet, the limit is 3"):
        decoder.receive_text('54-["a"]')


def test_attachments_that_are_too_long_together(decoder: Decoder) -> None:
    text = '52-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    decoder.receive_text(text)
    decoder.receive_binary(b"123456")
    with pytest.raises(RemoteProtocolError, match="11 bytes of attachments") as caught:
        decoder.receive_binary(b"12345")
    assert caught.value.close_code == 1009
    decoder.reset()
    # The total is that of one packet, not of the connection.
    for _ in range(2):
        decoder.receive_text(text)
        decoder.receive_binary(b"123456")
        assert decoder.receive_binary(b"1234") is not None


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(decoder: Decoder, opening: str, closing: str) -> None:
    # The list of arguments is the first level.
    inner = opening * 99 + "1" + closing * 99
    assert decoder.receive_text(f'2["a",{inner}]') is not None
    for extra in (1, 2, 900, 100_000):
        deep = opening * (99 + extra) + "1" + closing * (99 + extra)
        with pytest.raises(RemoteProtocolError, match="nested more than 100 levels"):
            decoder.receive_text(f'2["a",{deep}]')


def test_brackets_in_strings_are_no_levels(decoder: Decoder) -> None:
    tricky = ["[" * 500, '"' + "[" * 500, "\\" + "{" * 500, '\\"' + "{" * 500 + "\\", "\\\\"]
    text = "2" + json.dumps(["a", *tricky, [[]] * 200])
    assert decoder.receive_text(text) == Packet(EVENT, "/", ["a", *tricky, [[]] * 200])


@pytest.mark.parametrize("text", ["]", "}", '"]', "]\\", "é]", "😀]", '"]"', "", "\\", '"', "a]b"])
def test_brackets_in_strings_close_no_levels(decoder: Decoder, text: str) -> None:
    for escaped in (False, True):
        string = json.dumps(text, ensure_ascii=escaped)
        assert decoder.receive_text('2["a",' + f"[{string}," * 99 + "1" + "]" * 100) is not None
        with pytest.raises(RemoteProtocolError, match="nested more than 100 levels"):
            decoder.receive_text('2["a",' + f"[{string}," * 100 + "1" + "]" * 101)


@pytest.mark.parametrize("filler", ['"', '\\"', "\\", "[", "{", "]", "[]", '"[', '[{"a":'])
def test_hostile_nesting_is_refused_in_linear_time(decoder: Decoder, filler: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decoder.receive_text('2["a",' + "[" * 101 + filler * (300_000 // len(filler)))


def test_an_idle_decoder_is_small(codec: JSONCodec) -> None:
    idle = Decoder(codec, max_attachment_bytes=1)
    assert sys.getsizeof(idle) <= 72  # four attributes; compiled, one word more
    assert not hasattr(idle, "__dict__")


def test_ten_attachments_by_default() -> None:
    decoder = Decoder(MsgspecJSON(), max_attachment_bytes=1)
    placeholders: list[Any] = [{"_placeholder": True, "num": number} for number in range(11)]
    assert decoder.receive_text("510-" + json.dumps(["m", *placeholders[:10]])) is None
    decoder.reset()
    with pytest.raises(RemoteProtocolError):
        decoder.receive_text("511-" + json.dumps(["m", *placeholders]))
