"""The Engine.IO layer by itself, for apps that want messages without Socket.IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .config import ServerConfig
from .exceptions import UnsupportedOptionError
from .mounting import mount
from .run import ServerRunner
from .server.raw import RawHandlers, RawServer
from .server.signatures import check_handler

if TYPE_CHECKING:
    from flask import Flask
    from typing_extensions import Unpack

    from .options import EngineIOOptions, EngineOptions
    from .server.asgi_types import ASGIApp

__all__ = ["EngineIO"]

H = TypeVar("H", bound=Callable[..., Any])


class EngineIO:
    """Gives a Flask app an Engine.IO endpoint: ``str`` and ``bytes`` messages, opaque, in order.

    :param app: the app; or call :meth:`init_app` later.
    :param path: where clients find it.
    :param options: see :class:`.EngineOptions`.
    :raises TypeError: an option that nobody knows.
    """

    def __init__(
        self, app: Flask | None = None, path: str = "engine.io", **options: Unpack[EngineOptions]
    ) -> None:
        self._options: dict[str, Any] = {"path": path, **options}
        self._handlers = RawHandlers()
        self._runner = ServerRunner()
        self._server: RawServer | None = None
        #: the web server, while :meth:`run` runs
        self.wsgi_server: Any = None
        #: how the app is served, as the option takes it
        self.async_mode: str = options.get("async_mode") or "threading"
        _check(ServerConfig.from_options(self._options))
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, **options: Unpack[EngineIOOptions]) -> None:
        """Give an app the endpoint."""
        config = ServerConfig.from_options({**self._options, **options})
        _check(config)
        state = mount(
            app, config, lambda backend: RawServer(config, backend, self._handlers, config.make_logger())
        )
        app.extensions["engineio"] = state
        self._server = state.server

    def on_connect(self, handler: H) -> H:
        """Register ``f(session)``, called when a client has connected (see :class:`.RawSession`)."""
        check_handler(handler)
        self._handlers.on_connect = handler
        return handler

    def on_message(self, handler: H) -> H:
        """Register ``f(session, data)``, called for each message; ``data`` is ``str`` or ``bytes``."""
        check_handler(handler)
        self._handlers.on_message = handler
        return handler

    def on_disconnect(self, handler: H) -> H:
        """Register ``f(session, reason)`` or ``f(session)``, called when a client has gone."""
        check_handler(handler)
        self._handlers.on_disconnect = handler
        return handler

    def stats(self) -> dict[str, int]:
        """As :meth:`.SocketIO.stats`.

        :raises RuntimeError: before :meth:`init_app`.
        """
        if self._server is None:
            raise RuntimeError("call EngineIO.init_app(app) first")
        return self._server.stats()

    def run(self, app: Flask, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Serve the app, as :meth:`.SocketIO.run`."""
        self._runner.run(app, self, host, port, **options)

    def asgi_app(self, app: Flask, *, workers: int = 32) -> ASGIApp:
        """The app for an ASGI server, as :meth:`.SocketIO.asgi_app`."""
        from .asgi import make_asgi_app

        state = app.extensions.get("engineio")
        if state is None:
            raise RuntimeError("call EngineIO.init_app(app) first")
        return make_asgi_app(app, state, workers)

    def stop(self) -> None:
        """Stop it, as :meth:`.SocketIO.stop`."""
        self._runner.stop()


def _check(config: ServerConfig) -> None:
    if config.has_queue:
        raise UnsupportedOptionError(
            "message_queue and client_manager are for SocketIO; the engine alone has no broadcasts"
        )
