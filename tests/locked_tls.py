"""TLS for python-socketio's client, which reads and writes one socket in two threads."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from servers import self_signed_certificate

T = TypeVar("T")


class LockedTLSSocket:
    """A TLS socket that one thread reads while another one writes.

    The client of python-socketio does that, and ``ssl.SSLSocket`` of older Pythons then loses data now and
    then, behind a proxy or not. Here reading and writing exclude one another, and waiting is done outside
    of both.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._lock = threading.Lock()
        sock.settimeout(0)

    def recv(self, size: int) -> bytes:
        return self._when_ready(lambda: self._sock.recv(size))

    def send(self, data: bytes) -> int:
        return self._when_ready(lambda: self._sock.send(data))

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        return self._timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _when_ready(self, operation: Callable[[], T]) -> T:
        while True:
            try:
                with self._lock:
                    return operation()
            except ssl.SSLWantReadError:
                ready = select.select([self._sock], [], [], self._timeout)
            except ssl.SSLWantWriteError:
                ready = select.select([], [self._sock], [], self._timeout)
            if not any(ready):
                raise TimeoutError("timed out")


class LockedTLSContext:
    """What websocket-client takes for an ``ssl.SSLContext``."""

    def __init__(self) -> None:
        self._context = ssl.create_default_context(cafile=str(self_signed_certificate()[0]))

    def wrap_socket(self, sock: socket.socket, server_hostname: str, **options: Any) -> LockedTLSSocket:
        return LockedTLSSocket(self._context.wrap_socket(sock, server_hostname=server_hostname))
