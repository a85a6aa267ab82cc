"""What ``run()`` needs of a web server."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import socket

    from flask import Flask

__all__ = ["Serving", "WebServer"]


@dataclass
class Serving:
    """What is to be served.

    :param sock: bound and listening.
    :param host: what it was asked to be bound to, ``unix://path`` for a Unix socket.
    :param log_output: write a line for each request.
    :param is_ours: whether a request path is for the socket middleware.
    :param options: the server's own, checked.
    """

    app: Flask
    sock: socket.socket
    host: str
    tls: ssl.SSLContext | None = None
    log_output: bool = False
    is_ours: Callable[[str], bool] = lambda path: False
    options: dict[str, Any] = field(default_factory=dict)


class WebServer(Protocol):
    """A server of this process."""

    #: the library's own object
    native: Any

    def serve(self) -> None:
        """Serve until :meth:`stop`; what interrupts the thread (Ctrl-C, ``SystemExit``) passes through."""
        ...

    def stop(self) -> None:
        """End :meth:`serve`. From any thread; returns at once."""
        ...
