"""Redis and Valkey, by publish and subscribe."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from .channel import IDLE, Channel

__all__ = ["RedisChannel"]

TIMEOUT = 5.0  # seconds, for a connection and for an answer
#: other names of schemes that the client knows
ALIASES = {"valkey": "redis", "valkeys": "rediss", "redis+socket": "unix"}


class RedisChannel(Channel):
    """A channel on a Redis server.

    :param url: ``redis://[user:password@]host[:port][/database]``, ``rediss://`` with TLS,
        ``unix:///path``, or ``redis+sentinel://[user:password@]host:port,host:port/database/service``.
        ``valkey``, ``valkeys`` and ``valkey+sentinel`` mean the same.
    :raises ValueError: the URL makes no sense.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name)
        self._scheme, _, rest = url.partition("://")
        self._scheme = self._scheme.lower()
        self._url = f"{ALIASES.get(self._scheme, self._scheme)}://{rest}"
        self._shown = f"{self._scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
        self._client().close()  # which connects to nobody, but reads the URL

    def __str__(self) -> str:
        return self._shown

    def _client(self) -> Any:
        # When to try again is decided above us.
        options: dict[str, Any] = {
            "socket_connect_timeout": TIMEOUT,
            "socket_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
        }
        if self._scheme.endswith("+sentinel"):
            return _master(self._url, options)
        return redis.Redis.from_url(self._url, **options)

    def connect(self) -> _RedisConnection:
        """See :class:`.Channel`."""
        return _RedisConnection(self._client(), self.name)

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        client = self._client()
        subscription = client.pubsub()
        try:
            subscription.subscribe(self.name)
            if subscription.get_message(timeout=TIMEOUT) is None:
                raise TimeoutError("the server does not answer")
            yield None
            while True:
                message = subscription.get_message(timeout=IDLE)
                if message is None:
                    yield None
                elif message["type"] == "message":
                    yield message["data"]
        finally:
            subscription.close()
            client.close()


class _RedisConnection:
    """See :class:`.channel.Connection`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, messages: Sequence[bytes]) -> None:
        if len(messages) == 1:
            self._client.publish(self._name, messages[0])
            return
        with self._client.pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish(self._name, message)
            pipeline.execute()

    def close(self) -> None:
        self._client.close()


def _master(url: str, options: dict[str, Any]) -> Any:
    """A client of the server that the sentinels name.

    :raises ValueError: the URL does not say which.
    """
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    database, _, service = parts.path.lstrip("/").partition("/")
    sentinels = [_address(host) for host in hosts.split(",") if host]
    if not sentinels or not service or not (database or "0").isdecimal():
        raise ValueError(
            "the URL of a sentinel has the form redis+sentinel://host:port,host:port/database/service"
        )
    more: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) or None}
    sentinel = Sentinel(sentinels, **options, **more, db=int(database or 0))
    return sentinel.master_for(service)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    return (host, int(port)) if colon else (text, 26379)
