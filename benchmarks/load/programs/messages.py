"""Messages to and fro."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from .. import streams
from ..loop import Connection, Loop
from ..metering import Window
from ..polling import PollingClient
from ..target import Report, Target
from ..traffic import Group, Load, Sender, TimedSender
from ..websocket import PATIENCE, open_clients
from ..wire import client_frame, server_frame

__all__ = ["Echo", "Groups", "Polling", "join"]

POLLED = 20  # different messages of a polling client


@dataclass(frozen=True)
class Echo:
    """Each client keeps ``depth`` events under way, which come back, or are acknowledged with their data.

    :param size: of the data, in bytes.
    """

    event: str = "echo"
    clients: int = 50
    depth: int = 1
    size: int = 64
    binary: bool = False

    def run(self, loop: Loop, target: Target) -> Report:
        load = Load(loop)
        kind = TimedSender if self.depth == 1 else Sender
        connections = open_clients(loop, target.port, self.clients)
        senders = [
            kind(load, connection, self._stream(number), target.ordered)
            for number, connection in enumerate(connections)
        ]
        for sender in senders:
            sender.send(self.depth)
        return measure(load, target)

    def _stream(self, client: int) -> streams.Stream:
        if self.binary:
            return streams.binary_echoes(client, self.depth, self.size)
        make = streams.acks if self.event == "ack" else streams.echoes
        return make(client, self.depth, self.size)


@dataclass(frozen=True)
class Groups:
    """In each group one client sends, all of them receive; then the next one sends.

    A single group is everybody, for a broadcast; several are rooms, all of them at work at the same time.
    """

    groups: int = 1
    members: int = 100
    size: int = 64

    def run(self, loop: Loop, target: Target) -> Report:
        load = Load(loop)
        connections = open_clients(loop, target.port, self.groups * self.members)
        rooms = [connections[start :: self.groups] for start in range(self.groups)]
        if self.groups > 1:
            join(load, {f"room {number}": members for number, members in enumerate(rooms)})
        for number, members in enumerate(rooms):
            name = f"room {number}" if self.groups > 1 else None
            Group(load, members, streams.broadcasts(number, self.size, name)).send()
        return measure(load, target)


@dataclass(frozen=True)
class Polling:
    """Echoes over long polling: a client sends when its next poll is under way."""

    clients: int = 20
    size: int = 64

    def run(self, loop: Loop, target: Target) -> Report:
        load = Load(loop)
        ready: list[PollingClient] = []
        clients = [PollingClient(loop, target.port, ready.append) for _ in range(self.clients)]
        loop.run_until(lambda: len(ready) == self.clients, PATIENCE, "polling clients connect")
        for number, client in enumerate(clients):
            self._start(load, number, client)
        return measure(load, target)

    def _start(self, load: Load, number: int, client: PollingClient) -> None:
        events = [
            f'42["echo",{streams.json_object(streams.FIRST + i, number, self.size)}]'.encode()
            for i in range(POLLED)
        ]
        turn = 0

        def send() -> None:
            nonlocal turn
            turn = (turn + 1) % POLLED
            load.awaited += 1
            client.exchange(events[turn], events[turn], answered)

        def answered() -> None:
            load.awaited -= 1
            load.replies += 1
            if load.sending:
                send()

        send()


def measure(load: Load, target: Target) -> Report:
    """Let a load run, warm-up and window, and see that nothing is missing in the end."""
    loop, report = load.loop, Report()
    loop.run_for(target.warm_up)
    replies, latencies = load.replies, len(load.latencies)
    window = Window(target.pid)
    loop.run_for(target.seconds)
    usage = window.close()
    replies = load.replies - replies
    taken = load.latencies[latencies:]
    load.finish()
    loop.run_until(lambda: load.replies > 0, 0, "replies")
    report.add_cost(usage, max(1, replies))
    if len(taken) > 1:
        add_latencies(report, taken)
    return report


def add_latencies(report: Report, taken: list[float], prefix: str = "") -> None:
    """Median and 99th percentile, in ms."""
    hundredths = statistics.quantiles(taken, n=100, method="inclusive")
    report.add(f"{prefix}p50", hundredths[49] * 1e3)
    report.add(f"{prefix}p99", hundredths[98] * 1e3)


def join(load: Load, rooms: dict[str, list[Connection]]) -> None:
    """Let clients join rooms, and wait until they have."""
    tell(load, "join", {member: room for room, members in rooms.items() for member in members})


def tell(load: Load, event: str, arguments: dict[Connection, str]) -> None:
    """An event of each client, which the server acknowledges with its argument."""
    sending, load.sending = load.sending, False
    for number, (connection, argument) in enumerate(arguments.items()):
        request = b"42%d" % (streams.FIRST + number) + streams.text_event(event, argument)[2:]
        reply = b'43%d["%s"]' % (streams.FIRST + number, argument.encode())
        pair = (client_frame(request), server_frame(reply))
        Sender(load, connection, streams.Stream.of([pair], depth=1), ordered=True).send(1)
    load.loop.run_until(lambda: load.awaited == 0, PATIENCE, f"answers to {event}")
    load.sending = sending
