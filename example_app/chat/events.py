"""The Socket.IO events.

Every request is acked: ``{"ok": true, ...}``, or ``{"ok": false, "error": "..."}`` with a text for the user.

=============== ========================= ==============================================================
from the page   payload                   what the server does
=============== ========================= ==============================================================
(connect)       ``auth``: Login           takes the name, or refuses the connection
``join``        Join                      acks the room, who is there and what was said
``leave``       Leave                     tells the others
``post``        Post                      stores it, sends ``post`` to the others in the room
``file``        File                      notes it, sends ``file`` with the bytes to the others
``typing``      Typing                    sends ``typing`` to the others in the room
``whisper``     Whisper                   sends ``whisper`` to that user, and to the sender's other tabs
=============== ========================= ==============================================================

Besides these the page gets ``members`` of a room, to all in it, and ``rooms``, to everybody, as they change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app

from flask_realtime import ConnectionRefusedError, emit, join_room, leave_room, request

from ..errors import ChatError
from ..extensions import socketio
from ..presence import get_presence
from ..store import Draft, get_store
from .payloads import (
    File,
    Join,
    Leave,
    Login,
    Post,
    Typing,
    Whisper,
    clean_file,
    clean_name,
    clean_room,
    clean_text,
    parse,
)

T = TypeVar("T")
Reply = dict[str, Any]


def acknowledged(shape: type[T]) -> Callable[[Callable[[T], Reply]], Callable[..., Reply]]:
    """Give a handler its payload parsed, and make an ack of what it returns or of the error it raises."""

    def decorate(handler: Callable[[T], Reply]) -> Callable[..., Reply]:
        def answer(*payload: object) -> Reply:
            try:
                return {"ok": True, **handler(parse(payload[0] if payload else None, shape))}
            except ChatError as error:
                return {"ok": False, "error": str(error)}

        answer.__name__ = handler.__name__
        answer.__doc__ = handler.__doc__
        return answer

    return decorate


@socketio.on("connect")
def connect(auth: object = None) -> None:
    """Let the user in by a name, or say why not."""
    try:
        login = parse(auth, Login)
        name = get_presence().enter(request.sid, clean_name(login.name), login.token or "")
    except ChatError as error:
        raise ConnectionRefusedError(str(error)) from None
    join_room(_user_channel(name))


@socketio.on("disconnect")
def disconnect(_reason: str = "") -> None:
    """Tell the others. Flask-Realtime has the connection leave its rooms by itself."""
    for room in get_presence().leave(request.sid):
        _announce(room)


@socketio.on("join")
@acknowledged(Join)
def join(body: Join) -> Reply:
    """Enter a room, which is created where there is none, and get what was said there."""
    room = clean_room(body.room)
    store, presence = get_store(), get_presence()
    name = presence.name_of(request.sid)
    store.add_room(room, current_app.config["MAX_ROOMS"])
    # First into the room, then the history: what is said meanwhile comes twice, which the page sorts out by
    # the ids. The other way round it would be lost.
    join_room(_room_channel(room))
    presence.enter_room(request.sid, room)
    _announce(room)
    messages, more = store.history(room, body.after, current_app.config["HISTORY_PAGE"])
    return {
        "room": room,
        "you": name,
        "messages": [message.as_dict() for message in messages],
        "more": more,
        "members": presence.members(room),
        "rooms": _rooms(),
    }


@socketio.on("leave")
@acknowledged(Leave)
def leave(body: Leave) -> Reply:
    """Leave a room."""
    room = _entered(body.room)
    leave_room(_room_channel(room))
    get_presence().leave_room(request.sid, room)
    _announce(room)
    return {}


@socketio.on("post")
@acknowledged(Post)
def post(body: Post) -> Reply:
    """Store a message and send it to the others in the room."""
    room, author = _entered(body.room), get_presence().name_of(request.sid)
    draft = Draft(room, author, clean_text(body.text), body.key)
    with get_store().publishing(draft) as (message, new):
        if new:
            emit("post", message.as_dict(), to=_room_channel(room), include_self=False)
    return {"message": message.as_dict()}


@socketio.on("file")
@acknowledged(File)
def file(body: File) -> Reply:
    """Send a file to the others in the room. The history gets a note of it, not its content."""
    room, author = _entered(body.room), get_presence().name_of(request.sid)
    name, mime_type = clean_file(body)
    draft = Draft(room, author, name, body.key, kind="file", size=len(body.data))
    with get_store().publishing(draft) as (message, new):
        if new:
            content = {"type": mime_type, "data": body.data}
            emit("file", message.as_dict() | content, to=_room_channel(room), include_self=False)
    return {"message": message.as_dict()}


@socketio.on("typing")
@acknowledged(Typing)
def typing(body: Typing) -> Reply:
    """Tell the others in the room. The page forgets it by itself after some seconds."""
    room, name = _entered(body.room), get_presence().name_of(request.sid)
    signal = {"room": room, "name": name, "active": body.active}
    emit("typing", signal, to=_room_channel(room), include_self=False)
    return {}


@socketio.on("whisper")
@acknowledged(Whisper)
def whisper(body: Whisper) -> Reply:
    """Send a private message, which is kept nowhere."""
    presence = get_presence()
    author, to = presence.name_of(request.sid), presence.find(body.to)
    if to is None:
        raise ChatError(f"{body.to} is not here.")
    if to == author:
        raise ChatError("A message to yourself goes nowhere.")
    message = {"author": author, "to": to, "text": clean_text(body.text), "key": body.key}
    emit("whisper", message, to=[_user_channel(to), _user_channel(author)], include_self=False)
    return {}


def _announce(room: str) -> None:
    """Send the room's members to all in it, and the list of rooms to everybody."""
    presence = get_presence()
    with presence.lock:
        emit("members", {"room": room, "members": presence.members(room)}, to=_room_channel(room))
        emit("rooms", _rooms(), broadcast=True)


def _rooms() -> list[dict[str, Any]]:
    presence = get_presence()
    return [{"name": room, "members": len(presence.members(room))} for room in get_store().rooms()]


def _entered(room: str) -> str:
    """The room's name; a :class:`ChatError` where this connection has not entered it."""
    room = clean_room(room)
    if not get_presence().is_in_room(request.sid, room):
        raise ChatError(f"You are not in the room {room}.")
    return room


# Socket.IO has one kind of rooms. The prefixes keep rooms that people enter from the users' own.
def _room_channel(room: str) -> str:
    return f"room:{room}"


def _user_channel(name: str) -> str:
    return f"user:{name.casefold()}"
