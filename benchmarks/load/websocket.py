"""Clients on WebSockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .checking import Quiet
from .faults import Fault
from .loop import Connection, Loop
from .wire import ACCEPT, TEXT, client_frame, upgrade_request

__all__ = ["PATIENCE", "open_clients", "watch_quietly"]

PATIENCE = 60.0  # seconds that anything may take
CONNECT = client_frame(b"40")
ACCEPTED = f"\r\nsec-websocket-accept: {ACCEPT}\r\n".lower().encode()


class Handshake:
    """TCP, WebSocket, Engine.IO's OPEN and Socket.IO's CONNECT: until a client may send events."""

    def __init__(self, loop: Loop, port: int, done: Callable[[Connection], object]) -> None:
        self._buffer = b""
        self._done = done
        self._receive = self._read_response
        self._connection = connection = Connection(loop, port)
        connection.on_data = self._data_received
        connection.send(upgrade_request(port))

    def _data_received(self, data: bytes) -> None:
        self._buffer += data
        # Each step goes on with what the one before has left.
        while self._receive():
            pass

    def _read_response(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 ") or ACCEPTED not in head.lower() + b"\r\n":
            raise Fault(f"no WebSocket: {head[:300]!r}")
        self._buffer = rest
        self._receive = self._read_open
        return True

    def _read_open(self) -> bool:
        if self._read_message(b"0{") is None:
            return False
        self._receive = self._read_connected
        self._connection.send(CONNECT)
        return True

    def _read_connected(self) -> bool:
        if self._read_message(b"40{") is None:
            return False
        if self._buffer:
            raise Fault(f"nobody waits for {self._buffer[:200]!r}")
        self._done(self._connection)
        return False

    def _read_message(self, start: bytes) -> bytes | None:
        """The first message, if it is complete; it is taken out of the buffer."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        if buffer[0] != 0x80 | TEXT:
            raise Fault(f"a frame that begins with {buffer[:4]!r}")
        length, body = buffer[1], 2
        if length == 126:
            length, body = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < body + length:
            return None
        message, self._buffer = buffer[body : body + length], buffer[body + length :]
        if not message.startswith(start):
            raise Fault(f"{message[:200]!r} instead of {start!r}")
        return message


def open_clients(loop: Loop, port: int, count: int, at_once: int = 20) -> list[Connection]:
    """So many clients, in the order in which they have connected."""
    connected: list[Connection] = []
    waiting = deque(range(count))

    def start() -> None:
        if waiting:
            waiting.popleft()
            Handshake(loop, port, done)

    def done(connection: Connection) -> None:
        watch_quietly(connection)
        connected.append(connection)
        start()

    for _ in range(at_once):
        start()
    loop.run_until(lambda: len(connected) == count, PATIENCE + count / 50, f"{count} clients connect")
    return connected


def watch_quietly(connection: Connection) -> None:
    """Let nothing but pings come from now on."""
    connection.on_data = Quiet(connection.send).feed
