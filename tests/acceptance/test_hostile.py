"""What clients must not do: each attempt is refused with an explanation, costs the others nothing, and leaves
nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from acceptance import settings, wire
from acceptance.conftest import ServerPool
from acceptance.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    EVENT,
    PING,
    TEXT,
    Closed,
    Packet,
    Polling,
    SocketIO,
    Transport,
)
from acceptance.wire import encode_frame as frame
from servers import RunningServer, ServerKind

MAX_BUFFER = 100_000
GOOD_ORIGIN = "http://good.example"
PROMPTLY = 2.0
"""Seconds within which every refusal must have arrived."""
ALIVE = ("sessions", "sockets", "queued_packets", "queued_bytes", "pending_acks", "pending_attachments")

WEBSOCKET = pytest.mark.kinds(websocket=True)


@dataclass(frozen=True)
class Baseline:
    threads: int
    fds: int


class BaselineKeeper:
    """What each server held before the first hostile client, when its thread pool was warm."""

    def __init__(self) -> None:
        self.known: dict[int, Baseline] = {}

    def of(self, server: RunningServer) -> Baseline:
        if server.pid not in self.known:
            self.known[server.pid] = _measure_baseline(server)
        return self.known[server.pid]


def _measure_baseline(server: RunningServer) -> Baseline:
    """After many handlers at a time, as the server keeps its threads for the next ones."""

    def keep_busy() -> None:
        with SocketIO.connected("polling", server.url) as client:
            ids = [client.request("ack-delay", 500, "warm") for _ in range(4)]
            for id in ids:
                assert client.wait_ack(id) == ["warm"]

    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(keep_busy) for _ in range(20)]:
            done.result()
    figures = wait_until_nothing_is_alive(server)
    return Baseline(figures["threads"], figures["fds"])


def wait_until_nothing_is_alive(server: RunningServer) -> dict[str, int]:
    def figures_at_rest() -> dict[str, int] | None:
        figures = wire.stats(server.url)
        return None if any(figures[name] for name in ALIVE) else figures

    return wire.wait_until(figures_at_rest, timeout=8, what="no session is left over")


@pytest.fixture(scope="session")
def baselines() -> BaselineKeeper:
    return BaselineKeeper()


@contextlib.contextmanager
def as_it_was(server: RunningServer, baselines: BaselineKeeper) -> Iterator[RunningServer]:
    """Afterwards the server must be as healthy and as empty as before."""
    baseline = baselines.of(server)
    before = server.log_size()
    yield server

    assert wire.request(server.url + "/healthz").text == "ok"
    wait_until_nothing_is_alive(server)
    for name, most in (("fds", baseline.fds + 2), ("threads", baseline.threads + 2)):
        wire.wait_until(lambda: wire.stats(server.url)[name] <= most, what=f"{name} at most {most}")  # noqa: B023
    assert "Traceback" not in server.log_text(before), "what a client does wrong is worth no traceback"


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind, baselines: BaselineKeeper) -> Iterator[RunningServer]:
    with as_it_was(server_pool.get(kind, "contract", settings.HOSTILE), baselines) as server:
        yield server


@pytest.fixture
def patient_server(
    server_pool: ServerPool, kind: ServerKind, baselines: BaselineKeeper
) -> Iterator[RunningServer]:
    """With a heartbeat so slow that it has no part in what happens."""
    patient = {**settings.HOSTILE, "APP_PING_INTERVAL": "25", "APP_PING_TIMEOUT": "20"}
    with as_it_was(server_pool.get(kind, "contract", patient), baselines) as server:
        yield server


@pytest.fixture(params=["polling", "websocket"])
def transport_name(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param == "websocket" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


@pytest.fixture
def client(server: RunningServer, transport_name: str) -> Iterator[SocketIO]:
    with SocketIO.connected(transport_name, server.url) as client:
        yield client


@pytest.fixture
def bystander(server: RunningServer) -> Iterator[SocketIO]:
    """Somebody whose connection must not suffer."""
    with SocketIO.connected("polling", server.url) as bystander:
        yield bystander
        assert bystander.call("echo-ack", "unharmed") == ["unharmed"]


def assert_explained(reply: wire.Reply, *statuses: int) -> None:
    assert 400 <= reply.status < 500
    assert not statuses or reply.status in statuses
    explanation = reply.json()
    assert set(explanation) == {"code", "message"}
    assert isinstance(explanation["code"], int)
    assert explanation["message"]


GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "letters": b"abc",
    "unknown type 7": b"7",
    "unknown type 9": b"9",
    "separator only": b"\x1e",
    "separator at the end": b"3\x1e",
    "separator at the start": b"\x1e3",
    "empty packet inside": b"3\x1e\x1e3",
    "good and bad": b"3\x1ezzz",
    "not UTF-8": b"4\xff\xfe",
    "encoded surrogate": b'42["echo","\xed\xa0\x80"]',
    "bad base64": b"b!!!!",
    "base64 without padding": b"bAQI",
    "base64 with too much padding": b"bAQ===",
    "base64 with a space": b"b AQIDBA==",
    "base64 with a line break": b"bAQID\nBA==",
    "URL-safe base64": b"b-_-_",
    "open from a client": b'0{"sid":"x"}',
    "upgrade without a websocket": b"5",
    "ping from a client": b"2",
    "form": b"d=4hello",
    "NUL": b"\0",
    "other digits": "٤hello".encode(),
    "unknown Socket.IO type": b"4abc",
    "Socket.IO type 9": b"49",
    "event that is no list": b"42{}",
    "event without data": b"42",
    "event with no name": b"42[]",
    "event with bad ack id": b'42abc["echo"]',
    "cut off JSON": b'42["echo"',
    "text behind the JSON": b'42["echo"]x',
    "bytes that nobody announced": b"bAQIDBA==",
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_over_polling(server: RunningServer, bystander: SocketIO, body: bytes) -> None:
    with SocketIO.connected("polling", server.url) as client:
        assert isinstance(client.transport, Polling)
        pending = client.transport.start_get()
        started = time.monotonic()
        reply = client.transport.post(body)

        assert time.monotonic() - started < PROMPTLY
        assert_explained(reply)
        # the poll that waits is released and the session is over
        assert pending.reply(timeout=PROMPTLY).status in {200, 400}
        assert_explained(client.transport.get(), 400)


QUERIES: dict[str, str] = {
    "EIO twice": "EIO=4&EIO=3&transport=polling&sid=x",
    "NUL in transport": "EIO=4&transport=polling%00",
    "not UTF-8": "EIO=4&transport=%ff%fe",
    "sid that is not UTF-8": "EIO=4&transport=polling&sid=%ff%fe",
    "line break in sid": "EIO=4&transport=polling&sid=%0d%0aX-Injected:%20yes",
    "line break in transport": "EIO=4&transport=%0d%0aX-Injected:%20yes",
    "line break in EIO": "EIO=%0d%0aX-Injected:%20yes&transport=polling",
    "very long sid": "EIO=4&transport=polling&sid=" + "x" * 2_000,
    "path in sid": "EIO=4&transport=polling&sid=../../etc/passwd",
    "markup in transport": "EIO=4&transport=<script>",
    "array": "EIO=4&transport[]=polling",
    "only ampersands": "&&&&",
    "JSONP with code": "EIO=4&transport=polling&j=alert(1)",
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_bad_query(server: RunningServer, query: str, method: str) -> None:
    reply = wire.request(f"{server.url}/socket.io/?{query}", method, "3" if method == "POST" else None)

    assert_explained(reply, 400)
    assert "X-Injected" not in reply.headers


@WEBSOCKET
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_bad_query_of_a_websocket(server: RunningServer, query: str) -> None:
    target = f"/socket.io/?{query.replace('polling', 'websocket')}"
    with pytest.raises(wire.Refused) as refused, wire.WebSocket(server.url, target):
        pass

    assert_explained(refused.value.reply, 400)
    assert "x-injected" not in refused.value.reply.headers


class TestOrigins:
    FOREIGN = (
        "http://evil.example",
        "https://good.example",
        "http://good.example:8080",
        "http://good.example.evil.example",
        "http://sub.good.example",
        "http://evil.example/http://good.example",
        "null",
        "good.example",
    )

    @pytest.mark.parametrize("origin", FOREIGN)
    def test_get(self, server: RunningServer, origin: str) -> None:
        reply = wire.request(server.url + wire.target("socket.io", "polling"), headers={"Origin": origin})

        assert_origin_refused(reply, origin)

    @pytest.mark.parametrize("origin", FOREIGN)
    def test_post(self, server: RunningServer, bystander: SocketIO, origin: str) -> None:
        assert isinstance(bystander.transport, Polling)
        reply = bystander.transport.post('42["echo","forged"]', {"Origin": origin})

        assert_origin_refused(reply, origin)
        bystander.assert_nothing_waits()

    @WEBSOCKET
    @pytest.mark.parametrize("origin", FOREIGN)
    def test_websocket(self, server: RunningServer, origin: str) -> None:
        target = wire.target("socket.io", "websocket")
        with (
            pytest.raises(wire.Refused) as refused,
            wire.WebSocket(server.url, target, {"Origin": origin}),
        ):
            pass

        assert_origin_refused(refused.value.reply, origin)
        assert refused.value.reply.headers["connection"].lower() == "close"

    @WEBSOCKET
    def test_upgrade(self, server: RunningServer, bystander: SocketIO) -> None:
        """A foreign page that knows a session id cannot take the session over."""
        target = wire.target("socket.io", "websocket", sid=bystander.transport.sid)
        with (
            pytest.raises(wire.Refused) as refused,
            wire.WebSocket(server.url, target, {"Origin": "http://evil.example"}),
        ):
            pass

        assert_origin_refused(refused.value.reply, "http://evil.example")

    def test_the_good_one(self, server: RunningServer, transport_name: str) -> None:
        with SocketIO.connected(transport_name, server.url, headers={"Origin": GOOD_ORIGIN}) as client:
            assert client.call("echo-ack", 1) == [1]
            if isinstance(client.transport, Polling):
                headers = client.transport.open_reply.headers
                assert headers["Access-Control-Allow-Origin"] == GOOD_ORIGIN
                assert headers["Access-Control-Allow-Credentials"] == "true"
                assert "Origin" in headers["Vary"]


def assert_origin_refused(reply: wire.Reply, origin: str) -> None:
    assert_explained(reply, 400, 403)
    message = reply.json()["message"]
    assert origin in message, "the refusal names the origin that was seen"
    assert GOOD_ORIGIN in message, "the refusal names the origin that was expected"
    assert "access-control-allow-origin" not in {name.lower() for name in reply.headers}


class TestBodies:
    """The size is judged before the body is read."""

    @pytest.fixture
    def victim(self, server: RunningServer) -> Iterator[Polling]:
        with SocketIO.connected("polling", server.url) as client:
            assert isinstance(client.transport, Polling)
            yield client.transport

    def post(self, polling: Polling, headers: str, body: bytes = b"") -> wire.Reply:
        """The answer to a hand-made POST; asserts that it comes promptly."""
        path = wire.target(polling.path, "polling", sid=polling.sid)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        with wire.connect_tcp(polling.url) as sock:
            started = time.monotonic()
            with contextlib.suppress(OSError):  # the server may answer and hang up before all is sent
                sock.sendall(head + body)
            reply, _ = wire.read_reply(sock, PROMPTLY)
            assert time.monotonic() - started < PROMPTLY
        return reply

    @pytest.mark.kinds(streams_bodies=True)
    @pytest.mark.parametrize("length", ["100001", "1000000000000", "99999999999999999999999999"])
    def test_announced_too_long(self, victim: Polling, length: str) -> None:
        reply = self.post(victim, f"Content-Length: {length}\r\n", b'42["echo",1]')

        assert_explained(reply, 400, 413)

    def test_really_too_long(self, victim: Polling) -> None:
        body = b'42["echo","' + b"x" * MAX_BUFFER + b'"]'

        assert_explained(self.post(victim, f"Content-Length: {len(body)}\r\n", body), 400, 413)

    @pytest.mark.parametrize("length", ["-1", "abc", "1e3", "0x10", "٤"])
    def test_length_that_is_no_number(self, victim: Polling, length: str) -> None:
        """Some servers refuse these themselves, in words of their own."""
        path = wire.target(victim.path, "polling", sid=victim.sid)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        with wire.connect_tcp(victim.url) as sock:
            sock.sendall(head.encode() + b'42["echo",1]')
            status = None
            with contextlib.suppress(Closed):
                status = wire.read_reply(sock, PROMPTLY)[0].status
        assert status is None or 400 <= status < 500

    def test_without_a_length(self, victim: Polling) -> None:
        assert_explained(self.post(victim, "Connection: close\r\n"), 400, 411)

    def test_chunks(self, victim: Polling) -> None:
        """Taken or refused, but not ignored."""
        body = b'c\r\n42["echo",1]\r\n0\r\n\r\n'
        reply = self.post(victim, "Transfer-Encoding: chunked\r\n", body)

        if reply.status == 200:
            assert reply.text == "ok"
            assert victim.receive() == '42["echo-back",1]'
        else:
            assert_explained(reply, 400, 411, 501)

    @pytest.mark.kinds(streams_bodies=True)
    def test_too_many_chunks(self, victim: Polling, server: RunningServer) -> None:
        before = server.rss_kib()
        chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
        reply = self.post(victim, "Transfer-Encoding: chunked\r\n", chunk * 500)

        assert 400 <= reply.status < 500
        assert server.rss_kib() - before < 20_000

    def test_two_lengths(self, victim: Polling) -> None:
        """Request smuggling is the server's to refuse; the session must not see a second request."""
        path = wire.target(victim.path, "polling", sid=victim.sid)
        lengths = "Content-Length: 1\r\nTransfer-Encoding: chunked"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n\r\n"
        with wire.connect_tcp(victim.url) as sock:
            sock.sendall(head.encode() + b"0\r\n\r\n")
            status = None
            with contextlib.suppress(Closed):
                status = wire.read_reply(sock, PROMPTLY)[0].status
        assert status is None or 400 <= status < 500

    def test_a_body_that_ends_early(self, victim: Polling, bystander: SocketIO) -> None:
        path = wire.target(victim.path, "polling", sid=victim.sid)
        with wire.connect_tcp(victim.url) as sock:
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n42[".encode())
        # whoever asks next is answered
        assert bystander.call("echo-ack", 1) == [1]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


HUGE_HEADER = struct.pack("!BBQ", 0x81, 0x80 | 127, 1 << 40) + b"mask"
NEGATIVE_HEADER = struct.pack("!BBQ", 0x81, 0x80 | 127, 1 << 63) + b"mask"
FRAMES: dict[str, tuple[bytes, set[int]]] = {
    "unmasked": (frame(TEXT, b"3", masked=False), {1002}),
    "RSV1": (frame(TEXT, b"3", rsv=4), {1002}),
    "RSV2": (frame(TEXT, b"3", rsv=2), {1002}),
    "RSV3": (frame(TEXT, b"3", rsv=1), {1002}),
    "RSV1 on a ping": (frame(PING, b"3", rsv=4), {1002}),
    "reserved opcode 3": (frame(0x3, b"3"), {1002}),
    "reserved opcode 15": (frame(0xF, b"3"), {1002}),
    "ping in fragments": (frame(PING, b"3", fin=False), {1002}),
    "close in fragments": (frame(CLOSE, b"\x03\xe8", fin=False), {1002}),
    "ping of 126 bytes": (frame(PING, b"x" * 126), {1002}),
    "continuation of nothing": (frame(CONTINUATION, b"3"), {1002}),
    "text inside a fragmented text": (frame(TEXT, b"3", fin=False) + frame(TEXT, b"3"), {1002}),
    "binary inside a fragmented text": (frame(TEXT, b"3", fin=False) + frame(BINARY, b"3"), {1002}),
    "length of 63 bits and more": (NEGATIVE_HEADER, {1002, 1009}),
    "length of a tebibyte": (HUGE_HEADER, {1009}),
    "length just too big": (frame(TEXT, b"", announced_length=MAX_BUFFER + 1), {1009}),
    "fragments too big together": (
        frame(TEXT, b"3" + b"x" * 60_000, fin=False) + frame(CONTINUATION, b"x" * 60_000),
        {1009},
    ),
    "too many fragments": (
        frame(TEXT, b"4", fin=False) + frame(CONTINUATION, b"x", fin=False) * 1_100,
        {1002, 1008, 1009},
    ),
    "too many empty fragments": (
        frame(TEXT, b"4", fin=False) + frame(CONTINUATION, fin=False) * 1_100,
        {1002, 1008, 1009},
    ),
    "bad UTF-8": (frame(TEXT, b"4\xff"), {1007}),
    "cut off UTF-8": (frame(TEXT, b"4\xe2\x82"), {1007}),
    "overlong UTF-8": (frame(TEXT, b"4\xc0\xaf"), {1007}),
    "surrogate in UTF-8": (frame(TEXT, b"4\xed\xa0\x80"), {1007}),
    "bad UTF-8 in fragments": (frame(TEXT, b"4\xe2", fin=False) + frame(CONTINUATION, b"("), {1007}),
    "close payload of one byte": (frame(CLOSE, b"\x03"), {1002}),
    "close reason that is no UTF-8": (close_frame(1000, b"\xff"), {1002, 1007}),
    **{
        f"close code {code}": (close_frame(code), {1002})
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@WEBSOCKET
@pytest.mark.parametrize(("frames", "codes"), FRAMES.values(), ids=FRAMES.keys())
def test_websocket_violation(
    server: RunningServer, bystander: SocketIO, frames: bytes, codes: set[int]
) -> None:
    with SocketIO.connected("websocket", server.url) as client:
        assert isinstance(client.transport, wire.WebSocketTransport)
        client.transport.websocket.send_raw(frames)

        assert client.transport.wait_closed(PROMPTLY).code in codes


@WEBSOCKET
def test_frames_before_the_session_is_known(server: RunningServer) -> None:
    """Violations in the segment of the upgrade request."""
    target = wire.target("socket.io", "websocket")
    with wire.WebSocket(server.url, target, right_behind=frame(TEXT, b"3", rsv=4)) as websocket:
        assert websocket.wait_closed(PROMPTLY).code == 1002


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


ELEVEN_SLOTS = ",".join(f'{{"_placeholder":true,"num":{i}}}' for i in range(11))
CLOSES: dict[str, list[Packet]] = {
    "unknown packet type": ["4abc"],
    "empty packet": ["4"],
    "event that is no list": ["42{}"],
    "event that is a string": ['42"echo"'],
    "event that is null": ["42null"],
    "event without data": ["42"],
    "event with no name": ["42[]"],
    "event named by a number": ["42[1,2]"],
    "event named by null": ["42[null]"],
    "event named by a list": ['42[["echo"],1]'],
    "ack id that is no number": ['42abc["message-with-ack",1,"2",{"3":[false]}]'],
    "negative ack id": ['42-1["echo-ack",1]'],
    "huge ack id": ['4299999999999999999999["echo-ack",1]'],
    "ack id just too big": ['429007199254740993["echo-ack",1]'],
    "ack id in other digits": ['42٤["echo-ack",1]'],
    "ack id in full-width digits": ['42１["echo-ack",1]'],
    "cut off JSON": ['42["echo"'],
    "text behind the JSON": ['42["echo"]x'],
    "single quotes": ["42['echo']"],
    "trailing comma": ['42["echo",]'],
    "comment": ['42["echo"/**/]'],
    "raw control character": ['42["echo","\x01"]'],
    "NaN": ['42["broadcast",NaN]'],
    "Infinity": ['42["broadcast",Infinity]'],
    "-Infinity": ['42["broadcast",-Infinity]'],
    "NaN deep inside": ['42["broadcast",{"a":[NaN]}]'],
    "lone surrogate": ['42["broadcast","\\ud800"]'],
    "lone low surrogate": ['42["broadcast",{"k":"a\\udc00b"}]'],
    "lone surrogate as a key": ['42["broadcast",{"\\ud800":1}]'],
    "deep lists": [f'42["echo",{nested(10_000)}]'],
    "lists just too deep": [f'42["echo",{nested(150)}]'],
    "deep objects": ['42["echo",' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "]"],
    "event connect": ['42["connect",{"token":"forged"}]'],
    "event connect with ack": ['421["connect",{"token":"forged"}]'],
    "event disconnect": ['42["disconnect","forged"]'],
    "event disconnect in a namespace": ['42/a,["disconnect","forged"]'],
    "event connect_error": ['42["connect_error",{}]'],
    "ack that is no list": ["431{}"],
    "ack without data": ["431"],
    "connect with bad JSON": ["40/b,{"],
    "binary event without a count": ['45["echo"]'],
    "binary event without a dash": ['451["echo",{"_placeholder":true,"num":0}]'],
    "attachment count in other digits": ['45٤-["echo",1]'],
    "negative attachment count": ['45-1-["echo",1]'],
    "too many attachments": [f'4511-["echo",{ELEVEN_SLOTS}]'],
    "a billion attachments": ['451000000000-["echo",{"_placeholder":true,"num":0}]'],
    "placeholder out of range": ['451-["echo",{"_placeholder":true,"num":1}]', b"\x01"],
    "negative placeholder": ['451-["echo",{"_placeholder":true,"num":-1}]', b"\x01"],
    "placeholder that is text": ['451-["echo",{"_placeholder":true,"num":"0"}]', b"\x01"],
    "placeholder that is a fraction": ['451-["echo",{"_placeholder":true,"num":0.5}]', b"\x01"],
    "placeholder that is true": ['451-["echo",{"_placeholder":true,"num":true}]', b"\x01"],
    "placeholder without number": ['451-["echo",{"_placeholder":true}]', b"\x01"],
    "text where an attachment is due": ['451-["echo",{"_placeholder":true,"num":0}]', '42["echo",1]'],
    "attachment that nobody announced": [b"\x01"],
    "attachment before its header": [b"\x01", '451-["echo",{"_placeholder":true,"num":0}]'],
    "attachments too big together": [
        '452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"x" * 60_000,
        b"x" * 60_000,
    ],
}


@pytest.mark.parametrize("packets", CLOSES.values(), ids=CLOSES.keys())
def test_invalid_packet_closes_the_connection(
    client: SocketIO, bystander: SocketIO, packets: list[Packet]
) -> None:
    client.connect("/a")
    for packet in packets:
        with contextlib.suppress(Closed, OSError):  # an earlier packet of the list may have been the last
            client.transport.send(packet)

    seen = received_until_closed(client.transport)
    assert seen == [], "no handler ran"
    bystander.assert_nothing_waits()
    (entries,) = bystander.call("last-disconnects")
    assert "forged" not in {entry["reason"] for entry in entries}


def received_until_closed(transport: Transport) -> list[Packet]:
    """What arrives before the close, which must be prompt."""
    seen: list[Packet] = []
    deadline = time.monotonic() + PROMPTLY
    while True:
        try:
            seen.append(transport.receive(deadline - time.monotonic()))
        except Closed:
            return seen


GATE: dict[str, list[Packet]] = {
    "event": ['42["echo",1]'],
    "event with ack": ['421["echo-ack",1]'],
    "event in a namespace": ['42/a,["echo",1]'],
    "binary event": ['451-["echo",{"_placeholder":true,"num":0}]', b"\x01"],
    "binary": [b"\x01"],
    "ack": ["430[]"],
    "join": ['421["join","room"]'],
}


@pytest.mark.parametrize("packets", GATE.values(), ids=GATE.keys())
def test_nothing_is_taken_before_connect(
    server: RunningServer, transport_name: str, bystander: SocketIO, packets: list[Packet]
) -> None:
    with wire.open_transport(transport_name, server.url) as transport:
        for packet in packets:
            with contextlib.suppress(Closed, OSError):
                transport.send(packet)

        assert received_until_closed(transport) == []


HARMLESS: dict[str, list[str]] = {
    "ack with id 0": ["430[]"],
    "ack that nobody waits for": ["43123456[1,2,3]"],
    "ack with the largest id": ["439007199254740991[]"],
    "unknown namespaces": ["40/nowhere,"] * 50,
    "pong that nobody asked for": ["3"],
}


@pytest.mark.parametrize("packets", HARMLESS.values(), ids=HARMLESS.keys())
def test_harmless_oddities_do_no_harm(client: SocketIO, bystander: SocketIO, packets: list[str]) -> None:
    for packet in packets:
        client.transport.send(packet)

    assert_callbacks_work(client)


@pytest.mark.parametrize("packet", ['450-["echo",1]', '450-7["echo-ack",1]', '450-/a,["echo",1]'])
def test_a_binary_event_without_attachments_does_not_wedge(
    client: SocketIO, bystander: SocketIO, packet: str
) -> None:
    """It is taken for what it says or closes the connection; the events behind it are not left waiting."""
    with contextlib.suppress(Closed):
        client.transport.send(packet)
        assert_callbacks_work(client)


def assert_callbacks_work(client: SocketIO) -> None:
    client.emit("call-me", "later")
    while (request := client.receive(PROMPTLY)).kind != EVENT or request.data[0] != "request":
        pass  # answers to what was sent before
    assert request.data == ["request", "later"]
    client.send(wire.ACK, ["answer"], id=request.id)
    assert client.wait_event("call-result", PROMPTLY) == ["answer"]


@pytest.mark.parametrize(
    "number", ["1e999", "-1e999", "1" + "0" * 400, "1" * 5_000, "1e-999", "-0.0", "0.1e1"]
)
def test_extreme_numbers_are_never_passed_on_as_no_json(
    client: SocketIO, bystander: SocketIO, number: str
) -> None:
    """Answered or refused, but not turned into what no JSON parser takes."""
    with contextlib.suppress(Closed):
        client.transport.send(f'42["echo",{number}]')
        packet = client.transport.receive(PROMPTLY)
        assert isinstance(packet, str)
        assert "Infinity" not in packet
        assert "NaN" not in packet
        assert "null" not in packet
        json.loads(packet[2:], parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_attachments_that_never_come_are_freed_on_close(server: RunningServer, transport_name: str) -> None:
    with SocketIO.connected(transport_name, server.url) as client:
        client.transport.send('452-["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        client.transport.send(b"first")
        wire.wait_until(lambda: wire.stats(server.url)["pending_attachments"] >= 1)

    wire.wait_until(lambda: wire.stats(server.url)["pending_attachments"] == 0)
    assert wire.stats(server.url)["sockets"] == 0


def test_at_most_sixteen_namespaces(server_pool: ServerPool, kind: ServerKind, transport_name: str) -> None:
    server = server_pool.get(kind, "contract", {**settings.HOSTILE, "APP_EXTRA_NAMESPACES": "20"})
    with wire.open_transport(transport_name, server.url) as transport:
        client = SocketIO(transport)
        for i in range(16):
            client.connect(f"/extra{i}")
        try:
            transport.send("40/extra16,")
            answer = transport.receive(PROMPTLY)
        except Closed:
            answer = "44/extra16,"
        assert isinstance(answer, str)
        assert answer.startswith("44/extra16,")
        assert wire.stats(server.url)["sockets"] <= 16


def test_namespaces_that_were_left_do_not_count(server_pool: ServerPool, kind: ServerKind) -> None:
    server = server_pool.get(kind, "contract", {**settings.HOSTILE, "APP_EXTRA_NAMESPACES": "20"})
    with wire.open_transport("polling", server.url) as transport:
        client = SocketIO(transport)
        client.connect("/")
        for i in range(20):
            client.connect(f"/extra{i}")
            transport.send(f"41/extra{i},")
        assert client.call("echo-ack", 1) == [1]


MEMORY_OF_A_SLOW_READER = 64 * 1024
"""KiB. 4 MiB may be queued; the rest is the allocator's and the handlers'."""


@WEBSOCKET
def test_slow_reader_is_cut_off(patient_server: RunningServer) -> None:
    """A client that asks for much and reads nothing costs bounded memory, and then its session."""
    server = patient_server
    resident, log_before = server.rss_kib(), server.log_size()
    questions = frame(TEXT, b'42["big",90000]') * 20
    with (
        SocketIO.connected("polling", server.url) as bystander,
        SocketIO.connected("websocket", server.url, receive_buffer=4096) as slow,
    ):
        assert isinstance(slow.transport, wire.WebSocketTransport)
        slow.transport.websocket.sock.settimeout(0.2)
        peak = resident
        deadline = time.monotonic() + 15
        while wire.stats(server.url)["sessions"] > 1 and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # it may have been cut off, or the server has stopped reading
                slow.transport.websocket.sock.send(questions)
            peak = max(peak, server.rss_kib())
            started = time.monotonic()
            assert bystander.call("echo-ack", 1) == [1]
            assert time.monotonic() - started < PROMPTLY

        assert wire.stats(server.url)["sessions"] == 1, "the slow reader's session has ended"
        assert peak - resident < MEMORY_OF_A_SLOW_READER
        assert wire.stats(server.url)["queued_bytes"] == 0
        (entries,) = bystander.call("last-disconnects")
        assert slow.sid in {entry["sid"] for entry in entries}
        log = server.log_text(log_before)
        assert re.search(r"queue|slow|wait|unread", log, re.IGNORECASE), f"one line says why: {log[-2000:]}"


def test_slow_poller_is_cut_off(patient_server: RunningServer) -> None:
    """The same for a client that posts and never polls."""
    server = patient_server
    resident = server.rss_kib()
    with (
        SocketIO.connected("polling", server.url) as bystander,
        SocketIO.connected("polling", server.url) as slow,
    ):
        assert isinstance(slow.transport, Polling)
        for _ in range(100):
            status = slow.transport.post('42["big",90000]').status
            assert bystander.call("echo-ack", 1) == [1]
            if status != 200:
                break

        assert status == 400, "the session has ended before 9 MB were queued"
        assert server.rss_kib() - resident < MEMORY_OF_A_SLOW_READER
        assert wire.stats(server.url)["queued_bytes"] == 0


def test_a_flood_of_slow_handlers_holds_back_nobody(server: RunningServer, bystander: SocketIO) -> None:
    with SocketIO.connected("polling", server.url) as client:
        assert isinstance(client.transport, Polling)
        client.transport.send_payload(*(f'42{i}["ack-delay",1000,{i}]' for i in range(40)))
        for _ in range(5):
            started = time.monotonic()
            assert bystander.call("echo-ack", 1) == [1]
            assert wire.stats(server.url)["handlers_running"] <= 64
            assert time.monotonic() - started < PROMPTLY


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(32),
        b"GET / HTTP/1.1\r\n",
        b"GET /socket.io/?EIO=4&transport=polling",
        os.urandom(200),
        b"\r\n\r\n\r\n",
    ],
    ids=["TLS hello", "cut off head", "cut off request line", "random bytes", "line breaks"],
)
def test_connections_that_say_nothing_useful(server: RunningServer, data: bytes) -> None:
    with wire.connect_tcp(server.url) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    assert wire.request(server.url + "/healthz").text == "ok"


@WEBSOCKET
def test_many_half_open_upgrades(server: RunningServer, bystander: SocketIO) -> None:
    """Second legs that never say a word cost the session nothing."""
    assert isinstance(bystander.transport, Polling)
    target = wire.target("socket.io", "websocket", sid=bystander.transport.sid)
    with contextlib.ExitStack() as stack:
        opened = 0
        for _ in range(10):
            with contextlib.suppress(wire.Refused, Closed):
                stack.enter_context(wire.WebSocket(server.url, target))
                opened += 1
        assert opened >= 1
        assert bystander.call("echo-ack", 1) == [1]
