"""Werkzeug's development server, with a thread for each connection."""

from __future__ import annotations

import logging

from werkzeug.serving import make_server

from .base import Serving

__all__ = ["OPTIONS", "WerkzeugServer"]

OPTIONS = frozenset({"request_handler", "passthrough_errors", "threaded", "processes"})


class WerkzeugServer:
    """A :class:`.WebServer`."""

    #: how often it looks whether it is to stop
    poll_interval = 0.5  # seconds

    def __init__(self, serving: Serving) -> None:
        options = dict(serving.options)
        if options.pop("processes", 1) != 1 or not options.pop("threaded", True):
            raise ValueError("Werkzeug serves in threads here: threaded=True, processes=1")
        if not serving.log_output:
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
        name = serving.sock.getsockname()
        host, port = (serving.host, 0) if isinstance(name, (str, bytes)) else name[:2]
        self.native = make_server(
            host,
            port,
            serving.app,
            threaded=True,
            ssl_context=serving.tls,
            fd=serving.sock.fileno(),
            **options,
        )

    def serve(self) -> None:
        try:
            self.native.serve_forever(self.poll_interval)
        finally:
            self.native.server_close()

    def stop(self) -> None:
        self.native.shutdown()
