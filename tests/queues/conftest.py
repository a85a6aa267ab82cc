"""Brokers, and channels with names of their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import brokers
import pytest
from requiring import Require
from server_pool import report_logs

from flask_realtime.adapters import Channel
from flask_realtime.backends.link import QueueLink


def pytest_configure(config: pytest.Config) -> None:
    report_logs(config)


@pytest.fixture(scope="module")
def shared_redis(require: Require) -> Iterator[brokers.Redis]:
    """A Redis server for tests that leave it as it is."""
    require("redis-server", brokers.REDIS_SERVER)
    with brokers.redis_server() as server:
        yield server


@pytest.fixture
def redis(require: Require) -> Iterator[brokers.Redis]:
    """A Redis server for one test, which may do to it what it likes."""
    require("redis-server", brokers.REDIS_SERVER)
    with brokers.redis_server() as server:
        yield server


@pytest.fixture
def rabbitmq(name: str) -> Iterator[str]:
    """Where RabbitMQ is; it is no part of any installation, so without it the test is skipped."""
    if not brokers.rabbitmq_answers():
        pytest.skip("nobody speaks AMQP at 127.0.0.1:5672")
    yield brokers.RABBITMQ_URL
    brokers.delete_exchanges(name, name + "-other")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers come back sooner, so that their threads end sooner."""
    for driver in ("redis", "kombu", "kafka", "zmq"):
        monkeypatch.setattr(f"flask_realtime.adapters.{driver}.IDLE", 0.1)


@pytest.fixture
def name() -> str:
    """A channel that nobody else uses."""
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture
def make_link() -> Iterator[Callable[..., QueueLink]]:
    """Makes links; they are closed at the end."""
    import logging

    links: list[QueueLink] = []

    def make(channel: Channel, limit: int = 1000) -> QueueLink:
        links.append(QueueLink(channel, logging.getLogger("flask_realtime"), limit))
        return links[-1]

    yield make
    for link in links:
        link.close()
