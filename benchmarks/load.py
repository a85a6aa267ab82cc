"""The load generator: raw WebSockets on asyncio. It prints one JSON object.

``python -m benchmarks.load echo --port 5000 --pid 4711 --clients 20 --depth 10 --seconds 2``

Nothing of the package is used here, so that an error of its codecs can't hide itself. The load is a closed
loop: a client keeps ``depth`` requests under way and sends the next when an answer has come. Every answer
must be one that is awaited, byte for byte, and each must come exactly once; anything else is an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count

from .procfs import allow_descriptors, cpu_seconds, rss_bytes

__all__ = ["LoadError", "main"]

PATIENCE = 60.0  # seconds that an answer may take
QUIET = 0.2  # seconds after the last answer in which no other may come
WARM_UP = 0.25  # of the measured time
CONNECTING = 20  # clients that connect at the same time
REST = 1.0  # seconds before memory is looked at
MASK = b"\x3a\x91\x07\xe4"
PADDING = "x" * 32
HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ACCEPTED = b"\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"  # lower case, as it is compared


class LoadError(Exception):
    """The server did what it must not do, or not what it must."""


# Frames (RFC 6455, section 5.2)


def encode_frame(payload: bytes) -> bytes:
    """A masked text frame."""
    length = len(payload)
    assert length < 126  # the load has small messages only
    pad = (MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return bytes((0x81, 0x80 | length)) + MASK + masked.to_bytes(length, "big")


def read_frames(buffer: bytearray) -> Iterator[bytes]:
    """The payloads of the text frames that are whole; they are taken out of the buffer."""
    start = 0
    while len(buffer) >= start + 2:
        if buffer[start] != 0x81:
            raise LoadError(f"a frame that begins with {buffer[start]:#x}")
        length, body = buffer[start + 1], start + 2
        if length == 126:
            length, body = int.from_bytes(buffer[body : body + 2], "big"), body + 2
        if len(buffer) < body + length:
            break
        yield bytes(buffer[body : body + length])
        start = body + length
    del buffer[:start]


# Clients


class Client(asyncio.Protocol):
    """One connection: WebSocket handshake, Engine.IO OPEN, Socket.IO CONNECT, then events."""

    def __init__(self, load: Load) -> None:
        self.expected: set[bytes] = set()
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        transport.write(HANDSHAKE.format(self._load.port).encode())

    def send(self, message: bytes) -> None:
        assert self._transport is not None
        self._transport.write(encode_frame(message))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if self._upgraded or self._read_response():
                for message in read_frames(self._buffer):
                    self._receive(message)
        except LoadError as error:
            self._load.fail(error)

    def _read_response(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 ") or ACCEPTED not in head.lower() + b"\r\n":
            raise LoadError(f"no WebSocket: {bytes(head[:200])!r}")
        self._buffer = rest
        self._upgraded = True
        return True

    def _receive(self, message: bytes) -> None:
        if message in self.expected:
            self.expected.remove(message)
            self._load.answered(self)
        elif message == b"2":
            self.send(b"3")
        elif not self.connected.done() and message.startswith(b"0{"):
            self.send(b"40")
        elif not self.connected.done() and message.startswith(b"40{"):
            self.connected.set_result(None)
        else:
            raise LoadError(f"nobody waits for {message[:200]!r}")

    def connection_lost(self, error: Exception | None) -> None:
        self._load.fail(LoadError(f"a connection has ended: {error}"))


# What the clients do


class Load:
    """Clients of one server.

    :param make: the request with a number, and the answer to it.
    :param depth: how many requests are under way at a time, for each client that sends.
    """

    def __init__(self, port: int, make: Callable[[int], tuple[bytes, bytes]], depth: int) -> None:
        self.port = port
        self.clients: list[Client] = []
        self._make = make
        self._depth = depth
        self._numbers = count(1)
        self._failure: LoadError | None = None
        self._done = asyncio.Event()
        self._until = 0.0
        self._awaited = 0
        self._answers = 0

    def fail(self, error: LoadError) -> None:
        """The first failure ends the load."""
        self._failure = self._failure or error
        self._done.set()
        for client in self.clients:
            if not client.connected.done():
                client.connected.set_result(None)

    async def connect(self, clients: int) -> None:
        """Add clients, some at a time."""
        for first in range(0, clients, CONNECTING):
            await asyncio.gather(*(self._open() for _ in range(min(CONNECTING, clients - first))))
            self._check()

    async def _open(self) -> None:
        client = Client(self)
        self.clients.append(client)
        await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", self.port)
        try:
            await asyncio.wait_for(client.connected, PATIENCE)
        except asyncio.TimeoutError:
            raise LoadError("the server does not answer CONNECT") from None

    async def run(self, seconds: float) -> int:
        """Send for so long; how many answers there were."""
        self._until = time.monotonic() + seconds
        self._answers = 0
        self._done.clear()
        for client in self.senders():
            for _ in range(self._depth):
                self.send(client)
        try:
            await asyncio.wait_for(self._done.wait(), seconds + PATIENCE)
        except asyncio.TimeoutError:
            raise LoadError(f"{self._awaited} answers are missing") from None
        await asyncio.sleep(QUIET)
        self._check()
        return self._answers

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def senders(self) -> list[Client]:
        return self.clients

    def receivers(self, client: Client) -> list[Client]:
        """Who gets the answer to what ``client`` sends."""
        return [client]

    def send(self, client: Client) -> None:
        request, answer = self._make(next(self._numbers))
        for receiver in self.receivers(client):
            receiver.expected.add(answer)
            self._awaited += 1
        client.send(request)

    def answered(self, client: Client) -> None:
        """A client got what it waited for."""
        self._awaited -= 1
        self._answers += 1
        if time.monotonic() < self._until:
            self.send_next(client)
        elif not self._awaited:
            self._done.set()

    def send_next(self, client: Client) -> None:
        self.send(client)


class BroadcastLoad(Load):
    """One client sends, all receive; the next broadcast follows when everybody has this one."""

    def senders(self) -> list[Client]:
        return self.clients[:1]

    def receivers(self, client: Client) -> list[Client]:
        return self.clients

    def send_next(self, client: Client) -> None:
        if not self._awaited:
            self.send(self.clients[0])


def echo(number: int) -> tuple[bytes, bytes]:
    message = b'42["echo",{"number":%d,"text":"%s"}]' % (number, PADDING.encode())
    return message, message


def ack(number: int) -> tuple[bytes, bytes]:
    data = b'{"number":%d,"text":"%s"}' % (number, PADDING.encode())
    return b'42%d["ack",%s]' % (number, data), b"43%d[%s]" % (number, data)


def broadcast(number: int) -> tuple[bytes, bytes]:
    message = b'42["broadcast",{"number":%d,"text":"%s"}]' % (number, PADDING.encode())
    return message, message


LOADS = {"echo": (Load, echo), "ack": (Load, ack), "broadcast": (BroadcastLoad, broadcast)}


# What is measured


async def measure_cpu(options: argparse.Namespace) -> dict[str, float]:
    """CPU of the server for each answer, in µs."""
    kind, make = LOADS[options.mode]
    load = kind(options.port, make, options.depth)
    await load.connect(options.clients)
    await load.run(options.seconds * WARM_UP)
    before, began = cpu_seconds(options.pid), time.monotonic()
    answers = await load.run(options.seconds)
    cpu = cpu_seconds(options.pid) - before
    return {"figure": cpu * 1e6 / answers, "answers": answers, "seconds": time.monotonic() - began - QUIET}


async def measure_memory(options: argparse.Namespace) -> dict[str, float]:
    """Resident memory of the server for each idle client, in KiB."""
    load = BroadcastLoad(options.port, broadcast, depth=1)
    # What the first clients cost (modules, pools) is not what a client costs.
    await load.connect(CONNECTING)
    await load.run(options.seconds)
    await asyncio.sleep(REST)
    before = rss_bytes(options.pid)
    await load.connect(options.clients)
    await asyncio.sleep(REST)
    used = rss_bytes(options.pid) - before
    # All of them are alive, and have been all the time.
    answers = await load.run(0)
    return {"figure": used / 1024 / options.clients, "answers": answers}


def main() -> int:
    """Run one load. The exit status: 0, or 1 where the server made a mistake."""
    parser = argparse.ArgumentParser("python -m benchmarks.load", description="Load a server.")
    parser.add_argument("mode", choices=[*LOADS, "idle"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's first process")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--depth", type=int, default=1, help="requests under way for each client")
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    allow_descriptors()
    try:
        result = asyncio.run((measure_memory if options.mode == "idle" else measure_cpu)(options))
    except (LoadError, OSError) as error:
        print(f"{options.mode}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
