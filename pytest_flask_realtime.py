"""The pytest plugin of Flask-Realtime: ``socketio_client`` and ``socketio_server``.

pytest imports this in every run of every project that has Flask-Realtime
installed. So it imports nothing: neither Flask nor ``flask_realtime`` (whose
own coverage would suffer too) before a test asks for a fixture. That is also
why it is not a module of the package, which would be imported with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from flask import Flask

    from flask_realtime.testing import ClientFactory, LiveServer

__all__ = ["socketio_client", "socketio_server"]


@pytest.fixture
def socketio_client(app: Flask) -> Iterator[ClientFactory]:
    """Makes connected test clients of your ``app``: ``client = socketio_client("/chat", auth=...)``.

    They are disconnected when the test ends.
    """
    from flask_realtime.testing import ClientFactory

    with ClientFactory(app) as factory:
        yield factory


@pytest.fixture
def socketio_server(app: Flask) -> Iterator[LiveServer]:
    """Your ``app`` on a real port, for real clients: ``socketio_server.url``, ``.port``."""
    from flask_realtime.testing import LiveServer

    with LiveServer(app) as server:
        yield server
