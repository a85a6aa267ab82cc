"""The context of an event for Flask before 3.2, which has one context for the app and one for the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SessionMixin
from flask.signals import appcontext_popped, appcontext_pushed

from .part import EventPart

if TYPE_CHECKING:
    from flask.ctx import _AppCtxGlobals

    from .scope import EventScope
    from .sessions import Sessions

__all__ = ["EventContext"]


#: holds the context, or that of a request, or nothing
CURRENT = _cv_request


class EventAppContext(AppContext):
    """An application context that binds its URLs only when asked."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.g: _AppCtxGlobals = app.app_ctx_globals_class()
        self._cv_tokens = []

    @property
    def url_adapter(self) -> Any:  # type: ignore[override]
        return self.app.create_url_adapter(None)


class EventContext(EventPart, RequestContext):  # type: ignore[override]
    """A request context that brings an application context of its own."""

    def __init__(self, scope: EventScope, request: Request, sessions: Sessions) -> None:
        self.app: Flask = scope.app
        self.request = request
        self.scope = scope
        self.sessions = sessions
        self.flashes: list[tuple[str, str]] | None = None
        self._session: SessionMixin | None = None
        self._after_request_functions = []
        self._cv_tokens = []

    @property
    def session(self) -> SessionMixin:
        session = self._get_session()
        session.accessed = True
        return session

    def copy(self) -> EventContext:
        """For ``copy_current_request_context``: the same request and session, elsewhere."""
        copied = EventContext(self.scope, self.request, self.sessions)
        copied._session = self._get_session()
        return copied

    def push(self) -> None:
        """A context that is pushed again, as ``stream_with_context`` does it, keeps its ``g``."""
        current = _cv_app.get(None) if self._cv_tokens else None
        app_context = EventAppContext(self.app) if current is None or current.app is not self.app else None
        self._cv_tokens.append((_cv_request.set(self), app_context))
        if app_context is not None:
            app_context._cv_tokens.append(_cv_app.set(app_context))
            if appcontext_pushed.receivers:
                appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = None) -> None:
        """What was pushed first ends the event: the app's teardown functions run."""
        app = self.app
        token, app_context = self._cv_tokens[-1]
        tears_down = not self._torn_down and self.scope.tears_down
        try:
            if tears_down and len(self._cv_tokens) == 1:
                app.do_teardown_request(exc)
        finally:
            try:
                if tears_down and app_context is not None:
                    app.do_teardown_appcontext(exc)
            finally:
                self._cv_tokens.pop()
                _cv_request.reset(token)
                if app_context is not None:
                    _cv_app.reset(app_context._cv_tokens.pop())
                    if appcontext_popped.receivers:
                        appcontext_popped.send(app, _async_wrapper=app.ensure_sync)

    def tear_down(self, exc: BaseException | None) -> None:
        """Run the app's teardown functions now, and not when the context is popped."""
        self._torn_down = True
        try:
            self.app.do_teardown_request(exc)
        finally:
            self.app.do_teardown_appcontext(exc)

    def __enter__(self) -> EventContext:
        self.push()
        return self

    def __exit__(self, exc_type: Any, exc_value: BaseException | None, tb: Any) -> None:
        self.pop(exc_value)
