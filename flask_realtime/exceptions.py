"""What Flask-Realtime raises.

::

    Exception
    ├── FlaskRealtimeError          what the application did, or what it must know
    │   ├── EventRefusedError       raised BY a handler, hook or guard to refuse an event
    │   │   └── ConnectionRefusedError  raised BY a connect handler to refuse a client
    │   ├── UnsupportedOptionError  an option that is known, but not to be had (also a ValueError)
    │   └── CallTimeoutError        call(): no acknowledgement in time (also a TimeoutError)
    │       └── ClientGoneError     call(): the client has gone meanwhile
    └── RemoteProtocolError         what a client did wrong; never reaches a handler
"""

from __future__ import annotations

from typing import Any

from .protocol.errors import RemoteProtocolError

__all__ = [
    "CallTimeoutError",
    "ClientGoneError",
    "ConnectionRefusedError",
    "EventRefusedError",
    "FlaskRealtimeError",
    "RemoteProtocolError",
    "UnsupportedOptionError",
]


class FlaskRealtimeError(Exception):
    """The base of what the application can run into."""


class EventRefusedError(FlaskRealtimeError):
    """Raise it in a handler, a hook or a guard to refuse an event. Error handlers don't see it.

    :param args: the message for the client, and optionally more data. A client
        that has asked for an acknowledgement gets ``{"error": {"message": ..., "data": ...}}``;
        one that connects is refused, as with :class:`ConnectionRefusedError`.
    """

    #: what the client is told where no message is given
    default_message = "Event rejected by server"

    @property
    def error_args(self) -> dict[str, Any]:
        """What the client is told."""
        if not self.args:
            return {"message": self.default_message}
        message, *data = self.args
        if not data:
            return {"message": str(message)}
        return {"message": str(message), "data": data[0] if len(data) == 1 else data}


class ConnectionRefusedError(EventRefusedError):
    """Raise it in a connect handler to refuse the client.

    :param args: the message for the client, and optionally more data. The
        client gets ``{"message": ..., "data": ...}`` with its ``connect_error``.
    """

    default_message = "Connection rejected by server"


class UnsupportedOptionError(FlaskRealtimeError, ValueError):
    """An option (or its value) is known, but this version can't do it."""


class CallTimeoutError(FlaskRealtimeError, TimeoutError):
    """:meth:`.SocketIO.call` got no acknowledgement in time."""


class ClientGoneError(CallTimeoutError):
    """:meth:`.SocketIO.call` can't get an acknowledgement: the client has gone."""
