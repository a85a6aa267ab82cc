"""Runs the cells of a plan against its servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .cells import Cell, Plan, Settings
from .errors import BenchmarkError
from .load.programs import Echo
from .machine import machine, versions
from .progress import Progress, progress
from .results import Entrant, Results
from .servers import ROOT, Running, Server, pin, processors, started

__all__ = ["load", "new_results", "run"]

WARM_UP = Echo(clients=20, depth=10)
WARM = 1.0  # seconds: Node compiles while it runs
PATIENCE = 600.0  # seconds that a program may take
START = 3.0  # seconds that a server takes, about


def new_results(plan: Plan) -> Results:
    servers = [Entrant(server.key, server.family, server.name) for server in plan.servers]
    compiled = any(server.package is not None for server in plan.servers)
    return Results(machine(), versions(compiled), plan.repeats, plan.seconds, servers)


def run(plan: Plan, results: Results) -> None:
    """Measure everything, and add it to the results as it comes.

    The servers are interleaved inside each repeat, so that a slow minute of the machine falls on all. Where a
    server makes a mistake, or does not start, the cell has failed, and is not tried again.
    """
    turns = [(repeat, server) for repeat in range(plan.repeats) for server in plan.servers]
    total = sum(_duration(cells) for turn in turns for cells in _groups(plan, *turn))
    with progress(total) as shown:
        for repeat, server in turns:
            for cells in _groups(plan, repeat, server):
                Turn(plan, server, results, shown).run(cells)


def _groups(plan: Plan, repeat: int, server: Server) -> Iterator[list[Cell]]:
    """The cells of a server in a repeat; those of a group share a process."""
    cells = [cell for cell in plan.cells if cell.takes_part(server) and repeat < plan.repeats_of(cell)]
    if shared := [cell for cell in cells if not cell.fresh]:
        yield shared
    yield from ([cell] for cell in cells if cell.fresh)


def _duration(cells: Sequence[Cell]) -> float:
    return START + sum(cell.seconds for cell in cells)


class Turn:
    """One server in one repeat."""

    def __init__(self, plan: Plan, server: Server, results: Results, shown: Progress) -> None:
        self._plan = plan
        self._server = server
        self._results = results
        self._shown = shown

    def run(self, cells: list[Cell]) -> None:
        """All of them in one process; after a mistake, those that are left in another."""
        left = [cell for cell in cells if not self._results.failed(self._server.key, cell.key)]
        for cell in cells:
            if cell not in left:
                self._shown.end(cell.seconds)
        try:
            while left:
                left = self._run_until_mistake(left)
        except BenchmarkError as error:
            for cell in left:
                self._results.fail(self._server.key, cell.key, str(error))
                self._shown.end(cell.seconds)
        self._shown.end(START)

    def _warm_up(self, running: Running) -> None:
        # A mistake here is made again, and found, in the cells.
        load(self._server, running, WARM_UP, WARM)

    def _run_until_mistake(self, cells: list[Cell]) -> list[Cell]:
        """Those that are left.

        :raises BenchmarkError: the server did not start.
        """
        with started(self._server, cells[0].environ) as running:
            if not cells[0].fresh:
                self._warm_up(running)
            for number, cell in enumerate(cells):
                self._shown.begin(str(self._server), cell.key)
                well = self._measure(cell, running)
                self._shown.end(cell.seconds)
                if not well:
                    return cells[number + 1 :]
        return []

    def _measure(self, cell: Cell, running: Running) -> bool:
        report = load(self._server, running, cell.program, self._plan.seconds)
        if isinstance(report, str):
            self._results.fail(self._server.key, cell.key, report)
            return False
        for figure in report["figures"]:
            self._results.add(
                self._server.key,
                cell.key,
                figure["metric"],
                figure["clients"],
                figure["value"],
                report["others"],
                limited=figure["limited"],
            )
        return True


def load(server: Server, running: Running, program: Settings, seconds: float) -> dict[str, Any] | str:
    """The report of one program of the load generator, or what went wrong."""
    settings = json.dumps(asdict(program))
    command = [sys.executable, "-m", "benchmarks.load", type(program).__name__, settings]
    options = [f"--port={running.port}", f"--pid={running.pid}", f"--seconds={seconds}"]
    if not server.ordered:
        options.append("--unordered")
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as generator:
        pin(generator.pid, processors()[1])
        try:
            output, errors = generator.communicate(timeout=PATIENCE)
        except BaseException as error:
            generator.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                return f"the load did not end in {PATIENCE:g} s"
            raise
    if generator.returncode:
        return errors.strip().rpartition("\n")[2].removeprefix("benchmarks.load: ") or "the load has failed"
    report: dict[str, Any] = json.loads(output)
    return report


def check_machine() -> None:
    """:raises BenchmarkError: it can't be measured on."""
    if sys.platform != "linux":
        raise BenchmarkError("the benchmarks read /proc and use epoll, and so run on Linux only")
