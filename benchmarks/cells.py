"""The cells: what is measured, and which servers take part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .load.programs import Connects, Echo, Groups, Growth, Memory, Polling, Slow
from .servers import SERVERS, Server

__all__ = ["CELLS", "QUICK", "SIZES", "Cell", "Plan", "plan", "within"]

Settings = Connects | Echo | Groups | Growth | Memory | Polling | Slow
KIB = 1024
HEADROOM = 500  # files that a process has open besides its clients

#: for the cells that take long: ours in its main forms, and all peers
MAIN = (
    "threads",
    "gevent",
    "uvicorn-async",
    "flask-socketio-threads",
    "flask-socketio-gevent",
    "python-socketio",
    "node",
)
#: for the messages in several sizes, and for quick runs: the same without one that is only slower
SIZES = tuple(key for key in MAIN if key != "flask-socketio-threads")
#: all but one, which gets lost in some thousand threads: it takes most of a minute, and closes connections
ROOMS = tuple(server.key for server in SERVERS if server.key != "flask-socketio-threads")


@dataclass(frozen=True)
class Cell:
    """One program with its settings.

    :param servers: keys of those that take part; None is all.
    :param clients: how many there are at a time, at most.
    :param fresh: it needs a server that has done nothing yet.
    :param environ: more variables for such a server.
    :param repeats: at most, where it takes long.
    :param seconds: about how long it takes, for the progress bar.
    """

    key: str
    program: Settings
    clients: int
    servers: tuple[str, ...] | None = None
    fresh: bool = False
    environ: tuple[tuple[str, str], ...] = ()
    repeats: int | None = None
    seconds: float = 2.0

    def takes_part(self, server: Server) -> bool:
        able = server.most is None or self.clients <= server.most
        return able and (self.servers is None or server.key in self.servers)


def _ping(seconds: float) -> tuple[tuple[str, str], ...]:
    return (("BENCHMARK_PING_INTERVAL", str(seconds)),)


def _cells() -> list[Cell]:
    rooms = Groups(groups=100, members=10)
    memory = Cell("memory-1000", Memory((1_000,)), 1_000, fresh=True, repeats=2, seconds=5)
    slow = Slow()
    return [
        Cell("echo-1", Echo(depth=1), 50),
        Cell("echo-10", Echo(depth=10), 50),
        Cell("ack-1", Echo("ack", depth=1), 50),
        Cell("ack-10", Echo("ack", depth=10), 50),
        Cell("json-1k", Echo(depth=10, clients=10, size=KIB), 10, SIZES),
        Cell("json-64k", Echo(depth=2, clients=10, size=64 * KIB), 10, SIZES),
        Cell("binary-64", Echo(depth=10, clients=10, binary=True), 10, SIZES),
        Cell("binary-1k", Echo(depth=10, clients=10, size=KIB, binary=True), 10, SIZES),
        Cell("binary-64k", Echo(depth=2, clients=10, size=64 * KIB, binary=True), 10, SIZES),
        Cell("broadcast-100", Groups(members=100), 100),
        Cell("broadcast-1000", Groups(members=1_000), 1_000, seconds=4),
        Cell("rooms", rooms, 1_000, ROOMS, seconds=4),
        Cell("polling", Polling(), 20),
        Cell("connects", Connects(), 200, seconds=4),
        memory,
        replace(
            memory,
            key="memory-10000",
            program=Memory((1_000, 3_000, 10_000)),
            clients=10_000,
            servers=MAIN,
            repeats=1,
            seconds=15,
        ),
        Cell(
            "growth",
            Growth(),
            10_200,
            ("threads", "gevent", "uvicorn-async", "flask-socketio-gevent", "python-socketio", "node"),
            fresh=True,
            environ=_ping(300),  # heartbeats would be counted, too
            repeats=2,
            seconds=35,
        ),
        Cell(
            "slow",
            slow,
            30,
            (*MAIN, "gthread", "uvicorn"),
            fresh=True,
            environ=_ping(slow.ping_interval),
            repeats=2,
            seconds=14,
        ),
    ]


CELLS = {cell.key: cell for cell in _cells()}
#: those that are done quickly
QUICK = tuple(key for key in CELLS if key != "memory-10000")


@dataclass(frozen=True)
class Plan:
    """What is done in a run.

    :param seconds: how long a load is measured.
    """

    cells: Sequence[Cell]
    servers: Sequence[Server]
    repeats: int
    seconds: float

    def repeats_of(self, cell: Cell) -> int:
        return min(self.repeats, cell.repeats or self.repeats)


def plan(servers: Sequence[Server], keys: Sequence[str], repeats: int, *, quick: bool) -> Plan:
    """:param quick: less of everything: rough figures, soon."""
    cells = [_quick(CELLS[key]) if quick else CELLS[key] for key in keys]
    return Plan(cells, servers, repeats, 0.3 if quick else 0.8)


def _quick(cell: Cell) -> Cell:
    program: Settings = cell.program
    if isinstance(program, Connects):
        program = replace(program, rounds=2)
    elif isinstance(program, Growth):
        program = replace(program, levels=(100, 300, 1_000), sample=50)
    elif isinstance(program, Slow):
        program = replace(program, lasting=0.5)
    return replace(cell, program=program, repeats=1, seconds=cell.seconds / 3)


def within(cell: Cell, files: int) -> Cell | None:
    """What of the cell can be done by processes that may open so many files; None is nothing."""
    most = files - HEADROOM
    if cell.clients <= most:
        return cell
    program = cell.program
    if not isinstance(program, Growth | Memory):
        return None
    besides = program.sample if isinstance(program, Growth) else 0
    levels = tuple(level for level in program.levels if level + besides <= most)
    return replace(cell, program=replace(program, levels=levels), clients=most) if levels else None
