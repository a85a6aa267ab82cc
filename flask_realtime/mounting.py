"""How a server gets under a Flask app: shared by :class:`.SocketIO` and :class:`.EngineIO`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from werkzeug.middleware.proxy_fix import ProxyFix

from .backends import uwsgi_server
from .backends.choice import choose_backend
from .backends.lifecycle import drain_on_sigterm, watch
from .context import slim_environ
from .gateways.wsgi import SocketMiddleware

if TYPE_CHECKING:
    from flask import Flask

    from .config import ServerConfig
    from .registry import AppHandlers
    from .server.ports import Backend

__all__ = ["AppState", "insert_middleware", "mount", "state_of"]

KEY = "realtime"


@dataclass
class AppState:
    """What an app holds of us, in ``app.extensions['realtime']``."""

    config: ServerConfig
    server: Any
    middleware: SocketMiddleware
    #: what is registered for this app, where it has Socket.IO
    handlers: AppHandlers | None = None


def state_of(app: Flask) -> AppState | None:
    """The state of an app."""
    state: AppState | None = app.extensions.get(KEY)
    return state


def insert_middleware(app: Flask, make: Callable[[Any], SocketMiddleware]) -> SocketMiddleware:
    """Wrap ``app.wsgi_app``; what is told by trusted proxies stays in front of us."""
    outer: Any = app
    attribute = "wsgi_app"
    while isinstance(getattr(outer, attribute), ProxyFix):
        outer, attribute = getattr(outer, attribute), "app"
    middleware = make(getattr(outer, attribute))
    setattr(outer, attribute, middleware)
    return middleware


def mount(app: Flask, config: ServerConfig, make_server: Callable[[Backend], Any]) -> AppState:
    """Make a server, put it under the app, and have it drained at the end."""
    uwsgi_server.check_options()
    choose = partial(choose_backend, config.handler_threads)
    server = make_server(choose())
    middleware = insert_middleware(
        app,
        lambda wsgi_app: SocketMiddleware(
            server.engine, wsgi_app, config.path, partial(slim_environ, app), choose
        ),
    )
    watch(server.engine)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        drain_on_sigterm()
    return AppState(config, server, middleware)
