"""Collects the facts about an app: its endpoints, versions, the server and the port."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backends.patching import patched_by
from ..mounting import AppState, state_of
from ..run import default_port
from ..servers.choice import Choice, choose_server
from ..servers.listening import UNIX, listen
from .files import clients, configured_workers, gunicorn_command
from .patches import captured, native_drivers, patched_parts
from .situation import Endpoint, Situation

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["FRAMEWORK", "PACKAGES", "SERVERS", "examine"]

FRAMEWORK = ("Flask-Realtime", "Flask", "Werkzeug")
SERVERS = tuple(
    "gunicorn gevent gevent-websocket eventlet uvicorn hypercorn granian daphne waitress a2wsgi uwsgi".split()
)
PACKAGES = (*FRAMEWORK, *SERVERS, "python-socketio")


def examine(
    app: Flask, host: str | None = None, port: int | None = None, before: frozenset[str] = frozenset()
) -> Situation:
    """Collect the facts about an app.

    :param host: where it would be served, as :meth:`.SocketIO.run` takes it.
    :param before: modules that the ``flask`` command had imported before it imported the app. What they
        hold of the standard library is not the app's doing.
    """
    endpoints = tuple(_endpoints(app))
    server, refusal = _choose(app, endpoints)
    host = host or "127.0.0.1"
    port = default_port(app) if port is None else port
    parts = dict(patched_parts())
    return Situation(
        app=app,
        endpoints=endpoints,
        versions=_versions(),
        server=server,
        refusal=refusal,
        host=host,
        port=port,
        taken=_try_to_listen(host, port),
        patched=patched_by(),
        parts=parts,
        captured=tuple(captured(before)) if parts else (),
        native_drivers=tuple(native_drivers()) if parts else (),
        modules=frozenset(sys.modules),
        users_of_flask_socketio=tuple(_users_of("flask_socketio")),
        environ=dict(os.environ),
        layers=tuple(_layers(app)),
        clients=tuple(clients(app)),
        gunicorn_workers=configured_workers(Path.cwd() / "gunicorn.conf.py"),
        gunicorn_command=gunicorn_command(Path.cwd() / "Procfile"),
        platform=sys.platform,
    )


def _endpoints(app: Flask) -> Iterator[Endpoint]:
    for kind, state in (("SocketIO", state_of(app)), ("EngineIO", app.extensions.get("engineio"))):
        if isinstance(state, AppState):
            yield Endpoint(kind, state.config)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _choose(app: Flask, endpoints: tuple[Endpoint, ...]) -> tuple[Choice | None, str]:
    if not endpoints:
        return None, "the app has no SocketIO"
    try:
        return choose_server(endpoints[0].config.async_mode, app.debug, {}), ""
    except (ValueError, RuntimeError, TypeError, ImportError) as error:
        return None, str(error)


def _try_to_listen(host: str, port: int) -> str:
    if host.startswith(UNIX):
        return ""  # to try it would remove a stale socket, and nothing is to be changed
    try:
        listen(host, port).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _users_of(package: str) -> Iterator[str]:
    """Modules that have the package, or something made in it, among their names."""
    if package not in sys.modules:
        return
    for name, module in sorted(sys.modules.items()):
        if type(module) is not types.ModuleType or name.partition(".")[0] == package:
            continue
        if any(_home(value).partition(".")[0] == package for value in list(vars(module).values())):
            yield name


def _home(value: Any) -> str:
    """The module that something comes from: itself, or where its definition or its class is.

    Values are not asked, only their types: a proxy such as ``flask.request`` would raise an error.
    """
    kind = type(value)
    if kind is types.ModuleType:
        return str(value.__name__)
    return str((value if kind is types.FunctionType or issubclass(kind, type) else kind).__module__)


def _layers(app: Flask) -> Iterator[Any]:
    """``app.wsgi_app`` and what it wraps, as far as middleware calls that by one of the usual names."""
    layer: Any = app.wsgi_app
    for _ in range(50):
        if isinstance(layer, types.MethodType):
            return
        yield layer
        inner = vars(layer) if hasattr(layer, "__dict__") else {}
        layer = next((inner[name] for name in ("wsgi_app", "app", "application") if name in inner), None)
        if layer is None:
            return
