"""How the app's functions are run: in the context of an event, within its hooks and error handlers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .context import EventScope, ManagedSessions, Sessions, SharedSessions
from .exceptions import EventRefusedError
from .hooks import HookedCall
from .server.inbox import awaited, completed
from .types import Handler

if TYPE_CHECKING:
    from .config import ServerConfig
    from .extension import SocketIO
    from .hooks import Hooks, HookTable
    from .server.client import Socket

__all__ = ["HandlerRunner"]


class HandlerRunner:
    """Runs handlers for the server of one app (a :class:`.server.Runner`)."""

    def __init__(self, socketio: SocketIO, config: ServerConfig, hooks: HookTable) -> None:
        self._socketio = socketio
        self._config = config
        self._managed_sessions = ManagedSessions()
        self._shared_sessions = SharedSessions(config.make_logger())
        self._hooks = hooks

    def run(
        self,
        socket: Socket,
        function: Handler,
        message: str | None,
        args: list[Any],
        group: HookTable | None = None,
    ) -> Any:
        """See :class:`.server.Runner`."""
        call: Callable[..., Any] = partial(self._settle, socket, group)
        scope = self._scope(socket)
        if around := self._around(socket, message, group):
            call = partial(HookedCall(around, message or "", scope).run, call)
        return scope.run(partial(call, function), message, args, self._sessions)

    async def run_async(
        self,
        socket: Socket,
        function: Handler,
        message: str | None,
        args: list[Any],
        group: HookTable | None = None,
    ) -> Any:
        """See :class:`.server.Runner`."""
        call: Callable[..., Any] = partial(self._settle_async, socket, group)
        scope = self._scope(socket)
        if around := self._around(socket, message, group):
            call = partial(HookedCall(around, message or "", scope).run_async, call)
        return await scope.run_async(partial(call, function), message, args, self._sessions)

    def attends(self, namespace: str) -> bool:
        """See :class:`.server.Runner`."""
        return bool(self._hooks.around(namespace))

    def has_admitted(self, socket: Socket) -> bool:
        """See :class:`.server.Runner`."""
        return self._scope(socket).admitted

    def _around(self, socket: Socket, message: str | None, group: HookTable | None) -> list[Hooks]:
        """The hooks of an event, from the outermost; a callback has none."""
        if message is None:
            return []
        around = self._hooks.around(socket.namespace)
        return around if group is None else around + group.around(socket.namespace)

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

    def _settle(self, socket: Socket, group: HookTable | None, function: Handler, *args: Any) -> Any:
        """A function's result, or that of the handler of its error."""
        try:
            return completed(socket.client.server.backend, function(*args))
        except EventRefusedError:
            raise
        except Exception as error:
            handler = self._error_handler(socket.namespace, group)
            if handler is None:
                raise
            return completed(socket.client.server.backend, handler(error))

    async def _settle_async(
        self, socket: Socket, group: HookTable | None, function: Handler, *args: Any
    ) -> Any:
        try:
            return await function(*args)
        except EventRefusedError:
            raise
        except Exception as error:
            handler = self._error_handler(socket.namespace, group)
            if handler is None:
                raise
            return await awaited(handler(error))

    def _error_handler(self, namespace: str, group: HookTable | None) -> Handler | None:
        if group is not None and group.error is not None:
            return group.error
        socketio = self._socketio
        return socketio.exception_handlers.get(namespace, socketio.default_exception_handler)
