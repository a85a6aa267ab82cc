"""Who is connected, and who is in which room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..server.client import Client, SocketState
from ..types import AckCallback, Room, Sid

if TYPE_CHECKING:
    from ..extension import SocketIO
    from ..server.client import Socket
    from ..server.server import Server

__all__ = ["Clients", "Rooms", "RoomsByNamespace", "RoomsOfNamespace", "Skipped"]

Rooms = Room | Iterable[Room] | None
Skipped = Sid | Iterable[Sid] | None

#: the sids in a room, each with the id of the connection that carries it
Participants = dict[Sid, str]


class Clients:
    """``socketio.server.manager``: the clients of this process.

    What it gives are copies: they may be kept and walked over while clients come and go.

    :param emit: :meth:`.SocketIO.emit`.
    :param close_room: :meth:`.SocketIO.close_room`.
    """

    def __init__(
        self, socketio: SocketIO, emit: Callable[..., None], close_room: Callable[..., None]
    ) -> None:
        self._socketio = socketio
        self._emit = emit
        self._close_room = close_room

    @property
    def _server(self) -> Server:
        return self._socketio.current_server

    @property
    def rooms(self) -> RoomsByNamespace:
        """``rooms[namespace][room]``: the participants of a room (see :class:`RoomsOfNamespace`)."""
        return RoomsByNamespace(self._server)

    def get_namespaces(self) -> list[str]:
        """The namespaces that somebody is connected to."""
        return list(self.rooms)

    def get_participants(self, namespace: str, room: Rooms) -> Iterator[tuple[Sid, str]]:
        """The participants of a room, or of several: (sid, id of the connection), each once.

        :param room: its name, or a list or tuple of names; None for everybody in the namespace.
        """
        rooms = RoomsOfNamespace(self._server, namespace)
        participants: Participants = {}
        for one in room if isinstance(room, (list, tuple, set, frozenset)) else (room,):
            participants.update(rooms.get(one, {}))
        return iter(participants.items())

    def get_rooms(self, sid: Sid, namespace: str) -> list[Room]:
        """The rooms of a client; its own, named like its sid, is the first."""
        return self._server.rooms(sid, namespace)

    def is_connected(self, sid: Sid, namespace: str) -> bool:
        """Whether a client is connected: its connect handler has returned, and it has not gone."""
        socket = self._server.adapter.get(namespace, sid)
        return socket is not None and socket.state is SocketState.CONNECTED

    def eio_sid_from_sid(self, sid: Sid, namespace: str) -> str | None:
        """The id of the connection that carries a client."""
        socket = self._server.adapter.get(namespace, sid)
        return None if socket is None else socket.client.session.sid

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> Sid | None:
        """The client that a connection carries in a namespace."""
        server = self._server
        with server.engine.lock:
            session = server.engine.sessions.get(eio_sid)
            client = None if session is None else session.application
            socket = client.sockets.get(namespace) if isinstance(client, Client) else None
            return None if socket is None else socket.sid

    # As the server's, in another order of arguments

    def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Rooms = None,
        skip_sid: Skipped = None,
        callback: AckCallback | None = None,
        to: Rooms = None,
    ) -> None:
        """See :meth:`.SocketIOServer.emit`."""
        self._emit(
            event, data=data, to=to, room=room, skip_sid=skip_sid, namespace=namespace, callback=callback
        )

    def disconnect(self, sid: Sid, namespace: str) -> None:
        """See :meth:`.SocketIOServer.disconnect`."""
        self._server.disconnect(sid, namespace)

    def enter_room(self, sid: Sid, namespace: str, room: Room) -> None:
        """See :meth:`.SocketIOServer.enter_room`."""
        self._server.enter_room(sid, room, namespace)

    def leave_room(self, sid: Sid, namespace: str, room: Room) -> None:
        """See :meth:`.SocketIOServer.leave_room`."""
        self._server.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str) -> None:
        """See :meth:`.SocketIOServer.close_room`."""
        self._close_room(room, namespace)


class RoomsOfNamespace(Mapping[Room, Participants]):
    """The rooms of a namespace: ``{sid: id of the connection}`` of each.

    The room None holds everybody, and every client has a room named like its sid. A room that nobody is
    in does not exist.
    """

    def __init__(self, server: Server, namespace: str) -> None:
        self._server = server
        self._namespace = namespace

    def _sockets(self, room: Room) -> list[Socket]:
        with self._server.engine.lock:
            return list(self._server.adapter.members(self._namespace, room))

    def __getitem__(self, room: Room) -> Participants:
        participants = {socket.sid: socket.client.session.sid for socket in self._sockets(room)}
        if not participants:
            raise KeyError(room)
        return participants

    def __contains__(self, room: object) -> bool:
        return bool(self._sockets(room))

    def __iter__(self) -> Iterator[Room]:
        with self._server.engine.lock:
            sids = [socket.sid for socket in self._server.adapter.members(self._namespace, None)]
            rooms = list(self._server.adapter.rooms(self._namespace))
        return chain([None] if sids else [], sids, rooms)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class RoomsByNamespace(Mapping[str, RoomsOfNamespace]):
    """The rooms by namespace. A namespace that nobody is connected to is not among them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _namespaces(self) -> list[str]:
        with self._server.engine.lock:
            return list(self._server.adapter.namespaces())

    def __getitem__(self, namespace: str) -> RoomsOfNamespace:
        if namespace not in self._namespaces():
            raise KeyError(namespace)
        return RoomsOfNamespace(self._server, namespace)

    def __iter__(self) -> Iterator[str]:
        return iter(self._namespaces())

    def __len__(self) -> int:
        return len(self._namespaces())

    def __repr__(self) -> str:
        return repr(dict(self))
