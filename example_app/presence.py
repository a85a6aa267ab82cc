"""Who is here and in which rooms.

A *user* is a name with one or more connections: the same person in two tabs, or one whose old connection has
broken, unknown to the server, while a new one is already there. The page proves that it is the same person by
a random token that it keeps.
"""

from __future__ import annotations

import hmac
import threading
from dataclasses import dataclass, field

from flask import Flask, current_app

from .errors import ChatError

_EXTENSION = "chat_presence"


@dataclass
class User:
    """A name, its token, and the rooms of each of its connections: ``{sid: {room, ...}}``."""

    name: str
    token: str
    rooms: dict[str, set[str]] = field(default_factory=dict)

    def is_in(self, room: str) -> bool:
        """Whether any of the user's connections is in the room."""
        return any(room in rooms for rooms in self.rooms.values())


class Presence:
    """Shared by all handlers, so every method holds :attr:`lock`.

    The lock is re-entrant and public: hold it to read a list and emit it as one step, or an older list might
    overtake a newer one.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._users: dict[str, User] = {}  # by the name's case-folded form
        self._by_sid: dict[str, User] = {}

    def enter(self, sid: str, name: str, token: str) -> str:
        """Register a connection. Gives the name as others see it; a :class:`ChatError` where it is taken."""
        with self.lock:
            user = self._users.get(name.casefold())
            if user is None:
                user = self._users[name.casefold()] = User(name, token)
            elif not (token and hmac.compare_digest(user.token.encode(), token.encode())):
                raise ChatError(f"Somebody called {user.name} is already here. Please choose another name.")
            user.rooms[sid] = set()
            self._by_sid[sid] = user
            return user.name

    def leave(self, sid: str) -> set[str]:
        """Forget a connection. Gives the rooms that its user has left by that; empty for an unknown one."""
        with self.lock:
            user = self._by_sid.pop(sid, None)
            if user is None:
                return set()
            rooms = user.rooms.pop(sid)
            if not user.rooms:
                del self._users[user.name.casefold()]
            return {room for room in rooms if not user.is_in(room)}

    def enter_room(self, sid: str, room: str) -> None:
        """Put a connection into a room."""
        with self.lock:
            self._by_sid[sid].rooms[sid].add(room)

    def leave_room(self, sid: str, room: str) -> None:
        """Take a connection out of a room."""
        with self.lock:
            self._by_sid[sid].rooms[sid].discard(room)

    def is_in_room(self, sid: str, room: str) -> bool:
        """Whether this connection is in the room."""
        with self.lock:
            user = self._by_sid.get(sid)
            return user is not None and room in user.rooms[sid]

    def name_of(self, sid: str) -> str:
        """Whose connection this is. A :class:`ChatError` where it is nobody's any more."""
        with self.lock:
            user = self._by_sid.get(sid)
        if user is None:
            raise ChatError("You are not here any more. Please reload the page.")
        return user.name

    def find(self, name: str) -> str | None:
        """The name as its user writes it, or None where nobody of that name is here."""
        with self.lock:
            user = self._users.get(name.casefold())
            return user.name if user else None

    def members(self, room: str) -> list[str]:
        """The names of all in the room, in alphabetical order."""
        with self.lock:
            return sorted((u.name for u in self._users.values() if u.is_in(room)), key=str.casefold)


def init_app(app: Flask) -> None:
    """Give the application its own presence."""
    app.extensions[_EXTENSION] = Presence()


def get_presence() -> Presence:
    """The current application's presence."""
    presence: Presence = current_app.extensions[_EXTENSION]
    return presence
