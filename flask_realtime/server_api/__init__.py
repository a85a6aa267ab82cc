"""``socketio.server``: what apps reach for behind the extension object.

::

    SocketIOServer      server    emit, call, rooms and sessions of any client, by its sid
    ├── Clients         manager   who is connected, and who is in which room
    └── Connections     eio       the connections below: one of a client may carry several namespaces

It has python-socketio's names and argument orders, so that apps written for
Flask-SocketIO find what they know. Nothing inside this package uses it.
"""

from __future__ import annotations

from .clients import Clients
from .connections import Connection, Connections
from .server import SocketIOServer

__all__ = ["Clients", "Connection", "Connections", "SocketIOServer"]
