"""A server for tests with real clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler

from ..backends.patching import patched_by
from ..mounting import state_of
from ..server.drain import drain
from ..servers.base import Serving
from ..servers.choice import Choice
from ..servers.listening import address_of, listen
from ..servers.werkzeug import WerkzeugServer

if TYPE_CHECKING:
    import socket

    from flask import Flask

    from ..server.ports import Joinable
    from ..servers.base import WebServer

__all__ = ["LiveServer"]

HOST = "127.0.0.1"
STOP_TIMEOUT = 10.0  # seconds
POLL_INTERVAL = 0.01  # seconds


class LiveServer:
    """Serves an app on a free port of 127.0.0.1, in a thread of this process, until it is stopped.

    It is Werkzeug's server; in a process that gevent or eventlet has patched, theirs. It can be used as a
    context manager::

        with LiveServer(app) as server:
            client.connect(server.url)

    :param app: the app, with a SocketIO or an EngineIO.
    :raises RuntimeError: it has neither.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._states = [s for s in (state_of(app), app.extensions.get("engineio")) if s is not None]
        if not self._states:
            raise RuntimeError("the app has no SocketIO: call init_app(app) first")
        self._sock: socket.socket | None = None
        self._server: WebServer | None = None
        self._task: Joinable | None = None
        #: where it listens, as ``http://127.0.0.1:49152``; empty before it is started
        self.url = ""
        #: its port; 0 before it is started
        self.port = 0

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return HOST

    def start(self) -> None:
        """Serve. When this returns, clients can connect.

        :raises RuntimeError: it serves already.
        """
        if self._server is not None:
            raise RuntimeError(f"it serves already, on {self.url}")
        self._sock = sock = listen(HOST, 0)  # it listens from here on: who connects early, waits
        self.url = address_of(sock, tls=False)
        self.port = sock.getsockname()[1]
        serving = Serving(self.app, sock, HOST, is_ours=self._is_ours)
        library = patched_by()
        self._server = server = (
            _werkzeug(serving) if library is None else Choice(library, "for tests").make(serving)
        )
        self._task = self._states[0].server.engine.backend.spawn(server.serve)

    def _is_ours(self, path: str) -> bool:
        return any(state.middleware.is_ours(path) for state in self._states)

    def stop(self) -> None:
        """Send real clients away, wait for their handlers (``drain_timeout`` at most), and stop.

        It may be started again. One that does not run may be stopped too.
        """
        server, task, sock = self._server, self._task, self._sock
        if server is None or task is None or sock is None:
            return
        engines = [state.server.engine for state in self._states]
        drain(engines, serving=True)
        server.stop()
        task.join(STOP_TIMEOUT)
        sock.close()
        self._server = self._task = self._sock = None
        for engine in engines:
            engine.draining = False  # the app may be served again

    def __enter__(self) -> LiveServer:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """A test's own log is what matters."""


def _werkzeug(serving: Serving) -> WebServer:
    # It would silence the logger of the whole process, unless it may log.
    serving.log_output = True
    serving.options["request_handler"] = _Handler
    server = WerkzeugServer(serving)
    server.poll_interval = POLL_INTERVAL
    return server
