"""Handlers as the methods of a class."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import flask

from .context.http_answers import original
from .exceptions import EventRefusedError
from .server.dispatcher import NOT_HANDLED, RESERVED_EVENTS
from .server.signatures import fitted, is_async
from .server.work import awaited, in_thread
from .types import AckCallback, Handler, Room, Sid

if TYPE_CHECKING:
    from .extension import SocketIO
    from .hooks import HookTable
    from .server.server import Server
    from .server_api import SocketIOServer

__all__ = ["Namespace"]

Rooms = Room | Iterable[Room] | None


class Namespace:
    """The handlers of a namespace: a method ``on_<event>`` for each event.

    A method ``error(exception)``, where there is one, takes what they raise.
    """

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace: str = namespace or "/"
        self.socketio: SocketIO | None = None
        self._group: HookTable | None = None

    def _belong(self, socketio: SocketIO, group: HookTable | None) -> None:
        """It is registered: with an extension object, maybe through a group of events."""
        self.socketio = socketio
        self._group = group

    @property
    def server(self) -> SocketIOServer:
        """:attr:`.SocketIO.server`.

        :raises RuntimeError: before it was registered by :meth:`.SocketIO.on_namespace` for an app.
        """
        server = self._extension.server
        assert server is not None
        return server

    @property
    def _server(self) -> Server:
        return self._extension.current_server

    @property
    def _extension(self) -> SocketIO:
        if self.socketio is None:
            raise RuntimeError("register the namespace with SocketIO.on_namespace() first")
        return self.socketio

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Have an event handled by its method. Override it for other rules.

        :param args: the client's sid, then the event's arguments.
        :returns: what the method returns; where that is a coroutine function, its coroutine.
        """
        handler = getattr(self, "on_" + (event or ""), None)
        sid, *values = args
        if handler is not None and event in RESERVED_EVENTS:
            handler = fitted(handler)
        if is_async(handler) or is_async(self.trigger_event):  # an override that awaits this one
            return self._trigger_async(handler, event, sid, values)
        if handler is None:
            return NOT_HANDLED
        try:
            return self._extension.run_handler(handler, event, self.namespace, sid, values, self._group)
        except Exception as error:
            hook, told = getattr(self, "error", None), original(error)
            if hook is None or isinstance(told, EventRefusedError):
                raise
            return hook(told)

    async def _trigger_async(self, handler: Handler | None, event: str, sid: Sid, values: list[Any]) -> Any:
        if handler is None:
            return NOT_HANDLED
        run = partial(self._extension.run_handler, handler, event, self.namespace, sid, values, self._group)
        try:
            if not is_async(handler):
                return await in_thread(self._server.backend, run)
            return await awaited(run())  # plain where the client has gone
        except Exception as error:
            hook, told = getattr(self, "error", None), original(error)
            if hook is None or isinstance(told, EventRefusedError):
                raise
            return await awaited(hook(told))

    def handles_async(self, event: str) -> bool:
        """Whether :meth:`trigger_event` gives a coroutine for an event."""
        return is_async(self.trigger_event) or is_async(getattr(self, "on_" + event, None))

    def emit(
        self,
        event: str,
        data: Any = None,
        room: Rooms = None,
        include_self: bool = True,
        namespace: str | None = None,
        callback: AckCallback | None = None,
        *,
        to: Rooms = None,
        skip_sid: Sid | Iterable[Sid] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit an event, by default to everybody in this namespace (see :meth:`.SocketIO.emit`)."""
        self._extension.emit(
            event,
            *(() if data is None else (data,)),
            to=room if to is None else to,
            include_self=include_self,
            namespace=self._or_own(namespace),
            callback=callback,
            skip_sid=skip_sid,
            ignore_queue=ignore_queue,
        )

    def _or_own(self, namespace: str | None) -> str:
        if namespace is None and self.namespace == "*":
            current: str = flask.request.namespace  # type: ignore[attr-defined]
            return current
        return namespace or self.namespace

    def send(
        self,
        data: Any,
        room: Rooms = None,
        include_self: bool = True,
        namespace: str | None = None,
        callback: AckCallback | None = None,
        *,
        to: Rooms = None,
        skip_sid: Sid | Iterable[Sid] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit the event ``message`` (see :meth:`emit`)."""
        self.emit(
            "message",
            data,
            room,
            include_self,
            namespace,
            callback,
            to=to,
            skip_sid=skip_sid,
            ignore_queue=ignore_queue,
        )

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
        """Emit to one client and wait for its acknowledgement (see :meth:`.SocketIO.call`)."""
        args = () if data is None else (data,)
        return self._extension.call(
            event,
            *args,
            to=to or sid,
            namespace=self._or_own(namespace),
            timeout=timeout,
            ignore_queue=ignore_queue,
        )

    async def call_async(
        self,
        event: str,
        data: Any = None,
        to: Sid | None = None,
        sid: Sid | None = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """:meth:`call` for coroutines."""
        args = () if data is None else (data,)
        return await self._extension.call_async(
            event,
            *args,
            to=to or sid,
            namespace=self._or_own(namespace),
            timeout=timeout,
            ignore_queue=ignore_queue,
        )

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self._server.close_room(room, self._or_own(namespace))

    def enter_room(self, sid: Sid, room: Room, namespace: str | None = None) -> None:
        """Put a client into a room."""
        self._server.enter_room(sid, room, self._or_own(namespace))

    def leave_room(self, sid: Sid, room: Room, namespace: str | None = None) -> None:
        """Take a client out of a room."""
        self._server.leave_room(sid, room, self._or_own(namespace))

    def rooms(self, sid: Sid, namespace: str | None = None) -> list[Room]:
        """The rooms of a client."""
        return self._server.rooms(sid, self._or_own(namespace))

    def disconnect(self, sid: Sid, namespace: str | None = None) -> None:
        """Send a client away."""
        self._server.disconnect(sid, self._or_own(namespace))

    def get_session(self, sid: Sid, namespace: str | None = None) -> dict[str, Any]:
        """A copy of what :meth:`save_session` stored for a client."""
        return self._server.get_session(sid, self._or_own(namespace))

    def save_session(self, sid: Sid, session: dict[str, Any], namespace: str | None = None) -> None:
        """Store something for a client, for as long as it is connected."""
        self._server.save_session(sid, session, self._or_own(namespace))

    def session(self, sid: Sid, namespace: str | None = None) -> AbstractContextManager[dict[str, Any]]:
        """A ``with`` block around :meth:`get_session` and :meth:`save_session`."""
        return self._server.session(sid, self._or_own(namespace))
