"""Several servers in memory, with a channel between them that a test can break.

Nothing is delivered by itself: :meth:`Cluster.settle` lets everybody do what can
be done, deliveries among it, in the order of publication.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from engine_driver import EngineClient, MakeWorld, World

from flask_realtime.adapters import wire
from flask_realtime.server.emitter import Emitter

Fate = Callable[[bytes], int]


def once(message: bytes) -> int:
    """The usual fate of a message."""
    return 1


class Hub:
    """The broker.

    ``fate`` says how often each message is delivered: 0 is a loss, 2 a repetition.
    """

    def __init__(self) -> None:
        self.links: list[MemoryLink] = []
        self.fate: Fate = once
        #: everything that was ever published
        self.published: list[bytes] = []
        self._waiting: deque[bytes] = deque()

    def publish(self, message: bytes) -> None:
        self.published.append(message)
        self._waiting.append(message)

    def deliver(self) -> bool:
        """Deliver what waits; whether there was anything."""
        progress = bool(self._waiting)
        while self._waiting:
            message = self._waiting.popleft()
            for _ in range(self.fate(message)):
                for link in self.links:
                    link.hear(message)
        return progress

    def bodies(self) -> list[wire.Message]:
        """What was said so far."""
        return [wire.decode(wire.unseal(message).body) for message in self.published]


class MemoryLink:
    """A :class:`.ports.Link` to the hub."""

    def __init__(self, hub: Hub, listening: bool = True) -> None:
        self.origin = secrets.token_bytes(wire.ORIGIN_BYTES)
        self.can_listen = listening
        self._hub = hub
        self._number = 0
        self._receive: Callable[[bytes], None] | None = None
        self._held: list[Callable[[], None]] = []
        hub.links.append(self)

    @property
    def listening(self) -> bool:
        return self._receive is not None and self.can_listen

    def publish(self, body: bytes) -> None:
        self._number += 1
        self._hub.publish(wire.seal(self.origin, self._number, body))

    def listen(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def when_listening(self, function: Callable[[], None]) -> None:
        if self.listening:
            function()
        else:
            self._held.append(function)

    def begin(self) -> None:
        """The subscription stands at last."""
        self.can_listen = True
        held, self._held = self._held, []
        for function in held:
            function()

    def hear(self, message: bytes) -> None:
        if self._receive is not None and self.can_listen:
            self._receive(message)

    def stats(self) -> dict[str, int]:
        return {"queue_connected": int(self.listening), "queue_pending": 0}


class Cluster:
    """Servers, their hub and their clients."""

    def __init__(self, make_world: MakeWorld) -> None:
        self._make_world = make_world
        self.hub = Hub()
        self.worlds: list[World] = []

    def add(self, link: MemoryLink | None = None, **options: Any) -> World:
        """One more server."""
        world = self._make_world(link=MemoryLink(self.hub) if link is None else link, **options)
        self.worlds.append(world)
        return world

    def client(self, index: int, namespace: str = "/") -> EngineClient:
        """A client of one server, connected."""
        client = EngineClient.websocket(self.worlds[index]).connect(namespace)
        self.settle()
        return client

    def emitter(self, serializer: Any) -> Emitter:
        """A process without clients."""
        return Emitter(serializer, MemoryLink(self.hub))

    def settle(self) -> None:
        """Let everybody do what can be done at this moment."""
        progress = True
        while progress:
            for world in self.worlds:
                world.settle()
            progress = self.hub.deliver()

    def meanwhile(self, function: Callable[[], Any]) -> Any:
        """What a function gives that waits for others; raises what it raises."""
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.extend((function(), None))
            except BaseException as error:
                outcome.extend((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive():
            self.settle()
            thread.join(0.001)
        value, error = outcome
        if error is not None:
            raise error
        return value


@pytest.fixture
def cluster(make_world: MakeWorld) -> Iterator[Cluster]:
    """Three servers behind one hub."""
    made = Cluster(make_world)
    for _ in range(3):
        made.add()
    yield made
    for world in made.worlds:
        assert world.logged("error in") == []
        assert world.tracebacks == []
