"""Kafka: a topic that everybody reads from its end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import kafka

from .channel import IDLE, Channel
from .wire import origin_of

__all__ = ["KafkaChannel"]

TIMEOUT = 5.0  # seconds
MILLISECONDS = 1000


class KafkaChannel(Channel):
    """A topic, named like the channel.

    What one process publishes is in one partition, so it stays in order.

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
        producer = kafka.KafkaProducer(
            bootstrap_servers=self._servers,
            acks=1,
            retries=0,  # when to try again is decided above us
            enable_idempotence=False,
            max_block_ms=int(TIMEOUT * MILLISECONDS),
            request_timeout_ms=int(TIMEOUT * MILLISECONDS),
            delivery_timeout_ms=int(TIMEOUT * MILLISECONDS) + MILLISECONDS,
        )
        return _KafkaConnection(producer, self.name)

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        try:
            partitions = consumer.partitions_for_topic(self.name)
            if not partitions:
                raise LookupError(f"there is no topic {self.name!r} yet")
            topics = [kafka.TopicPartition(self.name, number) for number in partitions]
            consumer.assign(topics)
            consumer.seek_to_end(*topics)
            for topic in topics:
                consumer.position(topic)  # now it knows where the end is
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


class _KafkaConnection:
    """See :class:`.channel.Connection`."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def publish(self, messages: Sequence[bytes]) -> None:
        sent = [self._producer.send(self._topic, message, key=origin_of(message)) for message in messages]
        self._producer.flush(timeout=TIMEOUT)
        for future in sent:
            future.get(timeout=TIMEOUT)

    def close(self) -> None:
        self._producer.close(timeout=0)
