"""What goes wrong in other servers behind a message queue, and must not here.

Each test is named by what is right; its docstring says what happens elsewhere.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import brokers
import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask
from requiring import Require

from flask_realtime import SocketIO
from flask_realtime.backends.link import close_links
from flask_realtime.backends.link.subscriber import Subscriber


@pytest.fixture
def redis(require: Require, monkeypatch: pytest.MonkeyPatch) -> Iterator[brokers.Redis]:
    require("redis-server", brokers.REDIS_SERVER)
    monkeypatch.setattr("flask_realtime.adapters.redis.IDLE", 0.1)
    with brokers.redis_server() as server:
        yield server
        close_links()
        wire.wait_until(lambda: server.subscribers("flask-socketio") == 0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exit_stack:
        yield exit_stack


def client_behind(url: str, stack: ExitStack) -> tuple[SocketIO, SocketIOClient]:
    """A server behind a queue, and a client of it."""
    app = Flask("app")
    socketio = SocketIO(app, message_queue=url)
    client = stack.enter_context(SocketIOClient(stack.enter_context(serve(app))))
    return socketio, client


def test_a_subscription_that_is_lost_is_made_anew(
    redis: brokers.Redis, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    """The process stays connected to its clients, and never hears the others again; nobody is told."""
    socketio, client = client_behind(redis.url, stack)
    redis.command(b"CLIENT KILL TYPE pubsub\r\n")
    wire.wait_until(lambda: "no connection" in caplog.text)
    wire.wait_until(lambda: redis.subscribers("flask-socketio") and socketio.stats()["queue_connected"])
    SocketIO(message_queue=redis.url).emit("event", 1)
    assert client.receive_event() == ["event", 1]
    assert "connected again" in caplog.text


def test_a_subscription_that_dies_in_silence_is_made_anew(
    redis: brokers.Redis,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A firewall that has forgotten the connection leaves the process deaf for ever."""
    monkeypatch.setattr(Subscriber, "silence", 0.2)
    monkeypatch.setattr(Subscriber, "echo_within", 0.3)
    swallow = brokers.Swallow()
    port, _ = stack.enter_context(brokers.forwarder("127.0.0.1", redis.port, swallow))
    _, client = client_behind(f"redis://127.0.0.1:{port}", stack)
    swallow.subscriptions()
    wire.wait_until(lambda: "the subscription is dead" in caplog.text)
    wire.wait_until(lambda: "connected again" in caplog.text)
    SocketIO(message_queue=redis.url).emit("event", 1)
    assert client.receive_event() == ["event", 1]


@pytest.mark.parametrize("kind", ["unix", "redis+socket", "valkey", "redis+sentinel"])
def test_every_redis_url_goes_to_the_redis_client(redis: brokers.Redis, stack: ExitStack, kind: str) -> None:
    """Those that do not begin with redis:// or rediss:// go to kombu, which takes them for something else."""
    urls = {
        "unix": f"unix://{redis.socket}",
        "redis+socket": f"redis+socket://{redis.socket}",
        "valkey": redis.url.replace("redis:", "valkey:"),
    }
    if kind == "redis+sentinel":
        sentinel = stack.enter_context(brokers.redis_sentinel(redis))
        urls[kind] = f"redis+sentinel://127.0.0.1:{sentinel}/0/main"
    _, client = client_behind(redis.url, stack)
    SocketIO(message_queue=urls[kind]).emit("event", kind)
    assert client.receive_event() == ["event", kind]


def test_emit_does_not_wait_for_a_broker_that_does_not_answer(redis: brokers.Redis, stack: ExitStack) -> None:
    """It waits, and so does the handler; after some seconds the event is dropped, here too."""
    socketio, client = client_behind(redis.url, stack)
    redis.freeze()
    start = time.monotonic()
    for number in range(100):
        socketio.emit("event", number)
    assert time.monotonic() - start < 2
    for number in range(100):
        assert client.receive_event() == ["event", number]
    redis.thaw()
    wire.wait_until(lambda: socketio.stats()["queue_pending"] == 0)


def test_pickles_are_refused(
    redis: brokers.Redis, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can write to the queue could run code in every process."""
    from redis import Redis

    class Trap:
        def __reduce__(self) -> Any:
            return logging.getLogger("trap").critical, ("sprung",)

    socketio, client = client_behind(redis.url, stack)
    with Redis(port=redis.port) as other:
        other.publish("flask-socketio", pickle.dumps({"method": "emit", "event": Trap()}))
        other.publish("flask-socketio", b'{"method":"emit","event":"x","data":[1],"namespace":"/"}')
    wire.wait_until(lambda: socketio.refusals() == {"queue message": 2})
    wire.wait_until(lambda: "give it another channel=" in caplog.text)
    socketio.emit("event")
    assert client.receive_event() == ["event"]
    assert "sprung" not in caplog.text
