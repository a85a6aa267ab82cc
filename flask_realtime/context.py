"""The Flask context of an event.

Pushing a real request context costs more than everything else that is done for
an event: it parses the environ, opens a session and matches a URL. So what the
events of a client have in common is built once (:class:`EventScope`), and each
event gets a light context with its own ``g`` and its own copy of the request.
``teardown_request`` and ``teardown_appcontext`` functions run after every
event, as after every request: database sessions depend on them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SessionMixin
from flask.signals import appcontext_popped, appcontext_pushed
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from .server.client import Socket

__all__ = ["EventScope", "ManagedSession", "slim_environ"]

#: objects of the web server that must not live as long as the client
SERVER_KEYS = ("wsgi.", "werkzeug.", "gunicorn.", "gevent", "eventlet.", "waitress.", "uwsgi.")
KEPT_KEYS = frozenset(
    {"wsgi.url_scheme", "wsgi.version", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"}
)
#: where the copy of the user's session is kept, shared by the namespaces of a client
SAVED_SESSION = "saved_session"


def slim_environ(app: Flask, environ: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a handshake's environ: the request as text, and what the app's middlewares added."""
    # Keys are interned: ten thousand clients share them.
    kept = {
        sys.intern(key): value
        for key, value in environ.items()
        if not key.startswith(SERVER_KEYS) or key in KEPT_KEYS
    }
    kept["flask.app"] = app
    return kept


class ManagedSession(dict[str, Any], SessionMixin):
    """A client's own copy of the user's session; it lives as long as the connection.

    Changes are seen by this client's later events, not by HTTP requests.
    """


class EventScope:
    """What the events of one socket share."""

    __slots__ = ("_template", "_url_adapter", "app", "environ")

    def __init__(self, socket: Socket) -> None:
        self.environ: dict[str, Any] = socket.client.session.environ
        self.app: Flask = self.environ["flask.app"]
        self._template = self._make_template(socket)
        self._url_adapter: Any = None

    def _make_template(self, socket: Socket) -> Request:
        environ = {**self.environ, "wsgi.input": BytesIO(), "wsgi.errors": sys.stderr}
        # Not populated: the environ would hold the request that holds the environ.
        request = self.app.request_class(environ, populate_request=False)
        request.json_module = self.app.json
        request.sid = socket.sid  # type: ignore[attr-defined]
        request.namespace = socket.namespace  # type: ignore[attr-defined]
        return request

    def request(self, message: str | None, args: list[Any]) -> Request:
        """A copy of the connection's request, for one event."""
        template = self._template
        request = object.__new__(type(template))
        request.__dict__.update(template.__dict__)
        request.event = {"message": message, "args": tuple(args)}  # type: ignore[attr-defined]
        return request

    @property
    def url_adapter(self) -> Any:
        """For ``url_for``; made when first asked for."""
        if self._url_adapter is None:
            try:
                self._url_adapter = self.app.create_url_adapter(self._template)
            except HTTPException as e:
                self._template.routing_exception = e
        return self._url_adapter

    def run(
        self, function: Callable[..., Any], message: str | None, args: list[Any], manage_session: bool
    ) -> Any:
        """``function(*args)`` in a fresh context; the app's teardown functions run after it."""
        with _EventContext(self, self.request(message, args)) as context:
            context.open_session(manage_session)
            result = function(*args)
            if not manage_session:
                context.save_session()
            return result

    async def run_async(
        self, function: Callable[..., Any], message: str | None, args: list[Any], manage_session: bool
    ) -> Any:
        """:meth:`run` for a coroutine function."""
        with _EventContext(self, self.request(message, args)) as context:
            context.open_session(manage_session)
            result = await function(*args)
            if not manage_session:
                context.save_session()
            return result


class _EventAppContext(AppContext):
    """An application context that binds its URLs only when asked."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.g = app.app_ctx_globals_class()
        self._cv_tokens = []

    @property
    def url_adapter(self) -> Any:  # type: ignore[override]
        return self.app.create_url_adapter(None)


class _EventContext(RequestContext):
    """A request context without what an event does not need: no routing, no parsing."""

    def __init__(self, scope: EventScope, request: Request) -> None:
        self.app = scope.app
        self.request = request
        self.flashes = None
        self._scope = scope
        self._session: SessionMixin | None = None
        self._after_request_functions = []
        self._cv_tokens = []

    @property
    def url_adapter(self) -> Any:  # type: ignore[override]
        return self._scope.url_adapter

    @property
    def session(self) -> SessionMixin:
        assert self._session is not None
        self._session.accessed = True
        return self._session

    def copy(self) -> RequestContext:
        """For ``copy_current_request_context``: the same request and session, elsewhere."""
        copied = _EventContext(self._scope, self.request)
        copied._session = self._session
        return copied

    def open_session(self, managed: bool) -> None:
        """Flask's own session, or this client's copy of it."""
        saved = self._scope.environ.get(SAVED_SESSION) if managed else None
        if saved is None:
            interface = self.app.session_interface
            saved = interface.open_session(self.app, self.request)
            if saved is None:
                saved = interface.make_null_session(self.app)
            if managed:
                saved = self._scope.environ[SAVED_SESSION] = ManagedSession(saved)
        self._session = saved

    def save_session(self) -> None:
        """Save Flask's session if the event has changed it (to a response that nobody gets)."""
        interface = self.app.session_interface
        session = self._session
        if session is not None and not interface.is_null_session(session) and session.modified:
            interface.save_session(self.app, session, self.app.response_class())

    def push(self) -> None:
        app_context = _EventAppContext(self.app)
        self._cv_tokens.append((_cv_request.set(self), app_context))
        app_context._cv_tokens.append(_cv_app.set(app_context))
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = None) -> None:
        app = self.app
        token, app_context = self._cv_tokens[-1]
        try:
            app.do_teardown_request(exc)
        finally:
            try:
                app.do_teardown_appcontext(exc)
            finally:
                self._cv_tokens.pop()
                _cv_request.reset(token)
                assert app_context is not None
                _cv_app.reset(app_context._cv_tokens.pop())
                if appcontext_popped.receivers:
                    appcontext_popped.send(app, _async_wrapper=app.ensure_sync)

    def __enter__(self) -> _EventContext:
        self.push()
        return self

    def __exit__(self, exc_type: Any, exc_value: BaseException | None, tb: Any) -> None:
        self.pop(exc_value)
