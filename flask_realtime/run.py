"""``SocketIO.run()``: serve an app with the web server that suits its process."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from werkzeug._reloader import run_with_reloader
from werkzeug.debug import DebuggedApplication
from werkzeug.serving import is_running_from_reloader

from .backends.lifecycle import drain_then, revive, stopping_on_signals
from .backends.patching import patched_by
from .backends.sockets import adopt
from .mounting import state_of
from .servers.base import Serving, WebServer
from .servers.choice import Choice, choose_server
from .servers.listening import TLS_ARGUMENTS, address_of, listen, tls_context

if TYPE_CHECKING:
    import socket

    from flask import Flask

__all__ = ["ServerRunner", "default_port"]

logger: logging.Logger = logging.getLogger("flask_realtime")

DEFAULT_PORT = 5000
#: where a reloader tells its child which descriptor to serve
SOCKET_FD = "WERKZEUG_SERVER_FD"
PRODUCTION_HINT = (
    "serving with Werkzeug's development server; for production, `pip install gunicorn`,"
    " and run() will use it (allow_unsafe_werkzeug=True silences this)"
)


class ServerRunner:
    """Runs the web server for one extension object."""

    def __init__(self) -> None:
        self._server: WebServer | None = None

    def run(
        self,
        app: Flask,
        owner: Any,
        host: str | None = None,
        port: int | str | None = None,
        *,
        sock: socket.socket | None = None,
        debug: bool | None = None,
        use_reloader: bool | None = None,
        reloader_options: dict[str, Any] | None = None,
        extra_files: list[str] | None = None,
        use_debugger: bool | None = None,
        log_output: bool | None = None,
        allow_unsafe_werkzeug: bool = False,
        **options: Any,
    ) -> None:
        """Serve until Ctrl-C, SIGTERM or :meth:`stop`.

        :param owner: the extension object; it gets the server as ``wsgi_server``.
        :param host: 127.0.0.1 unless given; ``unix:///path`` for a Unix socket.
        :param port: the one in ``SERVER_NAME``, or 5000, unless given. Text will do.
        :param sock: a listening socket, instead of ``host`` and ``port``. It is ours from then on.
        :param debug: interactive debugger, reloader and log (the app's own setting unless given).
        :param use_reloader: restart when a file changes (as ``debug`` unless given).
        :param reloader_options: for :func:`werkzeug.serving.run_with_reloader`.
        :param extra_files: more files to watch.
        :param use_debugger: show the debugger on an error in a view (as ``debug`` unless given).
        :param log_output: log requests (as ``debug`` unless given).
        :param allow_unsafe_werkzeug: don't warn that Werkzeug's is a development server.
        :param options: for TLS, ``certfile``, ``keyfile``, ``keyfile_password``, ``ca_certs``, ``cert_reqs``,
            ``ciphers``, ``ssl_version`` or ``ssl_context``; all others are the web server's own.
        :raises TypeError: an option that the web server does not have.
        :raises SystemExit: the address can't be had; the message names it.
        """
        if debug is not None:
            app.debug = debug
        reload = app.debug if use_reloader is None else use_reloader
        debugger = app.debug if use_debugger is None else use_debugger
        tls = tls_context(**{name: options.pop(name) for name in TLS_ARGUMENTS & options.keys()})
        state = state_of(app) or app.extensions["engineio"]
        choice = choose_server(state.config.async_mode, app.debug or reload or debugger, options)
        if debugger:
            _insert_debugger(app)
        host = host or "127.0.0.1"
        if sock is None:
            sock = _inherited() or _listen(host, default_port(app) if port is None else int(port))
        serving = Serving(
            app,
            sock,
            host,
            tls,
            log_output=app.debug if log_output is None else log_output,
            is_ours=state.middleware.is_ours,
            options=options,
        )
        if not is_running_from_reloader():
            _announce(choice, serving, state.config.transports, quiet=app.debug or allow_unsafe_werkzeug)
        owner.async_mode = choice.async_mode
        revive()
        serve = partial(self._serve, owner, choice, serving)
        if reload:
            _serve_reloading(serve, sock, {"extra_files": extra_files, **(reloader_options or {})})
        else:
            serve()

    def _serve(self, owner: Any, choice: Choice, serving: Serving) -> None:
        self._server = server = choice.make(serving)
        owner.wsgi_server = server.native
        try:
            with stopping_on_signals(server.stop) as received:
                server.serve()
        finally:
            self._server = owner.wsgi_server = None
        if signal.SIGTERM in received:
            sys.exit(0)  # as the signal asks; after Ctrl-C, the script goes on

    def stop(self) -> None:
        """Drain, then end :meth:`run`. Returns at once, so that a handler may call it.

        :raises RuntimeError: nothing runs here.
        """
        server = self._server
        if server is None:
            raise RuntimeError("no server that run() has started: stop the web server in its own way")

        drain_then(server.stop)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        sys.exit(error.strerror)  # a traceback would hide what it says


def _serve_reloading(serve: Callable[[], None], sock: socket.socket, options: dict[str, Any]) -> None:
    """Serve in a child of this process that is restarted when a file changes."""
    # The parent holds the socket meanwhile.
    sock.set_inheritable(True)
    os.environ[SOCKET_FD] = str(sock.fileno())
    if patched_by() is not None:
        options.setdefault("reloader_type", "stat")  # the other waits in threads that would be greenlets
    run_with_reloader(serve, **options)


def _inherited() -> socket.socket | None:
    """In a reloader's child, the socket that its parent listens on."""
    return adopt(int(os.environ[SOCKET_FD])) if is_running_from_reloader() else None


def _announce(choice: Choice, serving: Serving, transports: tuple[str, ...], quiet: bool) -> None:
    """One line: where, by which server, why. A server's own line is lost where requests are not logged."""
    address = address_of(serving.sock, serving.tls is not None)
    how = f"{choice.title}: {choice.why}; {' and '.join(transports)}"
    click.echo(f" * Serving on {address} ({how})", err=True)
    if choice.name == "werkzeug" and not quiet:
        logger.warning(PRODUCTION_HINT)


def default_port(app: Flask) -> int:
    """The port that :meth:`ServerRunner.run` takes where none is given."""
    server_name = app.config.get("SERVER_NAME") or ""
    _, colon, port = server_name.rpartition(":")
    return int(port) if colon and port.isdigit() else DEFAULT_PORT


def _insert_debugger(app: Flask) -> None:
    """Under our middleware: an error in a view shows the debugger; websockets don't pass it."""
    state = state_of(app) or app.extensions["engineio"]
    if not isinstance(state.middleware.wsgi_app, DebuggedApplication):
        state.middleware.wsgi_app = DebuggedApplication(state.middleware.wsgi_app, evalex=True)
