"""What the tests of other extensions share: an app, its clients, and both kinds of handler."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from acceptance import wire
from extension.conftest import Connect, connect, socketio, url
from flask import Flask
from flask.testing import FlaskClient
from integrations.stores import database_url, postgresql, redis_url

__all__ = ["Connect", "connect", "database_url", "postgresql", "redis_url", "socketio", "url"]

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "integrations.md"
#: turns a function into a handler
Style = Callable[[Callable[..., Any]], Callable[..., Any]]


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that is a plain function."""
    return function


def coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same handler as a coroutine function, one that has waited."""

    @functools.wraps(function)
    async def handler(*args: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args)

    return handler


@pytest.fixture(params=[plain, coroutine], ids=["def", "async def"])
def style(request: pytest.FixtureRequest) -> Style:
    """``@socketio.on("event")`` over ``@style``: the test runs with both kinds of handler."""
    chosen: Style = request.param
    return chosen


@pytest.fixture
def app() -> Flask:
    app = Flask("app")
    app.secret_key = "only for tests, and long enough for SHA-256"
    return app


def documented(name: str, **names: Any) -> dict[str, Any]:
    """Run the block of docs/integrations.md that is marked ``<!-- tested: name -->``; what it defines."""
    marked = re.findall(
        rf"<!-- tested: {name} -->\n```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL
    )
    assert len(marked) == 1, f"{len(marked)} blocks of {DOCUMENTATION.name} are marked 'tested: {name}'"
    exec(marked[0], names)
    return names


def cookies_of(http: FlaskClient) -> dict[str, str]:
    """The header that a browser would send with its next request."""
    cookies = {cookie.key: cookie.value for cookie in http._cookies.values()}
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


class RealClient:
    """A client of a real server, over WebSocket.

    :param headers: of the handshake.
    :param auth: what it sends along with the connection.
    :param query: of the handshake, besides Engine.IO's own.
    """

    def __init__(self, url: str, headers: Any = None, auth: Any = None, **query: str) -> None:
        target = wire.target("socket.io", "websocket", **query)
        self.client = wire.SocketIO(wire.WebSocketTransport(wire.WebSocket(url, target, headers)))
        self.client.send(wire.CONNECT, auth)
        packet = self.client.receive()
        #: why it was refused, ``{"message": ...}``
        self.refusal = packet.data if packet.kind == wire.CONNECT_ERROR else None

    def call(self, event: str, *args: Any) -> Any:
        """Emit, and wait for the acknowledgement's value: None where it has none."""
        values = self.client.call(event, *args)
        return values[0] if values else None

    def __enter__(self) -> RealClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()
