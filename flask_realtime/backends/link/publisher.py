"""Sends what waits for the other processes. Whoever emits does not wait for that."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import AbstractContextManager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from ...adapters.channel import RefusedError
from ...adapters.wire import seal
from ..events import make_event
from .outage import Backoff, Outage

if TYPE_CHECKING:
    from ...adapters.channel import Channel, Connection
    from ...server.ports import Event

__all__ = ["Publisher", "running"]

MAX_PENDING_BYTES = 64 * 1024 * 1024
BATCH = 100
#: how often a loss is logged
LOG_EVERY = 10.0  # seconds
NAME = "publish"
#: how long the end of a process waits for what is not published yet
FLUSH = 5.0  # seconds
#: the same while the broker is not there
FLUSH_LOST = 1.0
STEP = 0.005

Letter = tuple[int, bytes]


#: those whose tasks run, or should: what they hold must not be forgotten at the end of the process
running: set[Publisher] = set()


class Publisher:
    """A bounded queue of messages, and the task that takes them to the broker.

    What can't be sent for long makes room for what is newer.

    :param limit: how many messages may wait.
    """

    def __init__(
        self,
        channel: Channel,
        origin: bytes,
        outage: Outage,
        limit: int,
        logger: logging.Logger,
        lock: AbstractContextManager[object],
    ) -> None:
        self._channel = channel
        self._origin = origin
        self._outage = outage
        self._limit = limit
        self._logger = logger
        self._lock = lock
        self._pending: deque[Letter] = deque()
        self._pending_bytes = 0
        self._last_number = 0
        #: the last message that the broker has taken
        self.published: int = 0
        self._singly_until = 0
        self._dropped = 0
        self._dropped_logged = 0
        self._logged_at = 0.0
        self._connection: Connection | None = None
        self._wakeup: Event | None = None
        #: whether the task runs
        self.running: bool = False
        self.stopped: bool = False
        self._finish_by: float | None = None

    def put(self, body: bytes) -> int:
        """Send this too; its number."""
        with self._lock:
            self._last_number = number = self._last_number + 1
            letter = seal(self._origin, number, body)
            self._pending.append((number, letter))
            self._pending_bytes += len(letter)
            while len(self._pending) > self._limit or (
                self._pending_bytes > MAX_PENDING_BYTES and len(self._pending) > 1
            ):
                self._drop_oldest()
            wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup.set()
        return number

    def _drop_oldest(self) -> None:
        _, letter = self._pending.popleft()
        self._pending_bytes -= len(letter)
        self._dropped += 1

    @property
    def pending(self) -> int:
        """How many wait."""
        return len(self._pending)

    def stop(self) -> None:
        """End the task now."""
        self.stopped = True
        if self.running:
            self._wake()
        else:  # it could not be started
            self._hang_up()
            running.discard(self)

    def finish(self) -> None:
        """End the task when nothing waits any more: nobody is left who could publish."""
        self._finish_by = time.monotonic() + FLUSH
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup.set()

    # The task

    def run(self) -> None:
        """Send what comes, until it is stopped."""
        backoff = Backoff(lambda: self.stopped)
        try:
            while self._wait():
                if self.publish_some():
                    backoff.succeeded()
                elif self._finish_by is not None and time.monotonic() > self._finish_by:
                    break
                else:
                    backoff.wait()
        finally:
            self.running = False
            self._hang_up()
            running.discard(self)

    def _wait(self) -> bool:
        """Wait for something to send; False where it is over."""
        while not self._pending and not self._is_over:
            event = make_event()
            with self._lock:
                if self._pending or self._is_over:
                    break
                self._wakeup = event
            event.wait()
        return not self.stopped and (bool(self._pending) or not self._is_over)

    @property
    def _is_over(self) -> bool:
        return self.stopped or self._finish_by is not None

    def publish_some(self) -> bool:
        """Send some of what waits; whether the broker has them."""
        with self._lock:
            batch = list(islice(self._pending, 1 if self._singly_until > self.published else BATCH))
        if not batch:
            return True
        try:
            if self._connection is None:
                self._connection = self._channel.connect()
            self._connection.publish([letter for _, letter in batch])
        except RefusedError as error:
            self._hang_up()
            self._refused(batch, error)
            return True
        except Exception as error:  # noqa: BLE001 (drivers raise what their libraries raise)
            self._hang_up()
            self._outage.failed(NAME, error)
            self._log_dropped()
            return False
        self._taken(batch[-1][0])
        self._outage.succeeded(NAME)
        self._log_dropped()
        return True

    def _refused(self, batch: list[Letter], error: RefusedError) -> None:
        """One of these can't be sent: find out which, and leave it out."""
        last = batch[-1][0]
        if len(batch) > 1:
            self._singly_until = last
            return
        self._logger.error("message queue %s: a message can't be published: %s", self._channel, error)
        self._taken(last)

    def _taken(self, number: int) -> None:
        with self._lock:
            self.published = number
            while self._pending and self._pending[0][0] <= number:
                self._pending_bytes -= len(self._pending.popleft()[1])

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _log_dropped(self) -> None:
        count = self._dropped - self._dropped_logged
        if not count or time.monotonic() - self._logged_at < LOG_EVERY:
            return
        self._logged_at = time.monotonic()
        self._dropped_logged = self._dropped
        self._logger.warning(
            "message queue %s: %d messages for other processes were dropped, as %d newer ones wait",
            self._channel,
            count,
            self.pending,
        )

    def flush(self) -> None:
        """Wait until everything is published, but not for long."""
        start = time.monotonic()
        while self._pending and time.monotonic() < start + (FLUSH_LOST if self._outage.lost else FLUSH):
            if self.running:
                time.sleep(STEP)
            elif not self.publish_some():
                break
        if self._pending:
            self._logger.warning(
                "message queue %s: %d messages for other processes could not be published before the end",
                self._channel,
                self.pending,
            )

    def abandon(self) -> object:
        """In a forked child: the connection is the parent's. What has to be kept, lest it be closed."""
        self.stopped = True
        connection, self._connection = self._connection, None
        return connection
