"""Single steps of the package, in one process and without sockets."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterator
from functools import partial

from flask import Flask
from werkzeug.test import EnvironBuilder

from flask_realtime import SocketIO, emit
from flask_realtime.adapters import MemoryAdapter
from flask_realtime.backends.memory import MemoryBackend, MemoryTransport
from flask_realtime.config import ServerConfig
from flask_realtime.context import slim_environ
from flask_realtime.hooks import HookTable
from flask_realtime.mounting import state_of
from flask_realtime.protocol.socketio import JSONSerializer, MsgpackSerializer, Packet, PacketType, Serializer
from flask_realtime.protocol.websocket import Opcode, WebSocketConnection, encode_frame
from flask_realtime.protocol.websocket.frames import MASKED
from flask_realtime.protocol.websocket.masking import unmask, unmask_with_integers
from flask_realtime.runner import HandlerRunner
from flask_realtime.server.client import Client, Socket
from flask_realtime.server.dispatcher import Dispatcher
from flask_realtime.server.message import Message
from flask_realtime.server.server import Server

from .timing import Cell, Timing, measure

__all__ = ["cells", "report", "run"]

Function = Callable[[], object]
KIB = 1024
MIB = 1024 * KIB
LONG = (("1 KiB", KIB), ("8 KiB", 8 * KIB), ("64 KiB", 64 * KIB), ("1 MiB", MIB))
MASK = b"\x3a\x91\x07\xe4"
MESSAGE = {"room": "lobby", "user": "ada", "text": "Hello, everybody!", "id": 4711}
CHAT = ["chat message", MESSAGE]
TABLE = ["rows", [{"id": i, "name": f"row {i}", "price": i / 4, "tags": ["a", "b"]} for i in range(50)]]
FILE = ["file", {"name": "picture.png", "data": bytes(range(256)) * 4}]


def cells() -> Iterator[Cell]:
    """Everything that is timed."""
    yield from websocket_cells()
    yield from unmask_cells()
    yield from packet_cells()
    yield from engine_cells()


# WebSocket frames


def websocket_cells() -> Iterator[Cell]:
    for name, size in (("64 B", 64), ("1 KiB", KIB), ("64 KiB", 64 * KIB)):
        yield Cell(f"frame decode, text of {name}", partial(decode_frame, size))
        yield Cell(f"frame encode, text of {name}", partial(encode_text, size))
    yield Cell(
        "frame decode, 10 texts of 64 B in one read, each", partial(decode_frame, 64, 10), operations=10
    )


def client_frame(payload: bytes) -> bytes:
    """A text frame as a client sends it: masked."""
    frame = encode_frame(Opcode.TEXT, payload)
    header = len(frame) - len(payload)
    return bytes((frame[0], frame[1] | MASKED)) + frame[2:header] + MASK + unmask(payload, MASK)


def decode_frame(size: int, count: int = 1) -> Function:
    connection = WebSocketConnection(max_message_size=MIB)
    data = client_frame(b"x" * size) * count
    assert connection.receive_data(data) == ["x" * size] * count
    return partial(connection.receive_data, data)


def encode_text(size: int) -> Function:
    connection = WebSocketConnection(max_message_size=MIB)
    payload = b"x" * size
    assert connection.encode_text(payload).endswith(payload)
    return partial(connection.encode_text, payload)


# Unmasking: the figures in `protocol/websocket/frames.py` come from here


def unmask_cells() -> Iterator[Cell]:
    for name, size in (("16 B", 16), ("64 B", 64), *LONG):
        yield Cell(f"unmask {name}, as installed", partial(unmasking, unmask, size))
        yield Cell(f"unmask {name}, with integers", partial(unmasking, unmask_with_integers, size))
    for name, size in LONG:
        yield Cell(f"unmask {name}, as one XOR", partial(unmasking, unmask_in_one, size))
        yield Cell(f"unmask {name}, by bytes.translate", partial(unmasking, unmask_by_table, size))


def unmasking(function: Callable[[bytes, bytes], bytes], size: int) -> Function:
    plain = os.urandom(size)
    masked = bytes(byte ^ MASK[i & 3] for i, byte in enumerate(plain))
    assert function(masked, MASK) == plain
    return partial(function, masked, MASK)


def unmask_in_one(data: bytes, mask: bytes) -> bytes:
    """One XOR, however long the data is."""
    length = len(data)
    pad = mask * (length >> 2) + mask[: length & 3]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(length, "little")


XOR_TABLES = [bytes(value ^ key for value in range(256)) for key in range(256)]


def unmask_by_table(data: bytes, mask: bytes) -> bytes:
    """One translation for each byte of the mask."""
    result = bytearray(len(data))
    for i, key in enumerate(mask):
        result[i::4] = data[i::4].translate(XOR_TABLES[key])
    return bytes(result)


# Socket.IO packets


def packet_cells() -> Iterator[Cell]:
    packets = (
        ("a chat message", Packet(PacketType.EVENT, "/", CHAT)),
        ("the same with namespace and ack id", Packet(PacketType.EVENT, "/chat", CHAT, 17)),
        ("50 rows", Packet(PacketType.EVENT, "/", TABLE)),
        ("1 KiB of binary data", Packet(PacketType.EVENT, "/", FILE)),
    )
    for name, packet in packets:
        yield Cell(f"packet encode, {name}", partial(encode_packet, JSONSerializer(), packet))
        yield Cell(f"packet decode, {name}", partial(decode_packet, JSONSerializer(), packet))
    chat = Packet(PacketType.EVENT, "/", CHAT)
    yield Cell(
        "packet encode, a chat message as MessagePack", partial(encode_packet, MsgpackSerializer(), chat)
    )
    yield Cell(
        "packet decode, a chat message as MessagePack", partial(decode_packet, MsgpackSerializer(), chat)
    )


def encode_packet(serializer: Serializer, packet: Packet) -> Function:
    return partial(serializer.encoder().encode, packet)


def decode_packet(serializer: Serializer, packet: Packet) -> Function:
    text, binary = serializer.encoder().encode(packet)
    decoder = serializer.decoder()
    decoded_text = None if text is None else text.decode()

    def decode() -> Packet | None:
        found = None if decoded_text is None else decoder.receive_text(decoded_text)
        for data in binary:
            found = decoder.receive_binary(data)
        return found

    assert decode() == packet
    return decode


# The engine


def engine_cells() -> Iterator[Cell]:
    yield Cell("Flask context of an event", event_context)
    yield Cell("event through the engine, and the reply", event_round_trip)
    yield Cell("broadcast to 100, per delivery", partial(broadcast, 100), operations=100)
    yield Cell("broadcast to 1,000, per delivery", partial(broadcast, 1_000), operations=1_000)


class MemoryServer:
    """A Flask app and its Socket.IO server, whose clients and clock are in memory."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.socketio = SocketIO(self.app)
        self.backend = MemoryBackend()
        self.dispatcher = Dispatcher()
        self.runner = HandlerRunner(self.socketio, ServerConfig(), HookTable())
        self.server = Server(
            ServerConfig(),
            self.backend,
            MemoryAdapter(),
            JSONSerializer(),
            self.dispatcher,
            self.runner,
            logging.getLogger("flask_realtime"),
        )
        state = state_of(self.app)
        assert state is not None
        state.server = self.server  # where `emit` looks
        weakref.finalize(self, self.backend.close)


