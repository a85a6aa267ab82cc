"""ZeroMQ, through a forwarder that everybody connects to: a PULL socket in front of a PUB socket."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Generator, Sequence
from types import BuiltinFunctionType
from typing import Any

import zmq

from .channel import IDLE, Channel

__all__ = ["ZmqChannel"]

TIMEOUT = 5.0  # seconds
STEP = 0.01
URL = re.compile(r"zmq\+(?P<host>tcp://.+):(?P<push>\d+)\+(?P<subscribe>\d+)", re.ASCII | re.IGNORECASE)


class ZmqChannel(Channel):
    """A topic of a forwarder.

    :param url: ``zmq+tcp://host:port+port``, the ports of the PULL and of the PUB socket.
    :raises ValueError: the URL makes no sense.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(name)
        match = URL.fullmatch(url)
        if match is None:
            raise ValueError(f"message_queue: {url!r} is not of the form zmq+tcp://host:port+port")
        self._url = url
        self._push = f"{match['host']}:{match['push']}"
        self._subscribe = f"{match['host']}:{match['subscribe']}"
        self._topic = name.encode() + b"\0"

    def __str__(self) -> str:
        return self._url

    def connect(self) -> _ZmqConnection:
        """See :class:`.Channel`."""
        return _ZmqConnection(self._push, self._topic)

    def listen(self) -> Generator[bytes | None, None, None]:
        """See :class:`.Channel`."""
        context = zmq.Context()
        subscription = context.socket(zmq.SUB)
        try:
            subscription.linger = 0
            subscription.connect(self._subscribe)
            subscription.subscribe(self._topic)
            self._await_subscription(subscription)
            yield None
            while True:
                if not _readable(subscription, IDLE):
                    yield None
                    continue
                frame = subscription.recv()
                if frame.startswith(self._topic):
                    yield frame[len(self._topic) :]
        finally:
            subscription.close()
            context.term()

    def _await_subscription(self, subscription: Any) -> None:
        """Nobody says when a subscription stands, so we talk to ourselves until we hear it."""
        own = secrets.token_bytes(16) + b"\0"
        subscription.subscribe(own)  # it comes into force after the one before
        connection = _ZmqConnection(self._push, own)
        deadline = time.monotonic() + TIMEOUT
        try:
            while not _readable(subscription, STEP):
                if time.monotonic() > deadline:
                    raise TimeoutError("the forwarder does not answer")
                connection.publish([b""])
        finally:
            connection.close()
        subscription.unsubscribe(own)


class _ZmqConnection:
    """See :class:`.channel.Connection`."""

    def __init__(self, address: str, topic: bytes) -> None:
        self._topic = topic
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.linger = int(TIMEOUT * 1000)
        self._socket.immediate = True  # what has no connection is not taken
        self._socket.connect(address)

    def publish(self, messages: Sequence[bytes]) -> None:
        deadline = time.monotonic() + TIMEOUT
        for message in messages:
            while not self._send(self._topic + message):
                if time.monotonic() > deadline:
                    raise TimeoutError("the forwarder takes nothing")
                time.sleep(STEP)

    def _send(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()


def _readable(sock: Any, timeout: float) -> bool:
    """Whether something comes in time."""
    if isinstance(time.sleep, BuiltinFunctionType):
        return bool(sock.poll(int(timeout * 1000)))
    # Threads are greenlets here, and ZeroMQ would stop them all.
    deadline = time.monotonic() + timeout
    while not sock.poll(0):
        if time.monotonic() >= deadline:
            return False
        time.sleep(STEP)
    return True
