"""How the app's functions are run: in the context of an event, within its hooks and error handlers."""

from __future__ import annotations

from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException

from .context import EventContext, EventScope, ManagedSessions, Sessions, SharedSessions
from .context.http_answers import check, is_refusal, refusal
from .context.sessions import SAVED_SESSION
from .exceptions import EventRefusedError
from .hooks import HookedCall
from .server.work import awaited, completed, in_thread
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
        self._managed_sessions = ManagedSessions()
        self._shared_sessions = SharedSessions(config.make_logger())
        self._configured_sessions = self._sessions_of(config.manage_session)
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
        # Nearly all that is done for an event beside its handler is here, so this calls little.
        scope: EventScope = socket.scope or self._scope(socket)
        around = self._around(socket, message, group) if self._hooks.by_namespace or group is not None else ()
        if around:
            hooked = HookedCall(around, message or "", scope)
            function = partial(hooked.run, partial(self._settle, socket, group), function)
        override = self._socketio.manage_session_override
        sessions = self._configured_sessions if override is None else self._sessions_of(override)
        context = EventContext(scope, sessions, socket, message, args)
        context.push()
        try:
            if SAVED_SESSION not in scope.environ:
                sessions.begin(context)
            try:
                result = function(*args)
                if result is not None and iscoroutine(result):
                    result = completed(scope.server.backend, result)
            except Exception as error:
                handler = None if around else self._error_handler(socket, group, error)
                if handler is None:
                    raise
                result = completed(scope.server.backend, handler(error))
            if message == "connect":
                check(result)
            if context.opened_session is not None:
                sessions.end(context)
        except BaseException as error:
            raised = _as_refusal(error)
            context.pop(raised)
            if raised is error:
                raise
            raise raised from error
        context.pop(None)
        return result

    async def run_async(
        self,
        socket: Socket,
        function: Handler,
        message: str | None,
        args: list[Any],
        group: HookTable | None = None,
    ) -> Any:
        """See :class:`.server.Runner`."""
        scope: EventScope = socket.scope or self._scope(socket)
        around = self._around(socket, message, group) if self._hooks.by_namespace or group is not None else ()
        if around:
            hooked = HookedCall(around, message or "", scope)
            function = partial(hooked.run_async, partial(self._settle_async, socket, group), function)
        override = self._socketio.manage_session_override
        sessions = self._configured_sessions if override is None else self._sessions_of(override)
        context = EventContext(scope, sessions, socket, message, args)
        context.push()
        try:
            if SAVED_SESSION not in scope.environ:
                sessions.begin(context)
            try:
                result = await function(*args)
            except Exception as error:
                handler = None if around else self._error_handler(socket, group, error)
                if handler is None:
                    raise
                result = await awaited(handler(error))
            if message == "connect":
                check(result)
            if context.opened_session is not None:
                sessions.end(context)
        except BaseException as error:
            raised = _as_refusal(error)
            await _pop(context, raised)
            if raised is error:
                raise
            raise raised from error
        if scope.tears_down_async:
            await _pop(context, None)
        else:
            context.pop(None)
        return result

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

    def _sessions_of(self, managed: bool) -> Sessions:
        return self._managed_sessions if managed else self._shared_sessions

    # Inside the event's context

    def _settle(self, socket: Socket, group: HookTable | None, function: Handler, *args: Any) -> Any:
        """A function's result, or that of the handler of its error."""
        backend = socket.client.server.backend
        try:
            return completed(backend, function(*args))
        except Exception as error:
            handler = self._error_handler(socket, group, error)
            if handler is None:
                raise
            return completed(backend, handler(error))

    async def _settle_async(
        self, socket: Socket, group: HookTable | None, function: Handler, *args: Any
    ) -> Any:
        try:
            return await function(*args)
        except Exception as error:
            handler = self._error_handler(socket, group, error)
            if handler is None:
                raise
            return await awaited(handler(error))

    def _error_handler(self, socket: Socket, group: HookTable | None, error: Exception) -> Handler | None:
        if isinstance(error, EventRefusedError):
            return None
        if group is not None and group.error is not None:
            return group.error
        socketio = self._socketio
        return socketio.exception_handlers.get(socket.namespace, socketio.default_exception_handler)


def _as_refusal(error: BaseException) -> BaseException:
    """What an HTTP error stands for, where it answers the client; to be called in the event's context."""
    return refusal(error) if isinstance(error, HTTPException) and is_refusal(error) else error


async def _pop(context: EventContext, error: BaseException | None) -> None:
    try:
        if context.scope.tears_down_async:
            # Flask waits for a coroutine function, which an event loop must not.
            await in_thread(context.scope.server.backend, partial(context.tear_down, error))
    finally:
        context.pop(error)
