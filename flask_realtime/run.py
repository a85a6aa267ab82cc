"""``SocketIO.run()``: serve an app with Werkzeug's server."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import click
from werkzeug._reloader import run_with_reloader
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import BaseWSGIServer, is_running_from_reloader, make_server

from .backends.lifecycle import drain_on_sigterm, drain_then, revive

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["ServerRunner"]

logger = logging.getLogger("flask_realtime")

DEFAULT_PORT = 5000
#: where Werkzeug's reloader tells the child which descriptor to serve
SOCKET_FD = "WERKZEUG_SERVER_FD"
PRODUCTION_HINT = (
    "serving with Werkzeug's development server; for production, run the app under gunicorn"
    " (allow_unsafe_werkzeug=True silences this)"
)


class ServerRunner:
    """Runs the web server for one extension object."""

    def __init__(self) -> None:
        self._server: BaseWSGIServer | None = None

    def run(
        self,
        app: Flask,
        owner: Any,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool | None = None,
        use_reloader: bool | None = None,
        reloader_options: dict[str, Any] | None = None,
        extra_files: list[str] | None = None,
        use_debugger: bool | None = None,
        log_output: bool | None = None,
        allow_unsafe_werkzeug: bool = False,
        ssl_context: Any = None,
        certfile: str | None = None,
        keyfile: str | None = None,
    ) -> None:
        """Serve until Ctrl-C, SIGTERM or :meth:`stop`.

        :param owner: the extension object; it gets the server as ``wsgi_server``.
        :param host: 127.0.0.1 unless given.
        :param port: the one in ``SERVER_NAME``, or 5000, unless given.
        :param debug: interactive debugger, reloader and log (the app's own setting unless given).
        :param use_reloader: restart when a file changes (as ``debug`` unless given).
        :param reloader_options: for :func:`werkzeug.serving.run_with_reloader`.
        :param extra_files: more files to watch.
        :param use_debugger: show the debugger on an error in a view (as ``debug`` unless given).
        :param log_output: log requests (as ``debug`` unless given).
        :param allow_unsafe_werkzeug: don't warn that this is a development server.
        :param ssl_context: as Werkzeug takes it; or give ``certfile`` and ``keyfile``.
        """
        if debug is not None:
            app.debug = debug
        reload = app.debug if use_reloader is None else use_reloader
        if app.debug if use_debugger is None else use_debugger:
            _insert_debugger(app)
        if not (app.debug if log_output is None else log_output):
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
        if ssl_context is None and certfile is not None:
            ssl_context = (certfile, keyfile)
        address = host or "127.0.0.1", _port(app) if port is None else port

        server = _make_server(app, address, ssl_context)
        if not is_running_from_reloader():
            _announce(server, production=not (app.debug or allow_unsafe_werkzeug))
        self._server = owner.wsgi_server = server
        revive()
        drain_on_sigterm()
        try:
            if reload:
                options = {"extra_files": extra_files, **(reloader_options or {})}
                run_with_reloader(server.serve_forever, **options)
            else:
                server.serve_forever()
        finally:
            server.server_close()
            self._server = owner.wsgi_server = None

    def stop(self) -> None:
        """Drain, then end :meth:`run`. Returns at once, so that a handler may call it.

        :raises RuntimeError: nothing runs here.
        """
        server = self._server
        if server is None:
            raise RuntimeError("no server that run() has started: stop the web server in its own way")

        drain_then(server.shutdown)


def _make_server(app: Flask, address: tuple[str, int], ssl_context: Any) -> BaseWSGIServer:
    """The server, listening. The reloader's parent holds its socket while the child restarts."""
    inherited = int(os.environ[SOCKET_FD]) if is_running_from_reloader() else None
    server = make_server(*address, app, threaded=True, ssl_context=ssl_context, fd=inherited)
    server.socket.set_inheritable(True)
    os.environ[SOCKET_FD] = str(server.fileno())
    return server


def _announce(server: BaseWSGIServer, production: bool) -> None:
    """One line that says where and how; Werkzeug's own is lost where requests are not logged."""
    scheme = "http" if server.ssl_context is None else "https"
    click.echo(f" * Serving on {scheme}://{server.host}:{server.port} (Werkzeug, threads)", err=True)
    if production:
        logger.warning(PRODUCTION_HINT)


def _port(app: Flask) -> int:
    server_name = app.config.get("SERVER_NAME") or ""
    _, colon, port = server_name.rpartition(":")
    return int(port) if colon and port.isdigit() else DEFAULT_PORT


def _insert_debugger(app: Flask) -> None:
    """Under our middleware: an error in a view shows the debugger; websockets don't pass it."""
    state = app.extensions.get("realtime") or app.extensions.get("engineio")
    if state is not None and not isinstance(state.middleware.wsgi_app, DebuggedApplication):
        state.middleware.wsgi_app = DebuggedApplication(state.middleware.wsgi_app, evalex=True)
