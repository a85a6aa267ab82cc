"""The load generator notices every mistake of a server, and takes nothing right for one."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("uses epoll and /proc", allow_module_level=True)

import faulty_server
from faulty_server import MISTAKES, running

from benchmarks.load import metering, programs, traffic
from benchmarks.load.checking import Checker, Ordered, Quiet, Unordered
from benchmarks.load.faults import Fault
from benchmarks.load.loop import Loop
from benchmarks.load.polling import read_response
from benchmarks.load.programs import Connects, Echo, Groups, Memory, Program
from benchmarks.load.streams import Stream, acks, binary_echoes, broadcasts, echoes, json_object
from benchmarks.load.target import Report, Target
from benchmarks.load.wire import PONG, client_frame, control_frame, server_frame

PING = server_frame(b"2")
Check = Callable[[Callable[[bytes], object], Stream], Checker]


# Checkers


def expecting(kind: Check, stream: Stream, count: int, sent: list[bytes] | None = None) -> Checker:
    checker = kind((sent if sent is not None else []).append, stream)
    checker.expect(0, count)
    return checker


def reply(stream: Stream, number: int) -> bytes:
    return stream.replies[number * stream.reply_size : (number + 1) * stream.reply_size]


@pytest.mark.parametrize("kind", [Ordered, Unordered])
@pytest.mark.parametrize("make", [echoes, acks, binary_echoes])
@pytest.mark.parametrize("piece", [1, 2, 3, 50, 10_000])
def test_replies_in_pieces_with_pings_between_them(
    kind: Check, make: Callable[[int, int, int], Stream], piece: int
) -> None:
    stream = make(3, 4, 64)
    sent: list[bytes] = []
    checker = expecting(kind, stream, 4, sent)
    data = b"".join(PING + reply(stream, i) + b"\x89\x02hi" for i in range(4))
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    assert sum(map(checker.feed, pieces)) == 4
    assert sent == [PONG, client_frame(b"hi", 0xA)] * 4


@pytest.mark.parametrize("kind", [Ordered, Unordered])
def test_a_stream_begins_again(kind: Check) -> None:
    stream = Stream.of([(b"?", server_frame(b"reply %d" % i)) for i in range(3)], depth=2)
    checker = kind(print, stream)
    for first in (0, 2, 1, 0, 2, 1, 0):
        checker.expect(first, 2)
        assert checker.feed(reply(stream, first) + reply(stream, (first + 1) % 3)) == 2


@pytest.mark.parametrize("kind", [Ordered, Unordered])
@pytest.mark.parametrize(
    "replies",
    [
        pytest.param(lambda s: reply(s, 0) * 2, id="doubled"),
        pytest.param(lambda s: reply(s, 2), id="before its request"),
        pytest.param(lambda s: reply(s, 0) + reply(s, 1) + reply(s, 2), id="one too many"),
        pytest.param(lambda s: reply(s, 0).replace(b"xxx", b"xyx"), id="corrupt"),
        pytest.param(lambda s: reply(echoes(1, 3, 64), 0), id="another client's"),
        pytest.param(lambda s: server_frame(b'42["news",1]') + reply(s, 0), id="something else"),
        pytest.param(lambda s: b"\x88\x00", id="a close frame"),
    ],
)
def test_wrong_replies(kind: Check, replies: Callable[[Stream], bytes]) -> None:
    stream = echoes(0, 3, 64)
    checker = expecting(kind, stream, 2)
    with pytest.raises(Fault):
        checker.feed(replies(stream) + b" " * stream.reply_size)


def test_order() -> None:
    stream = echoes(0, 2, 64)
    swapped = reply(stream, 1) + reply(stream, 0)
    assert expecting(Unordered, stream, 2).feed(swapped) == 2
    with pytest.raises(Fault, match="instead of"):
        expecting(Ordered, stream, 2).feed(swapped)


def test_quiet() -> None:
    sent: list[bytes] = []
    checker = Quiet(sent.append)
    assert checker.feed(PING + PING[:1]) == 0
    assert checker.feed(PING[1:]) == 0
    assert sent == [PONG, PONG]
    with pytest.raises(Fault, match="news"):
        checker.feed(server_frame(b'42["news",1]'))


def test_control_frames() -> None:
    assert control_frame(server_frame(b"42[]")) is None
    assert control_frame(b"\x8a\x02hi") == (4, b"")
    assert control_frame(b"\x89") == (0, b"")
    with pytest.raises(Fault, match="closes"):
        control_frame(b"\x88\x00")


# Streams


@pytest.mark.parametrize("size", [64, 200, 511, 512, 600, 1_024, 65_536])
def test_sizes(size: int) -> None:
    assert len(json_object(123_456, 7, size)) == size


def test_numbers_in_streams() -> None:
    streams = echoes(1, 10, 64), acks(1, 10, 1_024), binary_echoes(1, 10, 64), broadcasts(1, 64, "room")
    for stream in streams:
        replies = [reply(stream, i) for i in range(stream.count)]
        assert len(set(replies)) == stream.count >= 12


# Polling


def test_responses() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    whole = read_response(head + b"\r\nok")
    assert whole is not None
    assert (whole.status, whole.body, whole.kept) == (200, b"ok", True)
    assert read_response(head + b"\r\no") is None
    assert read_response(head) is None
    closing = read_response(head + b"Connection: close\r\n\r\nok")
    assert closing is not None
    assert not closing.kept
    old = b"HTTP/1.0 200 OK\r\n\r\nok"
    assert read_response(old) is None
    ended = read_response(old, ended=True)
    assert ended is not None
    assert (ended.body, ended.kept) == (b"ok", False)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    assert all(read_response(chunked[:end]) is None for end in range(len(chunked)))
    joined = read_response(chunked)
    assert joined is not None
    assert joined.body == b"abcd"
    with pytest.raises(Fault, match="after a response"):
        read_response(head + b"\r\nok, and more")


class Answer:
    """What a server says to every request of one kind, after rightly opening the session."""

    def __init__(self, method: str, status: str, body: bytes, *, cut: bool = False) -> None:
        self.method = method
        self.response = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) + cut}\r\n\r\n".encode() + body
        self.cut = cut


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer("GET", "200 OK", b'42["echo","another"]'), "instead of b'42"),
        (Answer("GET", "200 OK", b'2\x1e42["echo"]'), "instead of b'42"),
        (Answer("GET", "400 Bad Request", b"no"), "status 400"),
        (Answer("POST", "200 OK", b"no"), "instead of ok"),
        (Answer("POST", "500 Oh", b"ok"), "status 500"),
        (Answer("POST", "200 OK", b"o", cut=True), "cut off"),
    ],
    ids=["wrong", "short", "refused", "not ok", "failed", "cut off"],
)
def test_polling_mistakes(answer: Answer, message: str) -> None:
    with polled(answer) as port, pytest.raises(Fault, match=message):
        run(programs.Polling(clients=1), target(port))


@pytest.mark.parametrize(
    ("polls", "message"),
    [
        ([b'2\x1e40{"sid":"y"}'], "another"),
        ([b"2", b'40{"sid":"y"}\x1e2'], "another"),
        ([b'44{"message":"no"}'], "not connected"),
        ([b'2\x1e40{"sid":"y"}\x1e42["more"]'], "not connected"),
    ],
    ids=["a ping before", "pings before and behind", "refused", "more"],
)
def test_what_a_client_that_polls_takes_for_connected(polls: list[bytes], message: str) -> None:
    answer = Answer("GET", "200 OK", b'42["echo","another"]')
    with polled(answer, *polls) as port, pytest.raises(Fault, match=message):
        run(programs.Polling(clients=1), target(port))


@contextlib.contextmanager
def polled(answer: Answer, *polls: bytes) -> Iterator[int]:
    """A server.

    :param polls: what it answers to the polls until the client is connected.
    """
    import socketserver
    import threading

    opening = iter([b'0{"sid":"x"}', b"ok", *(polls or [b'40{"sid":"y"}'])])

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while request := self.rfile.readline():
                length = 0
                while (line := self.rfile.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    length = int(value) if name == b"Content-Length" else length
                self.rfile.read(length)
                if not self._answer(request.split()[0].decode()):
                    break

        def _answer(self, method: str) -> bool:
            """Whether the connection goes on."""
            body = next(opening, None)
            if body is not None:
                right = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                self.wfile.write(right + body)
            elif method == answer.method:
                self.wfile.write(answer.response)
                return not answer.cut
            return True

    class Site(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Site(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(site.server_address[1])
        finally:
            site.shutdown()
            thread.join()


# Whole programs


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PATIENCE", 0.5)
    monkeypatch.setattr(metering, "REST_PATIENCE", 0.1)  # the server is this process, which never rests


def target(port: int, *, ordered: bool = True) -> Target:
    return Target(port, os.getpid(), seconds=0.25, ordered=ordered)


def run(program: Program, at: Target) -> Report:
    with Loop() as loop:
        return program.run(loop, at)


def value(report: Report, metric: str) -> float:
    (found,) = [figure.value for figure in report.figures if figure.metric == metric]
    return found


EARLY = 3  # the message with which something happens: not the first of its client
ECHOES = (Echo(clients=2), Echo(clients=2, depth=5), Echo("ack", clients=2, depth=5))


@pytest.mark.parametrize("program", [*ECHOES, Groups(members=3)], ids=repr)
@pytest.mark.parametrize("behaviour", [faulty_server.well, faulty_server.well_in_pieces])
@pytest.mark.parametrize("ordered", [True, False])
def test_no_mistakes(program: Program, behaviour: Callable[..., None], ordered: bool) -> None:
    with running(behaviour, at=EARLY) as server:
        report = run(program, target(server.port, ordered=ordered))
        assert server.pongs == (2 if behaviour is faulty_server.well_in_pieces else 0)
    assert value(report, "rate") > 0
    assert value(report, "cpu") > 0


@pytest.mark.parametrize("program", [*ECHOES, Groups(members=3)], ids=repr)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(program: Program, mistake: Callable[..., None]) -> None:
    if mistake is faulty_server.reorder and getattr(program, "depth", 1) == 1:
        pytest.skip("a single message has no order")
    with running(mistake, at=EARLY) as server, pytest.raises(Fault):
        run(program, target(server.port))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_servers_without_order(mistake: Callable[..., None]) -> None:
    with running(mistake, at=EARLY) as server:
        if mistake is faulty_server.reorder:
            run(ECHOES[1], target(server.port, ordered=False))
        else:
            with pytest.raises(Fault):
                run(ECHOES[1], target(server.port, ordered=False))


def test_a_doubled_reply_at_the_very_end() -> None:
    """When nothing more is sent, the next reply can't show it."""
    with running(faulty_server.double, at=1) as server, pytest.raises(Fault, match="nobody waits"):
        run(Memory((2,)), target(server.port))


def test_connects_need_a_whole_handshake() -> None:
    with running(faulty_server.well, at=1) as server:
        report = run(Connects(clients=5, rounds=2), target(server.port))
        assert len(server.peers) == 10
    assert value(report, "rate") > 0


def test_a_server_without_socketio() -> None:
    answer = Answer("GET", "404 Not Found", b"no")
    with polled(answer) as port, pytest.raises(Fault, match="no WebSocket"):
        run(Echo(clients=1), target(port))
