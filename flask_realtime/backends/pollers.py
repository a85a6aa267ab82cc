"""Waiting for sockets: ``epoll`` itself where it exists, else the standard library's selector.

In a thread with a hub (gevent's or eventlet's), the hub waits for the poller's
one descriptor, and its greenlets run meanwhile.
"""

from __future__ import annotations

import importlib
import selectors
from typing import TYPE_CHECKING, Any, Final, Protocol

from .events import wait_readable
from .patching import original

if TYPE_CHECKING:
    from .loop import Connection

__all__ = ["READ", "WRITE", "Poller", "make_poller"]

READ: Final = 1  # as EPOLLIN, and as selectors.EVENT_READ
WRITE: Final = 4  # as EPOLLOUT
NOT_READ = ~READ
NOT_WRITE = ~WRITE

#: what is ready: a connection (None for the loop's own socket) and READ, WRITE or both
Ready = list[tuple["Connection | None", int]]


class Poller(Protocol):
    """Sockets, and what is called about them."""

    def register(self, fd: int, events: int, connection: Connection | None) -> None: ...

    def modify(self, fd: int, events: int) -> None: ...

    def unregister(self, fd: int) -> None:
        """Does nothing for a descriptor that is not registered."""
        ...

    def breathe(self) -> None:
        """Let others in this thread run, if there are others."""
        ...

    def poll(self, timeout: float | None) -> Ready:
        """Wait for ``timeout`` seconds at most."""
        ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


class EpollPoller:
    """Level-triggered ``epoll`` (a :class:`Poller`)."""

    def __init__(self) -> None:
        self._epoll: Any = original("select", "epoll")()
        self._connections: dict[int, Connection | None] = {}

    def register(self, fd: int, events: int, connection: Connection | None) -> None:
        self._epoll.register(fd, events)
        self._connections[fd] = connection

    def modify(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        if self._connections.pop(fd, self) is not self:
            self._epoll.unregister(fd)

    def breathe(self) -> None:
        """Threads take turns by themselves."""

    def poll(self, timeout: float | None) -> Ready:
        connections = self._connections
        # An error or a hang-up is for whoever reads or writes next to find.
        return [
            (connections[fd], (READ if event & NOT_WRITE else 0) | (WRITE if event & NOT_READ else 0))
            for fd, event in self._epoll.poll(timeout)
            if fd in connections
        ]

    def __len__(self) -> int:
        return len(self._connections)

    def close(self) -> None:
        self._epoll.close()


class HubPoller(EpollPoller):
    """The same in a greenlet: the thread's hub waits for us.

    :param library: whose hub, ``"gevent"`` or ``"eventlet"``.
    """

    def __init__(self, library: str) -> None:
        super().__init__()
        self._sleep = importlib.import_module(library).sleep

    def breathe(self) -> None:
        self._sleep(0)

    def poll(self, timeout: float | None) -> Ready:
        ready = super().poll(0)
        if ready or timeout == 0:
            return ready
        wait_readable(self._epoll.fileno(), timeout)
        return super().poll(0)


class SelectorPoller:
    """The platform's default selector (a :class:`Poller`); one that a hub has patched waits in the hub."""

    def __init__(self, hub: str | None) -> None:
        self._selector = selectors.DefaultSelector()
        self._sleep = None if hub is None else importlib.import_module(hub).sleep

    def register(self, fd: int, events: int, connection: Connection | None) -> None:
        self._selector.register(fd, self._events(events), connection)

    def modify(self, fd: int, events: int) -> None:
        self._selector.modify(fd, self._events(events), self._selector.get_key(fd).data)

    @staticmethod
    def _events(events: int) -> int:
        return (selectors.EVENT_READ if events & READ else 0) | (
            selectors.EVENT_WRITE if events & WRITE else 0
        )

    def unregister(self, fd: int) -> None:
        if fd in (self._selector.get_map() or ()):
            self._selector.unregister(fd)

    def breathe(self) -> None:
        if self._sleep is not None:
            self._sleep(0)

    def poll(self, timeout: float | None) -> Ready:
        return [
            (
                key.data,
                (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0),
            )
            for key, mask in self._selector.select(timeout)
        ]

    def __len__(self) -> int:
        return len(self._selector.get_map() or ())

    def close(self) -> None:
        self._selector.close()


def make_poller(hub: str | None) -> Poller:
    """A poller for a thread with the hub of this library, or with none."""
    if original("select", "epoll") is None:
        return SelectorPoller(hub)
    return EpollPoller() if hub is None else HubPoller(hub)
