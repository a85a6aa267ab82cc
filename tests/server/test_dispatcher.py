"""Which handler an event has."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from engine_driver import EngineClient, MakeWorld, event_packet

from flask_realtime.server.dispatcher import Dispatcher
from flask_realtime.server.signatures import positional_capacity


def handler(name: str) -> Any:
    return lambda *args: name


def dispatcher(*registered: tuple[str, str]) -> Dispatcher:
    made = Dispatcher()
    for namespace, event in registered:
        made.register(namespace, event, handler(f"{namespace} {event}"))
    return made


EVERYWHERE = [("/a", "e"), ("/a", "*"), ("*", "e"), ("*", "*")]


@pytest.mark.parametrize(
    ("namespace", "event", "expected"),
    [
        ("/a", "e", "/a e"),
        ("/a", "other", "/a *"),
        ("/b", "e", "* e"),
        ("/b", "other", "* *"),
    ],
)
def test_exact_before_catch_all(namespace: str, event: str, expected: str) -> None:
    match = dispatcher(*EVERYWHERE).find(namespace, event)
    assert match is not None
    assert match.handler() == expected
    assert match.event == expected.split()[1]


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        (EVERYWHERE, "/a e"),
        (EVERYWHERE[1:], "/a *"),
        (EVERYWHERE[2:], "* e"),
        (EVERYWHERE[3:], "* *"),
        ([], None),
        ([("/b", "e")], None),
    ],
)
def test_the_order(registered: list[tuple[str, str]], expected: str | None) -> None:
    match = dispatcher(*registered).find("/a", "e")
    assert (match and match.handler()) == expected


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_a_catch_all_takes_no_event_of_the_connection(event: str) -> None:
    assert dispatcher(("/a", "*"), ("*", "*")).find("/a", event) is None
    match = dispatcher(("/a", "*"), ("*", event)).find("/a", event)
    assert match is not None
    assert match.handler() == f"* {event}"


def test_a_later_registration_replaces_an_earlier_one() -> None:
    made = dispatcher(("/", "e"))
    made.register("/", "e", handler("new"))
    match = made.find("/", "e")
    assert match is not None
    assert match.handler() == "new"


def test_namespace_objects_and_the_namespaces_that_are_known() -> None:
    made = dispatcher(("/a", "e"), ("*", "e"))
    one, other = object(), object()
    made.register_namespace("/b", one)
    assert made.namespaces == {"/a", "/b"}
    assert made.find_namespace("/b") is one
    assert made.find_namespace("/c") is None
    made.register_namespace("*", other)
    assert made.find_namespace("/c") is other
    assert made.namespaces == {"/a", "/b"}


class Callable_:
    def method(self, a: Any) -> None: ...

    def __call__(self, a: Any, b: Any) -> None: ...


def wrapped(*args: Any) -> None: ...


wrapped.__wrapped__ = lambda a: None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("function", "capacity"),
    [
        (lambda: None, 0),
        (lambda a: None, 1),
        (lambda a=1: None, 1),
        (lambda a, b: None, 2),
        (lambda a, /, b: None, 2),
        (lambda a, *, b=1: None, 1),
        (lambda **kwargs: None, 0),
        (lambda *args: None, 1000),
        (lambda a, *args: None, 1000),
        (Callable_().method, 1),
        (Callable_(), 2),
        (functools.partial(lambda a, b: None, 1), 1),
        (wrapped, 1),
        (dict, 1000),
        (print, 1000),
    ],
)
def test_positional_capacity(function: Any, capacity: int) -> None:
    assert positional_capacity(function) == capacity


def test_the_signature_is_read_at_registration(make_world: MakeWorld) -> None:
    world = make_world()
    calls: list[Any] = []

    class Changing:
        @property
        def __signature__(self) -> Any:
            raise AssertionError("read when the event came")

        def __call__(self, *args: Any) -> None:
            calls.append(args)

    function: Any = lambda *args: calls.append(args)  # noqa: E731
    world.on("connect", function)
    world.dispatcher.find("/", "connect").handler.__signature__ = Changing()  # type: ignore[union-attr]
    EngineClient.websocket(world).connect(auth={"a": 1})
    assert calls == [({"a": 1},)]


@pytest.mark.parametrize(
    ("connect", "disconnect"),
    [
        (lambda calls: lambda: calls.append(()), lambda calls: lambda: calls.append(())),
        (
            lambda calls: lambda auth: calls.append((auth,)),
            lambda calls: lambda reason: calls.append((reason,)),
        ),
        (lambda calls: lambda auth=None: calls.append((auth,)), lambda calls: lambda *a: calls.append(a)),
    ],
)
def test_connect_and_disconnect_take_what_they_want(
    make_world: MakeWorld, connect: Any, disconnect: Any
) -> None:
    world = make_world()
    calls: list[tuple[Any, ...]] = []
    world.on("connect", connect(calls))
    world.on("disconnect", disconnect(calls))
    client = EngineClient.websocket(world).connect(auth={"token": 1})
    client.send("41")
    world.settle()
    assert calls[0] in ((), ({"token": 1},))
    assert calls[1] in ((), ("client disconnect",))


def test_without_a_disconnect_handler_a_client_is_gone_at_once(make_world: MakeWorld) -> None:
    world = make_world()
    client = EngineClient.websocket(world).connect()
    assert world.server.stats()["sockets"] == 1
    client.send("41")
    world.backend.settle()
    assert world.server.stats()["sockets"] == 0
    assert world.server.engine.stats()["sessions"] == 1


def test_without_a_disconnect_handler_events_before_it_still_run(make_world: MakeWorld) -> None:
    world = make_world(async_handlers=False)
    seen: list[Any] = []

    def first() -> None:
        client.send("41")
        world.backend.settle()
        seen.append(("first", world.server.stats()["sockets"]))

    world.on("first", first)
    world.on("second", lambda: seen.append(("second", world.server.stats()["sockets"])))
    client = EngineClient.websocket(world).connect()
    client.send(event_packet("first"), event_packet("second"))
    world.settle()
    assert seen == [("first", 1), ("second", 1)]
    assert world.server.stats()["sockets"] == 0


def test_a_type_error_inside_a_handler_is_just_an_error(make_world: MakeWorld) -> None:
    world = make_world()
    runs: list[Any] = []

    def connect(auth: Any) -> None:
        runs.append(auth)
        raise TypeError("connect() takes 0 positional arguments but 1 was given")

    world.on("connect", connect)
    client = EngineClient.websocket(world).connect(auth={"a": 1})
    assert runs == [{"a": 1}]
    assert client.received == ['44{"message":"Connection rejected by server"}']


def test_a_catch_all_gets_the_events_name(make_world: MakeWorld) -> None:
    world = make_world()
    world.record("*")
    client = EngineClient.websocket(world).connect()
    client.emit("anything", 1, 2)
    world.settle()
    assert world.called("*") == [("anything", 1, 2)]


def test_an_event_that_nobody_handles_is_never_acknowledged(make_world: MakeWorld) -> None:
    world = make_world()
    client = EngineClient.websocket(world).connect()
    client.received.clear()
    client.emit("anything", ack=1)
    world.settle()
    assert client.received == []


@pytest.mark.parametrize(
    ("value", "ack"),
    [(None, "431[]"), (1, "431[1]"), ((), "431[]"), ((1, 2), "431[1,2]"), ([1, 2], "431[[1,2]]")],
)
def test_what_a_handler_returns_is_the_acknowledgement(make_world: MakeWorld, value: Any, ack: str) -> None:
    world = make_world()
    world.on("ask", lambda: value)
    client = EngineClient.websocket(world).connect()
    client.emit("ask", ack=1)
    world.settle()
    assert client.received[-1] == ack


def test_an_acknowledgement_that_cannot_be_serialised(make_world: MakeWorld) -> None:
    world = make_world()
    world.on("ask", object)
    client = EngineClient.websocket(world).connect()
    client.emit("ask", ack=1)
    world.settle()
    assert len(world.tracebacks) == 1
    assert not client.closed
