"""What a process tells the others behind a message queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from ..adapters import wire
from ..protocol.socketio import JSONSerializer, MsgpackSerializer, Serializer
from ..types import Room, Sid, Target

if TYPE_CHECKING:
    from .message import Message
    from .ports import Link

__all__ = ["JSON", "MSGPACK", "Outgoing", "form_of"]

JSON: Final = "json"
MSGPACK: Final = "msgpack"


def form_of(serializer: Serializer) -> str:
    """What others call the encoding that a serializer makes."""
    if isinstance(serializer, JSONSerializer):
        return JSON
    if isinstance(serializer, MsgpackSerializer):
        return MSGPACK
    kind = getattr(serializer, "packet_class", type(serializer))
    if not isinstance(kind, type):
        kind = type(kind)
    return f"{kind.__module__}.{kind.__qualname__}"


class Outgoing:
    """Puts into words what the other processes are to do.

    :param form: how the packets are encoded (:func:`form_of`).
    """

    def __init__(self, link: Link, form: str) -> None:
        self._link = link
        self._form = form

    def event(self, message: Message, namespace: str, target: Target) -> None:
        """Send an event to their clients.

        :raises TypeError: a room with a name that they can't know.
        """
        self._publish(self._event(message, namespace, target, None))

    def question(self, message: Message, namespace: str, target: Target, ack: int) -> None:
        """The same, and they shall tell what their clients acknowledge: as soon as we can hear it.

        :param ack: what they tell it with.
        """
        body = wire.encode(self._event(message, namespace, target, ack))
        self._link.when_listening(partial(self._link.publish, body))

    def _event(self, message: Message, namespace: str, target: Target, ack: int | None) -> wire.Event:
        return wire.Event(
            namespace,
            None if target.rooms is None else [wire.room_to_wire(room) for room in target.rooms],
            list(target.skip),
            self._form,
            message.text,
            list(message.binary),
            message.volatile,
            ack,
        )

    def ack(self, receiver: bytes, ack: int, sid: Sid, message: Message | None) -> None:
        """Tell a process what one of our clients has answered; None where the client has gone."""
        text, binary = (None, []) if message is None else (message.text, list(message.binary))
        self._publish(wire.Ack(receiver, ack, sid, self._form, text, binary))

    def enter_room(self, sid: Sid, room: Room, namespace: str) -> None:
        """Put a client of another process into a room."""
        self._publish(wire.EnterRoom(namespace, sid, wire.room_to_wire(room)))

    def leave_room(self, sid: Sid, room: Room, namespace: str) -> None:
        """Take a client of another process out of a room."""
        self._publish(wire.LeaveRoom(namespace, sid, wire.room_to_wire(room)))

    def close_room(self, room: Room, namespace: str) -> None:
        """Take all of their clients out of a room."""
        self._publish(wire.CloseRoom(namespace, wire.room_to_wire(room)))

    def disconnect(self, sid: Sid, namespace: str) -> None:
        """Send a client of another process away."""
        self._publish(wire.Disconnect(namespace, sid))

    def _publish(self, message: wire.Message) -> None:
        self._link.publish(wire.encode(message))
