"""The official JavaScript clients (``tests/node``) on every row."""

from __future__ import annotations

import pytest
from acceptance import settings
from matrix.conftest import ServerPool
from node_client import node, run_file
from servers import RunningServer, ServerKind

__all__ = ["node"]

pytestmark = [pytest.mark.node, pytest.mark.kinds(tls=False)]
#: What mostly waits; the other suites of the matrix have tests for it that wait less.
SLOW = (
    "a slow handler holds back nobody else",
    "an idle client stays connected through the heartbeat",
    "timeout().emit gives an error where nobody acks",
)


def test_socketio_client(node: str, server: RunningServer, transport: str) -> None:
    run_file(node, "client", server, SLOW, TRANSPORT=transport)


def test_engineio_client(node: str, server_pool: ServerPool, kind: ServerKind, transport: str) -> None:
    server = server_pool.get(kind, "engine_echo", settings.ENGINE_CLIENT)
    run_file(node, "engine", server, TRANSPORT=transport)
