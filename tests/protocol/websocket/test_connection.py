from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from flask_realtime.protocol.websocket import (
    Closed,
    DeflateParameters,
    Opcode,
    PerMessageDeflate,
    State,
    WebSocketConnection,
    encode_close,
    encode_frame,
)
from flask_realtime.protocol.websocket.masking import unmask

Receive = Callable[[WebSocketConnection, bytes], list[str | bytes | Closed]]

MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame."""
    head = encode_frame(opcode, payload, fin=fin)[: -len(payload) or None]
    return bytes((head[0] | rsv, head[1] | 0x80)) + head[2:] + MASK + unmask(payload, MASK)


def connection(
    *, deflate: bool = False, max_message_size: int = 1000, max_fragments: int = 8
) -> WebSocketConnection:
    return WebSocketConnection(
        max_message_size=max_message_size,
        max_fragments=max_fragments,
        deflate=PerMessageDeflate(DeflateParameters()) if deflate else None,
    )


def whole(conn: WebSocketConnection, data: bytes) -> list[str | bytes | Closed]:
    return conn.receive_data(data)


def byte_by_byte(conn: WebSocketConnection, data: bytes) -> list[str | bytes | Closed]:
    return [item for index in range(len(data)) for item in conn.receive_data(data[index : index + 1])]


@pytest.fixture(params=[whole, byte_by_byte])
def receive(request: pytest.FixtureRequest) -> Receive:
    function: Receive = request.param
    return function


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        # RFC 6455, section 5.7
        (bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"]),
        (frame(TEXT), [""]),
        (frame(TEXT, "Grüße €😀".encode()), ["Grüße €😀"]),
        (frame(BINARY, b"\x00\xff"), [b"\x00\xff"]),
        (frame(BINARY), [b""]),
        (frame(TEXT, b"x" * 125), ["x" * 125]),
        (frame(TEXT, b"x" * 126), ["x" * 126]),
        (frame(TEXT, b"x" * 1000), ["x" * 1000]),
        (frame(TEXT, b"1") + frame(BINARY, b"2") + frame(TEXT, b"3"), ["1", b"2", "3"]),
        (frame(TEXT, b"Hel", fin=False) + frame(CONTINUATION, b"lo"), ["Hello"]),
        (frame(BINARY, b"a", fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION), [b"a"]),
        (frame(TEXT, fin=False) + frame(CONTINUATION), [""]),
        # a character may be cut by a fragment
        (frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82\xac"), ["€"]),
        # control frames inside a message
        (frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"), ["ab"]),
        (
            frame(TEXT, b"a", fin=False) + frame(PONG) + frame(CONTINUATION, b"b") + frame(TEXT, b"c"),
            ["ab", "c"],
        ),
        (frame(TEXT, b"a", fin=False) + frame(CLOSE), [Closed(1005, "", True)]),
        (frame(PONG, b"unasked"), []),
        # exactly as many fragments and bytes as allowed
        (
            frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 6 + frame(CONTINUATION, b"x" * 1000),
            ["x" * 1000],
        ),
        (
            frame(TEXT, fin=False) + frame(CONTINUATION, b"a") + frame(CONTINUATION),
            ["a", Closed(1002, "continuation frame without a message to continue", False)],
        ),
        (frame(TEXT, b"1") + frame(TEXT, b"2")[:-1], ["1"]),
    ],
)
def test_messages(receive: Receive, data: bytes, expected: list[str | bytes | Closed]) -> None:
    assert receive(connection(), data) == expected


FAILURES = {
    "unmasked": (encode_frame(TEXT, b"a"), 1002, "not masked"),
    "unmasked control": (encode_frame(PING, b""), 1002, "not masked"),
    "RSV1": (frame(TEXT, b"a", rsv=0x40), 1002, "reserved bits"),
    "RSV2": (frame(TEXT, b"a", rsv=0x20), 1002, "reserved bits"),
    "RSV3": (frame(TEXT, b"a", rsv=0x10), 1002, "reserved bits"),
    "RSV on a control frame": (frame(PING, rsv=0x40), 1002, "reserved bits"),
    "opcode 3": (frame(3), 1002, "unknown opcode 3"),
    "opcode 7": (frame(7), 1002, "unknown opcode 7"),
    "opcode 11": (frame(11), 1002, "unknown opcode 11"),
    "opcode 15": (frame(15), 1002, "unknown opcode 15"),
    "fragmented ping": (frame(PING, fin=False), 1002, "fragmented control"),
    "fragmented close": (frame(CLOSE, fin=False), 1002, "fragmented control"),
    "long ping": (frame(PING, b"x" * 126), 1002, "more than 125"),
    "long close": (frame(CLOSE, b"x" * 65536), 1002, "more than 125"),
    "continuation of nothing": (frame(CONTINUATION, b"a"), 1002, "without a message"),
    "text inside a message": (frame(TEXT, fin=False) + frame(TEXT), 1002, "inside"),
    "binary inside a message": (frame(TEXT, fin=False) + frame(BINARY, fin=False), 1002, "inside"),
    "16 bits for 125": (bytes.fromhex("82fe007d"), 1002, "wrong form"),
    "64 bits for 65535": (bytes.fromhex("82ff000000000000ffff"), 1002, "wrong form"),
    "64 bits, the first set": (bytes.fromhex("82ff8000000000010000"), 1002, "wrong form"),
    "too long": (frame(BINARY, bytes(1001)), 1009, "longer than 1000"),
    "far too long, header only": (bytes.fromhex("82ff7fffffffffffffff") + MASK, 1009, "longer than 1000"),
    "fragments too long": (
        frame(BINARY, bytes(600), fin=False) + frame(CONTINUATION, bytes(401)),
        1009,
        "longer than 1000",
    ),
    "too many fragments": (
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 8,
        1008,
        "more than 8 fragments",
    ),
    "not UTF-8": (frame(TEXT, b"\xff"), 1007, "UTF-8"),
    "not UTF-8, long": (frame(TEXT, b"x" * 200 + b"\xff"), 1007, "UTF-8"),
    "overlong UTF-8": (frame(TEXT, b"\xc0\x80"), 1007, "UTF-8"),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007, "UTF-8"),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007, "UTF-8"),
    "text ends in a character": (frame(TEXT, b"\xe2\x82"), 1007, "UTF-8"),
    "fragments end in a character": (
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"),
        1007,
        "UTF-8",
    ),
    "a fragment fails fast": (frame(TEXT, b"\xce\xba\xff", fin=False), 1007, "UTF-8"),
    "a continuation fails fast": (
        frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90", fin=False),
        1007,
        "UTF-8",
    ),
    "Close of one byte": (frame(CLOSE, b"\x03"), 1002, "half a code"),
    "Close 1005": (frame(CLOSE, b"\x03\xed"), 1002, "code 1005"),
    "Close 999": (frame(CLOSE, b"\x03\xe7"), 1002, "code 999"),
    "Close 5000": (frame(CLOSE, b"\x13\x88"), 1002, "code 5000"),
    "Close, reason not UTF-8": (frame(CLOSE, b"\x03\xe8\xce\xba\xe1\xbd"), 1007, "UTF-8"),
}


@pytest.mark.parametrize("prefix", [b"", frame(TEXT, b"before"), frame(PONG)])
@pytest.mark.parametrize(("data", "code", "reason"), FAILURES.values(), ids=FAILURES)
def test_failures(receive: Receive, data: bytes, code: int, reason: str, prefix: bytes) -> None:
    conn = connection()
    *messages, closed = receive(conn, prefix + data + frame(TEXT, b"after"))
    assert messages == (["before"] if b"\x81" in prefix else [])
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (code, False)
    assert reason in closed.reason
    assert conn.state is State.CLOSED
    assert conn.data_to_send() == encode_close(code, closed.reason)
    assert conn.data_to_send() == b""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x83\x80", "unknown opcode"),
        (b"\x81\x05", "not masked"),
        (b"\x89\xfe", "more than 125"),
        (bytes.fromhex("82fe03e9") + MASK, "longer than 1000"),
    ],
)
def test_a_header_is_enough_to_fail(data: bytes, reason: str) -> None:
    [closed] = connection().receive_data(data)
    assert isinstance(closed, Closed)
    assert reason in closed.reason


def test_small_limit_holds_for_small_frames() -> None:
    conn = connection(max_message_size=5)
    assert conn.receive_data(frame(TEXT, b"Hello")) == ["Hello"]
    assert conn.receive_data(frame(TEXT, b"Hello!")) == [
        Closed(1009, "message is longer than 5 bytes", False)
    ]


# -- ping ----------------------------------------------------------------------


def test_ping_is_answered() -> None:
    conn = connection()
    assert conn.receive_data(frame(PING, b"Hello")) == []
    assert conn.data_to_send() == b"\x8a\x05Hello"
    assert conn.data_to_send() == b""


def test_a_flood_of_pings_is_answered_once() -> None:
    conn = connection()
    conn.receive_data(b"".join(frame(PING, b"%d" % number) for number in range(1000)))
    assert conn.data_to_send() == encode_frame(PONG, b"999")


def test_pong_goes_before_our_close_and_none_after() -> None:
    conn = connection()
    conn.receive_data(frame(PING, b"1"))
    conn.close(1001)
    conn.receive_data(frame(PING, b"2"))
    assert conn.data_to_send() == encode_frame(PONG, b"1") + encode_close(1001)


# -- close ---------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999])
def test_the_clients_close_is_echoed(receive: Receive, code: int) -> None:
    conn = connection()
    payload = code.to_bytes(2, "big") + "tschüß".encode()
    assert receive(conn, frame(TEXT, b"last") + frame(CLOSE, payload)) == [
        "last",
        Closed(code, "tschüß", True),
    ]
    assert conn.data_to_send() == encode_close(code)
    assert conn.state is State.CLOSED


def test_the_clients_close_without_a_code() -> None:
    conn = connection()
    assert conn.receive_data(frame(CLOSE)) == [Closed(1005, "", True)]
    assert conn.data_to_send() == b"\x88\x00"


def test_our_close() -> None:
    conn = connection()
    conn.close(1001, "bye")
    conn.close(1000, "again")
    assert conn.state is State.CLOSING
    assert conn.data_to_send() == b"\x88\x05\x03\xe9bye"
    assert conn.receive_data(frame(TEXT, b"on its way") + frame(CLOSE, b"\x03\xe9")) == [
        "on its way",
        Closed(1001, "", True),
    ]
    assert conn.data_to_send() == b""


def test_the_answer_to_our_close_ends_the_connection() -> None:
    conn = connection()
    conn.close()
    conn.receive_data(frame(CLOSE))
    assert conn.state is State.CLOSED


def test_a_failure_after_our_close_sends_no_second_one() -> None:
    conn = connection()
    conn.close()
    conn.data_to_send()
    [closed] = conn.receive_data(encode_frame(TEXT, b"unmasked"))
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (1002, False)
    assert conn.data_to_send() == b""


def test_bad_code_of_ours_changes_nothing() -> None:
    conn = connection()
    with pytest.raises(ValueError):
        conn.close(1006)
    assert (conn.state, conn.data_to_send()) == (State.OPEN, b"")


@pytest.mark.parametrize("before", [b"", frame(TEXT, b"a")[:-1], frame(TEXT, b"a", fin=False)])
@pytest.mark.parametrize("closing", [False, True])
def test_end_of_file(before: bytes, closing: bool) -> None:
    conn = connection()
    conn.receive_data(before)
    if closing:
        conn.close()
    assert conn.receive_eof() == [Closed(1006, "", False)]
    assert conn.receive_eof() == []
    assert conn.receive_data(frame(TEXT, b"a")) == []
    assert conn.state is State.CLOSED


def test_nothing_after_closed() -> None:
    conn = connection()
    conn.receive_data(frame(CLOSE) + frame(TEXT, b"a"))
    conn.data_to_send()
    assert conn.receive_data(frame(PING) + frame(TEXT, b"a") + b"junk") == []
    assert conn.receive_eof() == []
    conn.close()
    assert (conn.state, conn.data_to_send()) == (State.CLOSED, b"")


# -- compression -----------------------------------------------------------------

HELLO = bytes.fromhex("f248cdc9c90700")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (frame(TEXT, HELLO, rsv=0x40), ["Hello"]),
        (frame(BINARY, HELLO, rsv=0x40), [b"Hello"]),
        (frame(TEXT, b"plain"), ["plain"]),
        # RFC 7692, section 7.2.3.2
        (
            frame(TEXT, HELLO, rsv=0x40) + frame(TEXT, bytes.fromhex("f200110000"), rsv=0x40),
            ["Hello", "Hello"],
        ),
        # RFC 7692, section 7.2.3.1
        (
            frame(TEXT, HELLO[:3], fin=False, rsv=0x40) + frame(PING) + frame(CONTINUATION, HELLO[3:]),
            ["Hello"],
        ),
        (frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b"), ["ab"]),
    ],
)
def test_compressed_messages(receive: Receive, data: bytes, expected: list[str | bytes]) -> None:
    assert receive(connection(deflate=True), data) == expected


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, HELLO[:3], fin=False, rsv=0x40) + frame(CONTINUATION, HELLO[3:], rsv=0x40), 1002),
        (frame(PING, rsv=0x40), 1002),
        (frame(TEXT, HELLO, rsv=0x60), 1002),
        (frame(TEXT, b"\xff\xff\xff", rsv=0x40), 1007),
        (frame(TEXT, PerMessageDeflate(DeflateParameters()).compress(b"\xff"), rsv=0x40), 1007),
        (frame(TEXT, PerMessageDeflate(DeflateParameters()).compress(bytes(1001)), rsv=0x40), 1009),
        (frame(TEXT, bytes(1200), rsv=0x40), 1009),
        (frame(TEXT, bytes(1001)), 1009),
        (frame(TEXT, bytes(1001), fin=False), 1009),
    ],
)
def test_compressed_failures(receive: Receive, data: bytes, code: int) -> None:
    conn = connection(deflate=True)
    [closed] = receive(conn, data)
    assert isinstance(closed, Closed)
    assert (closed.code, closed.clean) == (code, False)


def test_frames_of_ours() -> None:
    conn = connection()
    assert conn.accepts_frames
    assert conn.encode_text(b"x" * 100) == encode_frame(TEXT, b"x" * 100)
    assert conn.encode_binary(b"x") == encode_frame(BINARY, b"x")


def test_compressed_frames_of_ours() -> None:
    conn = connection(deflate=True)
    assert not conn.accepts_frames
    assert conn.encode_text(b"short") == encode_frame(TEXT, b"short")
    receiver = PerMessageDeflate(DeflateParameters())
    for encode, first in ((conn.encode_text, 0xC1), (conn.encode_binary, 0xC2)):
        data = encode(b"x" * 500)
        assert (data[0], data[1]) == (first, len(data) - 2)
        assert receiver.decompress(data[2:], 500) == b"x" * 500


# -- cost --------------------------------------------------------------------------


def test_an_idle_connection_is_small() -> None:
    conn = connection()
    conn.receive_data(frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(TEXT, b"c")[:3])
    conn.receive_data(frame(TEXT, b"c")[3:])
    assert not hasattr(conn, "__dict__")
    assert sys.getsizeof(conn) <= 128
    assert (conn._buffer, conn._fragments, conn.outgoing) == (None, None, b"")


def test_a_header_does_not_reserve_memory() -> None:
    conn = connection(max_message_size=1 << 30)
    conn.receive_data(frame(BINARY, bytes(70_000))[:2] + (1 << 30).to_bytes(8, "big") + MASK + b"abc")
    assert conn._buffer is not None
    assert sys.getsizeof(conn._buffer) < 200


@pytest.mark.parametrize("piece", [1, 1000])
def test_pieces_of_a_long_frame_cost_the_same_each(piece: int) -> None:
    def cost(pieces: int) -> float:
        conn = connection(max_message_size=1 << 24)
        data = frame(BINARY, bytes(piece * pieces))
        parts = [data[start : start + piece] for start in range(0, len(data), piece)]
        started = time.process_time()
        for part in parts[:-1]:
            assert not conn.receive_data(part)
        return time.process_time() - started

    # 16 times the pieces: quadratic behaviour would take 256 times the time.
    few, many = min(cost(1000) for _ in range(3)), min(cost(16_000) for _ in range(3))
    assert many < 100 * few
