"""The interface between the server and whatever keeps its rooms."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

from ..types import Room, Sid, Target

__all__ = ["Adapter", "Member"]


class Member(Protocol):
    """What an adapter needs to know of a socket."""

    @property
    def sid(self) -> Sid: ...

    @property
    def namespace(self) -> str: ...

    #: the rooms it is in, its own (named like its sid) not among them
    rooms: set[Room] | None


M = TypeVar("M", bound=Member)


class Adapter(Protocol[M]):
    """Sockets and rooms of one process. Calls come with the engine's lock held.

    The cost of every method is that of what it names: nothing walks over all
    rooms or all clients but what gives them.
    """

    def add(self, socket: M) -> None:
        """A socket has been made."""
        ...

    def remove(self, socket: M) -> None:
        """It is gone; it leaves all rooms."""
        ...

    def get(self, namespace: str, sid: Sid) -> M | None:
        """The socket with this sid."""
        ...

    def find(self, sid: Sid) -> M | None:
        """The socket with this sid, in whatever namespace."""
        ...

    def join(self, socket: M, room: Room) -> None: ...

    def leave(self, socket: M, room: Room) -> None: ...

    def close_room(self, namespace: str, room: Room) -> None:
        """Everybody leaves it."""
        ...

    def sockets(self, namespace: str, target: Target) -> Collection[M]:
        """The sockets of a target, each once; a copy, which later changes of the rooms leave alone."""
        ...

    def members(self, namespace: str, room: Room | None) -> Iterable[M]:
        """The sockets in a room, or in the namespace."""
        ...

    def namespaces(self) -> Iterable[str]:
        """The namespaces that have sockets."""
        ...

    def rooms(self, namespace: str) -> Iterable[Room]:
        """The rooms of a namespace (own rooms not among them)."""
        ...

    def stats(self) -> dict[str, int]:
        """``sockets`` and ``rooms`` (own rooms not counted)."""
        ...
