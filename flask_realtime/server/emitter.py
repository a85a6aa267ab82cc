"""Emitting from a process that has no clients: a task queue's worker, a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..protocol.socketio import Packet, PacketType, Serializer
from ..types import EVERYBODY, Room, Sid, Target
from .message import Message
from .outgoing import Outgoing, form_of

if TYPE_CHECKING:
    from .ports import Link

__all__ = ["Emitter"]


class Emitter:
    """What a server does for the clients of other processes, without a server.

    The methods are those of :class:`.Server`.
    """

    def __init__(self, serializer: Serializer, link: Link) -> None:
        self._encoder = serializer.encoder()
        self._link = link
        self._outgoing = Outgoing(link, form_of(serializer))

    def emit(
        self,
        event: str,
        args: Sequence[Any],
        namespace: str = "/",
        target: Target = EVERYBODY,
        callback: Callable[..., Any] | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event to the servers' clients; never waits.

        :raises TypeError, ValueError: the data can't be serialised.
        :raises RuntimeError: there is a callback, which only a server can be told of.
        """
        if callback is not None:
            raise RuntimeError(
                "a callback needs a server: this SocketIO has no app, it only writes to the queue"
            )
        text, binary = self._encoder.encode(Packet(PacketType.EVENT, namespace, [event, *args]))
        if not ignore_queue:
            message = Message.of(None if text is None else b"4" + text, binary, volatile)
            self._outgoing.event(message, namespace, target)

    def enter_room(self, sid: Sid, room: Room, namespace: str = "/") -> None:
        """Put a client into a room."""
        self._outgoing.enter_room(sid, room, namespace)

    def leave_room(self, sid: Sid, room: Room, namespace: str = "/") -> None:
        """Take a client out of a room."""
        self._outgoing.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str = "/") -> None:
        """Take everybody out of a room."""
        self._outgoing.close_room(room, namespace)

    def disconnect(self, sid: Sid, namespace: str = "/", ignore_queue: bool = False) -> None:
        """Send a client away."""
        if not ignore_queue:
            self._outgoing.disconnect(sid, namespace)

    def stats(self) -> dict[str, int]:
        """See :meth:`.Link.stats`."""
        return self._link.stats()
