"""Taking a connection over from the WSGI server, so that its worker is free again.

The descriptor is duplicated for us, and a dead end (a socket whose peer is
closed) is put in the place of the server's. The server then sees an ordinary
end of file: whatever it writes, shuts down or closes afterwards touches the
dead end, not the client. It needs no patching and never learns of it.

Where a socket can't be taken (TLS inside the process: the keys are in the
server's object; no ``dup2`` for sockets on Windows), it may still be *borrowed*
by the thread that serves the request, for as long as the connection lives.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from ..server.ports import Access
from ..types import Environ

__all__ = ["Taken", "access", "borrow", "leave_behind", "take_over"]


class Taken(NamedTuple):
    """A client's socket, ours now, and what the server had already read behind the request."""

    sock: socket.socket
    early: bytes


class _Found(NamedTuple):
    sock: socket.socket
    read_ahead: Callable[[], bytes]


def access(environ: Environ) -> Access:
    """How the connection of this request can be had."""
    found = _find(environ)
    if found is None:
        return Access.NONE
    if isinstance(found.sock, ssl.SSLSocket) or os.name == "nt":
        # The only thread of a server must not be parked: nobody else would be served.
        return Access.BORROW if environ.get("wsgi.multithread") else Access.NONE
    return Access.TAKE


def take_over(environ: Environ) -> Taken:
    """Take the connection from the server (:attr:`Access.TAKE`).

    :raises OSError: the process is out of descriptors; the connection is still the server's.
    """
    found = _find(environ)
    assert found is not None
    with _dead_end() as dead_end:  # first: a process may be out of descriptors
        ours = socket.socket(fileno=os.dup(found.sock.fileno()))
        os.dup2(dead_end.fileno(), found.sock.fileno(), inheritable=False)
    # Only now: with nothing buffered this reads the dead end, and can't block.
    return Taken(ours, found.read_ahead())


def borrow(environ: Environ) -> Taken:
    """The server's own socket (:attr:`Access.BORROW`); give it back by :func:`leave_behind`."""
    found = _find(environ)
    assert found is not None
    found.sock.setblocking(False)  # nothing buffered must not mean to wait
    try:
        early = found.read_ahead()
    except (OSError, ValueError):
        early = b""
    return Taken(found.sock, early)


def leave_behind(sock: socket.socket) -> None:
    """Put a dead end in the place of a server's socket."""
    with _dead_end() as dead_end:
        os.dup2(dead_end.fileno(), sock.fileno(), inheritable=False)


def _dead_end() -> socket.socket:
    """A socket whose peer is closed."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def _find(environ: Environ) -> _Found | None:
    sock = environ.get("werkzeug.socket")
    if sock is not None:
        return _Found(sock, lambda: _peek(environ["wsgi.input"]))
    sock = environ.get("gunicorn.socket")
    # On HTTP/2 the socket carries other requests too.
    if sock is not None and environ.get("HTTP_VERSION") != "2":
        return _Found(sock, lambda: _gunicorn_read_ahead(environ["wsgi.input"]))
    return None


def _peek(stream: Any) -> bytes:
    # A BufferedReader; a request with a chunked body has another stream, but no socket is taken for one.
    peek = getattr(stream, "peek", None)
    return b"" if peek is None else bytes(peek())


def _gunicorn_read_ahead(body: Any) -> bytes:
    unreader = getattr(getattr(body, "reader", None), "unreader", None)
    return b"" if unreader is None else bytes(unreader.buf.getvalue())
