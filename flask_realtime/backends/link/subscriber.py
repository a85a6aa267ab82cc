"""Hears what the other processes publish, and notices when it has become deaf."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .outage import Backoff, Outage

if TYPE_CHECKING:
    from ...adapters.channel import Channel
    from .publisher import Publisher

__all__ = ["Subscriber"]

#: after so long a silence we say something ourselves
SILENCE = 10.0  # seconds
#: and have to hear it within this time
ECHO_WITHIN = 5.0
NAME = "listen"


class Deaf(ConnectionError):
    """Others may talk, but it does not reach us."""


class Subscriber:
    """The task that listens.

    A subscription may die and nobody says so: a broker or a firewall has forgotten it. So what it
    must bring is our own voice.

    :param receive: gets each message.
    :param attempted: called when listening has begun, or was tried in vain.
    """

    silence = SILENCE
    echo_within = ECHO_WITHIN

    def __init__(
        self,
        channel: Channel,
        publisher: Callable[[], Publisher],
        outage: Outage,
        logger: logging.Logger,
        receive: Callable[[bytes], None],
        attempted: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._publisher = publisher
        self._outage = outage
        self._logger = logger
        self._receive = receive
        self._attempted = attempted
        self.listening: bool = False
        #: whether the task runs
        self.running: bool = False
        self.stopped: bool = False

    def run(self) -> None:
        """Listen, until it is stopped."""
        backoff = Backoff(lambda: self.stopped)
        try:
            while not self.stopped:
                self._listen_once(backoff)
                self._attempted()
                backoff.wait()
        finally:
            self.running = False

    def _listen_once(self, backoff: Backoff) -> None:
        messages = self._channel.listen()
        try:
            self._follow(messages, backoff)
            if not self.stopped:
                raise ConnectionError("the subscription has ended")
        except Exception as error:  # noqa: BLE001 (drivers raise what their libraries raise)
            self.listening = False
            if not self.stopped:
                self._outage.failed(NAME, error)
        finally:
            self.listening = False
            with suppress(Exception):
                messages.close()

    def _follow(self, messages: Iterator[bytes | None], backoff: Backoff) -> None:
        echo = _Echo(self._publisher, self.silence, self.echo_within)
        for data in messages:
            if self.stopped:
                return
            if data is not None:
                echo.heard()
                self._hand_on(data)
            elif not self.listening:
                self.listening = True
                self._outage.succeeded(NAME)
                backoff.succeeded()
                self._attempted()
            else:
                echo.check()

    def _hand_on(self, data: bytes) -> None:
        try:
            self._receive(data)
        except Exception:
            self._logger.exception("message queue %s: error in a message", self._channel)


class _Echo:
    """Asks for our own voice when there is none other."""

    def __init__(self, publisher: Callable[[], Publisher], silence: float, within: float) -> None:
        self._publisher = publisher
        self._silence = silence
        self._within = within
        self.heard()

    def heard(self) -> None:
        """Something has come."""
        self._heard_at = time.monotonic()
        self._asked: tuple[Publisher, int] | None = None
        self._answered_by: float | None = None

    def check(self) -> None:
        """Nothing has come for a while.

        :raises Deaf: not even what we have said ourselves.
        """
        now = time.monotonic()
        if self._asked is None:
            if now - self._heard_at >= self._silence:
                publisher = self._publisher()
                self._asked = publisher, publisher.put(b"")
            return
        publisher, number = self._asked
        if self._answered_by is None:
            if publisher.published >= number:  # else the broker does not even take it
                self._answered_by = now + self._within
        elif now > self._answered_by:
            raise Deaf("what is published does not arrive: the subscription is dead")
