"""What a load has taken: time, and CPU of the server, of the generator and of everybody else."""

from __future__ import annotations

import time

from ..procfs import busy_seconds, cpu_seconds, runnable
from .loop import Loop

__all__ = ["Usage", "Window", "rest"]

LOOK = 0.05  # seconds
AT_REST = 0.02  # CPUs
REST_PATIENCE = 8.0  # seconds


class Usage:
    """What a window has seen."""

    def __init__(self, seconds: float, server: float, generator: float, machine: float) -> None:
        self.seconds = seconds
        self.server = server
        self.generator = generator
        #: CPUs that neither has used: of other processes, and of the hypervisor.
        self.others = max(0.0, machine - server - generator) / seconds

    @property
    def generator_limits(self) -> bool:
        """The generator was busy all the time, and the server was not: messages per second are its figure."""
        return self.generator > 0.9 * self.seconds and self.server < 0.9 * self.seconds


class Window:
    """Begins when it is made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._look()

    def _look(self) -> tuple[float, float, float, float]:
        return time.perf_counter(), cpu_seconds(self._pid), time.process_time(), busy_seconds()

    def close(self) -> Usage:
        now = self._look()
        return Usage(*(after - before for after, before in zip(now, self._before, strict=True)))


def rest(loop: Loop, pid: int) -> None:
    """Wait until the server has nothing more to do; clients answer pings meanwhile."""
    end = time.perf_counter() + REST_PATIENCE
    quiet = 0
    before = cpu_seconds(pid)
    while quiet < 2 and time.perf_counter() < end:
        loop.run_for(LOOK)
        now = cpu_seconds(pid)
        idle = now - before < AT_REST * LOOK and not runnable(pid)
        quiet = quiet + 1 if idle else 0
        before = now
