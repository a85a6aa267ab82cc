"""The servers that are measured: a table, and how one of them is started and stopped."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BenchmarkError
from .procfs import process_tree

__all__ = ["SERVERS", "Running", "Server", "missing", "pin", "processors", "started"]

ROOT = Path(__file__).resolve().parent.parent
NODE = Path(__file__).resolve().parent / "node"
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 15.0  # seconds
PORTS = range(20_000, 32_000)  # below those that Linux gives to clients

OURS, FLASK_SOCKETIO, PYTHON_SOCKETIO, NODE_SOCKETIO = (
    "Flask-Realtime",
    "Flask-SocketIO",
    "python-socketio",
    "Node socket.io",
)
Command = Callable[[int], list[str]]


@dataclass(frozen=True)
class Server:
    """One way to serve the app.

    :param key: names it on the command line and in the results.
    :param family: whose Socket.IO it is.
    :param command: for a port.
    :param needs: modules that have to be installed.
    :param ordered: whether it promises to answer a client's events in their order.
    :param most: how many clients it can have at most, where that is known to be few.
    :param package: the folder that holds the package it serves with; None is the source.
    """

    key: str
    family: str
    name: str
    command: Command
    environ: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    ordered: bool = True
    most: int | None = None
    package: Path | None = None

    def __str__(self) -> str:
        return f"{self.family}, {self.name}"


# The commands


def python(*arguments: str) -> Command:
    return lambda port: [sys.executable, *arguments, str(port)]


def gunicorn(*options: str) -> Command:
    own = ["-m", "gunicorn", "--config=python:benchmarks.apps.gunicorn_settings", *options]
    return lambda port: [sys.executable, *own, f"--bind=127.0.0.1:{port}"]


def uvicorn(*arguments: str) -> Command:
    own = ["-m", "uvicorn", "--log-level=error", "--no-access-log", "--host=127.0.0.1", *arguments]
    return lambda port: [sys.executable, *own, f"--port={port}"]


def node(port: int) -> list[str]:
    return ["node", str(NODE / "server.js"), str(port)]


# The table

FLASK_APP = "benchmarks.apps.flask_app"
OUR_ASGI = uvicorn("--factory", f"{FLASK_APP}:asgi_app")
PEER = ("BENCHMARK_EXTENSION", "flask_socketio")
GEVENT = ("BENCHMARK_MODE", "gevent")
ASGI = ("BENCHMARK_MODE", "asgi")
COROUTINES = ("BENCHMARK_HANDLERS", "async")

SERVERS = (
    Server("threads", OURS, "Werkzeug", python("-m", FLASK_APP)),
    Server("gevent", OURS, "gevent", python("-m", "benchmarks.apps.patched"), (GEVENT,), ("gevent",)),
    Server(
        "gthread",
        OURS,
        "gunicorn gthread",
        gunicorn("--worker-class=gthread", "--threads=4"),
        needs=("gunicorn",),
    ),
    Server(
        "gunicorn-gevent",
        OURS,
        "gunicorn gevent",
        gunicorn("--worker-class=gevent"),
        (GEVENT,),
        ("gevent", "gunicorn"),
    ),
    Server("uvicorn", OURS, "uvicorn", OUR_ASGI, (ASGI,), ("uvicorn", "a2wsgi", "websockets")),
    Server(
        "uvicorn-async",
        OURS,
        "uvicorn, async def",
        OUR_ASGI,
        (ASGI, COROUTINES),
        ("uvicorn", "a2wsgi", "websockets"),
    ),
    # It starts a thread, or greenlet, for each event, and has some for each client.
    Server(
        "flask-socketio-threads",
        FLASK_SOCKETIO,
        "Werkzeug",
        python("-m", FLASK_APP),
        (PEER,),
        ("flask_socketio", "simple_websocket"),
        ordered=False,
        most=1_000,
    ),
    Server(
        "flask-socketio-gevent",
        FLASK_SOCKETIO,
        "gevent",
        python("-m", "benchmarks.apps.patched"),
        (PEER, GEVENT),
        ("flask_socketio", "gevent", "geventwebsocket"),
        ordered=False,
    ),
    Server(
        "python-socketio",
        PYTHON_SOCKETIO,
        "uvicorn",
        uvicorn("benchmarks.apps.python_socketio:app"),
        needs=("socketio", "uvicorn", "websockets"),
        ordered=False,
    ),
    Server("node", NODE_SOCKETIO, "ws", node, needs=("node",)),
)


def missing(server: Server) -> list[str]:
    """What would have to be installed for it."""
    return [name for name in server.needs if not _available(name)]


@functools.cache
def _available(name: str) -> bool:
    if name == "node":
        return shutil.which("node") is not None and (NODE / "node_modules" / "socket.io").is_dir()
    command = [sys.executable, "-c", f"import {name}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


# Running one


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    pid: int


@contextlib.contextmanager
def started(server: Server, environ: Sequence[tuple[str, str]] = ()) -> Iterator[Running]:
    """Start it, and stop it in the end.

    :param environ: more variables.
    :raises BenchmarkError: it does not start.
    """
    port = _free_port()
    path = [str(folder) for folder in (server.package, ROOT) if folder is not None]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            server.command(port),
            cwd=path[0],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **dict(server.environ), **dict(environ)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            pin(process.pid, processors()[0])
            if not _answers(process, port):
                log.seek(0)
                last = log.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise BenchmarkError(f"it did not start: {last}")
            yield Running(port, process.pid)
        finally:
            _stop(process)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # it was started as the leader of its group
        process.wait()


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise BenchmarkError("no free port")


# Processors


@functools.cache
def processors() -> tuple[set[int], set[int]]:
    """For the server and for the generator: one each, where there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


def pin(pid: int, where: set[int]) -> None:
    """Keep a process, and those that it starts from now on, on these processors."""
    with contextlib.suppress(ProcessLookupError):  # it has ended already, which is noticed elsewhere
        for process in process_tree(pid):
            os.sched_setaffinity(process, where)
