"""Runs the files of ``tests/node``: the official JavaScript clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import RunningServer

FOLDER = Path(__file__).resolve().parent / "node"
NODE_TIMEOUT = 110


@pytest.fixture
def node(require: Callable[[str, object], None]) -> str:
    require("node", node := shutil.which("node"))
    require("tests/node/node_modules (npm ci)", (FOLDER / "node_modules").is_dir())
    assert node
    return node


def run_file(
    node: str, file: str, server: RunningServer, but: tuple[str, ...] = (), **environment: str
) -> None:
    """Run ``<file>.test.mjs``; fail with name and explanation of each of its tests that has failed.

    :param but: names of tests to leave out.
    """
    left_out = {"LEAVE_OUT": json.dumps(but)}
    output, errors = _run(node, f"{file}.test.mjs", _environment(server) | left_out | environment)
    results = list(_results(output))
    failures = [f"FAILED: {result['name']}\n{result['error']}" for result in results if not result["passed"]]
    if failures or errors:
        pytest.fail(_shortened("\n\n".join([*failures, errors])), pytrace=False)
    assert len(results) == _test_count(file) - len(but), "every test has been run"


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
