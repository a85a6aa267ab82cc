"""Flask-Realtime: Socket.IO for Flask apps, on any web server.

::

    from flask import Flask
    from flask_realtime import SocketIO, emit

    app = Flask(__name__)
    socketio = SocketIO(app)

    @socketio.on("hello")
    def hello(name):
        emit("greeting", f"Hello, {name}")

The layers, from the app down (imports go this way only)::

    extension, functions, namespace, context    what an app sees; Flask lives here
    options, globals                            the same for type checkers
    server_api                                  ``socketio.server``, for apps that reach behind it
    registry, hooks, groups, guards             handlers, and what runs around them
    run, servers, asgi                          the web servers that an app is served with
    cli, doctor, migration                      ``flask realtime``
    test_client, testing                        for the tests of apps
    gateways                                    HTTP, CORS, WSGI, ASGI: requests to the engine
    backends                                    loops, threads, greenlets, sockets: where waiting happens
    server                                      sessions, sockets, queues, acks: state without input or output
    adapters                                    who is in which room, and the way to other processes
    protocol                                    RFC 6455, Engine.IO v4, Socket.IO v5: bytes in, events out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .engineio import EngineIO
from .exceptions import ConnectionRefusedError, EventRefusedError
from .extension import SocketIO
from .functions import call, call_async, close_room, disconnect, emit, join_room, leave_room, rooms, send
from .globals import EventRequest, request
from .groups import EventGroup
from .guards import guard, login_required, role_required
from .namespace import Namespace
from .test_client import SocketIOTestClient

__all__ = [
    "ConnectionRefusedError",
    "EngineIO",
    "EventGroup",
    "EventRefusedError",
    "EventRequest",
    "Namespace",
    "SocketIO",
    "SocketIOTestClient",
    "call",
    "call_async",
    "close_room",
    "disconnect",
    "emit",
    "guard",
    "join_room",
    "leave_room",
    "login_required",
    "request",
    "role_required",
    "rooms",
    "send",
]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    if name == "__version__":
        # Reading it costs more than the whole import; hardly anybody asks.
        from importlib.metadata import version

        return version("Flask-Realtime")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
