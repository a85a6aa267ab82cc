"""The official JavaScript clients: each test here runs a file of ``tests/node``."""

from __future__ import annotations

import pytest
from acceptance import settings
from acceptance.conftest import ServerPool
from node_client import node, run_file
from servers import ServerKind

__all__ = ["node"]

pytestmark = pytest.mark.node
TRANSPORTS = ("polling", "websocket", "upgrade")


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param == "websocket" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


@pytest.mark.parametrize("file", ["client", "reconnect", "load"])
def test_socketio_client(
    node: str, server_pool: ServerPool, kind: ServerKind, transport: str, file: str
) -> None:
    run_file(node, file, server_pool.get(kind, "contract", settings.CLIENTS), TRANSPORT=transport)


@pytest.mark.parametrize("file", ["client", "reconnect", "load"])
def test_socketio_client_with_msgpack(
    node: str, server_pool: ServerPool, kind: ServerKind, transport: str, file: str
) -> None:
    """It passes everything that it passes with JSON."""
    server = server_pool.get(kind, "contract", settings.CLIENTS_MSGPACK)
    run_file(node, file, server, TRANSPORT=transport, SERIALIZER="msgpack")


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
def test_formats(
    node: str, server_pool: ServerPool, kind: ServerKind, transport: str, serializer: str
) -> None:
    server = server_pool.get(kind, "formats", {**settings.CLIENTS, "APP_SERIALIZER": serializer})
    run_file(node, "formats", server, TRANSPORT=transport, SERIALIZER=serializer)


def test_engineio_client(node: str, server_pool: ServerPool, kind: ServerKind, transport: str) -> None:
    server = server_pool.get(kind, "engine_echo", settings.ENGINE_CLIENT)
    run_file(node, "engine", server, TRANSPORT=transport)
