"""What servers say to one another, as bytes.

A message is a header and a body. The header (24 bytes) names the format and its
version, the process that has sent it and the how-manieth of its messages it is.
The body is MessagePack, an array of a tag and the fields of one of the classes
below; every field is checked. Nothing in it is ever executed or imported.

What clients are to get travels as the Socket.IO packet that the sender's own
clients got: it is encoded once, for all processes.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec

from ..types import Room, Sid, Target

__all__ = [
    "ORIGIN_BYTES",
    "Ack",
    "CloseRoom",
    "Disconnect",
    "EnterRoom",
    "Event",
    "LeaveRoom",
    "Letter",
    "WireError",
    "decode",
    "encode",
    "room_from_wire",
    "room_to_wire",
    "seal",
    "unseal",
]

MAGIC = b"FRT"
VERSION = 1
ORIGIN_BYTES = 12
_HEADER = struct.Struct(f">3sB{ORIGIN_BYTES}sQ")


class WireError(ValueError):
    """Bytes that are no message of ours."""


class Letter(NamedTuple):
    """A message that is not decoded yet."""

    #: the process that has sent it
    origin: bytes
    #: counts its messages, from 1
    number: int
    #: empty: it only says that the sender is there
    body: memoryview


class _Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What a body may be."""


class Event(_Message, tag="event", frozen=True):
    """Clients get an event."""

    namespace: str
    #: None for everybody
    rooms: list[Any] | None
    skip: list[Sid]
    #: how the packet is encoded
    form: str
    #: the packet as the clients get it: ``Message.text`` and ``Message.binary``
    text: bytes | None
    binary: list[bytes]
    volatile: bool
    #: where acknowledgements are wanted, what they are to be sent back with
    ack: int | None

    @property
    def target(self) -> Target:
        """Who gets it.

        :raises WireError: a room with a name that no room has.
        """
        rooms = None if self.rooms is None else tuple(map(room_from_wire, self.rooms))
        return Target(rooms, frozenset(self.skip))


class Ack(_Message, tag="ack", frozen=True):
    """A client's answer to an :class:`Event`, for the process that has sent that."""

    receiver: bytes
    ack: int
    sid: Sid
    form: str
    #: an ACK packet; neither text nor binary where the client has gone
    text: bytes | None
    binary: list[bytes]


class _Membership(_Message, frozen=True):
    namespace: str
    sid: Sid
    name: Any

    @property
    def room(self) -> Room:
        """
        :raises WireError: a name that no room has.
        """
        return room_from_wire(self.name)


class EnterRoom(_Membership, tag="enter", frozen=True):
    """A client enters a room."""


class LeaveRoom(_Membership, tag="leave", frozen=True):
    """A client leaves a room."""


class CloseRoom(_Message, tag="close", frozen=True):
    """Everybody leaves a room."""

    namespace: str
    name: Any

    @property
    def room(self) -> Room:
        """
        :raises WireError: a name that no room has.
        """
        return room_from_wire(self.name)


class Disconnect(_Message, tag="disconnect", frozen=True):
    """A client is sent away."""

    namespace: str
    sid: Sid


Message = Event | Ack | EnterRoom | LeaveRoom | CloseRoom | Disconnect

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def seal(origin: bytes, number: int, body: bytes) -> bytes:
    """A body with its header."""
    return _HEADER.pack(MAGIC, VERSION, origin, number) + body


def unseal(data: bytes) -> Letter:
    """Read the header.

    :raises WireError: it is not ours; the error says whose it may be.
    """
    if len(data) < _HEADER.size or not data.startswith(MAGIC):
        raise WireError(_guess(data))
    _, version, origin, number = _HEADER.unpack_from(data)
    if version != VERSION:
        raise WireError(
            f"version {version} of the format, from another release; this process knows {VERSION}"
        )
    return Letter(origin, number, memoryview(data)[_HEADER.size :])


def _guess(data: bytes) -> str:
    other = "give it another channel="
    if data[:1] == b"\x80":
        return f"a pickle, which is never loaded; if it is from Flask-SocketIO, {other}"
    if data[:1] == b"{":
        return f"JSON; if it is from Flask-SocketIO, {other}"
    return "bytes that are not from Flask-Realtime"


def encode(message: Message) -> bytes:
    """A body."""
    return _encoder.encode(message)


def decode(body: bytes | memoryview) -> Message:
    """Read a body.

    :raises WireError: it does not have the shape of any message.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"a message of the wrong shape: {error}") from error


def room_to_wire(room: Room) -> Any:
    """The name of a room in a form that other processes understand.

    :raises TypeError: a name that only this process knows.
    """
    if isinstance(room, str):
        return str.__str__(room)  # a member of an enum, for instance
    if room is None or isinstance(room, (bool, bytes)):
        return room
    if isinstance(room, int):
        return int.__int__(room)
    if isinstance(room, float):
        return float.__float__(room)
    if isinstance(room, tuple):
        return [room_to_wire(part) for part in room]
    raise TypeError(
        "with a message queue, rooms are named by text, numbers, bytes or tuples of these;"
        f" other processes can't know {room!r:.120}"
    )


def room_from_wire(value: Any) -> Room:
    """The name of a room that came from elsewhere.

    :raises WireError: no room can have it.
    """
    if isinstance(value, list):
        return tuple(map(room_from_wire, value))
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return value
    raise WireError(f"a room can't be named {value!r:.120}")
