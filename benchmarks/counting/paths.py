"""What is counted. Every path looks at each reply, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import yardstick
from .frames import BINARY, frame, masked
from .world import SLEEP, TURN, Script, World, WrongReply

__all__ = ["PATHS", "YARDSTICK", "Path"]

CLIENTS = 20
LISTENERS = 100
ROOMS = [f"room {i}" for i in range(20)]
SHORT = '{"seq":12345,"data":"' + "x" * 40 + '"}'
KIB = '"' + "x" * 1024 + '"'
BYTES = bytes(range(256)) * 4

#: What the clients of a world do: something first, and then so many rounds.
Course = Callable[[World, int], Script]


@dataclass(frozen=True)
class Path:
    """Something that is done over and over.

    :param run: does it for so many rounds.
    :param operations: how many operations a round is.
    :param warm_up: rounds after which each costs the same.
    :param rounds: how many are counted after them.
    """

    name: str
    run: Callable[[int], object]
    operations: int
    warm_up: int
    rounds: int


def in_world(course: Course, rounds: int) -> None:
    """Do this in a world of its own."""
    world = World()
    world.play(course(world, rounds))


def exchange(requests: list[bytes], replies: list[bytes], world: World, rounds: int) -> Script:
    """Each client sends the requests at once, and gets the replies; then all do so again."""
    request, reply = b"".join(requests), b"".join(replies)
    clients = yield from world.connect(CLIENTS)
    for _ in range(rounds):
        yield from world.exchange(clients, request, reply)


def echo(depth: int, text: str = SHORT) -> Course:
    """An event, and the same event back."""
    packet = f'42["echo",{text}]'.encode()
    return partial(exchange, [masked(packet)] * depth, [frame(packet)] * depth)


def binary_echo() -> Course:
    """The same with an attachment."""
    packet = b'451-["echo",{"_placeholder":true,"num":0}]'
    return partial(exchange, [masked(packet), masked(BYTES, BINARY)], [frame(packet), frame(BYTES, BINARY)])


def ack(depth: int) -> Course:
    """An event, and its acknowledgement."""
    requests = [masked(f'42{i}["ack",{SHORT}]'.encode()) for i in range(depth)]
    replies = [frame(f"43{i}[{SHORT}]".encode()) for i in range(depth)]
    return partial(exchange, requests, replies)


def broadcast(world: World, rounds: int) -> Script:
    """One client sends, all receive."""
    packet = f'42["everybody",{SHORT}]'.encode()
    request, reply = masked(packet), frame(packet)
    clients = yield from world.connect(LISTENERS)
    for _ in range(rounds):
        clients[0].send(request)
        yield TURN
        for client in clients:
            while not client.has(reply):
                yield TURN


def visit(world: World, rounds: int) -> Script:
    """Each client enters and leaves rooms in which somebody else is, many in one event."""
    names = json.dumps(ROOMS)
    stay, visit = (masked(f'420["{event}",{names}]'.encode()) for event in ("stay", "visit"))
    reply = frame(f"430[{len(ROOMS)}]".encode())
    clients = yield from world.connect(CLIENTS + 1)
    yield from world.exchange(clients[:1], stay, reply)
    for _ in range(rounds):
        yield from world.exchange(clients[1:], visit, reply)


def come_and_go(world: World, rounds: int) -> Script:
    """Clients connect, in one request each, and disconnect."""
    for _ in range(rounds):
        clients = yield from world.connect(CLIENTS)
        yield from world.disconnect(clients)


def heartbeat(world: World, rounds: int) -> Script:
    """Nothing happens for so long that the server asks each client whether it is there."""
    ping, pong = frame(b"2"), masked(b"3")
    clients = yield from world.connect(CLIENTS)
    for _ in range(rounds):
        for client in clients:
            while not client.has(ping):
                yield SLEEP  # once; the other pings come with the first
            client.send(pong)
        yield TURN


def polling_echo(world: World, rounds: int) -> Script:
    """An event in a POST, the same event back in a GET."""
    packet = f'42["echo",{SHORT}]'.encode()
    clients = [world.poller() for _ in range(CLIENTS)]
    for client in clients:
        client.post(b"40")
    yield TURN
    yield TURN
    for client in clients:
        if not client.get().startswith(b'40{"sid":'):
            raise WrongReply("not connected")
    for _ in range(rounds):
        for client in clients:
            client.post(packet)
        yield TURN
        for client in clients:
            reply = client.get()
            if reply != packet:
                raise WrongReply(f"{reply[:200]!r} instead of {packet!r}")
    for client in clients:
        client.post(b"1")
    yield TURN


def _path(name: str, course: Course, operations: int, warm_up: int, rounds: int) -> Path:
    return Path(name, partial(in_world, course), operations, warm_up, rounds)


YARDSTICK = Path("yardstick", yardstick.run, 1, 200, 2000)

PATHS = (
    _path("echo, depth 1", echo(1), CLIENTS, 15, 20),
    _path("echo, depth 10", echo(10), CLIENTS * 10, 5, 5),
    _path("echo of 1 KiB", echo(1, KIB), CLIENTS, 15, 20),
    _path("echo of 1 KiB, binary", binary_echo(), CLIENTS, 15, 20),
    _path("echo by polling", polling_echo, CLIENTS, 10, 10),
    _path("ack, depth 10", ack(10), CLIENTS * 10, 5, 5),
    _path("broadcast to 100, a delivery", broadcast, LISTENERS, 10, 10),
    _path("connect and disconnect", come_and_go, CLIENTS, 10, 10),
    _path("heartbeat", heartbeat, CLIENTS, 15, 20),
    _path("join and leave", visit, CLIENTS * len(ROOMS), 10, 10),
)
