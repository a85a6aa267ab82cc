"""Masking: in C where websockets is installed, with big integers where it is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.speedups import apply_mask

from flask_realtime.protocol.websocket import masking
from flask_realtime.protocol.websocket.masking import unmask_with_integers

Unmask = Callable[[bytes, bytes], bytes]

both = pytest.mark.parametrize("unmask", [unmask_with_integers, apply_mask])


@both
def test_the_example_of_the_rfc(unmask: Unmask) -> None:
    # RFC 6455, section 5.7
    assert unmask(b"\x7f\x9f\x4d\x51\x58", b"\x37\xfa\x21\x3d") == b"Hello"


@both
@pytest.mark.parametrize("length", [*range(10), 125, 16383, 16384, 16385, 24575, 24576, 24577, 100_003])
def test_every_size(unmask: Unmask, length: int) -> None:
    data, mask = bytes(i * 7 & 0xFF for i in range(length)), b"\x01\x80\xff\x5a"
    assert unmask(data, mask) == bytes(byte ^ mask[i & 3] for i, byte in enumerate(data))


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_it_is_its_own_inverse_and_both_are_the_same(data: bytes, mask: bytes) -> None:
    masked = unmask_with_integers(data, mask)
    assert unmask_with_integers(masked, mask) == data
    assert apply_mask(data, mask) == masked


def test_the_faster_one_is_used_where_it_is_installed() -> None:
    assert masking.unmask is apply_mask


READ = """
import sys
sys.modules["websockets"] = None
from flask_realtime.protocol.websocket import WebSocketConnection
from flask_realtime.protocol.websocket.masking import unmask, unmask_with_integers
assert unmask is unmask_with_integers
connection = WebSocketConnection(max_message_size=1000)
print(connection.receive_data(bytes.fromhex("818537fa213d7f9f4d5158")))
"""


def test_without_websockets_a_frame_is_read_all_the_same() -> None:
    result = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("['Hello']\n", "")
