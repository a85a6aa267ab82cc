"""What we ask of uvicorn beyond ASGI.

Its ``send`` makes a frame of each message and writes it by itself. Ours are
made already, once for all clients that get the message, and what a client gets
together is one write. ``send`` is a method of the connection's protocol object,
whose transport takes them; where anything is not as it was known to be,
``send`` is used.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["FrameWriter"]

MODULE = "uvicorn.protocols.websockets.websockets_sansio_impl"
#: what is used of the protocol object, besides its class
ATTRIBUTES = ("close_sent", "conn", "disconnected", "transport", "writable")


class FrameWriter:
    """Writes complete frames to a websocket that uvicorn has accepted.

    :param protocol: uvicorn's; ``conn`` of it knows the state of the websocket.
    """

    __slots__ = ("_open", "_protocol")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._open = protocol.conn.state

    @classmethod
    def of(cls, send: Callable[[Any], Awaitable[None]]) -> FrameWriter | None:
        """None where ``send`` has to be used: another server's, or on a websocket that compresses."""
        protocol: Any = getattr(send, "__self__", None)
        known = getattr(sys.modules.get(MODULE), "WebSocketsSansIOProtocol", None)
        if known is None or type(protocol) is not known:
            return None
        if not all(hasattr(protocol, name) for name in ATTRIBUTES):
            return None
        connection = protocol.conn
        state = getattr(getattr(connection, "state", None), "name", None)
        if state != "OPEN" or getattr(connection, "extensions", None) != []:
            return None
        return cls(protocol)

    @property
    def ready(self) -> bool:
        """Frames may be written, and the client reads."""
        protocol = self._protocol
        return (
            protocol.writable.is_set()
            and not protocol.close_sent
            and not protocol.disconnected
            and protocol.conn.state is self._open
            and not protocol.transport.is_closing()
        )

    def write(self, frames: bytes) -> None:
        """Write them; only where it is :attr:`ready`."""
        self._protocol.transport.write(frames)
