"""What a server writes in small pieces, in one segment on its way.

Each event that an ASGI server is given it writes at once. The system call is
cheap; that each piece is sent by itself is not, neither here nor at the
client's. While a TCP socket is corked (Linux), what is written to it is
gathered.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any

__all__ = ["WORTHWHILE", "Cork"]

#: so many writes cost more than the two system calls around them
WORTHWHILE = 3


class Cork:
    """Put on the socket of an asyncio transport for the time of a ``with`` block, in which nothing waits.

    :param transport: the server's.
    """

    __slots__ = ("_socket", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._socket = transport.get_extra_info("socket")

    @classmethod
    def of(cls, transport: Any) -> Cork | None:
        """None where there is no such socket."""
        if sys.platform != "linux" or not hasattr(transport, "get_extra_info"):
            return None
        cork = cls(transport)
        family = getattr(cork._socket, "family", None)
        return cork if family in (socket.AF_INET, socket.AF_INET6) else None

    def __enter__(self) -> None:
        self._set(1)

    def __exit__(self, *error: object) -> None:
        self._set(0)

    def _set(self, value: int) -> None:
        # The number of a closed socket may soon be another's.
        if sys.platform == "linux" and not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, value)
