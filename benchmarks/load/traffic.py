"""Clients at work: each keeps a number of requests under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from .checking import Checker, Ordered, Unordered
from .loop import Connection, Loop
from .streams import Stream
from .websocket import PATIENCE

__all__ = ["QUIET", "Group", "Load", "Sender", "TimedSender"]

QUIET = 0.1  # seconds after the last reply in which no other may come


class Load:
    """A closed loop of senders. They count here.

    :ivar replies: that have come.
    :ivar awaited: requests that are not answered.
    :ivar latencies: of single requests, in seconds, where they are taken.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.replies = 0
        self.awaited = 0
        self.sending = True
        self.latencies: list[float] = []

    def finish(self) -> None:
        """Send no more, and see that what is under way comes, and nothing else."""
        self.sending = False
        self.loop.run_until(lambda: self.awaited == 0, PATIENCE, f"{self.awaited} replies are missing")
        self.loop.run_for(QUIET)


class Sender:
    """A client that gets what it has sent."""

    def __init__(self, load: Load, connection: Connection, stream: Stream, ordered: bool) -> None:
        self._load = load
        self._connection = connection
        self._stream = stream
        self._next = 0
        checker = Ordered if ordered else Unordered
        self._checker: Checker = checker(connection.send, stream)
        connection.on_data = self.data_received

    def send(self, count: int) -> None:
        first, stream = self._next, self._stream
        size = stream.request_size
        self._next = (first + count) % stream.count
        self._checker.expect(first, count)
        self._load.awaited += count
        self._connection.send(stream.requests[first * size : (first + count) * size])

    def data_received(self, data: bytes) -> None:
        replies = self._checker.feed(data)
        load = self._load
        load.awaited -= replies
        load.replies += replies
        if replies and load.sending:
            self.send(replies)


class TimedSender(Sender):
    """It has one request under way, and takes the time."""

    _sent = 0.0

    def send(self, count: int) -> None:
        self._sent = time.perf_counter()
        super().send(count)

    def data_received(self, data: bytes) -> None:
        before, sent = self._load.replies, self._sent
        taken = time.perf_counter() - sent
        super().data_received(data)
        if self._load.replies > before:
            self._load.latencies.append(taken)


class Group:
    """Clients that all get what one of them sends. When all of them have it, the next one sends."""

    def __init__(self, load: Load, members: Sequence[Connection], stream: Stream) -> None:
        self._load = load
        self._members = members
        self._stream = stream
        self._checkers = [Ordered(member.send, stream) for member in members]
        self._next = 0
        self._waiting = 0
        self._turn = 0
        self._sent = 0.0
        for member, checker in zip(members, self._checkers, strict=True):
            member.on_data = partial(self._data_received, checker)

    def send(self) -> None:
        first, size = self._next, self._stream.request_size
        self._next = (first + 1) % self._stream.count
        for checker in self._checkers:
            checker.expect(first, 1)
        self._waiting = len(self._members)
        self._load.awaited += self._waiting
        sender = self._members[self._turn]
        self._turn = (self._turn + 1) % len(self._members)
        self._sent = time.perf_counter()
        sender.send(self._stream.requests[first * size : (first + 1) * size])

    def _data_received(self, checker: Ordered, data: bytes) -> None:
        replies = checker.feed(data)
        load = self._load
        load.awaited -= replies
        load.replies += replies
        self._waiting -= replies
        if replies and not self._waiting:
            load.latencies.append(time.perf_counter() - self._sent)
            if load.sending:
                self.send()
