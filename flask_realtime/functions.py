"""Functions for handlers: they act for the client whose event is being handled."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

import flask

from .context import current_event
from .types import AckCallback, Room, Sid

if TYPE_CHECKING:
    from .extension import SocketIO

__all__ = [
    "call",
    "call_async",
    "close_room",
    "disconnect",
    "emit",
    "join_room",
    "leave_room",
    "rooms",
    "send",
]

Rooms = Room | Iterable[Room] | None


def _socketio() -> SocketIO:
    event = current_event()
    app = flask.current_app if event is None else event.app
    extension: SocketIO = app.extensions["socketio"]
    return extension


def _current(name: str) -> Any:
    """``request.sid`` or ``request.namespace``.

    :raises RuntimeError: outside an event's handler.
    """
    event = current_event()
    try:
        return getattr(flask.request if event is None else event.socket, name)
    except AttributeError:
        raise RuntimeError(
            f"request.{name} exists only while an event is handled; elsewhere, use the methods of SocketIO"
        ) from None


def emit(
    event: str,
    *args: Any,
    namespace: str | None = None,
    to: Rooms = None,
    room: Rooms = None,
    broadcast: bool = False,
    callback: AckCallback | None = None,
    include_self: bool = True,
    skip_sid: Sid | Iterable[Sid] | None = None,
    ignore_queue: bool = False,
    volatile: bool = False,
    json: bool = False,
    data: Any = None,
    binary: bool = True,
    sid: Sid | None = None,
) -> None:
    """Emit an event: to the current client, or to those that ``to`` or ``broadcast`` say.

    :param args: what the event carries: text, binary, and all that JSON can
        say. One tuple is taken for several arguments.
    :param data: another way to say what it carries.
    :param namespace: the current event's, unless given.
    :param to: a sid or room, or several (``room`` is another name for it).
    :param broadcast: to everybody in the namespace.
    :param callback: called with the client's acknowledgement.
    :param include_self: False leaves the current client out.
    :param skip_sid: leaves these clients out.
    :param ignore_queue: only to the clients of this process.
    :param volatile: drop it for clients that are behind.
    :param json, binary: accepted for compatibility; what is text, JSON or binary is known by its type.
    :param sid: accepted for compatibility; it says nothing about the recipient, which is ``to``.
    :raises TypeError, ValueError: the data can't be serialised.
    """
    handled = current_event()
    if (
        handled is not None
        and to is None
        and room is None
        and not (broadcast or ignore_queue or volatile)
        and namespace is None
        and callback is None
        and include_self
        and skip_sid is None
        and data is None
        and not (args and type(args[0]) is tuple)
    ):
        extension: SocketIO = handled.app.extensions["socketio"]
        if extension.emit == extension.own_emit:
            # The shortest way for what most handlers do: they answer their client.
            socket = handled.socket
            socket.client.server.emit_to(socket, event, args)
            return
    if to is None:
        to = room
    if to is None and not broadcast:
        to = _current("sid")
    _socketio().emit(
        event,
        *args,
        namespace=_current("namespace") if namespace is None else namespace,
        to=to,
        callback=callback,
        include_self=include_self,
        skip_sid=skip_sid,
        ignore_queue=ignore_queue,
        volatile=volatile,
        data=data,
    )


def send(
    message: Any,
    json: bool = False,
    namespace: str | None = None,
    to: Rooms = None,
    room: Rooms = None,
    broadcast: bool = False,
    callback: AckCallback | None = None,
    include_self: bool = True,
    skip_sid: Sid | Iterable[Sid] | None = None,
    ignore_queue: bool = False,
) -> None:
    """Emit ``message`` as the event ``message`` (or ``json``); the rest is as in :func:`emit`."""
    emit(
        "json" if json else "message",
        message,
        namespace=namespace,
        to=to,
        room=room,
        broadcast=broadcast,
        callback=callback,
        include_self=include_self,
        skip_sid=skip_sid,
        ignore_queue=ignore_queue,
    )


def call(
    event: str,
    *args: Any,
    namespace: str | None = None,
    to: Sid | None = None,
    room: Sid | None = None,
    timeout: float | None = 60,
    ignore_queue: bool = False,
    data: Any = None,
) -> Any:
    """Emit an event to one client, by default the current one, and wait for its acknowledgement.

    :returns: None, one value, or a tuple of several.
    :raises TimeoutError: none came within ``timeout`` seconds, or the client has gone.
    """
    return _socketio().call(
        event,
        *args,
        namespace=_current("namespace") if namespace is None else namespace,
        to=to or room or _current("sid"),
        timeout=timeout,
        ignore_queue=ignore_queue,
        data=data,
    )


def call_async(
    event: str,
    *args: Any,
    namespace: str | None = None,
    to: Sid | None = None,
    room: Sid | None = None,
    timeout: float | None = 60,
    ignore_queue: bool = False,
    data: Any = None,
) -> Coroutine[Any, Any, Any]:
    """:func:`call` for ``async def`` handlers: ``answer = await call_async("question")``."""
    return _socketio().call_async(
        event,
        *args,
        namespace=_current("namespace") if namespace is None else namespace,
        to=to or room or _current("sid"),
        timeout=timeout,
        ignore_queue=ignore_queue,
        data=data,
    )


def join_room(room: Room, sid: Sid | None = None, namespace: str | None = None) -> None:
    """Put a client, by default the current one, into a room."""
    _socketio().current_server.enter_room(sid or _current("sid"), room, namespace or _current("namespace"))


def leave_room(room: Room, sid: Sid | None = None, namespace: str | None = None) -> None:
    """Take a client, by default the current one, out of a room."""
    _socketio().current_server.leave_room(sid or _current("sid"), room, namespace or _current("namespace"))


def close_room(room: Room, namespace: str | None = None) -> None:
    """Take everybody out of a room."""
    _socketio().current_server.close_room(room, namespace or _current("namespace"))


def rooms(sid: Sid | None = None, namespace: str | None = None) -> list[Room]:
    """The rooms of a client, by default the current one; its own (named like its sid) is among them."""
    return _socketio().current_server.rooms(sid or _current("sid"), namespace or _current("namespace"))


def disconnect(sid: Sid | None = None, namespace: str | None = None, silent: bool = False) -> None:
    """Send a client, by default the current one, away.

    :param silent: accepted for compatibility; a client that has gone is never an error.
    """
    _socketio().current_server.disconnect(sid or _current("sid"), namespace or _current("namespace"))
