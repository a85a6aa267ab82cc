"""The way to other processes: what a broker's driver has to do.

All that servers say to one another is bytes on one channel of a broker, which
everybody who listens gets. What the bytes mean is in :mod:`.wire`; when to
connect again, and what waits meanwhile, is not a driver's concern either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from typing import Protocol

__all__ = ["IDLE", "Channel", "Connection", "RefusedError"]

#: after how many seconds without a message ``listen()`` gives a None
IDLE = 1.0


class RefusedError(Exception):
    """The broker will never take a message: it is too large, for instance."""


class Connection(Protocol):
    """A connection to publish on. Used by one thread at a time."""

    def publish(self, messages: Sequence[bytes]) -> None:
        """Give messages to the broker, in this order; returns when it has them.

        :raises RefusedError: one of them can't be published, now or later.
        :raises Exception: it may not have all of them. They will be published
            again on another connection; whoever receives one twice notices.
        """
        ...

    def close(self) -> None:
        """Hang up; it may be broken already."""
        ...


class Channel(ABC):
    """A named channel on a broker.

    It holds no connection itself, so it may be shared with a forked process.
    Its methods are called in threads (or greenlets) of their own and may block,
    for some seconds at the most.

    :param name: of the channel.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        """What logs and errors call it. It must not hold a password."""
        return f"{type(self).__name__} {self.name!r}"

    @abstractmethod
    def connect(self) -> Connection:
        """A new connection to publish on.

        :raises Exception: it can't be had now.
        """

    @abstractmethod
    def listen(self) -> Generator[bytes | None, None, None]:
        """Connect, subscribe, and give what is published from then on, by whomever.

        The first value is None: now it is subscribed. Then comes each message
        as it was published, and a None whenever there was none for ``IDLE``
        seconds. To close the iterator is to hang up.

        :raises Exception: the connection can't be had, or is lost.
        """
