"""Small things about sockets that hold whoever has made them: the standard library, gevent or eventlet."""

from __future__ import annotations

import _socket
import functools
import os
import select
import socket
from typing import Any

from .patching import original

__all__ = ["adopt", "dead_end", "has_bytes", "has_left", "is_tls"]


def is_tls(sock: Any) -> bool:
    """Whether it speaks TLS; gevent's class for that is not one of :mod:`ssl`."""
    return hasattr(sock, "pending")


def adopt(fd: int) -> socket.socket:
    """A socket of a descriptor that is ours now; one that never switches greenlets."""
    sock: socket.socket = original("socket", "socket")(fileno=fd)
    return sock


# What is under the standard library's: nobody patches it, and it costs a third.
_socketpair = getattr(_socket, "socketpair", socket.socketpair)


def dead_end() -> _socket.socket:
    """A socket whose peer is closed."""
    ours, theirs = _socketpair()
    theirs.close()
    sock: _socket.socket = ours
    return sock


def has_bytes(sock: Any) -> bool:
    """Whether the peer has sent something that was not read; of TLS, also what is still encrypted."""
    if is_tls(sock):
        if sock.pending():
            return True
        with adopt(os.dup(sock.fileno())) as plain:
            return bool(plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    return bool(sock.recv(1, socket.MSG_PEEK))


def has_left(fd: int) -> bool:
    """Whether the peer of a TCP socket has closed its side, or the connection is broken."""
    make_poll, closed = _poll_for_the_end()
    if make_poll is not None:  # Linux: what was sent before need not have been read
        poll = make_poll()
        poll.register(fd, closed)
        return bool(poll.poll(0))
    with adopt(os.dup(fd)) as sock:
        try:
            return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


@functools.cache
def _poll_for_the_end() -> tuple[Any, int]:
    event = getattr(select, "POLLRDHUP", None)
    return (None, 0) if event is None else (original("select", "poll"), event)
