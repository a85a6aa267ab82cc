"""An app with an extension object, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from extension.live import serve
from flask import Flask

from flask_realtime import SocketIO, SocketIOTestClient

Connect = Callable[..., SocketIOTestClient]


@pytest.fixture
def app() -> Flask:
    app = Flask("app")
    app.secret_key = "only for tests"
    return app


@pytest.fixture
def socketio(app: Flask) -> SocketIO:
    return SocketIO(app)


@pytest.fixture
def connect(app: Flask, socketio: SocketIO) -> Connect:
    """``connect("/chat", auth=...)``: a new test client."""

    def connect(namespace: str | None = None, **options: object) -> SocketIOTestClient:
        return socketio.test_client(app, namespace=namespace, **options)  # type: ignore[arg-type]

    return connect


@pytest.fixture
def url(app: Flask, socketio: SocketIO) -> Iterator[str]:
    """Where the app is served by a real server."""
    with serve(app) as url:
        yield url
