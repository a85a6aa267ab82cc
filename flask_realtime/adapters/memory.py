"""Rooms of a single process."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Generic

from ..types import Room, Sid, Target
from .base import M

__all__ = ["MemoryAdapter"]


class MemoryAdapter(Generic[M]):
    """Sockets by namespace and sid, and by namespace and room.

    The room that a socket is in by itself, named like its sid, is not stored:
    the sid is looked up instead.
    """

    def __init__(self) -> None:
        self._sockets: dict[str, dict[Sid, M]] = {}
        # Rooms are dicts for their order: a broadcast goes out in the order of joining.
        self._rooms: dict[str, dict[Room, dict[M, None]]] = {}

    def add(self, socket: M) -> None:
        self._sockets.setdefault(socket.namespace, {})[socket.sid] = socket

    def remove(self, socket: M) -> None:
        for room in list(socket.rooms or ()):
            self.leave(socket, room)
        sockets = self._sockets.get(socket.namespace)
        if sockets is not None:
            sockets.pop(socket.sid, None)
            if not sockets:
                del self._sockets[socket.namespace]

    def get(self, namespace: str, sid: Sid) -> M | None:
        return self._sockets.get(namespace, {}).get(sid)

    def find(self, sid: Sid) -> M | None:
        return next((sockets[sid] for sockets in self._sockets.values() if sid in sockets), None)

    def join(self, socket: M, room: Room) -> None:
        if room == socket.sid:
            return
        self._rooms.setdefault(socket.namespace, {}).setdefault(room, {})[socket] = None
        if socket.rooms is None:
            socket.rooms = set()
        socket.rooms.add(room)

    def leave(self, socket: M, room: Room) -> None:
        if socket.rooms is None or room not in socket.rooms:
            return
        socket.rooms.discard(room)
        rooms = self._rooms[socket.namespace]
        del rooms[room][socket]
        if not rooms[room]:
            del rooms[room]
            if not rooms:
                del self._rooms[socket.namespace]

    def close_room(self, namespace: str, room: Room) -> None:
        for socket in list(self._rooms.get(namespace, {}).get(room, ())):
            self.leave(socket, room)

    def sockets(self, namespace: str, target: Target) -> Collection[M]:
        rooms, skip = target.rooms, target.skip
        candidates: Iterable[M]
        if rooms is None:
            candidates = self.members(namespace, None)
        elif len(rooms) == 1:
            candidates = self._in_room(namespace, rooms[0])
        else:
            candidates = {socket: None for room in rooms for socket in self._in_room(namespace, room)}
        if skip:
            return [socket for socket in candidates if socket.sid not in skip]
        return candidates if type(candidates) is tuple else list(candidates)

    def members(self, namespace: str, room: Room | None) -> Iterable[M]:
        if room is None:
            return self._sockets.get(namespace, {}).values()
        return self._in_room(namespace, room)

    def _in_room(self, namespace: str, room: Room) -> Iterable[M]:
        sockets = self._sockets.get(namespace, {})
        owner = sockets.get(room) if isinstance(room, str) else None
        if owner is not None:
            return (owner,)
        return self._rooms.get(namespace, {}).get(room, ())

    def namespaces(self) -> Iterable[str]:
        return self._sockets.keys()

    def rooms(self, namespace: str) -> Iterable[Room]:
        return self._rooms.get(namespace, {}).keys()

    def stats(self) -> dict[str, int]:
        return {
            "sockets": sum(map(len, self._sockets.values())),
            "rooms": sum(map(len, self._rooms.values())),
        }
