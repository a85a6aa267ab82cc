"""Taking a connection over from the WSGI server, so that its worker is free again.

The descriptor is duplicated for us, and a dead end (a socket whose peer is
closed) is put in the place of the server's. The server then sees an ordinary
end of file: whatever it writes, shuts down or closes afterwards touches the
dead end, not the client. It needs no patching and never learns of it.

Where a socket can't be taken (TLS inside the process: the keys are in the
server's object; no ``dup2`` for sockets on Windows), it may still be *borrowed*
by the thread or greenlet that serves the request, for as long as the connection lives.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from ..server.ports import Access
from ..types import Environ
from . import uwsgi_server
from .sockets import adopt, dead_end, has_left, is_tls

__all__ = [
    "PROMPT",
    "Taken",
    "access",
    "borrow",
    "client_has_left",
    "hasten",
    "is_green",
    "is_upgraded",
    "leave",
    "leave_behind",
    "take_over",
]


#: in the environ of a server that writes each response at once
PROMPT = "flask_realtime.prompt"


class Taken(NamedTuple):
    """A client's socket, ours now, and what the server had already read behind the request."""

    sock: socket.socket
    early: bytes


class _Found(NamedTuple):
    sock: Any
    read_ahead: Callable[[], bytes]
    #: the request has a greenlet of its own, whatever ``wsgi.multithread`` says
    green: bool = False
    #: what to put in its place
    dead_end: Callable[[], _socket.socket | IO[bytes]] = dead_end


def access(environ: Environ) -> Access:
    """How the connection of this request can be had."""
    found = _find(environ)
    if found is None:
        return Access.NONE
    if is_tls(found.sock) or os.name == "nt":
        # The only thread of a server must not be parked: nobody else would be served.
        return Access.BORROW if found.green or environ.get("wsgi.multithread") else Access.NONE
    return Access.TAKE


def is_green(environ: Environ) -> bool:
    """Whether the server is known to have a greenlet for each request, from the request alone."""
    found = _find(environ)
    return found is not None and found.green


def is_upgraded(environ: Environ) -> bool:
    """Whether the server has answered the websocket handshake itself (gevent-websocket does)."""
    return environ.get("wsgi.websocket") is not None


def take_over(environ: Environ) -> Taken:
    """Take the connection from the server (:attr:`Access.TAKE`).

    :raises OSError: the process is out of descriptors; the connection is still the server's.
    """
    found = _find(environ)
    assert found is not None
    with contextlib.closing(found.dead_end()) as end:  # first: a process may be out of descriptors
        ours = adopt(os.dup(found.sock.fileno()))
        os.dup2(end.fileno(), found.sock.fileno(), inheritable=False)
    # Only now: with nothing buffered this reads the dead end, and can't block.
    return Taken(ours, found.read_ahead())


def client_has_left(environ: Environ) -> bool:
    """Whether nobody is there to read an answer (:attr:`Access.TAKE`)."""
    found = _find(environ)
    assert found is not None
    return has_left(found.sock.fileno())


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
    with contextlib.closing(dead_end()) as end:
        os.dup2(end.fileno(), sock.fileno(), inheritable=False)


def hasten(environ: Environ) -> None:
    """Have the server write the response to this request at once, in whatever pieces."""
    if PROMPT in environ:
        return
    if "eventlet.input" in environ:
        # It would ask for the end of the body before it has written it.
        environ["eventlet.minimum_write_chunk_size"] = 0  # type: ignore[index]
        return
    found = _find_pywsgi(environ)
    if found is not None:
        # It writes the headers apart, and the client's delayed acknowledgement would hold the body back.
        with contextlib.suppress(OSError):
            found.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def leave(environ: Environ) -> None:
    """Tell a server that wants to know it that there is no response to write."""
    websocket = environ.get("wsgi.websocket")
    if websocket is not None:
        websocket.stream = None  # gevent-websocket: it is closed
    if "eventlet.input" in environ:
        from eventlet import wsgi

        wsgi.WSGI_LOCAL.already_handled = True


def _find(environ: Environ) -> _Found | None:
    sock = environ.get("werkzeug.socket")
    if sock is not None:
        return _Found(sock, lambda: _peek(environ["wsgi.input"]))
    sock = environ.get("gunicorn.socket")
    # On HTTP/2 the socket carries other requests too.
    if sock is not None and environ.get("HTTP_VERSION") != "2":
        return _Found(sock, lambda: _gunicorn_read_ahead(environ["wsgi.input"]))
    stream = environ.get("eventlet.input")
    if stream is not None:
        return _Found(stream.get_socket(), lambda: _peek(stream.rfile), green=True)
    descriptor = uwsgi_server.descriptor(environ)
    if descriptor is not None:
        # What it may have read behind the request, it gives to nobody. (A client that is told to wait
        # for the handshake's answer, as RFC 6455 does in 4.1, sends nothing so early.)
        return _Found(descriptor, bytes, dead_end=uwsgi_server.dead_end)
    return _find_pywsgi(environ)


def _find_pywsgi(environ: Environ) -> _Found | None:
    """gevent's server: the body is a stream of its own, or where an upgrade is asked for, the connection."""
    stream = environ.get("wsgi.input")
    if type(stream).__module__ == "gevent.pywsgi":
        stream = stream.rfile  # type: ignore[union-attr]
    sock = getattr(getattr(stream, "raw", None), "_sock", None)
    if not type(sock).__module__.startswith("gevent."):
        return None
    return _Found(sock, lambda: _peek(stream), green=True)


def _peek(stream: Any) -> bytes:
    # A BufferedReader; a request with a chunked body has another stream, but no socket is taken for one.
    peek = getattr(stream, "peek", None)
    return b"" if peek is None else bytes(peek())


def _gunicorn_read_ahead(body: Any) -> bytes:
    unreader = getattr(getattr(body, "reader", None), "unreader", None)
    return b"" if unreader is None else bytes(unreader.buf.getvalue())
