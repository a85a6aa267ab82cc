"""A channel in memory whose broker can be lost, and whose subscriptions can go deaf."""

from __future__ import annotations

import queue
from collections.abc import Generator, Sequence

from flask_realtime.adapters import Channel, RefusedError


class Broker:
    """What all channels of a test share."""

    def __init__(self) -> None:
        self.up = True
        #: subscriptions are alive, but nothing reaches them
        self.deaf = False
        self.subscriptions: list[queue.Queue[bytes]] = []
        #: in bytes, of a message
        self.largest = 1 << 30
        self.connections = 0
        self.listened = 0
        #: everything that was ever published
        self.published: list[bytes] = []

    def check(self) -> None:
        """:raises ConnectionError: it is lost."""
        if not self.up:
            raise ConnectionError("the broker is down")


class MemoryChannel(Channel):
    """A channel on such a broker."""

    idle = 0.02

    def __init__(self, broker: Broker) -> None:
        super().__init__("memory")
        self.broker = broker

    def connect(self) -> MemoryConnection:
        self.broker.check()
        self.broker.connections += 1
        return MemoryConnection(self.broker)

    def listen(self) -> Generator[bytes | None, None, None]:
        broker = self.broker
        broker.check()
        broker.listened += 1
        subscription: queue.Queue[bytes] = queue.Queue()
        broker.subscriptions.append(subscription)
        try:
            yield None
            while True:
                broker.check()
                try:
                    yield subscription.get(timeout=self.idle)
                except queue.Empty:
                    yield None
        finally:
            broker.subscriptions.remove(subscription)


class MemoryConnection:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def publish(self, messages: Sequence[bytes]) -> None:
        self.broker.check()
        if any(len(message) > self.broker.largest for message in messages):
            raise RefusedError("too large")
        self.broker.published += messages
        if not self.broker.deaf:
            for subscription in list(self.broker.subscriptions):
                for message in messages:
                    subscription.put(message)

    def close(self) -> None:
        self.broker.connections -= 1
