"""eventlet's WSGI server, in a process that eventlet has patched or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import eventlet
import eventlet.hubs
import eventlet.wsgi
from eventlet.green.ssl import GreenSSLSocket
from eventlet.greenio import GreenSocket

from ..backends.events import make_event

if TYPE_CHECKING:
    from .base import Serving

__all__ = ["OPTIONS", "EventletServer"]

OPTIONS = frozenset(
    {
        "log",
        "environ",
        "max_size",
        "max_http_version",
        "protocol",
        "minimum_chunk_size",
        "log_x_forwarded_for",
        "custom_pool",
        "keepalive",
        "log_format",
        "url_length_limit",
        "debug",
        "socket_timeout",
        "capitalize_response_headers",
    }
)


class EventletServer:
    """A :class:`.WebServer`."""

    def __init__(self, serving: Serving) -> None:
        eventlet.hubs.get_hub()  # so that the event below is one for greenlets
        self._stopping = make_event()
        self._app = serving.app
        # Its log says "accepted" for every connection where `debug` is on.
        self._options = {"log_output": serving.log_output, "debug": False, **serving.options}
        if not serving.log_output:
            self._options.setdefault("log", eventlet.wsgi.LoggerNull())
        make: Any = GreenSocket  # its annotations leave out that it takes a socket
        self.native: Any = make(serving.sock)
        if serving.tls is not None:
            # The handshake comes with the first read: accepting must not wait for one client.
            self.native = GreenSSLSocket(
                self.native, server_side=True, do_handshake_on_connect=False, _context=serving.tls
            )

    def serve(self) -> None:
        server = eventlet.spawn(eventlet.wsgi.server, self.native, self._app, **self._options)
        try:
            self._stopping.wait()
        finally:
            server.kill()

    def stop(self) -> None:
        self._stopping.set()
