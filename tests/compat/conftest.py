"""Apps as people write them for Flask-SocketIO, with another import: as processes, with real clients."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import servers
from acceptance import wire
from extension.conftest import app, socketio
from python_client import Client

__all__ = ["app", "socketio"]  # fixtures

APPS = Path(__file__).parent / "apps"
MODES = ("threading", "gevent", "eventlet")


class App:
    """A process that serves an app."""

    def __init__(self, command: list[str], folder: Path, env: dict[str, str]) -> None:
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log"
        command = [argument.format(port=self.port) for argument in command]
        with self._log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={
                    **os.environ,
                    "PORT": str(self.port),
                    "PYTHONPATH": os.pathsep.join([str(APPS), str(servers.PACKAGE_PATH)]),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONWARNINGS": "ignore",  # eventlet's, about itself
                    **env,
                },
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str = "/") -> str:
        with urllib.request.urlopen(self.url + path, timeout=wire.TIMEOUT) as response:
            text: str = response.read().decode()
        return text

    def wait_ready(self) -> None:
        def ready() -> bool:
            assert self.popen.poll() is None, self.log
            try:
                self.get()
            except OSError:
                return False
            return True

        wire.wait_until(ready, timeout=20, what="the app answers")

    def stop(self) -> None:
        """It leads its own group: the reloader's child and what a handler has forked belong to it."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGTERM)
            try:
                self.popen.wait(wire.TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
                raise AssertionError(f"it did not end by itself\n{self.log}") from None


Start = Callable[..., App]
Connect = Callable[..., Client]


@pytest.fixture
def start(tmp_path: Path, require: Callable[[str, object], None]) -> Iterator[Start]:
    """``start("monitor.py", mode="gevent")``: an app that answers."""
    started: list[App] = []

    def start(*command: str, mode: str = "threading", **env: str) -> App:
        if mode != "threading":
            require(mode, importlib.util.find_spec(mode))
        script, *arguments = command
        path = str(APPS / script) if script.endswith(".py") else script
        folder = tmp_path / f"app-{len(started)}"
        folder.mkdir()
        started.append(App([path, *arguments], folder, {"ASYNC_MODE": mode, **env}))
        started[-1].wait_ready()
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """``connect(url, "/chat", transport="polling")``: a client of python-socketio, connected."""
    clients: list[Client] = []

    def connect(
        url: str, namespace: str = "/", transport: str = "upgrade", auth: object = None, **options: object
    ) -> Client:
        client = Client(transport)
        clients.append(client)
        client.connect(url, [namespace], auth, **options)
        return client

    yield connect
    for client in clients:
        client.close()


def wait_for(client: Client, event: str) -> tuple[object, ...]:
    """The arguments of the next event of this name; others are dropped."""
    while True:
        _, name, *args = client.next_event()
        if name == event:
            return tuple(args)
