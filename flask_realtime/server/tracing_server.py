"""What the option ``logger`` asks for: a line about each client, event and room. Never about the data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..protocol.errors import excerpt
from ..protocol.socketio import Packet
from ..types import EVERYBODY, AckCallback, DisconnectReason, Room, Sid, Target
from .client import Socket
from .server import PendingCall, Server
from .tracing import TraceLog

if TYPE_CHECKING:
    from ..adapters import Adapter
    from ..config import ServerConfig
    from ..protocol.socketio import Serializer
    from .dispatcher import Dispatcher
    from .handling import Runner
    from .ports import AsyncEvent, Backend, Event, Link

__all__ = ["TracingServer"]


class TracingServer(Server):
    """A server that tells what happens."""

    # Each argument by its name, here and below: compiled, a method of the base class gets *args as one tuple.

    def __init__(
        self,
        config: ServerConfig,
        backend: Backend,
        adapter: Adapter[Socket],
        serializer: Serializer,
        dispatcher: Dispatcher,
        runner: Runner,
        logger: logging.Logger,
        link: Link | None = None,
    ) -> None:
        super().__init__(config, backend, adapter, serializer, dispatcher, runner, logger, link)
        self._trace = TraceLog(config.event_logger() or logger, self.engine)

    def _accept(self, socket: Socket) -> None:
        self._trace("client %s connected to namespace %s", socket.sid, excerpt(socket.namespace))
        super()._accept(socket)

    def begin_disconnect(self, socket: Socket, reason: DisconnectReason) -> None:
        self._trace("client %s left namespace %s: %s", socket.sid, excerpt(socket.namespace), reason.value)
        super().begin_disconnect(socket, reason)

    def receive_event(self, socket: Socket, packet: Packet, size: int) -> None:
        self._trace(
            "event %s from client %s of namespace %s",
            excerpt(packet.data[0]),
            socket.sid,
            excerpt(socket.namespace),
        )
        super().receive_event(socket, packet, size)

    def emit(
        self,
        event: str,
        args: Sequence[Any],
        namespace: str = "/",
        target: Target = EVERYBODY,
        callback: AckCallback | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,
    ) -> None:
        super().emit(event, args, namespace, target, callback, volatile, ignore_queue)
        self._trace("event %s to %s of namespace %s", excerpt(event), _named(target), excerpt(namespace))

    def emit_to(self, socket: Socket, event: str, args: Sequence[Any]) -> None:
        self.emit(event, args, socket.namespace, Target((socket.sid,)))

    def begin_call(
        self, data: list[Any], namespace: str, sid: Sid, done: Event | AsyncEvent, ignore_queue: bool
    ) -> PendingCall:
        pending = super().begin_call(data, namespace, sid, done, ignore_queue)
        self._trace("call of %s by client %s of namespace %s", excerpt(data[0]), sid, excerpt(namespace))
        return pending

    def enter_room(self, sid: Sid, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        super().enter_room(sid, room, namespace, ignore_queue)
        self._trace("client %s enters room %s of namespace %s", sid, excerpt(room), excerpt(namespace))

    def leave_room(self, sid: Sid, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        super().leave_room(sid, room, namespace, ignore_queue)
        self._trace("client %s leaves room %s of namespace %s", sid, excerpt(room), excerpt(namespace))

    def close_room(self, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        super().close_room(room, namespace, ignore_queue)
        self._trace("room %s of namespace %s is closed", excerpt(room), excerpt(namespace))


def _named(target: Target) -> str:
    rooms, skip = target.rooms, target.skip
    who = "everybody" if rooms is None else ", ".join(map(excerpt, rooms)) or "nobody"
    return who if not skip else f"{who} without {', '.join(sorted(skip))}"
