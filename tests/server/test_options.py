"""The numbers among the options are those that count. (What happens then is in ``test_contract``.)"""

from __future__ import annotations

import pytest
from engine_driver import EngineClient, MakeWorld, World
from wsproto.frame_protocol import FrameProtocol

TWO_ATTACHMENTS = '452-["event",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'


def closed_at(world: World, client: EngineClient, seconds: float) -> bool:
    """It lives until then, and no longer."""
    world.advance(seconds - 0.25)
    lived = not client.closed
    world.advance(0.5)
    return lived and client.closed


def test_connect_timeout(make_world: MakeWorld) -> None:
    world = make_world(connect_timeout=5)
    assert closed_at(world, EngineClient.websocket(world), 5)
    assert world.refusals == {"connect timeout": 1}


def test_attachments_timeout(make_world: MakeWorld) -> None:
    world = make_world(attachments_timeout=3)
    client = EngineClient.websocket(world).connect()
    client.send(TWO_ATTACHMENTS, b"1")
    world.settle()
    assert closed_at(world, client, 3)
    assert world.refusals == {"attachments timeout": 1}


@pytest.mark.parametrize(("interval", "end"), [(10, 12), ((10, 5), 17), ((10, 0.5), 12.5)])
def test_ping_interval_grace_and_timeout(make_world: MakeWorld, interval: object, end: float) -> None:
    world = make_world(ping_interval=interval, ping_timeout=2)
    client = EngineClient.websocket(world).connect()
    client.answer_pings = False
    world.advance(9.75)
    assert client.pings == 0
    world.advance(0.5)
    assert client.pings == 1
    assert closed_at(world, client, end - 10.25)


def test_upgrade_timeout(make_world: MakeWorld) -> None:
    world = make_world(upgrade_timeout=4)
    client = EngineClient.polling(world).connect()
    candidate = client.connect_candidate()
    world.settle()
    world.advance(3.75)
    assert not candidate.eof
    world.advance(0.5)
    assert candidate.eof
    assert not client.closed, "polling goes on"


@pytest.mark.parametrize("seconds", [3, 8])
def test_write_timeout(make_world: MakeWorld, seconds: int) -> None:
    world = make_world(write_timeout=seconds, ping_interval=1000)
    client = EngineClient.websocket(world, buffer_size=4096).connect()
    assert client.ws is not None
    client.ws.stalled = True
    world.server.emit("fill", ["x" * 900_000])  # more than the sockets' buffers take
    world.settle()
    world.advance(seconds - 0.5)
    assert world.stats["sessions"] == 1
    world.advance(1)
    assert world.stats["sessions"] == 0
    assert world.refusals == {"slow reader": 1}


def test_max_namespaces(make_world: MakeWorld) -> None:
    world = make_world(namespaces="*", max_namespaces=2)
    client = EngineClient.websocket(world)
    for name in ("/a", "/b", "/c"):
        client.connect(name)
    assert client.received[-1] == '44/c,{"message":"Too many namespaces"}'
    assert world.stats["sockets"] == 2


@pytest.mark.parametrize(("limit", "accepted"), [(1, False), (2, True), (0, False)])
def test_max_attachments(make_world: MakeWorld, limit: int, accepted: bool) -> None:
    world = make_world(max_attachments=limit)
    world.record("event")
    client = EngineClient.websocket(world).connect()
    client.send(TWO_ATTACHMENTS, b"1", b"2")
    world.settle()
    assert world.called("event") == ([(b"1", b"2")] if accepted else [])
    assert client.closed is not accepted


@pytest.mark.parametrize(("limit", "accepted"), [(2, False), (3, True)])
def test_max_fragments(make_world: MakeWorld, limit: int, accepted: bool) -> None:
    world = make_world(max_fragments=limit)
    world.record("event")
    client = EngineClient.websocket(world).connect()
    assert client.ws is not None
    frames = FrameProtocol(client=True, extensions=[])
    parts = [frames.send_data(part, fin=part == '"]') for part in ("42[", '"event', '"]')]
    client.ws.send_raw(b"".join(parts))
    world.settle()
    assert len(world.called("event")) == accepted
    assert client.closed is not accepted


@pytest.mark.parametrize(("size", "accepted"), [(100, True), (101, False)])
def test_max_http_buffer_size(make_world: MakeWorld, size: int, accepted: bool) -> None:
    world = make_world(max_http_buffer_size=100)
    world.record("event")
    packet = '42["event","' + "x" * (size - 14) + '"]'
    assert len(packet) == size
    client = EngineClient.polling(world).connect()
    reply = world.fetch("POST", client.query, body=packet.encode())
    assert reply.status == (200 if accepted else 413)
    client = EngineClient.websocket(world).connect()
    client.send(packet)
    world.settle()
    assert client.closed is not accepted
    assert len(world.called("event")) == (2 if accepted else 0)
