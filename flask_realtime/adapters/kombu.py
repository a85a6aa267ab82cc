"""RabbitMQ, and what else kombu speaks to: a fanout exchange, and a queue for each process."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

import kombu

from .channel import IDLE, Channel, RefusedError

__all__ = ["KombuChannel"]

TIMEOUT = 5.0  # seconds
AMQP = ("amqp", "amqps", "pyamqp")
#: AMQP's answer to a message that is too large
PRECONDITION_FAILED = 406
#: transports that look for messages now and then, by themselves every second
POLLED = ("memory", "filesystem")
POLL_EVERY = 0.1  # seconds


class KombuChannel(Channel):
    """A fanout exchange.

    :param url: as kombu takes it, such as ``amqp://user:password@host:port/virtual-host``.
    :raises ValueError: the transport can't send one message to several processes.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name)
        self._url = url
        connection = self._connection()  # it connects when it is used
        self._shown = str(connection.as_uri())
        if "fanout" not in connection.transport.implements.exchange_type:
            raise ValueError(
                f"message_queue: {self._shown} has no fanout, so it can't reach several processes"
            )

    def __str__(self) -> str:
        return self._shown

    def _connection(self) -> Any:
        # A message that the broker has not confirmed would be lost with the connection.
        scheme = self._url.partition(":")[0].lower()
        options: dict[str, Any] = {"confirm_publish": True} if scheme in AMQP else {}
        if scheme in POLLED:
            options["polling_interval"] = POLL_EVERY
        return kombu.Connection(self._url, connect_timeout=TIMEOUT, transport_options=options)

    def _exchange(self) -> Any:
        return kombu.Exchange(self.name, type="fanout", durable=False)

    def connect(self) -> _KombuConnection:
        """See :class:`.Channel`."""
        return _KombuConnection(self._connection(), self._exchange())

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        received: deque[Any] = deque()
        queue = kombu.Queue(
            f"flask-realtime.{secrets.token_hex(8)}",
            self._exchange(),
            exclusive=True,
            auto_delete=True,
            durable=False,
        )
        with (
            self._connection() as connection,
            connection.Consumer([queue], on_message=received.append, no_ack=True),
        ):
            yield None
            while True:
                try:
                    connection.drain_events(timeout=IDLE)
                except TimeoutError:
                    yield None
                while received:
                    yield bytes(received.popleft().body)


class _KombuConnection:
    """See :class:`.channel.Connection`."""

    def __init__(self, connection: Any, exchange: Any) -> None:
        self._connection = connection
        self._producer = connection.Producer(exchange=exchange)

    def publish(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            try:
                self._producer.publish(
                    message,
                    content_type="application/octet-stream",
                    content_encoding="binary",
                    delivery_mode="transient",
                    timeout=TIMEOUT,
                )
            except Exception as error:
                if getattr(error, "reply_code", None) == PRECONDITION_FAILED:
                    raise RefusedError(str(error)) from error
                raise

    def close(self) -> None:
        with suppress(Exception):
            self._producer.release()
        self._connection.release()