class MemoryClient:
    """A client that is connected to the main namespace.

    :param receive: gets what the server sends.
    """

    def __init__(self, memory: MemoryServer, receive: Callable[[Message], None]) -> None:
        self._memory = memory
        self._transport = MemoryTransport(receive)
        environ = slim_environ(memory.app, EnvironBuilder("/socket.io/").get_environ())
        self._session = memory.server.engine.open(self._transport, environ)
        self._transport.session = self._session
        self.send("40")

    @property
    def socket(self) -> Socket:
        client = self._session.application
        assert isinstance(client, Client)
        return client.sockets["/"]

    def send(self, text: str) -> None:
        """Send an Engine.IO message; its handler has returned when this does."""
        self._session.receive(self._transport, [text])
        self._memory.backend.run_tasks()


def event_context() -> Function:
    """What every handler is wrapped in, with a handler that does nothing."""
    memory = MemoryServer()
    run = partial(memory.runner.run, MemoryClient(memory, lambda message: None).socket)
    args: list[object] = ["hello"]
    assert run(lambda text: text, "echo", args) == "hello"
    return partial(run, lambda text: None, "echo", args)


def event_round_trip() -> Function:
    """A text in, the handler in its Flask context, ``emit``, a frame out."""
    memory = MemoryServer()
    memory.dispatcher.register("/", "echo", lambda data: emit("echo", data))
    frames: list[bytes] = []
    client = MemoryClient(memory, lambda message: frames.append(message.ws_frame))
    event = '42["echo",{"text":"Hello, everybody!","id":4711}]'

    def call() -> None:
        frames.clear()
        client.send(event)

    call()
    assert frames == [encode_frame(Opcode.TEXT, event.encode())]
    return call


def broadcast(count: int) -> Function:
    """One emit to everybody, down to each client's frame."""
    memory = MemoryServer()
    frames: list[bytes] = []
    # The server holds its sessions, and they hold their clients.
    for _ in range(count):
        MemoryClient(memory, lambda message: frames.append(message.ws_frame))

    def call() -> None:
        frames.clear()
        memory.server.emit("chat message", [MESSAGE])

    call()
    assert len(frames) == count
    return call


# The report


def run(repeats: int, seconds: float) -> list[Timing]:
    """Time every cell, ``repeats`` times for about ``seconds`` each."""
    return [measure(cell, repeats, seconds) for cell in cells()]


def report(timings: list[Timing]) -> str:
    """A table, one line for each cell."""
    width = max(len(timing.name) for timing in timings)
    lines = [f"{'per operation':{width}}  {'minimum':>10}  {'median':>10}  noise"]
    lines += [
        f"{t.name:{width}}  {duration(t.best):>10}  {duration(t.median):>10}  {t.noise:>4.0%}"
        for t in timings
    ]
    return "\n".join(lines)


def duration(ns: float) -> str:
    """With three or four digits: ``812 ns``, ``9.31 µs``, ``1042 µs``."""
    if ns < 1_000:
        return f"{ns:.0f} ns"
    return f"{ns / 1_000:.{2 if ns < 100_000 else 0}f} µs"
