"""Kafka: a topic that everybody reads from its end."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

import kafka
from kafka.errors import MessageSizeTooLargeError

from .channel import IDLE, Channel, RefusedError

__all__ = ["KafkaChannel"]

TIMEOUT = 5.0  # seconds
STEP = 50  # milliseconds
MILLISECONDS = 1000
MAX_REQUEST = 1 << 30
KEY = b"flask-realtime"


class KafkaChannel(Channel):
    """A topic, named like the channel.

    All is in one partition, and so in order; everybody reads everything anyway.

    :param url: ``kafka://host:port,host:port``; without any, the broker on this machine.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name)
        self._url = url
        hosts = url.partition("://")[2].strip("/") or "localhost:9092"
        self._servers = hosts.split(",")

    def __str__(self) -> str:
        return self._url

    def connect(self) -> _KafkaConnection:
        """See :class:`.Channel`."""
        producer = self._client(
            kafka.KafkaProducer,
            acks=1,
            retries=0,  # when to try again is decided above us
            enable_idempotence=False,
            max_request_size=MAX_REQUEST,  # how much is too much is the brokers' decision
            max_block_ms=int(TIMEOUT * MILLISECONDS),
            request_timeout_ms=int(TIMEOUT * MILLISECONDS),
            delivery_timeout_ms=int(TIMEOUT * MILLISECONDS) + MILLISECONDS,
        )
        return _KafkaConnection(producer, self.name)

    def _client(self, kind: Any, **options: Any) -> Any:
        if "bootstrap_timeout_ms" in kind.DEFAULT_CONFIG:  # from version 3 on
            options["bootstrap_timeout_ms"] = int(TIMEOUT * MILLISECONDS)
        return kind(bootstrap_servers=self._servers, **options)

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        consumer = self._client(
            kafka.KafkaConsumer, group_id=None, enable_auto_commit=False, auto_offset_reset="latest"
        )
        try:
            self._subscribe(consumer)
            yield None
            while True:
                records = consumer.poll(timeout_ms=int(IDLE * MILLISECONDS))
                if not records:
                    yield None
                for batch in records.values():
                    for record in batch:
                        yield record.value
        finally:
            consumer.close()

    def _subscribe(self, consumer: Any) -> None:
        """Go to the end of the topic; to ask for it makes it, where the brokers do so."""
        consumer.subscribe([self.name])
        deadline = time.monotonic() + TIMEOUT
        while not consumer.assignment():
            if time.monotonic() > deadline:
                raise LookupError(f"there is no topic {self.name!r}")
            consumer.poll(timeout_ms=STEP)
        for partition in consumer.assignment():
            # Now it knows where the end is.
            if consumer.position(partition, timeout_ms=int(TIMEOUT * MILLISECONDS)) is None:
                raise TimeoutError(f"no answer about topic {self.name!r}")


class _KafkaConnection:
    """See :class:`.channel.Connection`."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def publish(self, messages: Sequence[bytes]) -> None:
        try:
            sent = [self._producer.send(self._topic, message, key=KEY) for message in messages]
            self._producer.flush(timeout=TIMEOUT)
            for future in sent:
                future.get(timeout=TIMEOUT)
        except MessageSizeTooLargeError as error:
            raise RefusedError(str(error)) from error

    def close(self) -> None:
        self._producer.close(timeout=0)
