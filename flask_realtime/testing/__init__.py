"""For the tests of apps: test clients that are closed by themselves, and a server for real clients.

pytest has both as fixtures: ``socketio_client`` and ``socketio_server``.
"""

from __future__ import annotations

from .clients import ClientFactory
from .live_server import LiveServer

__all__ = ["ClientFactory", "LiveServer"]
