"""What the example's tests share: the application, its test clients, and the application as a process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask

from example_app import create_app
from example_app.extensions import socketio
from flask_realtime import SocketIOTestClient

ROOT = Path(__file__).resolve().parents[2]
STARTING_TAKES = 20.0  # seconds, at most
ENDING_TAKES = 20.0


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Skip for want of something; fail instead where everything has to be there (``REQUIRE_ALL=1``)."""

    def stop(what: str) -> NoReturn:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"missing: {what}")
        pytest.skip(f"missing: {what}")

    return stop


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """The application with an empty database and small limits."""
    settings = {"DATABASE": tmp_path / "chat.sqlite3", "MAX_ROOMS": 5, "MAX_TEXT": 50, "MAX_FILE": 1000}
    return create_app({**settings, "HISTORY_LIMIT": 8, "HISTORY_PAGE": 5, "TESTING": True})


class Visitor:
    """A test client with a name. What it receives stays here, so that it can be looked at more than once."""

    def __init__(self, client: SocketIOTestClient) -> None:
        self.client = client
        self._received: list[dict[str, Any]] = []

    def ask(self, event: str, **payload: object) -> Any:
        """Send an event and give its ack."""
        return self.client.emit(event, payload, callback=True)

    def got(self, event: str) -> list[Any]:
        """The payloads of all received events of this name."""
        self._received += self.client.get_received()
        return [item["args"][0] for item in self._received if item["name"] == event]


@pytest.fixture
def enter(app: Flask) -> Iterator[Callable[..., Visitor]]:
    """Come in by a name, and straight into some rooms."""
    visitors: list[Visitor] = []

    def come_in(name: str, *rooms: str, token: str | None = None) -> Visitor:
        auth = {"name": name} if token is None else {"name": name, "token": token}
        visitor = Visitor(socketio.test_client(app, auth=auth))
        assert visitor.client.is_connected()
        visitors.append(visitor)
        for room in rooms:
            assert visitor.ask("join", room=room)["ok"]
        return visitor

    yield come_in
    for visitor in visitors:
        if visitor.client.is_connected():
            visitor.client.disconnect()


@dataclass
class Server:
    """The example as a user starts it: a process, on a port that stays the same when it is started again."""

    command: list[str]
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment(**self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + STARTING_TAKES
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{' '.join(self.command)} does not answer:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process and wait until it has ended.

        It first gives its clients time to go. Some of them are only gone, without a word: a second signal
        tells it not to wait for those.
        """
        process, self.process = self.process, None
        if process is None:
            return
        for patience in (1, ENDING_TAKES):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                return
        process.kill()
        process.wait()
        pytest.fail(f"the server did not end in {ENDING_TAKES} seconds:\n{self.log.read_text()[-3000:]}")

    def get(self, path: str, body: bytes | None = None) -> str:
        """The body at this path; with a body of one's own, it is posted."""
        with urllib.request.urlopen(self.url + path, body, timeout=5) as response:
            return str(response.read().decode())

    def _answers(self) -> bool:
        try:
            return bool(self.get(""))
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that is to find the example."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **more}


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Server]]:
    """Start a server; ``{port}`` and ``{database}`` in the command's words are filled in."""
    servers: list[Server] = []

    def start(*command: str, **more: str) -> Server:
        values = {"port": free_port, "database": tmp_path / "chat.sqlite3"}
        words = [word.format(**values) for word in command]
        filled = {name: value.format(**values) for name, value in more.items()}
        server = Server([sys.executable, "-m", *words], free_port, tmp_path / "server.log", filled)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def run_example() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m example_app`` to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "example_app", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=30, check=False
        )

    return run
