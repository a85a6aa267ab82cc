"""Whole servers under load: our extension, and Flask-SocketIO beside it where it is installed."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "FULL",
    "OUR_SERVERS",
    "QUICK",
    "BenchmarkError",
    "Figures",
    "Plan",
    "Server",
    "available_servers",
    "missing_modules",
    "report",
    "run",
]

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 15.0  # seconds
PORTS = range(20_000, 32_000)  # below those that Linux gives to clients
OURS = "flask_realtime"
PEER = "flask_socketio"
TITLES = {OURS: "Flask-Realtime", PEER: "Flask-SocketIO"}


class BenchmarkError(Exception):
    """A server did not start, or answered wrongly."""


# What is measured


@dataclass(frozen=True)
class Plan:
    """How much is done."""

    #: seconds of load for each figure
    seconds: float
    #: clients of the echo and ack cells
    clients: int
    #: clients that a broadcast goes to
    listeners: int
    #: clients whose memory is measured
    idle: int

    def cells(self) -> list[Cell]:
        return [
            Cell("echo, depth 1", "µs/message", ("echo", "--depth=1"), self.clients),
            Cell("echo, depth 10", "µs/message", ("echo", "--depth=10"), self.clients),
            Cell("ack, depth 10", "µs/message", ("ack", "--depth=10"), self.clients),
            Cell(f"broadcast to {self.listeners}", "µs/delivery", ("broadcast",), self.listeners),
            Cell("idle client", "KiB/client", ("idle",), self.idle, fresh=True),
        ]


FULL = Plan(seconds=2.0, clients=20, listeners=100, idle=1_000)
QUICK = Plan(seconds=0.5, clients=20, listeners=100, idle=200)


@dataclass(frozen=True)
class Cell:
    """One figure of a server."""

    name: str
    unit: str
    #: of the load generator
    arguments: tuple[str, ...]
    clients: int
    #: it needs a server that has done nothing yet
    fresh: bool = False


# The servers


@dataclass(frozen=True)
class Server:
    """One way to serve the app.

    :param extension: the module that the app is built on.
    :param command: for a port: the arguments that follow ``python``.
    """

    extension: str
    name: str
    command: Callable[[int], list[str]]
    python: str = sys.executable

    def __str__(self) -> str:
        return f"{TITLES[self.extension]}, {self.name}"


def werkzeug(port: int) -> list[str]:
    return ["-m", "benchmarks.app", str(port)]


def gunicorn(*options: str) -> Callable[[int], list[str]]:
    own = ["-m", "gunicorn", "--config=python:benchmarks.gunicorn_settings", *options]
    return lambda port: [*own, f"--bind=127.0.0.1:{port}"]


OUR_SERVERS = (
    Server(OURS, "Werkzeug", werkzeug),
    Server(OURS, "gunicorn sync", gunicorn("--worker-class=sync")),
    Server(OURS, "gunicorn gthread", gunicorn("--worker-class=gthread", "--threads=4")),
)


def peer_servers(python: str, clients: int) -> tuple[Server, ...]:
    """Flask-SocketIO's. Without gunicorn's sync worker, which can hold one WebSocket only.

    :param python: the interpreter that it is installed in.
    :param clients: how many there will be: each needs a thread.
    """
    threads = (f"--threads={clients + 100}", f"--worker-connections={2 * clients + 100}")
    return (
        Server(PEER, "Werkzeug", werkzeug, python),
        Server(PEER, "gunicorn gthread", gunicorn("--worker-class=gthread", *threads), python),
    )


def available_servers(peer_python: str, clients: int) -> list[Server]:
    """Those whose packages are installed; what is left out is said."""
    servers: list[Server] = []
    for server in (*OUR_SERVERS, *peer_servers(peer_python, clients)):
        missing = missing_modules(server)
        if missing:
            _say(f"left out: {server}: {server.python} has no {' and no '.join(missing)}")
        else:
            servers.append(server)
    return servers


def missing_modules(server: Server) -> list[str]:
    """What the server's interpreter would need."""
    needed = [] if server.command is werkzeug else ["gunicorn"]
    if server.extension == PEER:
        needed += [PEER, "simple_websocket"]
    return [module for module in needed if not _can_import(server.python, module)]


@functools.cache
def _can_import(python: str, module: str) -> bool:
    command = [python, "-c", f"import {module}"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def started(server: Server) -> Iterator[tuple[int, int]]:
    """The server's port and process id, while it runs."""
    port = _free_port()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "BENCHMARK_EXTENSION": server.extension}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [server.python, *server.command(port)],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            if not _answers(process, port):
                log.seek(0)
                raise BenchmarkError(
                    f"{server} did not start:\n{log.read().decode(errors='replace')[-4000:]}"
                )
            yield port, process.pid
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


# Measuring


@dataclass
class Figures:
    """What was measured in one cell of one server, a value for each repeat."""

    server: Server
    cell: Cell
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """The distance of the extremes, as a fraction of the median."""
        if self.median == 0:  # a run shorter than a tick of the clock that counts CPU time
            return 0.0
        return (max(self.values) - min(self.values)) / self.median

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "extension": self.server.extension,
            "server": self.server.name,
            "cell": self.cell.name,
            "unit": self.cell.unit,
            "median": self.median,
            "spread": self.spread,
            "values": self.values,
        }


def run(servers: Sequence[Server], plan: Plan, repeats: int) -> list[Figures]:
    """Measure every cell of every server.

    The servers are interleaved inside each repeat, so that a slow minute of the machine falls on all.

    :raises BenchmarkError: not on Linux; or a server did not start, or answered wrongly.
    """
    if sys.platform != "linux":
        raise BenchmarkError("the server benchmarks read /proc and so run on Linux only")
    figures = {(server, cell): Figures(server, cell) for server in servers for cell in plan.cells()}
    for repeat in range(repeats):
        for server in servers:
            _say(f"repeat {repeat + 1} of {repeats}: {server}")
            for cell, value in _measure(server, plan):
                figures[server, cell].values.append(value)
    return list(figures.values())


def _measure(server: Server, plan: Plan) -> Iterator[tuple[Cell, float]]:
    cells = plan.cells()
    with started(server) as (port, pid):
        for cell in cells:
            if not cell.fresh:
                yield cell, _load(server, cell, port, pid, plan.seconds)
    for cell in cells:
        if cell.fresh:
            with started(server) as (port, pid):
                yield cell, _load(server, cell, port, pid, plan.seconds)


def _load(server: Server, cell: Cell, port: int, pid: int, seconds: float) -> float:
    command = [sys.executable, "-m", "benchmarks.load", *cell.arguments, f"--port={port}", f"--pid={pid}"]
    options = [f"--clients={cell.clients}", f"--seconds={seconds}"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{server}: {cell.name}: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["figure"])


# The report


def report(figures: Sequence[Figures]) -> str:
    """A table: a line for each server, a column for each cell; the spread after the median."""
    cells = list(dict.fromkeys(f.cell for f in figures))
    servers = list(dict.fromkeys(f.server for f in figures))
    shown = {(f.server, f.cell): f"{_rounded(f.median)} {f.spread:>4.0%}" for f in figures}
    rows = [["", *(cell.name for cell in cells)], ["median, spread", *(cell.unit for cell in cells)]]
    rows += [[str(server), *(shown[server, cell] for cell in cells)] for server in servers]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )


def _rounded(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
