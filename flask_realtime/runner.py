"""How the app's functions are run: in the context of an event, with the app's error handlers around them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from .context import EventScope, ManagedSessions, Sessions, SharedSessions
from .exceptions import ConnectionRefusedError
from .http_answers import checked, refusal
from .server.inbox import awaited, completed
from .types import Handler

if TYPE_CHECKING:
    from .config import ServerConfig
    from .extension import SocketIO
    from .server.client import Socket

__all__ = ["HandlerRunner"]


class HandlerRunner:
    """Runs handlers for the server of one app (a :class:`.server.Runner`)."""

    def __init__(self, socketio: SocketIO, config: ServerConfig) -> None:
        self._socketio = socketio
        self._config = config
        self._managed_sessions = ManagedSessions()
        self._shared_sessions = SharedSessions(config.make_logger())

    def run(self, socket: Socket, function: Handler, message: str | None, args: list[Any]) -> Any:
        """See :class:`.server.Runner`."""
        call = partial(self._call, socket.namespace, function)
        try:
            result = self._scope(socket).run(call, message, args, self._sessions)
        except HTTPException as error:
            if message != "connect":
                raise
            raise refusal(error) from error
        return checked(result) if message == "connect" else result

    async def run_async(self, socket: Socket, function: Handler, message: str | None, args: list[Any]) -> Any:
        """See :class:`.server.Runner`."""
        call = partial(self._call_async, socket.namespace, function)
        try:
            result = await self._scope(socket).run_async(call, message, args, self._sessions)
        except HTTPException as error:
            if message != "connect":
                raise
            raise refusal(error) from error
        return checked(result) if message == "connect" else result

    @staticmethod
    def _scope(socket: Socket) -> EventScope:
        if socket.scope is None:
            socket.scope = EventScope(socket)
        scope: EventScope = socket.scope
        return scope

    @property
    def _sessions(self) -> Sessions:
        override = self._socketio.manage_session_override
        managed = self._config.manage_session if override is None else override
        return self._managed_sessions if managed else self._shared_sessions

    # Inside the event's context

    def _call(self, namespace: str, function: Handler, *args: Any) -> Any:
        try:
            return self._completed(function(*args))
        except ConnectionRefusedError:
            raise
        except Exception as error:
            handler = self._error_handler(namespace)
            if handler is None:
                raise
            return self._completed(handler(error))

    async def _call_async(self, namespace: str, function: Handler, *args: Any) -> Any:
        try:
            return await function(*args)
        except ConnectionRefusedError:
            raise
        except Exception as error:
            handler = self._error_handler(namespace)
            if handler is None:
                raise
            return await awaited(handler(error))

    def _completed(self, result: Any) -> Any:
        return completed(self._socketio.current_server.backend, result)

    def _error_handler(self, namespace: str) -> Handler | None:
        socketio = self._socketio
        return socketio.exception_handlers.get(namespace, socketio.default_exception_handler)
