"""The middleware where a server gives no access to its sockets: polls hold their threads."""

from __future__ import annotations

from typing import Any

import pytest
from engine_driver import NOTHING, EngineClient, MakeWorld, World, event_packet

from flask_realtime.backends.memory import MemoryBackend
from flask_realtime.server.inbox import MOMENT
from flask_realtime.server.ports import Access, Event


class ParkingBackend(MemoryBackend):
    """Its servers show no sockets; a parked poll waits in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Any = None
        self.parked = 0

    def access(self, environ: Any) -> Access:
        return Access.NONE

    def park_poll(self, environ: Any, ready: Event) -> None:
        self.parked += 1
        if self.meanwhile is not None:
            self.meanwhile()
        if not ready.wait(0):
            self.advance(20)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world(backend=ParkingBackend())
    world.record("connect", "disconnect", "message")
    return world


@pytest.fixture
def client(world: World) -> EngineClient:
    client = EngineClient(world)
    reply = world.fetch()
    client.keep_polling = False
    client.receive(reply.packets[0])
    assert client.handshake["upgrades"] == []
    client.post("40")
    world.settle()
    assert world.fetch(query=client.query).packets[0].startswith("40")  # type: ignore[arg-type]
    return client


def backend_of(world: World) -> ParkingBackend:
    assert isinstance(world.backend, ParkingBackend)
    return world.backend


def test_what_waits_is_answered_at_once(world: World, client: EngineClient) -> None:
    world.server.emit("n", [1])
    assert world.fetch(query=client.query).packets == ['42["n",1]']
    assert backend_of(world).parked == 0


def test_a_parked_poll_is_answered_when_something_comes(world: World, client: EngineClient) -> None:
    backend_of(world).meanwhile = lambda: world.server.emit("n", [1])
    started = world.backend.time
    assert world.fetch(query=client.query).packets == ['42["n",1]']
    assert world.backend.time == started


def test_a_parked_poll_is_sent_back_after_a_while(world: World, client: EngineClient) -> None:
    assert world.fetch(query=client.query).packets == ["6"]
    assert client.session is not None
    assert world.fetch(query=client.query).packets[0] in ("2", "6")


def test_a_parked_poll_gets_the_ping(world: World, client: EngineClient) -> None:
    world.backend.advance(10)
    assert world.fetch(query=client.query).packets == ["2"]


def test_a_parked_poll_of_a_session_that_ends(world: World, client: EngineClient) -> None:
    backend_of(world).meanwhile = lambda: client.post("1")
    assert world.fetch(query=client.query).body == b"6"
    world.settle()
    assert world.called("disconnect") == [("client disconnect",)]
    assert world.stats == NOTHING


def test_a_second_poll_while_one_is_parked(world: World, client: EngineClient) -> None:
    seconds: list[Any] = []

    def second() -> None:
        backend_of(world).meanwhile = None
        seconds.append(world.fetch(query=client.query))

    backend_of(world).meanwhile = second
    assert world.fetch(query=client.query).body == b"1"
    assert seconds[0].status == 400
    world.settle()
    assert world.stats == NOTHING


def test_a_response_of_a_parked_poll_that_cannot_be_written(world: World, client: EngineClient) -> None:
    backend_of(world).meanwhile = lambda: world.server.emit("n", [1])
    exchange = world.request(query=client.query)
    exchange.give_up()
    world.settle()
    assert world.called("disconnect") == [("transport error",)]
    assert world.stats == NOTHING


def test_events_of_the_client(world: World, client: EngineClient) -> None:
    client.post(event_packet("message", 1), event_packet("message", 2))
    world.settle()
    assert world.called("message") == [(1,), (2,)]


class Handled:
    """An event of virtual time: while it is waited for, handlers run, and then time passes."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self.happened = False

    def set(self) -> None:
        self.happened = True

    def wait(self, timeout: float | None = None) -> bool:
        self.backend.run_tasks()
        if not self.happened and timeout:
            self.backend.advance(timeout)
        return self.happened


