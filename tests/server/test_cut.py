"""A connection that is cut at every byte, in both directions.

Wherever it happens: no exception escapes into the loop (``make_world`` looks), disconnect runs at most
once and only after connect, what has arrived is a beginning of what was sent, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from engine_driver import NOTHING, EngineClient, MakeWorld, WebSocket, World, event_packet, payload
from wsproto.frame_protocol import FrameProtocol

QUERY = "EIO=4&transport=websocket"


@pytest.fixture(params=["close", "reset"])
def how(request: pytest.FixtureRequest) -> str:
    """How the client's end is lost: in order, or with a TCP reset."""
    value: str = request.param
    return value


def recording_world(make_world: MakeWorld) -> World:
    world = make_world()
    world.record("connect", "disconnect", "message")
    return world


def check_end(world: World, *, connected: bool | None = None) -> None:
    """Everybody has gone."""
    world.settle()
    world.clients.clear()
    names = [call[0] for call in world.calls]
    connects, disconnects = names.count("connect"), names.count("disconnect")
    assert connects == disconnects <= 1
    if connected is not None:
        assert connects == int(connected)
    if disconnects:
        assert names.index("connect") == 0
        assert names[-1] == "disconnect"
    assert world.stats == NOTHING
    assert world.tracebacks == []
    world.calls.clear()


def cut(ws: WebSocket, how: str) -> None:
    ws.abort(reset=how == "reset")


class TestTheHandshake:
    @pytest.mark.parametrize("arrival", ["read ahead", "in the socket", "later"])
    def test_what_the_client_sends(self, make_world: MakeWorld, how: str, arrival: str) -> None:
        world = recording_world(make_world)
        whole = FrameProtocol(client=True, extensions=[]).send_data("40", fin=True)
        for n in range(len(whole) + 1):
            ws = EarlyWebSocket(world, whole[:n] if arrival != "later" else b"", arrival == "read ahead")
            if arrival == "later":
                world.backend.settle()
                ws.send_raw(whole[:n])
            cut(ws, how)
            world.settle()
            # A reset may take what was sent before it along.
            check_end(world, connected=None if how == "reset" else n == len(whole))

    def test_what_the_server_sends(self, make_world: MakeWorld, how: str) -> None:
        world = recording_world(make_world)
        first = EngineClient.websocket(world, tcp=True).connect()
        assert first.ws is not None
        size = 129 + 2 + 110 + 2 + 30
        first.abort()
        check_end(world, connected=True)
        for n in range(size + 20):
            ws = WebSocket(world, QUERY, early=["40"], tcp=True)
            world.backend.loop().turn(wait=False)
            if n % 2:
                world.backend.settle()
            read(ws, n)
            cut(ws, how)
            check_end(world)

    def test_the_connection_is_gone_before_it_is_taken(self, make_world: MakeWorld) -> None:
        world = recording_world(make_world)
        ws = WebSocket(world, QUERY, peer_gone=True)
        world.settle()
        ws.abort()
        check_end(world, connected=False)


class EarlyWebSocket(WebSocket):
    """Its first frames come right behind the request, cut wherever one likes."""

    def __init__(self, world: World, early: bytes, read_ahead: bool) -> None:
        self._early = early
        super().__init__(world, QUERY, early=[""], read_ahead=read_ahead, tcp=True)

    def frame(self, message: str | bytes) -> bytes:
        return self._early


