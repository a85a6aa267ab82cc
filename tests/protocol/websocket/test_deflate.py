from __future__ import annotations

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.websocket.deflate import DeflateParameters, PerMessageDeflate, max_deflated_size

HELLO = bytes.fromhex("f248cdc9c90700")
ALONE = DeflateParameters(server_no_context_takeover=True, client_no_context_takeover=True)


@pytest.mark.parametrize(
    ("header", "response"),
    [
        (None, None),
        ("", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=9",
        ),
        (
            'permessage-deflate;client_max_window_bits = "8"',
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=8",
        ),
        ("permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
        ),
        # zlib can't do 8 bits: the next offer counts
        ("permessage-deflate; server_max_window_bits=8", None),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            "foo; bar=1, permessage-deflate; unknown, permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=11",
        ),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=", None),
        ("permessage-deflate; client_max_window_bits=١٢", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate;", None),
    ],
)
def test_negotiation(header: str | None, response: str | None) -> None:
    params = DeflateParameters.negotiate(header)
    assert (params and params.response_value()) == response


@pytest.mark.parametrize(
    "payload",
    [
        HELLO,  # 7.2.3.1
        bytes.fromhex("000500faff48656c6c6f00"),  # 7.2.3.3, no compression
        bytes.fromhex("f348cdc9c9070000"),  # 7.2.3.4, BFINAL
        bytes.fromhex("f24805000000ffffcac9c90700"),  # 7.2.3.5, two blocks
    ],
)
@pytest.mark.parametrize("params", [DeflateParameters(), ALONE])
def test_hello_of_the_rfc(payload: bytes, params: DeflateParameters) -> None:
    deflate = PerMessageDeflate(params)
    for _ in range(2):
        assert deflate.decompress(payload, 5) == b"Hello"


def test_shared_window_of_the_rfc() -> None:
    # 7.2.3.2
    deflate = PerMessageDeflate(DeflateParameters())
    assert deflate.decompress(HELLO, 100) == b"Hello"
    assert deflate.decompress(bytes.fromhex("f200110000"), 100) == b"Hello"
    assert [PerMessageDeflate(DeflateParameters()).compress(b"Hello")] == [HELLO]
    sender = PerMessageDeflate(DeflateParameters())
    assert [sender.compress(b"Hello"), sender.compress(b"Hello")] == [HELLO, bytes.fromhex("f200110000")]


def test_no_context_takeover() -> None:
    deflate = PerMessageDeflate(ALONE)
    assert [deflate.compress(b"Hello"), deflate.compress(b"Hello")] == [HELLO, HELLO]
    assert deflate.decompress(HELLO, 100) == b"Hello"
    with pytest.raises(RemoteProtocolError):
        deflate.decompress(bytes.fromhex("f200110000"), 100)


def test_empty_messages() -> None:
    # 7.2.3.6
    deflate = PerMessageDeflate(DeflateParameters())
    for _ in range(3):
        assert deflate.compress(b"") == b"\x00"
        assert deflate.decompress(b"\x00", 0) == b""


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("alone", [False, True])
def test_windows(bits: int, alone: bool) -> None:
    params = DeflateParameters(alone, alone, bits, bits)
    sender, receiver = PerMessageDeflate(params), PerMessageDeflate(params)
    for payload in [b"Hello" * 20_000, os.urandom(50_000), b"", b"Hello" * 20_000]:
        assert receiver.decompress(sender.compress(payload), len(payload)) == payload


@given(st.lists(st.binary(max_size=2000)))
def test_round_trip(payloads: list[bytes]) -> None:
    sender, receiver = PerMessageDeflate(DeflateParameters()), PerMessageDeflate(DeflateParameters())
    for payload in payloads:
        assert receiver.decompress(sender.compress(payload), len(payload)) == payload


def test_bomb() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(50_000_000)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError) as caught:
            PerMessageDeflate(DeflateParameters()).decompress(bomb, 10_000)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert caught.value.close_code == 1009


@pytest.mark.parametrize(("size", "fits"), [(1000, True), (1001, False)])
def test_limit_is_exact(size: int, fits: bool) -> None:
    payload = PerMessageDeflate(DeflateParameters()).compress(os.urandom(size))
    receiver = PerMessageDeflate(DeflateParameters())
    if fits:
        assert len(receiver.decompress(payload, 1000)) == 1000
    else:
        with pytest.raises(RemoteProtocolError):
            receiver.decompress(payload, 1000)


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        HELLO + b"\xff" * 9,
        b"\x03\x00" * 100,  # stream after stream
        bytes.fromhex("f348cdc9c9070000") + b"x",  # more behind the end
    ],
)
def test_bad_data(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        PerMessageDeflate(DeflateParameters()).decompress(payload, 1000)
    assert caught.value.close_code == 1007


@pytest.mark.parametrize("size", [0, 1, 63, 1000, 100_000])
@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("memory", [1, 5, 9])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED])
def test_incompressible_data_stays_within_the_bound(
    size: int, level: int, memory: int, strategy: int
) -> None:
    compressor = zlib.compressobj(level, wbits=-9, memLevel=memory, strategy=strategy)
    payload = compressor.compress(os.urandom(size)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(payload) - 4 <= max_deflated_size(size)
