"""The facts about an app, as the checks get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import ServerConfig
from ..servers.choice import Choice

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["ClientCopy", "Endpoint", "Situation"]


@dataclass(frozen=True)
class Endpoint:
    """One server of the app: a ``SocketIO`` or an ``EngineIO``."""

    kind: str
    config: ServerConfig


@dataclass(frozen=True)
class ClientCopy:
    """A place where the app's files name a JavaScript client."""

    where: str
    #: ``socket.io-client`` or ``engine.io-client``
    package: str
    #: as it is written there; empty where none is
    version: str
    #: the path it is loaded from, where that is no other server's
    url: str = ""


@dataclass(frozen=True)
class Situation:
    """The facts."""

    app: Flask
    endpoints: tuple[Endpoint, ...]
    #: of the packages in :data:`PACKAGES` that are installed
    versions: Mapping[str, str]
    #: what ``run()`` would start; None where it would refuse, and then why
    server: Choice | None
    refusal: str
    host: str
    port: int
    #: why the address can't be had
    taken: str
    #: as :func:`.patched_by`
    patched: str | None
    #: for each library that has patched something, which parts
    parts: Mapping[str, frozenset[str]]
    #: originals that modules of the app hold in spite of it, as ``"module: name"``
    captured: tuple[str, ...]
    #: drivers in C that patching does not reach
    native_drivers: tuple[str, ...]
    #: what is imported
    modules: frozenset[str]
    #: modules that hold something of Flask-SocketIO's
    users_of_flask_socketio: tuple[str, ...]
    environ: Mapping[str, str]
    #: the app's WSGI layers, from the outside in
    layers: tuple[Any, ...]
    clients: tuple[ClientCopy, ...]
    #: ``workers`` in ``gunicorn.conf.py``, as it is written there
    gunicorn_workers: str
    #: how the ``Procfile`` starts gunicorn
    gunicorn_command: str
    platform: str
