"""What starts and ends the tasks around a channel, in the process that needs them."""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ...adapters.wire import ORIGIN_BYTES
from .. import uwsgi_server
from ..lifecycle import after_drain
from ..patching import original, start_thread
from .outage import Outage
from .publisher import Publisher, running
from .subscriber import Subscriber

if TYPE_CHECKING:
    from ...adapters.channel import Channel

__all__ = ["QueueLink", "close_links"]

_links: weakref.WeakSet[QueueLink] = weakref.WeakSet()
#: connections of a parent process: to close one, as its destructor may, would end it there too
_inherited: list[object] = []
_flushing_in = 0  # the process that flushes at its exit


class QueueLink:
    """A channel and its two tasks (a :class:`.ports.Link`).

    They start when they are needed, in the process that needs them: never at import, and anew in a
    process that was forked.

    :param limit: how many messages may wait to be published.
    """

    def __init__(self, channel: Channel, logger: logging.Logger, limit: int) -> None:
        self.channel = channel
        self._logger = logger
        self._limit = limit
        self._begin()
        _links.add(self)

    def _begin(self) -> None:
        self._lock = original("_thread", "RLock")()
        self.origin: bytes = secrets.token_bytes(ORIGIN_BYTES)
        self._outage = Outage(str(self.channel), self._logger, self._lock)
        self._publisher = Publisher(
            self.channel, self.origin, self._outage, self._limit, self._logger, self._lock
        )
        # Whoever emits may be dropped at once, as an object that a function of a task queue has made.
        self._finalizer = weakref.finalize(self, self._publisher.finish)
        self._finalizer.atexit = False
        self._subscriber: Subscriber | None = None
        self._waiting: list[Callable[[], None]] = []

    # ports.Link

    @property
    def listening(self) -> bool:
        """See :class:`.ports.Link`."""
        subscriber = self._subscriber
        return subscriber is not None and subscriber.listening

    def publish(self, body: bytes) -> None:
        """See :class:`.ports.Link`."""
        publisher = self._publisher
        publisher.put(body)
        if not publisher.running:
            self._start_publisher()

    def listen(self, receive: Callable[[bytes], None]) -> None:
        """See :class:`.ports.Link`."""
        with self._lock:
            if self._subscriber is None:
                self._subscriber = Subscriber(
                    self.channel, self._talking, self._outage, self._logger, receive, self._attempted
                )
            subscriber = self._subscriber
        if not subscriber.running:
            self._start(subscriber)

    def when_listening(self, function: Callable[[], None]) -> None:
        """See :class:`.ports.Link`."""
        with self._lock:
            wait = not self.listening and not self._outage.lost
            if wait:
                self._waiting.append(function)
        if not wait:
            function()

    def stats(self) -> dict[str, int]:
        """See :class:`.ports.Link`."""
        return {"queue_connected": int(self._outage.connected), "queue_pending": self._publisher.pending}

    # The tasks

    def _talking(self) -> Publisher:
        """The publisher, running."""
        if not self._publisher.running:
            self._start_publisher()
        return self._publisher

    def _start_publisher(self) -> None:
        _flush_at_exit()
        running.add(self._publisher)
        self._start(self._publisher)

    def _start(self, task: Publisher | Subscriber) -> None:
        with self._lock:
            if task.running or task.stopped:
                return
            task.running = True
        try:
            start_thread(task.run, "flask-realtime-queue")
        except RuntimeError:
            # Python 3.12 starts no threads while it exits; what waits is published by flush().
            task.running = False

    def _attempted(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for function in waiting:
            function()

    # The end

    def flush(self) -> None:
        """Wait until everything is published, but not for long."""
        self._publisher.flush()

    def close(self) -> None:
        """Publish what waits and end the tasks, soon. They start again when they are needed."""
        self.flush()
        publisher, subscriber = self._publisher, self._subscriber
        with self._lock:
            waiting = self._waiting
            self._finalizer.detach()
            self._begin()
        publisher.stop()
        if subscriber is not None:
            subscriber.stopped = True
        for function in waiting:
            function()

    def _forked(self) -> None:
        """In the child: the tasks and the connections are the parent's."""
        # Greenlets come along, and what they find must tell them that it is over.
        _inherited.append(self._publisher.abandon())
        if self._subscriber is not None:
            self._subscriber.stopped = True
        self._finalizer.detach()
        self._begin()


def _each_forked() -> None:
    running.clear()
    for link in list(_links):
        link._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_each_forked)


def close_links() -> None:
    """At the end of the process, when nobody emits any more."""
    for link in list(_links):
        link.close()


after_drain(close_links)


def _flush_all(pid: int) -> None:
    if pid == os.getpid():  # a child that was forked later inherits the registration
        for publisher in list(running):
            publisher.flush()


def _flush_at_exit() -> None:
    global _flushing_in
    pid = os.getpid()
    if _flushing_in == pid:
        return
    _flushing_in = pid
    atexit.register(_flush_all, pid)
    uwsgi_server.at_exit(lambda: _flush_all(pid))
    # A child of multiprocessing ends without Python's own exit functions.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        with suppress(Exception):
            util.Finalize(None, _flush_all, args=(pid,), exitpriority=0)
