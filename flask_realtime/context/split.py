"""The context of an event for Flask before 3.2, which has one context for the app and one for the request."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SessionMixin
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_tearing_down,
)

from .part import EventPart

if TYPE_CHECKING:
    from flask.ctx import _AppCtxGlobals

    from ..server.client import Socket
    from .scope import EventScope
    from .sessions import Sessions

__all__ = ["EventContext"]


#: the context, or that of a request, or nothing; of this variable and that of the app only these are used
get_current: Callable[[None], RequestContext | None] = _cv_request.get
_set_request, _reset_request = _cv_request.set, _cv_request.reset
_set_app, _reset_app = _cv_app.set, _cv_app.reset


#: what resets the variables of the request and, where it was set, of the app; and those of the push before
Tokens = tuple[Any, Any, "Tokens | None"]


class EventContext(EventPart, RequestContext, AppContext):  # type: ignore[misc,override]
    """Both contexts in one. What most handlers never ask for is made when one does."""

    flashes: list[tuple[str, str]] | None = None
    _request: Request | None = None
    _g: _AppCtxGlobals | None = None

    def __init__(
        self, scope: EventScope, sessions: Sessions, socket: Socket, message: str | None, args: list[Any]
    ) -> None:
        self.app: Flask = scope.app
        self.scope = scope
        self.sessions = sessions
        self.socket = socket
        self._message = message
        self._args = args
        self.opened_session: SessionMixin | None = None
        self._tokens: Tokens | None = None

    @property
    def request(self) -> Request:  # type: ignore[override]
        request = self._request
        if request is None:
            request = self._request = self.scope.request(self.socket, self._message, self._args)
        return request

    @property
    def g(self) -> _AppCtxGlobals:  # type: ignore[override]
        if self._g is None:
            self._g = self.app.app_ctx_globals_class()
        return self._g

    @property
    def session(self) -> SessionMixin:
        session = self._get_session()
        session.accessed = True
        return session

    @cached_property
    def _after_request_functions(self) -> list[Any]:  # type: ignore[override]
        return []

    def copy(self) -> EventContext:
        """For ``copy_current_request_context``: the same request and session, elsewhere."""
        copied = EventContext(self.scope, self.sessions, self.socket, self._message, self._args)
        copied._request = self.request
        copied.opened_session = self._get_session()
        return copied

    def push(self) -> None:
        """A context that is pushed again, as ``stream_with_context`` does it, keeps its ``g``."""
        before = self._tokens
        request_token = _set_request(self)
        if before is not None and self._is_app_current():
            self._tokens = request_token, None, before
            return
        self._tokens = request_token, _set_app(self), before
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def _is_app_current(self) -> bool:
        current = _cv_app.get(None)
        return current is not None and current.app is self.app

    def pop(self, exc: BaseException | None = None) -> None:
        """What was pushed first ends the event: the app's teardown functions run."""
        app = self.app
        assert self._tokens is not None
        request_token, app_token, before = self._tokens
        try:
            if (
                (  # most apps have nothing to do here, and asking each for nothing takes longer than this
                    app.teardown_request_funcs
                    or app.teardown_appcontext_funcs
                    or request_tearing_down.receivers
                    or appcontext_tearing_down.receivers
                    or self.scope.overrides_teardown
                )
                and before is None
                and not self._torn_down
            ):
                self._tear_down(exc)
        finally:
            self._tokens = before
            _reset_request(request_token)
            if app_token is not None:
                _reset_app(app_token)
                if appcontext_popped.receivers:
                    appcontext_popped.send(app, _async_wrapper=app.ensure_sync)

    def _tear_down(self, exc: BaseException | None) -> None:
        try:
            self.app.do_teardown_request(exc)
        finally:
            self.app.do_teardown_appcontext(exc)

    def tear_down(self, exc: BaseException | None) -> None:
        """Run the app's teardown functions now, and not when the context is popped."""
        self._torn_down = True
        self._tear_down(exc)

    def __enter__(self) -> EventContext:
        self.push()
        return self

    def __exit__(self, exc_type: Any, exc_value: BaseException | None, tb: Any) -> None:
        self.pop(exc_value)
