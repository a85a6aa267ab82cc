"""The official JavaScript clients: each test here runs a file of ``tests/node``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance import settings
from acceptance.conftest import ServerPool
from servers import RunningServer, ServerKind

pytestmark = pytest.mark.node

FOLDER = Path(__file__).resolve().parent.parent / "node"
NODE_TIMEOUT = 110
TRANSPORTS = ("polling", "websocket", "upgrade")


@pytest.fixture
def node(require: Callable[[str, object], None]) -> str:
    require("node", node := shutil.which("node"))
    require("tests/node/node_modules (npm ci)", (FOLDER / "node_modules").is_dir())
    assert node
    return node


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


def test_socketio_client_with_msgpack(
    node: str, server_pool: ServerPool, kind: ServerKind, transport: str
) -> None:
    server = server_pool.get(kind, "contract", settings.CLIENTS_MSGPACK)
    run_file(node, "client", server, TRANSPORT=transport, SERIALIZER="msgpack")


def test_engineio_client(node: str, server_pool: ServerPool, kind: ServerKind, transport: str) -> None:
    run_file(node, "engine", server_pool.get(kind, "engine_echo", settings.OFFICIAL), TRANSPORT=transport)


def run_file(node: str, file: str, server: RunningServer, **environment: str) -> None:
    """Run ``<file>.test.mjs``; fail with name and explanation of each of its tests that has failed."""
    output, errors = _run(node, f"{file}.test.mjs", _environment(server) | environment)
    results = list(_results(output))
    failures = [f"FAILED: {result['name']}\n{result['error']}" for result in results if not result["passed"]]
    if failures or errors:
        pytest.fail(_shortened("\n\n".join([*failures, errors])), pytrace=False)
    assert len(results) == _test_count(file), "every test has been run"


def _environment(server: RunningServer) -> dict[str, str]:
    return {
        **os.environ,
        "SERVER_URL": server.url,
        "NODE_TLS_REJECT_UNAUTHORIZED": "0" if server.kind.tls else "1",
        "NODE_NO_WARNINGS": "1",
        "WEBSOCKET": "1" if server.kind.websocket else "0",
    }


def _run(node: str, file: str, environment: dict[str, str]) -> tuple[str, str]:
    """What it wrote to stdout and to stderr."""
    command = [node, "--test-reporter=./reporter.mjs", "--test-reporter-destination=stdout", file]
    try:
        run = subprocess.run(
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=NODE_TIMEOUT
        )
    except subprocess.TimeoutExpired as expired:
        return _text(expired.stdout), f"not done within {NODE_TIMEOUT} s\n{_text(expired.stderr)}"
    return run.stdout, run.stderr


def _text(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _results(output: str) -> Iterator[dict[str, Any]]:
    """One for each test, see ``reporter.mjs``; a whole file that fails counts as one more."""
    for line in output.splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            if "name" in result:
                yield result


def _test_count(file: str) -> int:
    return (FOLDER / f"{file}.test.mjs").read_text(encoding="utf-8").count("\ntest(")


def _shortened(text: str) -> str:
    """The differences of large values are as large as these."""
    lines = [line if len(line) < 300 else line[:300] + " ..." for line in text.splitlines()]
    return "\n".join(lines[:200])
