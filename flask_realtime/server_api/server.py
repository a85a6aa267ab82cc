"""The server as an app sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ..types import AckCallback, DisconnectReason, Handler, Room, Sid
from .clients import Clients, Rooms, Skipped
from .connections import Connections
from .handlers import NamespaceHandlers, with_sid

if TYPE_CHECKING:
    import logging

    from ..extension import SocketIO
    from ..namespace import Namespace
    from ..server.emitter import Emitter
    from ..server.ports import Joinable
    from ..server.server import Server

__all__ = ["Environs", "SocketIOServer"]

H = TypeVar("H", bound=Handler)


class SocketIOServer:
    """``socketio.server`` and ``Namespace.server``.

    It acts on the server of the current app; where there is none, in a thread
    for instance, on that of the app that was initialised last.

    :param socketio: the extension object.
    """

    #: why a client has gone, as disconnect handlers are told
    reason = DisconnectReason
    #: events of the connection itself
    reserved_events: tuple[str, ...] = ("connect", "disconnect")

    def __init__(self, socketio: SocketIO) -> None:
        from ..extension import SocketIO  # here: it imports this package

        self._socketio = socketio
        # Not what a subclass has made of them: it may well call us.
        self._emit = partial(SocketIO.emit, socketio)
        self._call = partial(SocketIO.call, socketio)
        self._close_room = partial(SocketIO.close_room, socketio)
        #: who is connected, and who is in which room
        self.manager: Clients = Clients(socketio, self._emit, self._close_room)
        #: the connections below
        self.eio: Connections = Connections(socketio)

    @property
    def _server(self) -> Server:
        return self._socketio.current_server

    @property
    def _outlet(self) -> Server | Emitter:
        return self._socketio.outlet

    # Emitting

    def emit(
        self,
        event: str,
        data: Any = None,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: Skipped = None,
        namespace: str | None = None,
        callback: AckCallback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit an event to everybody in a namespace, or to rooms and clients of it. Never waits.

        :param data: one argument, a tuple of several, or None for none.
        :param to: a sid or room, or several (``room`` is another name for it).
        :param skip_sid: leaves these clients out.
        :param callback: called with the acknowledgement of each recipient.
        :param ignore_queue: as :meth:`.SocketIO.emit` has it.
        :raises TypeError, ValueError: the data can't be serialised.
        """
        self._emit(
            event,
            data=data,
            to=to,
            room=room,
            skip_sid=skip_sid,
            namespace=namespace,
            callback=callback,
            ignore_queue=ignore_queue,
        )

    def send(
        self,
        data: Any,
        to: Rooms = None,
        room: Rooms = None,
        skip_sid: Skipped = None,
        namespace: str | None = None,
        callback: AckCallback | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit the event ``message`` (see :meth:`emit`)."""
        self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    def call(
        self,
        event: str,
        data: Any = None,
        to: Sid | None = None,
        sid: Sid | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit an event to one client and wait for its acknowledgement.

        :param to: the client (``sid`` is another name for it).
        :returns: None, one value, or a tuple of several.
        :raises ValueError: there is no ``to``.
        :raises TimeoutError: no acknowledgement within ``timeout`` seconds, or the client has gone.
        """
        return self._call(
            event,
            data=data,
            to=to or sid,
            namespace=namespace,
            timeout=timeout,
            ignore_queue=ignore_queue,
        )

    # Rooms

    def participants(self, namespace: str | None = None, room: Room | None = None) -> list[Sid]:
        """The sids in a room; without ``room``, of everybody in the namespace."""
        return self._server.participants(namespace or "/", room)

    def enter_room(self, sid: Sid, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room. A client that has gone is ignored.

        :raises ValueError: the room is named like another client's sid.
        """
        self._outlet.enter_room(sid, room, namespace or "/")

    def leave_room(self, sid: Sid, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room."""
        self._outlet.leave_room(sid, room, namespace or "/")

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self._close_room(room, namespace)

    def rooms(self, sid: Sid, namespace: str | None = None) -> list[Room]:
        """The rooms of a client; its own, named like its sid, is the first."""
        return self._server.rooms(sid, namespace or "/")

    # Clients

    def disconnect(self, sid: Sid, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Send a client away from a namespace; it does not come back by itself.

        :param ignore_queue: only if it is a client of this process.
        """
        self._outlet.disconnect(sid, namespace or "/", ignore_queue)

    def get_session(self, sid: Sid, namespace: str | None = None) -> dict[str, Any]:
        """A copy of what :meth:`save_session` stored for a client (not Flask's ``session``).

        :raises KeyError: the client is not connected to this namespace.
        """
        return self._server.get_session(sid, namespace or "/")

    def save_session(self, sid: Sid, session: dict[str, Any], namespace: str | None = None) -> None:
        """Store something for a client, for as long as it is connected.

        :raises KeyError: see :meth:`get_session`.
        """
        self._server.save_session(sid, session, namespace or "/")

    def session(self, sid: Sid, namespace: str | None = None) -> AbstractContextManager[dict[str, Any]]:
        """A ``with`` block around :meth:`get_session` and :meth:`save_session`."""
        return self._server.session(sid, namespace or "/")

    def transport(self, sid: Sid, namespace: str | None = None) -> str:
        """``"polling"`` or ``"websocket"``: what carries the client now.

        :raises KeyError: see :meth:`get_session`.
        """
        return self._server.transport(sid, namespace or "/")

    def get_environ(self, sid: Sid, namespace: str | None = None) -> dict[str, Any] | None:
        """What is kept of the handshake's WSGI environ; None for a client that is not connected.

        It lives as long as the connection, and the app may put things of its own into it.
        """
        environ: dict[str, Any] | None = self._server.get_environ(sid, namespace or "/")
        return environ

    @property
    def environ(self) -> Environs:
        """What :meth:`get_environ` gives, by the connection's id (which is not ``request.sid``)."""
        return Environs(self._server)

    # Handlers

    def on(
        self, event: str, handler: Handler | None = None, namespace: str | None = None
    ) -> Callable[[H], H] | None:
        """Register a handler that is told whose event it is, as a call or as a decorator.

        Its first argument is the client's sid; that of ``connect`` gets the environ too, and then the
        client's ``auth`` if it takes three. With ``'*'`` as event or namespace, the name of the event,
        then that of the namespace, come before the sid. It runs in the context of the event, as handlers
        of :meth:`.SocketIO.on` do.
        """
        if handler is None:
            return partial(self._decorate, event, namespace)
        self._decorate(event, namespace, handler)
        return None

    def _decorate(self, event: str, namespace: str | None, handler: H) -> H:
        self._socketio.on_event(event, with_sid(self, handler, event, namespace or "/"), namespace)
        return handler

    def event(self, handler: H, namespace: str | None = None) -> H:
        """Register the decorated function for the event of its name (see :meth:`on`)."""
        return self._decorate(handler.__name__, namespace, handler)

    def register_namespace(self, namespace_handler: Namespace) -> None:
        """:meth:`.SocketIO.on_namespace`."""
        self._socketio.on_namespace(namespace_handler)

    @property
    def handlers(self) -> NamespaceHandlers:
        """The functions that were registered, by namespace and event. Deleting one unregisters it."""
        return NamespaceHandlers(self._server.dispatcher)

    @property
    def namespace_handlers(self) -> dict[str, Namespace]:
        """The :class:`.Namespace` objects, by namespace."""
        return {obj.namespace: obj for obj in self._socketio.namespace_handlers}

    # The server itself

    @property
    def async_mode(self) -> str:
        """As :attr:`.SocketIO.async_mode`."""
        return self._socketio.async_mode

    @property
    def async_handlers(self) -> bool:
        """The option."""
        return self._server.config.async_handlers

    @property
    def always_connect(self) -> bool:
        """The option."""
        return self._server.config.always_connect

    @property
    def namespaces(self) -> list[str] | str:
        """The option."""
        accepted = self._server.config.namespaces
        return accepted if isinstance(accepted, str) else sorted(accepted)

    @property
    def logger(self) -> logging.Logger:
        """Where it logs."""
        return self._server.logger

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        """As :meth:`.SocketIO.start_background_task`."""
        return self._socketio.start_background_task(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """As :meth:`.SocketIO.sleep`."""
        self._socketio.sleep(seconds)

    def shutdown(self) -> None:
        """Close all connections, as a server that goes away. Never waits; clients come back by themselves."""
        self._server.engine.close_all()

    def instrument(self, *args: Any, **kwargs: Any) -> NoReturn:
        """The Socket.IO Admin UI, which python-socketio offers here, is not supported.

        :raises NotImplementedError: always.
        """
        raise NotImplementedError(
            "the Socket.IO Admin UI is not supported; SocketIO.stats() and SocketIO.refusals() count"
            " what is alive and what was refused"
        )


class Environs(Mapping[str, dict[str, Any]]):
    """The environs of the living connections, by their ids."""

    def __init__(self, server: Server) -> None:
        self._sessions = server.engine.sessions

    def __getitem__(self, eio_sid: str) -> dict[str, Any]:
        environ: dict[str, Any] = self._sessions[eio_sid].environ
        return environ

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions.copy())

    def __len__(self) -> int:
        return len(self._sessions)
