"""What one client does, or its handlers, costs the others nothing."""

from __future__ import annotations

import contextlib
import time

import pytest
from acceptance import wire
from acceptance.wire import Closed, SocketIO
from matrix.crowd import Crowd
from servers import RunningServer, ServerKind

pytestmark = pytest.mark.kinds(tls=False)

PROMPTLY = 2.0
"""Seconds: what nothing holds back takes milliseconds, but the machine may be busy."""
MAX_QUEUED_BYTES = 4 * 1024 * 1024
IDLE = 1000
IDLE_THREADS_END = 45.0


@pytest.fixture
def url(patient_server: RunningServer) -> str:
    """Of a server that nobody is connected to; the clients of the test before may have left just now."""
    wait_until_empty(patient_server.url)
    return patient_server.url


def wait_until_empty(url: str) -> None:
    wire.wait_until(lambda: wire.stats(url)["sessions"] == 0, what="all clients are forgotten")


@pytest.mark.kinds(websocket=True)
def test_slow_reader(url: str) -> None:
    """A client that has stopped reading is sent away before much is queued for it."""
    size = 500_000
    with (
        SocketIO.connected("websocket", url) as observer,
        SocketIO.connected("polling", url) as polling,
        SocketIO.connected("websocket", url, receive_buffer=65_536) as slow,
    ):
        with contextlib.suppress(ConnectionError):  # it may be sent away before it has said all
            for _ in range(60):
                slow.emit("big", size)

        most_queued = 0
        deadline = time.monotonic() + 10
        while (figures := wire.stats(url))["sessions"] == 3:
            assert time.monotonic() < deadline, f"still there: {figures}"
            most_queued = max(most_queued, figures["queued_bytes"])
            started = time.monotonic()
            assert observer.call("echo-ack", 1) == [1]
            assert time.monotonic() - started < PROMPTLY
        assert most_queued <= MAX_QUEUED_BYTES + size + 100
        assert figures["sessions"] == 2
        wire.wait_until(lambda: wire.stats(url)["queued_bytes"] == 0, what="the queue is dropped")
        assert isinstance(slow.transport.wait_closed(), Closed)

        wire.wait_until(lambda: disconnects_of(slow, observer) == 1, what="its disconnect handler runs once")
        observer.emit("broadcast", "everybody else is here")
        for client in (observer, polling):
            assert client.wait_event("broadcast-msg") == ["everybody else is here"]


def disconnects_of(client: SocketIO, observer: SocketIO) -> int:
    (entries,) = observer.call("last-disconnects")
    return [entry["sid"] for entry in entries].count(client.sid)


def test_blocked_handlers(server: RunningServer, kind: ServerKind) -> None:
    """Longer than the interval between heartbeats: echoes, views and a PING come meanwhile."""
    milliseconds = 2500
    transport = "websocket" if kind.websocket else "polling"
    with contextlib.ExitStack() as stack:

        def connected(namespace: str = "/") -> SocketIO:
            client = SocketIO.connected(transport, server.url, namespace)
            stack.callback(client.close)
            return client

        sleepers = [(connected(), "/", "block"), (connected(), "/", "ack-delay")]
        sleepers.append((connected("/async"), "/async", "ack-delay"))
        observer, listener = connected(), connected()
        started = time.monotonic()
        ids = [client.request(event, milliseconds, event, namespace=name) for client, name, event in sleepers]

        for i in range(10):
            assert observer.call("echo-ack", i) == [i]
            assert wire.request(server.url + "/healthz").text == "ok"
        assert listener.transport.receive_packet() == "2"
        answered_after = time.monotonic() - started
        listener.transport.send("3")

        for (client, _, event), id in zip(sleepers, ids, strict=True):
            assert client.wait_ack(id) == [event]
        slept = time.monotonic() - started
        assert answered_after < milliseconds / 1000 <= slept
        assert listener.call("echo-ack", 1) == [1]


@pytest.mark.slow
@pytest.mark.kinds(websocket=True, takes_over=True)
def test_idle_clients_cost_no_threads(url: str, many_descriptors: None) -> None:
    with Crowd(url) as crowd:
        # the pools grow with what runs at once
        crowd.run(crowd.add(100, at_once=50))
        crowd.run(crowd.call("echo-ack", 1))
        threads = wire.stats(url)["threads"]

        crowd.run(crowd.add(IDLE - 100, at_once=8))

        assert wire.stats(url)["sessions"] == IDLE
        # Threads of the pool that a busy machine has made it start end when they have had nothing to do.
        wire.wait_until(
            lambda: wire.stats(url)["threads"] <= threads + 2,
            timeout=IDLE_THREADS_END,
            what="the threads stay as they were",
        )
        assert crowd.run(crowd.call("echo-ack", "here")) == [["here"]] * IDLE
    wait_until_empty(url)
