"""The pollers, all by the same rules."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backends.script import every_library, run_script

from flask_realtime.backends import pollers
from flask_realtime.backends.pollers import READ, WRITE, EpollPoller, HubPoller, SelectorPoller, make_poller

Sockets = tuple[socket.socket, socket.socket]
#: what stands for a connection; a poller only hands it back
OURS: Any = object()


def check_masks(poller: Any, ours: socket.socket, theirs: socket.socket) -> None:
    poller.register(ours.fileno(), READ | WRITE, OURS)
    assert poller.poll(1) == [(OURS, WRITE)]
    theirs.send(b"x")
    assert poller.poll(1) == [(OURS, READ | WRITE)]
    poller.modify(ours.fileno(), READ)
    assert poller.poll(1) == [(OURS, READ)]
    ours.recv(1)
    assert poller.poll(0) == []
    poller.modify(ours.fileno(), WRITE)
    assert poller.poll(1) == [(OURS, WRITE)]


def check_hang_ups(poller: Any, ours: socket.socket, theirs: socket.socket) -> None:
    poller.register(ours.fileno(), READ, OURS)
    theirs.close()
    ((connection, mask),) = poller.poll(1)
    assert connection is OURS
    assert mask & READ
    poller.modify(ours.fileno(), WRITE)
    ((connection, mask),) = poller.poll(1)
    assert mask & WRITE


def check_registration(poller: Any, ours: socket.socket, theirs: socket.socket) -> None:
    assert len(poller) == 0
    poller.unregister(ours.fileno())
    poller.unregister(10_000)
    poller.register(ours.fileno(), READ, None)
    poller.register(theirs.fileno(), READ, OURS)
    assert len(poller) == 2
    theirs.send(b"x")
    assert poller.poll(1) == [(None, READ)], "the loop's own socket has no connection"
    poller.unregister(ours.fileno())
    poller.unregister(ours.fileno())
    assert len(poller) == 1
    assert poller.poll(0) == []
    # The number may come again.
    poller.register(ours.fileno(), READ, OURS)
    assert poller.poll(1) == [(OURS, READ)]
    number = theirs.fileno()
    poller.unregister(number)
    theirs.close()
    poller.unregister(number)
    assert len(poller) == 1


def check_timeouts(poller: Any, ours: socket.socket, theirs: socket.socket) -> None:
    poller.register(ours.fileno(), READ, OURS)
    for timeout in (0, 0.03):
        started = time.monotonic()
        assert poller.poll(timeout) == []
        assert timeout * 0.9 <= time.monotonic() - started < 1
    for timeout in (None, 5):
        threading.Timer(0.02, theirs.send, (b"x",)).start()
        assert poller.poll(timeout) == [(OURS, READ)]
        ours.recv(1)
    poller.breathe()


CHECKS: list[Callable[..., None]] = [check_masks, check_hang_ups, check_registration, check_timeouts]
POLLERS: dict[str, Callable[[], Any]] = {"epoll": EpollPoller, "selector": lambda: SelectorPoller(None)}


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("kind", POLLERS)
@pytest.mark.parametrize("check", CHECKS)
def test_by_the_rules(kind: str, check: Callable[..., None], sockets: Sockets) -> None:
    poller = POLLERS[kind]()
    try:
        check(poller, *sockets)
    finally:
        poller.close()


def test_an_event_of_a_connection_that_has_gone(sockets: Sockets) -> None:
    """Two are ready, and the first one's handler has unregistered the second: the loop asks nobody."""
    poller = EpollPoller()
    poller.register(sockets[0].fileno(), WRITE, OURS)
    poller._connections.clear()
    assert poller.poll(0) == []
    poller.close()


def test_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    poller = make_poller(None)
    assert type(poller) is EpollPoller
    poller.close()
    monkeypatch.setattr(pollers, "original", lambda module, name: None)
    poller = make_poller(None)
    assert type(poller) is SelectorPoller
    poller.close()


SETUP = """
import LIBRARY as green
from flask_realtime.backends.patching import green_hub, original
from flask_realtime.backends.pollers import HubPoller, SelectorPoller, make_poller
import socket, threading, time
GET_HUB
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        green.sleep(0.001)

green.spawn(tick)
green.sleep(0.002)
"""
GET_HUB = {"gevent": "green.get_hub()", "eventlet": "import eventlet.hubs; eventlet.hubs.get_hub()"}


@every_library
@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
@pytest.mark.parametrize("kind", ["HubPoller", "SelectorPoller"])
def test_among_greenlets(library: str, patched: bool, kind: str) -> None:
    """By the same rules, and others go on while it waits."""
    if kind == "SelectorPoller" and not patched:
        pytest.skip("it waits in the hub where the hub has patched it")
    if kind == "SelectorPoller" and library == "eventlet":
        pytest.skip("eventlet's select() tells of one event at a time")
    script = f"""
        from backends.test_pollers import CHECKS, OURS, READ
        for check in CHECKS:
            poller = {kind}("{library}")
            ours, theirs = socket.socketpair()
            check(poller, ours, theirs)
            for sock in (ours, theirs):
                sock.close()
            poller.close()
        poller = {kind}("{library}")
        ours, theirs = socket.socketpair()
        poller.register(ours.fileno(), READ, OURS)
        before = ticks
        assert poller.poll(0.04) == []
        assert ticks - before > 1, ticks - before
        start, sleep = original("_thread", "start_new_thread"), original("time", "sleep")
        for timeout in (None, 5):
            before = ticks
            start(lambda: (sleep(0.04), original("os", "write")(theirs.fileno(), b"x")), ())
            assert poller.poll(timeout) == [(OURS, READ)]
            assert ticks - before > 1, ticks - before
            ours.recv(1)
        before = ticks
        for _ in range(20):
            green.sleep(0.001)
            poller.breathe()
        assert ticks > before
        poller.close()
        for sock in (ours, theirs):
            sock.close()
        made = make_poller(green_hub())
        assert type(made) is HubPoller
        made.close()
        green.sleep(0.01)
    """
    setup = SETUP.replace("GET_HUB", GET_HUB[library]).replace("LIBRARY", library)
    run_script(script, library if patched else "", setup=setup)


def test_hub_poller_is_one_of_epoll() -> None:
    assert issubclass(HubPoller, EpollPoller)
    assert os.name == "posix"
