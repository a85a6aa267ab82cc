"""Polls that wait on the server's own greenlet for a moment, before their connections are taken over."""

from __future__ import annotations

from typing import Any

import pytest
from engine_driver import NOTHING, EngineClient, Exchange, MakeWorld, World

from flask_realtime.backends.memory import MemoryBackend


class Moment:
    """A pause in which the test does something."""

    def __init__(self, backend: PausingBackend) -> None:
        self._backend = backend

    def wake(self) -> None:
        self._backend.wakes += 1

    def wait(self) -> None:
        self._backend.waits += 1
        meanwhile, self._backend.meanwhile = self._backend.meanwhile, _nothing
        meanwhile()


class PausingBackend(MemoryBackend):
    """Its servers have greenlets to spare."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Any = _nothing
        self.waits = 0
        self.wakes = 0

    def pause(self, environ: Any) -> Any:
        return Moment(self)


class Killed(BaseException):
    """As GreenletExit is."""


def _nothing() -> None: ...


@pytest.fixture
def backend() -> PausingBackend:
    return PausingBackend()


@pytest.fixture
def world(make_world: MakeWorld, backend: PausingBackend) -> World:
    world = make_world(backend=backend)
    world.record("connect", "disconnect", "message")
    return world


@pytest.fixture
def client(world: World, backend: PausingBackend) -> EngineClient:
    client = EngineClient(world)
    client.receive(world.fetch().packets[0])
    client.keep_polling = False
    client.post("40")
    world.settle()
    assert world.fetch(query=client.query).packets[0].startswith("40")  # type: ignore[arg-type]
    assert backend.waits == 0
    return client


def last_words(exchange: Exchange) -> tuple[list[Any], str | None]:
    exchange.serve()
    exchange.world.settle()
    exchange.pump()
    assert exchange.reply is not None
    return exchange.reply.packets, exchange.reply.header("Connection")


def test_what_waits_is_answered_without_a_pause(
    world: World, client: EngineClient, backend: PausingBackend
) -> None:
    world.server.emit("n", [1])
    assert last_words(world.request(query=client.query)) == (['42["n",1]'], None)
    assert backend.waits == 0


def test_what_comes_in_the_pause_goes_out_through_the_server(
    world: World, client: EngineClient, backend: PausingBackend
) -> None:
    backend.meanwhile = lambda: world.server.emit("n", [1])
    assert last_words(world.request(query=client.query)) == (['42["n",1]'], None)
    assert (backend.waits, backend.wakes) == (1, 1)
    assert world.stats["queued_packets"] == 0

    backend.meanwhile = lambda: world.server.emit("n", [2])
    assert last_words(world.request(query=client.query)) == (['42["n",2]'], None)


def test_it_leaves_the_queue_only_when_the_server_has_written_it(
    world: World, client: EngineClient, backend: PausingBackend
) -> None:
    backend.meanwhile = lambda: world.server.emit("n", [1])
    exchange = world.request(query=client.query)
    assert world.stats["queued_packets"] == 1
    exchange.give_up()
    world.settle()
    assert world.called("disconnect") == [("transport error",)]
    assert world.stats == NOTHING


def test_after_the_pause_the_connection_is_taken_over(
    world: World, client: EngineClient, backend: PausingBackend
) -> None:
    exchange = world.request(query=client.query)
    assert backend.waits == 1
    exchange.serve()
    world.settle()
    world.server.emit("n", [1])
    assert backend.wakes == 0, "it is the loop's now"
    assert last_words(exchange) == (['42["n",1]'], "close")


def test_the_session_ends_in_the_pause(world: World, client: EngineClient, backend: PausingBackend) -> None:
    backend.meanwhile = lambda: client.post("1")
    packets, _ = last_words(world.request(query=client.query))
    assert packets == ["6"]
    assert world.called("disconnect") == [("client disconnect",)]


def test_a_second_poll_in_the_pause(world: World, client: EngineClient, backend: PausingBackend) -> None:
    refused = []
    backend.meanwhile = lambda: refused.append(world.fetch(query=client.query).status)
    packets, _ = last_words(world.request(query=client.query))
    assert (refused, packets) == ([400], ["1"])
    assert world.called("disconnect") == [("transport error",)]


@pytest.mark.parametrize("emitted", [True, False])
def test_a_client_that_goes_in_the_pause(
    world: World, client: EngineClient, backend: PausingBackend, emitted: bool
) -> None:
    def go() -> None:
        if emitted:
            world.server.emit("n", [1])
        world.last_opened.sock.close()

    backend.meanwhile = go
    world.request(query=client.query).serve()
    world.settle()
    assert world.called("disconnect") == [("transport error",)]
    assert world.stats == NOTHING
    assert world.refusals == {}


def test_a_greenlet_that_is_killed_in_the_pause(
    world: World, client: EngineClient, backend: PausingBackend
) -> None:
    def kill() -> None:
        raise Killed

    backend.meanwhile = kill
    with pytest.raises(Killed):
        world.request(query=client.query)
    world.settle()
    assert world.called("disconnect") == [("transport error",)]
    assert world.stats == NOTHING


def test_a_drain_in_the_pause(world: World, client: EngineClient, backend: PausingBackend) -> None:
    backend.meanwhile = world.engine.close_all
    packets, _ = last_words(world.request(query=client.query))
    assert packets == ["1"]
    assert world.stats == NOTHING
