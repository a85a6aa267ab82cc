"""The event loop of the generator, and what is common to its connections."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .faults import Fault

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Connection", "Loop"]

RECEIVE = 65_536  # bytes at a time
CONNECT_TIMEOUT = 20.0  # seconds


class Loop:
    """epoll over all connections of the process; they are closed at its end."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in list(self._connections.values()):
            connection.close()
        self._poll.close()

    def add(self, connection: Connection, descriptor: int) -> None:
        self._connections[descriptor] = connection
        self._poll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        if self._connections.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def watch_writable(self, descriptor: int, on: bool) -> None:
        self._poll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if on else 0))

    def turn(self, timeout: float) -> None:
        """Wait for something to happen, and handle it."""
        connections = self._connections
        for descriptor, events in self._poll.poll(timeout):
            connection = connections.get(descriptor)
            if connection is None:  # closed by what was handled before
                continue
            if events & select.EPOLLOUT:
                connection.writable()
            if events & ~select.EPOLLOUT:
                connection.readable()

    def run_for(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.turn(left)

    def run_until(self, done: Callable[[], bool], patience: float, what: str) -> None:
        """:raises Fault: it is not done after ``patience`` seconds."""
        end = time.perf_counter() + patience
        while not done():
            left = end - time.perf_counter()
            if left <= 0:
                raise Fault(f"{what}: still not after {patience:g} s")
            self.turn(min(left, 1.0))


class Connection:
    """A TCP connection to the server.

    :ivar on_data: gets what is received.
    :ivar on_end: is called when the server has closed.
    """

    __slots__ = ("_loop", "_socket", "_unsent", "descriptor", "on_data", "on_end")

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop = loop
        self._unsent = b""
        self.on_data: Callable[[bytes], object] = _unawaited
        self.on_end: Callable[[], object] = _ended
        # Over the loopback interface the kernel accepts at once: there is nothing to wait for.
        self._socket = socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self._socket.fileno()
        loop.add(self, self.descriptor)

    def send(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # it is closed; reading says so, too, and what came before
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.watch_writable(self.descriptor, True)

    def writable(self) -> None:
        data, self._unsent = self._unsent, b""
        self._loop.watch_writable(self.descriptor, False)
        self.send(data)

    def readable(self) -> None:
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.on_data(data)
        else:
            self.close()
            self.on_end()

    def close(self) -> None:
        self._loop.remove(self.descriptor)
        with contextlib.suppress(OSError):
            self._socket.close()


def _unawaited(data: bytes) -> None:
    raise Fault(f"nobody waits for {data[:200]!r}")


def _ended() -> None:
    raise Fault("the server has closed a connection")
