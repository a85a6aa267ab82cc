"""The context of an event for Flask from 3.2 on, which has one context for the app and the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Request
from flask.ctx import AppContext
from flask.globals import _cv_app
from flask.sessions import SessionMixin
from flask.signals import appcontext_popped, appcontext_pushed

from .part import EventPart

if TYPE_CHECKING:
    from flask import Flask
    from flask.ctx import _AppCtxGlobals

    from ..server.client import Socket
    from .scope import EventScope
    from .sessions import Sessions

__all__ = ["EventContext"]


#: the context, or that of a request or an app, or nothing
get_current: Callable[[None], AppContext | None] = _cv_app.get


class EventContext(EventPart, AppContext):  # type: ignore[override]
    """Flask's context, which is popped as Flask does it, without what an event does not need."""

    def __init__(
        self, scope: EventScope, sessions: Sessions, socket: Socket, message: str | None, args: list[Any]
    ) -> None:
        self.app: Flask = scope.app
        self.g: _AppCtxGlobals = scope.app.app_ctx_globals_class()
        self.scope = scope
        self.sessions = sessions
        self.socket = socket
        self._message = message
        self._args = args
        self._request: Request = scope.request(socket, message, args)
        self.opened_session: SessionMixin | None = None
        self._flashes: list[tuple[str, str]] | None = None
        self._after_request_functions: list[Any] = []
        self._cv_token: Any = None
        self._push_count = 0

    def copy(self) -> EventContext:
        """For ``copy_current_request_context``: the same request and session, elsewhere."""
        copied = EventContext(self.scope, self.sessions, self.socket, self._message, self._args)
        copied._request = self._request
        copied.opened_session = self._get_session()
        return copied

    def push(self) -> None:
        """A context that is pushed again, as ``stream_with_context`` does it, stays as it is."""
        self._push_count += 1
        if self._cv_token is not None:
            return
        self._cv_token = _cv_app.set(self)
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = None) -> None:
        if not self._torn_down or self._push_count > 1:
            super().pop(exc)
            return
        self._push_count = 0
        _cv_app.reset(self._cv_token)
        self._cv_token = None
        if appcontext_popped.receivers:
            appcontext_popped.send(self.app, _async_wrapper=self.app.ensure_sync)

    def tear_down(self, exc: BaseException | None) -> None:
        """Run the app's teardown functions now, and not when the context is popped."""
        self._torn_down = True
        app: Any = self.app
        try:
            app.do_teardown_request(self, exc)
        finally:
            app.do_teardown_appcontext(self, exc)
