"""gevent's WSGI server, in a process that gevent has patched or not."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import gevent
import gevent.socket
from gevent.pywsgi import WSGIHandler, WSGIServer
from gevent.ssl import SSLSocket

from ..backends.events import make_event
from .gevent_handler import ENVIRON, PromptHandler

if TYPE_CHECKING:
    from .base import Serving

try:
    from geventwebsocket.handler import WebSocketHandler
except ImportError:
    WebSocketHandler = None

__all__ = ["OPTIONS", "GeventServer"]

OPTIONS = frozenset({"spawn", "log", "error_log", "handler_class", "environ", "backlog"})
STOP_TIMEOUT = 1.0  # seconds for requests that are being answered


class _TLS:
    """Wraps sockets as gevent needs it, with any context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: Any, **options: Any) -> Any:
        """See :meth:`ssl.SSLContext.wrap_socket`."""
        return SSLSocket(sock=sock, _context=self._context, **options)


class GeventServer:
    """A :class:`.WebServer`."""

    def __init__(self, serving: Serving) -> None:
        gevent.get_hub()  # so that the event below is one for greenlets
        self._stopping = make_event()
        options: dict[str, Any] = {"log": "default" if serving.log_output else None, **serving.options}
        if "handler_class" not in options:
            options["handler_class"] = _handler_class(serving, quiet=options["log"] is None)
            options["environ"] = {**ENVIRON, **(options.get("environ") or {})}
        if serving.tls is not None:
            options["ssl_context"] = _TLS(serving.tls)
        options.pop("backlog", None)  # it is listening already
        sock = gevent.socket.socket(serving.sock.family, serving.sock.type, fileno=serving.sock.detach())
        self.native: WSGIServer = WSGIServer(sock, serving.app, **options)

    def serve(self) -> None:
        self.native.start()
        try:
            self._stopping.wait()
        finally:
            self.native.stop(STOP_TIMEOUT)

    def stop(self) -> None:
        self._stopping.set()


def _handler_class(serving: Serving, quiet: bool) -> type[Any]:
    """gevent-websocket's handler for views that use it; our own upgrades need none.

    :param quiet: nobody reads a log of the requests.
    """

    log_request: Any = WSGIHandler.log_request

    class Handler(PromptHandler):
        def log_request(self) -> None:
            if not quiet:
                log_request(self)

    if WebSocketHandler is None:
        return Handler

    # Its own log_request() writes to a logger that nobody has set up.
    class BothHandler(Handler, WebSocketHandler):  # type: ignore[misc]
        def run_application(self) -> None:
            environ: Any = self.environ
            if serving.is_ours(environ["PATH_INFO"]):
                WSGIHandler.run_application(self)
            else:
                super().run_application()

    return BothHandler
