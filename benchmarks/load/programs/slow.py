"""Fast handlers and heartbeats beside slow handlers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .. import streams
from ..checking import Checker, Ordered, Quiet, Unordered
from ..loop import Connection, Loop
from ..metering import rest
from ..target import Report, Target
from ..websocket import PATIENCE, open_clients
from ..wire import client_frame, server_frame
from .messages import add_latencies

__all__ = ["Slow"]

COMPANIES = ("alone", "sleep", "compute")


@dataclass(frozen=True)
class Slow:
    """Some clients send echoes at a steady pace, others are idle; then the same beside slow handlers.

    The pace does not wait for replies, and a latency is counted from when its event was due: a server that
    stands still for a second makes a second's events late.

    :param pause: between two events of a client, in seconds.
    :param handlers: how many slow handlers run at once.
    :param lasting: how long each of them takes, in seconds.
    :param ping_interval: what the server was started with, in seconds.
    """

    clients: int = 5
    idle: int = 20
    pause: float = 0.02
    handlers: int = 3
    lasting: float = 2.0
    ping_interval: float = 1.0

    def run(self, loop: Loop, target: Target) -> Report:
        report = Report()
        scene = Scene(loop, target, self)
        scene.pace(target.warm_up)
        for company in COMPANIES:
            scene.forget()
            if company != "alone":
                scene.start_slow(company)
            scene.pace(self.lasting)
            scene.finish()
            add_latencies(report, scene.latencies(), f"{company} ")
            report.add(f"{company} heartbeat", scene.heartbeat_delay() * 1e3)
            report.add(f"{company} dropped", scene.dropped)
            rest(loop, target.pid)
        return report


class Scene:
    """All the clients."""

    def __init__(self, loop: Loop, target: Target, settings: Slow) -> None:
        self._loop = loop
        self._settings = settings
        self._slow = open_clients(loop, target.port, settings.handlers)
        self._under_way = 0
        self.dropped = 0
        self._echoes = [
            PacedClient(connection, streams.echoes(number, 200, 64), target.ordered)
            for number, connection in enumerate(open_clients(loop, target.port, settings.clients))
        ]
        self._idle = [
            Heart(connection, settings.ping_interval)
            for connection in open_clients(loop, target.port, settings.idle)
        ]
        clients: list[PacedClient | Heart] = [*self._echoes, *self._idle]
        for client in clients:
            client.connection.on_end = self._client_dropped(client)

    def _client_dropped(self, client: PacedClient | Heart) -> Callable[[], None]:
        def dropped() -> None:
            self.dropped += 1
            client.alive = False

        return dropped

    def forget(self) -> None:
        """What was measured until now."""
        self.dropped = 0
        for client in self._echoes:
            client.latencies.clear()
        for heart in self._idle:
            heart.forget()

    def start_slow(self, event: str) -> None:
        """All of the slow handlers, at once."""
        self._under_way = len(self._slow)
        for number, connection in enumerate(self._slow):
            identity = streams.FIRST + number
            connection.on_data = self._slow_receiver(connection, b'43%d["done"]' % identity)
            event_text = streams.text_event(event, self._settings.lasting)[2:]
            connection.send(client_frame(b"42%d" % identity + event_text))

    def _slow_receiver(self, connection: Connection, reply: bytes) -> Callable[[bytes], None]:
        frame = server_frame(reply)
        checker = Ordered(connection.send, streams.Stream.of([(b"", frame)], depth=1))
        checker.expect(0, 1)

        def receive(data: bytes) -> None:
            self._under_way -= checker.feed(data)

        return receive

    def pace(self, seconds: float) -> None:
        """Send at the pace, for so long."""
        pause = self._settings.pause
        start = due = time.perf_counter()
        while due - start < seconds:
            for client in self._echoes:
                client.send(due)
            due += pause
            self._loop.run_for(due - time.perf_counter())

    def finish(self) -> None:
        """Everything that is under way, and the next heartbeat of each idle client."""
        self._loop.run_until(lambda: not self._under_way, PATIENCE, "slow handlers end")
        self._loop.run_until(lambda: not any(c.busy for c in self._echoes), PATIENCE, "late echoes come")
        self._loop.run_for(self._settings.ping_interval)

    def latencies(self) -> list[float]:
        return [latency for client in self._echoes for latency in client.latencies]

    def heartbeat_delay(self) -> float:
        """The longest that a ping was late, in seconds."""
        now = time.perf_counter()
        return max((heart.delay(now) for heart in self._idle if heart.alive), default=0.0)


class PacedClient:
    """A client that does not wait for its replies."""

    def __init__(self, connection: Connection, stream: streams.Stream, ordered: bool) -> None:
        self.connection = connection
        self.alive = True
        self.latencies: list[float] = []
        self._stream = stream
        self._next = 0
        self._due: deque[float] = deque()
        kind = Ordered if ordered else Unordered
        self._checker: Checker = kind(connection.send, stream)
        connection.on_data = self._data_received

    @property
    def busy(self) -> bool:
        return self.alive and bool(self._due)

    def send(self, due: float) -> None:
        if not self.alive:
            return
        first, size = self._next, self._stream.request_size
        self._next = (first + 1) % self._stream.count
        self._checker.expect(first, 1)
        self._due.append(due)
        self.connection.send(self._stream.requests[first * size : (first + 1) * size])

    def _data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        for _ in range(self._checker.feed(data)):
            self.latencies.append(now - self._due.popleft())


class Heart(Quiet):
    """An idle client that looks when the server's pings come."""

    def __init__(self, connection: Connection, interval: float) -> None:
        super().__init__(connection.send)
        self.connection = connection
        self.alive = True
        self._interval = interval
        self._last = time.perf_counter()
        self._longest = 0.0
        connection.on_data = self.feed

    def ping_received(self, answer: bytes) -> None:
        super().ping_received(answer)
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._last)
        self._last = now

    def forget(self) -> None:
        self._longest = 0.0

    def delay(self, now: float) -> float:
        """The longest gap, beyond the interval that there is anyway; one that lasts counts, too."""
        return max(0.0, self._longest - self._interval, now - self._last - self._interval)
