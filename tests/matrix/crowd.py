"""Many raw WebSocket clients on one event loop, for a test that is not asynchronous itself.

::

    with Crowd(server.url) as crowd:
        crowd.run(crowd.add(100))
        assert crowd.run(crowd.call("echo-ack", 1)) == [[1]] * 100
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

from acceptance import wire
from acceptance.wire import (
    ACK,
    CLOSE,
    CONNECT,
    EVENT,
    PING,
    PONG,
    TEXT,
    TIMEOUT,
    Closed,
    SioPacket,
    encode_frame,
)

T = TypeVar("T")


class CrowdClient:
    """A Socket.IO client in ``/``, text only, which reads all the time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.sid = ""
        self.received: deque[SioPacket] = deque()
        """Events, and acks that nobody waits for."""
        self.on_packet: Callable[[SioPacket], None] = self.received.append
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str) -> CrowdClient:
        """Connected, past the event ``auth``."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        client = cls(reader, writer)
        try:
            await asyncio.wait_for(client._enter(url), TIMEOUT)
        except BaseException:
            writer.transport.abort()
            raise
        client._reading = asyncio.create_task(client._read_on())
        return client

    async def _enter(self, url: str) -> None:
        self._writer.write(wire.upgrade_request(url, wire.target("socket.io", "websocket")))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if head.split()[1] != b"101":
            raise ConnectionRefusedError(head.decode())
        wire.parse_open(await self._receive())
        self._send(CONNECT, None)
        packet = await self._receive_packet()
        assert packet.kind == CONNECT, packet
        self.sid = packet.data["sid"]
        assert (await self._receive_packet()).data == ["auth", {}]

    def emit(self, event: str, *arguments: Any) -> None:
        self._send(EVENT, [event, *arguments])

    def request(self, event: str, *arguments: Any) -> asyncio.Future[Any]:
        """Emit; the ack's list of values is the result of the future."""
        self._next_id += 1
        future = self._acks[self._next_id] = asyncio.get_running_loop().create_future()
        self._send(EVENT, [event, *arguments], self._next_id)
        return future

    async def call(self, event: str, *arguments: Any) -> Any:
        return await asyncio.wait_for(self.request(event, *arguments), TIMEOUT)

    async def leave(self) -> None:
        """Go away without a word."""
        self._writer.transport.abort()
        if self._reading:
            await self._reading
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _send(self, kind: int, data: Any, id: int | None = None) -> None:
        for packet in wire.encode_sio(kind, "/", id, data):
            self._send_text(packet)

    def _send_text(self, packet: wire.Packet) -> None:
        assert isinstance(packet, str)
        self._writer.write(encode_frame(TEXT, packet.encode()))

    async def _read_on(self) -> None:
        try:
            while True:
                self._packet_received(await self._receive_packet())
        except Closed as closed:
            self.closed.set_result(closed)
        except (OSError, EOFError) as error:
            self.closed.set_result(Closed(None, repr(error)))
        finally:
            for future in self._acks.values():
                future.cancel()
            self._writer.close()

    def _packet_received(self, packet: SioPacket) -> None:
        future = self._acks.pop(packet.id, None) if packet.kind == ACK and packet.id is not None else None
        if future is None:
            self.on_packet(packet)
        elif not future.done():
            future.set_result(packet.data)

    async def _receive_packet(self) -> SioPacket:
        while True:
            text = await self._receive()
            if text == "2":
                self._send_text("3")
            elif text == "1":
                raise Closed(None, "close packet")
            else:
                return wire.decode_sio(text, _no_attachment)

    async def _receive(self) -> str:
        """The next message; fragments are not expected of our server."""
        while True:
            opcode, payload = await self._receive_frame()
            if opcode == PING:
                self._writer.write(encode_frame(PONG, payload))
            elif opcode == CLOSE:
                self._writer.write(encode_frame(CLOSE, payload[:2]))
                raise Closed(int.from_bytes(payload[:2], "big") if payload else 1005, payload[2:].decode())
            elif opcode == TEXT:
                return payload.decode()
            else:
                assert opcode == PONG, f"unexpected opcode {opcode}"

    async def _receive_frame(self) -> tuple[int, bytes]:
        first, length = await self._reader.readexactly(2)
        assert first & 0xF0 == 0x80, f"first byte {first:#x}"
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first & 0x0F, await self._reader.readexactly(length)


def _no_attachment() -> wire.Packet:
    raise AssertionError("no binary message was expected")


class Crowd:
    """Clients of one server, on an event loop in a thread of its own: they read whatever the test does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients: list[CrowdClient] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="crowd", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run a coroutine on the crowd's loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    async def add(self, count: int, at_once: int = 50) -> None:
        """That many more clients, all connected."""
        gate = asyncio.Semaphore(at_once)

        async def open_one() -> None:
            async with gate:
                self.clients.append(await CrowdClient.open(self.url))

        await asyncio.gather(*(open_one() for _ in range(count)))

    async def call(self, event: str, *arguments: Any) -> list[Any]:
        """Of every client; their acks."""
        return await asyncio.gather(*(client.call(event, *arguments) for client in self.clients))

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.run(self._leave())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(TIMEOUT)
            self.loop.close()

    async def _leave(self) -> None:
        await asyncio.gather(*(client.leave() for client in self.clients))
