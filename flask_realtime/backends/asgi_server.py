"""What an ASGI server gives an app for a connection, and what is behind it.

There is no socket to be had, only two coroutine functions: ``receive`` gives
what the client has sent, ``send`` takes what it is to get, and waits while the
client does not read (if the server is a good one).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..server.asgi_types import Send

__all__ = ["abort_connection", "transports_of"]


def transports_of(send: Send) -> Iterator[Any]:
    """What a server may write a connection's bytes to, as far as it can be found.

    ASGI has no word for it, but ``send`` is a method of what owns the transport (uvicorn, gunicorn), or of
    what sends through it (hypercorn), or of our own (daphne).
    """
    method: Any = send
    owner: Any = None
    for _ in range(4):
        owner, before = getattr(method, "__self__", None), owner
        if owner is None or owner is before:
            return
        transport = getattr(getattr(owner, "writer", owner), "transport", None)
        if transport is not None:
            yield transport
        method = getattr(owner, "send", None)


def abort_connection(send: Send) -> None:
    """Break a connection that is stuck with a client that does not read, if its transport can be found.

    A server closes it only when all is written: never, and some wait for that when they stop.
    """
    for transport in transports_of(send):
        for name in ("abort", "abortConnection"):  # asyncio's, Twisted's
            if callable(abort := getattr(transport, name, None)):
                abort()
                return
