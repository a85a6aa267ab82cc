"""What Flask-Realtime raises.

::

    Exception
    ├── FlaskRealtimeError          what the application did, or what it must know
    │   ├── ConnectionRefusedError  raised BY a connect handler to refuse a client
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
    "FlaskRealtimeError",
    "RemoteProtocolError",
    "UnsupportedOptionError",
]


class FlaskRealtimeError(Exception):
    """The base of what the application can run into."""


class ConnectionRefusedError(FlaskRealtimeError):
    """Raise it in a connect handler to refuse the client.

    :param args: the message for the client, and optionally more data. The
        client gets ``{"message": ..., "data": ...}`` with its ``connect_error``.
    """

    @property
    def error_args(self) -> dict[str, Any]:
        """The payload of the CONNECT_ERROR packet."""
        if not self.args:
            return {"message": "Connection rejected by server"}
        message, *data = self.args
        if not data:
            return {"message": str(message)}
        return {"message": str(message), "data": data[0] if len(data) == 1 else data}


class UnsupportedOptionError(FlaskRealtimeError, ValueError):
    """An option (or its value) is known, but this version can't do it."""


class CallTimeoutError(FlaskRealtimeError, TimeoutError):
    """:meth:`.SocketIO.call` got no acknowledgement in time."""


class ClientGoneError(CallTimeoutError):
    """:meth:`.SocketIO.call` can't get an acknowledgement: the client has gone."""