def read(ws: WebSocket, size: int) -> bytes:
    """At most so many bytes of what the server has sent."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while len(data) < size and (part := ws.exchange.sock.recv(size - len(data))):
            data += part
    return data


class TestTheUpgrade:
    def test_what_the_client_sends(self, make_world: MakeWorld, how: str) -> None:
        world = recording_world(make_world)
        ladder = b""
        n = 0
        while n <= len(ladder):
            client = EngineClient.polling(world).connect()
            candidate = client.connect_candidate(tcp=True)
            world.settle()
            ladder = ladder or candidate.frame("2probe") + candidate.frame("5") + candidate.frame("3")
            complete = len(ladder) - len(candidate.frame("3"))
            candidate.send_raw(ladder[:n])
            world.server.emit("n", [1])
            if how == "close" or n % 2:
                world.settle()
            cut(candidate, how)
            client.candidate = None
            client.keep_polling = True
            world.settle()
            if client.session is not None:
                # Polling goes on with the queue.
                world.server.emit("n", [2])
                world.settle()
                assert client.events() == [["n", 1], ["n", 2]]
                assert n < complete or how == "reset"
                assert world.called("disconnect") == []
                client.send("1")
            else:
                assert n >= complete
            check_end(world, connected=True)
            n += 1

    def test_what_the_server_sends(self, make_world: MakeWorld, how: str) -> None:
        world = recording_world(make_world)
        for n in range(150):
            client = EngineClient.polling(world).connect()
            candidate = client.connect_candidate(tcp=True)
            candidate.stalled = True
            candidate.send("2probe")
            world.settle()
            read(candidate, n)
            cut(candidate, how)
            client.candidate = None
            client.keep_polling = True
            world.settle()
            world.server.emit("n", [1])
            world.settle()
            assert client.events() == [["n", 1]]
            client.abort()
            check_end(world, connected=True)

    @pytest.mark.parametrize("rung", range(4))
    def test_the_poll(self, make_world: MakeWorld, rung: int) -> None:
        """The polling connection breaks at a rung; a client that is gone ends the session."""
        world = recording_world(make_world)
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        poll = client.poll
        assert poll is not None
        candidate = client.connect_candidate()
        steps: list[Any] = [
            poll.close,
            world.backend.settle,
            lambda: candidate.send("2probe"),
            world.backend.settle,
            lambda: candidate.send("5"),
        ]
        steps.insert(rung + 1, steps.pop(0))
        for step in steps:
            step()
        client.poll = None
        world.settle()
        world.server.emit("n", [1])
        world.settle()
        candidate.abort()
        client.send("1")
        check_end(world, connected=True)


class TestTenMessages:
    def test_of_the_client(self, make_world: MakeWorld, how: str) -> None:
        world = recording_world(make_world)
        frames: list[bytes] = []
        total, n = 0, 0
        while n <= total:
            client = EngineClient.websocket(world, tcp=True).connect()
            assert client.ws is not None
            frames = [client.ws.frame(event_packet("message", i)) for i in range(9)]
            frames.append(
                client.ws.frame('451-["message",{"_placeholder":true,"num":0}]') + client.ws.frame(b"9")
            )
            stream = b"".join(frames)
            total = len(stream)
            client.ws.send_raw(stream[:n])
            if n % 3 == 0:
                world.settle()
            cut(client.ws, how)
            world.settle()
            whole = [i for i in range(10) if len(b"".join(frames[: i + 1])) <= n]
            got = [value for (value,) in world.called("message")]
            sent: list[Any] = [*range(9), b"9"]
            assert got == sent[: len(got)]
            assert len(got) == len(whole) or how == "reset"
            check_end(world, connected=True)
            n += 1

    def test_of_the_server(self, make_world: MakeWorld, how: str) -> None:
        world = recording_world(make_world)
        for n in range(220):
            client = EngineClient.websocket(world, tcp=True).connect()
            assert client.ws is not None
            client.ws.stalled = True
            for i in range(10):
                world.server.emit("n", [i, b"x"] if i == 5 else [i], callback=_ignore)
                if i == n % 10:
                    world.settle()
            world.settle()
            read(client.ws, n)
            cut(client.ws, how)
            check_end(world, connected=True)

    def test_of_the_server_through_a_full_socket(self, make_world: MakeWorld) -> None:
        world = recording_world(make_world)
        for n in range(0, 300_000, 10_000):
            client = EngineClient.websocket(world, buffer_size=4096).connect()
            assert client.ws is not None
            client.ws.stalled = True
            for _ in range(10):
                world.server.emit("big", ["x" * 40_000])
            world.settle()
            for _ in range(n // 10_000):
                client.ws.exchange.sock.recv(10_000)
                world.settle()
            client.abort()
            check_end(world, connected=True)

    def test_a_post(self, make_world: MakeWorld) -> None:
        world = recording_world(make_world)
        body = payload(*[event_packet("message", i) for i in range(10)])
        for n in range(len(body)):
            client = EngineClient.polling(world).connect()
            reply = world.fetch(
                "POST", client.query, body=body[:n], environ={"CONTENT_LENGTH": str(len(body))}
            )
            assert reply.status == 400
            assert world.called("message") == []
            check_end(world, connected=True)

    def test_a_response_to_a_poll(self, make_world: MakeWorld) -> None:
        world = recording_world(make_world)
        for n in range(0, 300_000, 10_000):
            client = EngineClient.polling(world).connect()
            client.keep_polling = False
            world.server.emit("n", [0])
            world.settle()
            poll = client.start_poll(buffer_size=4096)
            client.poll = None
            for _ in range(10):
                world.server.emit("big", ["x" * 40_000])
            world.backend.settle()
            for _ in range(n // 10_000):
                poll.sock.recv(10_000)
                world.backend.settle()
            poll.close()
            check_end(world, connected=True)

    @pytest.mark.parametrize("taken", [True, False])
    def test_a_poll_that_waits_or_is_answered(self, make_world: MakeWorld, taken: bool) -> None:
        world = recording_world(make_world)
        for waiting in (True, False):
            client = EngineClient.polling(world).connect()
            client.keep_polling = False
            if not waiting:
                world.server.emit("n", [0])
                world.settle()
                world.server.emit("n", [1])
                exchange = world.request(query=client.query, take=taken)
                if taken:
                    exchange.begin()
                exchange.give_up()
            client.abort()
            check_end(world, connected=True)


def _ignore(*args: Any) -> None:
    """An acknowledgement that never comes."""
