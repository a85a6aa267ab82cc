"""Names for the types that pass between the layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from typing import Any

import msgspec

__all__ = ["EVERYBODY", "AckCallback", "DisconnectReason", "Environ", "Handler", "Room", "Sid", "Target"]

#: a WSGI environ
Environ = Mapping[str, Any]
#: a public socket id, as ``request.sid``
Sid = str
#: the name of a room: any hashable value
Room = Hashable
#: a handler of an event
Handler = Callable[..., Any]
#: called with what the client's acknowledgement carried
AckCallback = Callable[..., Any]


class DisconnectReason(str, Enum):
    """Why a client has gone. The values are what disconnect handlers get."""

    SERVER_DISCONNECT = "server disconnect"
    CLIENT_DISCONNECT = "client disconnect"
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"


class Target(msgspec.Struct, frozen=True):  # built in a quarter of the time of a NamedTuple
    """Who an emit goes to: the union of the rooms, without some clients.

    ``rooms`` None means everybody in the namespace; ``skip`` holds sids.
    """

    rooms: tuple[Room, ...] | None = None
    skip: frozenset[Sid] = frozenset()


EVERYBODY = Target()
