"""Flask's ``request`` with what it has while an event is handled, for type checkers and editors.

::

    from flask_realtime import request

    @socketio.on("hello")
    def hello():
        print(request.sid)

It is the very object that ``flask.request`` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import flask

from .types import Sid

__all__ = ["EventInfo", "EventRequest", "request"]


class EventInfo(TypedDict):
    """What ``request.event`` is."""

    #: the event's name; ``'*'`` in a catch-all handler; None in the callback of an emit
    message: str | None
    args: tuple[Any, ...]


class EventRequest(flask.Request):
    """The type of ``request`` while an event is handled: the one that has opened the connection, and more.

    It is for annotations. The object itself is of the app's ``request_class``.
    """

    #: the client's id, in its namespace
    sid: Sid
    namespace: str
    event: EventInfo


if TYPE_CHECKING:
    request: EventRequest
else:
    request = flask.request
