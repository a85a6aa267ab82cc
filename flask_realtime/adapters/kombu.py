"""RabbitMQ, and what else kombu speaks to: a fanout exchange, and a queue for each process."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from .channel import IDLE, Channel, RefusedError

__all__ = ["KombuChannel"]

TIMEOUT = 5  # seconds
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
        self._scheme = url.partition(":")[0].lower()
        connection = self._connection()  # it connects when it is used
        self._shown = str(connection.as_uri())
        if "fanout" not in connection.transport.implements.exchange_type:
            raise ValueError(
                f"message_queue: {self._shown} has no fanout, so it can't reach several processes"
            )

    def __str__(self) -> str:
        return self._shown

    def _connection(self) -> Any:
        options = {"polling_interval": POLL_EVERY} if self._scheme in POLLED else {}
        return Connection(self._url, connect_timeout=TIMEOUT, transport_options=options)

    def _exchange(self) -> Any:
        return Exchange(self.name, type="fanout", durable=False)

    def connect(self) -> _KombuConnection:
        """See :class:`.Channel`."""
        made = _AmqpConnection if self._scheme in AMQP else _KombuConnection
        return made(self._connection(), self._exchange())

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        received: deque[Any] = deque()
        queue = Queue(
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
            self._producer.publish(
                message,
                content_type="application/octet-stream",
                content_encoding="binary",
                delivery_mode="transient",
            )

    def close(self) -> None:
        with suppress(Exception):
            self._producer.release()
        self._connection.release()


class _AmqpConnection(_KombuConnection):
    """One whose broker confirms what it has: without that, a message would be lost with the connection."""

    def __init__(self, connection: Any, exchange: Any) -> None:
        super().__init__(connection, exchange)
        channel = self._producer.channel
        channel.confirm_select()
        channel.events["basic_ack"].add(self._confirmed)
        channel.events["basic_nack"].add(self._failed)
        self._sent = 0
        self._unconfirmed: set[int] = set()

    def publish(self, messages: Sequence[bytes]) -> None:
        try:
            for message in messages:
                # Counted first: the answer may come while we still write.
                self._sent += 1
                self._unconfirmed.add(self._sent)
                super().publish([message])
            deadline = time.monotonic() + TIMEOUT
            while self._unconfirmed:
                self._connection.drain_events(timeout=max(0.001, deadline - time.monotonic()))
        except Exception as error:
            if getattr(error, "reply_code", None) == PRECONDITION_FAILED:
                raise RefusedError(str(error)) from error
            raise

    def _confirmed(self, number: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {other for other in self._unconfirmed if other > number}
        else:
            self._unconfirmed.discard(number)

    def _failed(self, number: int, multiple: bool) -> None:
        raise ConnectionError("the broker could not take a message")
