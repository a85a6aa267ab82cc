"""What a test sees is what a real client would see: the contract app's events, with both clients."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance.settings import CLIENTS
from flask import Flask
from python_client import WARNINGS
from servers import KINDS, start
from testing.peers import Peer, RealPeer, TestPeer

pytestmark = WARNINGS

APPS = Path(__file__).resolve().parents[1] / "apps"
NAMESPACES = ["/", "/a"]
#: ``connect(namespaces, auth)``
Connect = Callable[..., Peer]
Scenario = Callable[[Connect], list[Any]]


class Transcript(list[Any]):
    """What has been seen, with names instead of what differs each time."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def add(self, value: Any) -> None:
        self.append(self._named(value))

    def _named(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.names.get(value, value)
        if isinstance(value, (list, tuple)):
            return [self._named(item) for item in value]
        if isinstance(value, dict):
            return {key: self._named(item) for key, item in value.items()}
        return value


def lifecycle(connect: Connect) -> list[Any]:
    seen = Transcript()
    for auth in (None, {}, {"name": "Ada", "n": [1, {"deep": "ä"}]}):
        peer = connect(NAMESPACES, auth)
        for namespace in NAMESPACES:
            seen.names[peer.sid(namespace)] = f"sid in {namespace}"
            seen.add(peer.call("whoami", namespace=namespace))
            seen.add(peer.call("context", 7, namespace=namespace))
        seen.add(peer.events())
        peer.emit("disconnect-me", namespace="/a")
        seen.add(peer.left("/a"))
        seen.add([entry for entry in peer.call("last-disconnects") if entry["sid"] in seen.names])
        peer.disconnect()
        seen.names.clear()
    for namespace, auth in [
        ("/auth", {"token": "wrong"}),
        ("/auth", None),
        ("/nowhere", {}),
        ("/auth", {"token": "secret"}),
    ]:
        peer = connect([namespace], auth)
        seen.add(peer.refusals)
        if not peer.refusals:
            seen.add(peer.events(namespace))
        peer.disconnect()
    return seen


VALUES: list[Any] = [
    None, True, 0, -1.5, 2**53, "", "ä\u2028\U0001f600", "x" * 5000, [], {}, [1, [2, {"a": None}]],
    {"": {"b": [False]}}, b"", b"\x00\xff" * 100, [b"one", {"two": b"2"}], {"a": [b"x", "y"]},
]  # fmt: skip


def data(connect: Connect) -> list[Any]:
    seen = Transcript()
    peer = connect(NAMESPACES)
    for namespace in NAMESPACES:
        for args in [(), *((value,) for value in VALUES), (1, "two", b"three", None), tuple(VALUES[:12])]:
            for event in ("echo", "message"):
                peer.emit(event, *args, namespace=namespace)
            for event in ("echo-ack", "message-with-ack", "describe"):
                seen.add([event, peer.call(event, *args, namespace=namespace)])
        for event, size in (("make-binary", 10), ("big", 5000), ("big-binary", 5000), ("burst", 20)):
            peer.emit(event, size, namespace=namespace)
        seen.add(peer.events(namespace))
    peer.disconnect()
    return seen


def rooms(connect: Connect) -> list[Any]:
    seen = Transcript()
    one, two = connect(NAMESPACES), connect(NAMESPACES)
    for namespace in NAMESPACES:
        seen.add(
            [one.call("join", "room", namespace=namespace), two.call("join", "room", namespace=namespace)]
        )
        one.emit("to-room", "room", "to both", namespace=namespace)
        one.emit("to-room-others", "room", b"to the other", namespace=namespace)
        one.emit("to-room", two.sid(namespace), "to two", namespace=namespace)
        one.emit("broadcast", {"to": "all"}, namespace=namespace)
        seen.add([one.events(namespace), two.events(namespace)])
        seen.add(two.call("leave", "room", namespace=namespace))
        one.emit("to-room", "room", "to one", namespace=namespace)
        seen.add(one.call("close-room", "room", namespace=namespace))
        one.emit("to-room", "room", "to nobody", namespace=namespace)
        seen.add([one.events(namespace), two.events(namespace)])
    for peer in (one, two):
        peer.disconnect()
    return seen


def answers(connect: Connect) -> list[Any]:
    seen = Transcript()
    peer = connect(NAMESPACES)
    for answer in ("yes", ("a", 2), b"bytes", [1, 2], {"a": b"b"}, None):
        peer.answer("request", answer)
        for namespace in NAMESPACES:
            peer.emit("call-me", {"n": 1}, namespace=namespace)
            seen.add(peer.wait_for("call-result", namespace))
            seen.add(peer.wait_for("request", namespace))
    peer.disconnect()
    return seen


def elsewhere(connect: Connect) -> list[Any]:
    """Slow handlers, failing ones, and emits from other threads and loops."""
    seen = Transcript()
    peer = connect(NAMESPACES)
    seen.add(peer.call("ack-delay", 20, "late"))
    seen.add(peer.call("block", 20, "blocked"))
    peer.emit("raise", 1)
    seen.add(peer.call("echo-ack", "still there"))
    for source in ("here", "thread", "native-thread", "background-task", "asyncio", "scheduler"):
        peer.emit("emit-from", source, 5, namespace="/a")
        seen.add([peer.wait_for("numbered", "/a") for _ in range(5)])
    for number in range(5):
        peer.emit("record", number)
    seen.add(peer.events())
    peer.disconnect()
    return seen


def coroutines(connect: Connect) -> list[Any]:
    seen = Transcript()
    peer = connect(["/async", "/"], {"name": "Ada"})
    peer.answer("request", ("a", b"b"))
    seen.names[peer.sid("/async")] = "sid"
    for value in VALUES:
        peer.emit("echo", value, namespace="/async")
        seen.add(peer.call("echo-ack", value, namespace="/async"))
    seen.add(peer.call("whoami", namespace="/async"))
    seen.add(peer.call("context", 1, namespace="/async"))
    seen.add(peer.call("join", "room", namespace="/async"))
    peer.emit("to-room", "room", "text", namespace="/async")
    seen.add(peer.events("/async"))
    peer.emit("disconnect-me", namespace="/async")
    seen.add(peer.left("/async"))
    peer.disconnect()
    return seen


@pytest.fixture(scope="module", params=["default", "msgpack"])
def serializer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def environment(serializer: str) -> dict[str, str]:
    return {**CLIENTS, "APP_ASYNC_HANDLERS_NAMESPACE": "1", "APP_SERIALIZER": serializer}


@pytest.fixture(scope="module")
def url(environment: dict[str, str]) -> Iterator[str]:
    """The contract app in a process of its own."""
    with start(KINDS["werkzeug"], "contract", environment) as server:
        yield server.url


@pytest.fixture
def app(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The contract app in this process."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(APPS)
    app: Flask = importlib.import_module("contract").create_app()
    return app


@pytest.mark.parametrize("scenario", [lifecycle, data, rooms, answers, elsewhere, coroutines])
def test_both_see_the_same(scenario: Scenario, app: Flask, url: str, serializer: str) -> None:
    def connect_test_client(namespaces: list[str], auth: Any = None) -> Peer:
        return TestPeer(app, namespaces, auth)

    def connect_real_client(namespaces: list[str], auth: Any = None) -> Peer:
        return RealPeer(url, namespaces, auth, serializer=serializer)

    seen = scenario(connect_test_client)
    assert len(seen) > 5
    assert seen == scenario(connect_real_client)