@pytest.fixture
def handled(world: World, client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> list[Handled]:
    """What polls have waited for."""
    events: list[Handled] = []

    def event() -> Handled:
        events.append(Handled(world.backend))
        return events[-1]

    monkeypatch.setattr(world.backend, "event", event)
    return events


def test_one_poll_brings_all_that_the_client_has_asked_for(
    world: World, client: EngineClient, handled: list[Handled]
) -> None:
    world.on("message", lambda value: world.server.emit("n", [value]))
    client.post(event_packet("message", 1), event_packet("message", 2), event_packet("message", 3))
    world.server.emit("n", [0])
    started = world.backend.time
    assert world.fetch(query=client.query).packets == [f'42["n",{n}]' for n in range(4)]
    assert world.backend.time == started
    assert backend_of(world).parked == 0


def test_a_poll_does_not_wait_for_a_handler_that_takes_its_time(
    world: World, client: EngineClient, handled: list[Handled]
) -> None:
    replies: list[tuple[float, Any]] = []

    def slow() -> None:
        started = world.backend.time
        for n in (1, 2):
            world.server.emit("n", [n])
            reply = world.fetch(query=client.query)
            replies.append((world.backend.time - started, reply.packets))

    world.on("message", slow)
    client.post(event_packet("message"))
    world.settle()
    # The first one has waited, the second one knows better.
    assert replies == [(MOMENT, ['42["n",1]']), (MOMENT, ['42["n",2]'])]


def test_a_handshake_waits_for_no_handler(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(raw=True, backend=ParkingBackend())
    world.server.handlers.on_connect = lambda session: session.send("hello")
    monkeypatch.setattr(world.backend, "event", None)
    reply = world.fetch()
    assert [packet[:1] for packet in reply.packets] == ["0"]
    world.settle()
    sid = reply.packets[0].partition('"sid":"')[2].partition('"')[0]  # type: ignore[union-attr]
    monkeypatch.undo()
    assert world.fetch(query=f"EIO=4&transport=polling&sid={sid}").packets == ["4hello"]


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_a_session_that_ends_while_a_poll_waits_for_handlers(
    world: World, client: EngineClient, handled: list[Handled], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def wait(self: Handled, timeout: float | None = None) -> bool:
        if how == "killed":
            raise SystemExit  # as gevent's GreenletExit, which is no Exception either
        client.post("1")
        return False

    monkeypatch.setattr(Handled, "wait", wait)
    client.post(event_packet("message", 1))
    if how == "killed":
        with pytest.raises(SystemExit):
            world.fetch(query=client.query)
    else:
        assert world.fetch(query=client.query).body == b"6"
    world.settle()
    reason = "transport error" if how == "killed" else "client disconnect"
    assert world.called("disconnect") == [(reason,)]
    assert world.stats == NOTHING


def test_a_drain(world: World, client: EngineClient) -> None:
    replies: list[Any] = []

    def poll() -> None:
        if ["1"] not in replies:
            replies.append(world.fetch(query=client.query).packets)

    world.server.emit("n", [1])
    world.drain(meanwhile=poll)
    assert replies == [['42["n",1]'], ["1"]]
    assert world.stats == NOTHING


class Ready:
    """An event that never comes; it counts how long it was waited for."""

    def __init__(self) -> None:
        self.waited = 0.0

    def set(self) -> None: ...

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited += timeout
        return False


def test_a_parked_poll_waits_for_20_seconds() -> None:
    backend = MemoryBackend()
    ready = Ready()
    backend.park_poll({"wsgi.multithread": True}, ready)
    backend.close()
    assert ready.waited == pytest.approx(20, abs=0.2)


def test_the_more_are_parked_the_sooner_they_are_sent_back() -> None:
    backend = MemoryBackend()
    waits: list[Ready] = []

    class Nested(Ready):
        """While it waits, others are parked too."""

        def wait(self, timeout: float | None = None) -> bool:
            if not self.waited and len(waits) < 10:
                waits.append(Nested())
                backend.park_poll({"wsgi.multithread": True}, waits[-1])
            return super().wait(timeout)

    backend.park_poll({"wsgi.multithread": True}, Nested())
    backend.close()
    assert waits[-1].waited < 0.5


def test_the_only_thread_of_a_server_is_hardly_parked_at_all() -> None:
    backend = MemoryBackend()
    ready = Ready()
    backend.park_poll({"wsgi.multithread": False}, ready)
    backend.close()
    assert ready.waited <= 0.1
