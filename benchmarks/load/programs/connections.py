"""Clients that come, stay and go."""

from __future__ import annotations

from dataclasses import dataclass

from ...procfs import rss_bytes
from .. import streams
from ..loop import Connection, Loop
from ..metering import Window, rest
from ..target import Report, Target
from ..traffic import QUIET, Group, Load
from ..websocket import PATIENCE, open_clients

__all__ = ["Connects", "Memory", "close_all", "reach_everybody"]

WARM_UP = 20  # clients


@dataclass(frozen=True)
class Connects:
    """Clients connect, some at a time, and go, all at once; in several rounds, of which the last counts."""

    clients: int = 200
    rounds: int = 4
    at_once: int = 20

    def run(self, loop: Loop, target: Target) -> Report:
        report = Report()
        for _ in range(self.rounds - 1):
            close_all(open_clients(loop, target.port, self.clients, self.at_once))
            rest(loop, target.pid)
        window = Window(target.pid)
        connections = open_clients(loop, target.port, self.clients, self.at_once)
        report.add_cost(window.close(), self.clients)
        rest(loop, target.pid)
        window = Window(target.pid)
        close_all(connections)
        rest(loop, target.pid)
        report.add("disconnect", window.close().server * 1e6 / self.clients)
        return report


@dataclass(frozen=True)
class Memory:
    """Clients that only answer pings.

    :param levels: with how many clients memory is looked at; growing.
    """

    levels: tuple[int, ...] = (1_000, 10_000)

    def run(self, loop: Loop, target: Target) -> Report:
        report = Report()
        # What the first clients cost (modules, pools) is not what a client costs.
        connections = open_clients(loop, target.port, WARM_UP)
        reach_everybody(loop, connections)
        close_all(connections)
        rest(loop, target.pid)
        before = rss_bytes(target.pid)
        connections = []
        for level in self.levels:
            connections += open_clients(loop, target.port, level - len(connections))
            rest(loop, target.pid)
            report.add("memory", (rss_bytes(target.pid) - before) / 1024 / level, level)
        # All of them are alive, and have been all the time.
        reach_everybody(loop, connections)
        return report


def reach_everybody(loop: Loop, connections: list[Connection]) -> None:
    """A broadcast that each client must receive, once."""
    load = Load(loop)
    load.sending = False
    Group(load, connections, streams.broadcasts(0, 64)).send()
    loop.run_until(lambda: load.awaited == 0, PATIENCE, "a broadcast reaches everybody")
    loop.run_for(QUIET)


def close_all(connections: list[Connection]) -> None:
    """As a browser's tab does that is closed: without a word."""
    for connection in connections:
        connection.close()
