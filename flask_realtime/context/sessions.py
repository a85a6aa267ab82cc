"""Which session handlers see: their client's copy of the user's session, or that session itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from flask import Request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from werkzeug.http import parse_cookie

if TYPE_CHECKING:
    from flask import Flask, Response

    from .part import EventPart

__all__ = ["SAVED_SESSION", "ManagedSession", "ManagedSessions", "Sessions", "SharedSessions"]

#: where the copy of the user's session is kept, shared by the namespaces of a client
SAVED_SESSION = "saved_session"

LOST = (
    "app %r: the session was changed in event %r, and the change is lost: it would have to reach the browser"
    " in a cookie, but an event has no response that could carry one. Either keep sessions on the server"
    " (Flask-Session, say), begun by a request before the client connects; or change the session in views"
    " only; or use manage_session=True, for a session of the connection's own. (This is said once.)"
)


class Sessions(Protocol):
    """Where the sessions of events come from, and where they go."""

    def begin(self, context: EventPart) -> None:
        """The context of an event has been pushed."""
        ...

    def open(self, context: EventPart) -> SessionMixin:
        """The event asks for its session."""
        ...

    def end(self, context: EventPart) -> None:
        """The event's function has returned."""
        ...


class ManagedSession(dict[str, Any], SessionMixin):
    """A client's own copy of the user's session; it lives as long as the connection.

    Changes are seen by this client's later events, not by HTTP requests.
    """


class ManagedSessions:
    """``manage_session=True``: the first event of a client copies the user's session."""

    def begin(self, context: EventPart) -> None:
        # Now, not when a handler asks: it is the session as it was when the client came.
        environ = context.scope.environ
        if "HTTP_COOKIE" in environ or not _is_in_cookie(context.app):
            self.open(context)
        else:
            environ.setdefault(SAVED_SESSION, ManagedSession())  # what Flask would find in no cookie

    def open(self, context: EventPart) -> SessionMixin:
        environ = context.scope.environ
        saved: SessionMixin | None = environ.get(SAVED_SESSION)
        if saved is not None:
            return saved
        # Another namespace of the client may just have made its copy: then that is the one.
        session: SessionMixin = environ.setdefault(SAVED_SESSION, ManagedSession(_open(context)))
        return session

    def end(self, context: EventPart) -> None:
        """It is kept where it is."""


class SharedSessions:
    """``manage_session=False``: the user's session, loaded when an event asks for it, saved if changed."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said = False

    def begin(self, context: EventPart) -> None:
        """An event that does not ask for its session does not cost a query."""

    def open(self, context: EventPart) -> SessionMixin:
        return _open(context)

    def end(self, context: EventPart) -> None:
        session = context.opened_session
        if session is None or not session.modified:
            return
        app = context.app
        if not app.session_interface.is_null_session(session):
            response = app.response_class()
            app.session_interface.save_session(app, session, response)
            if not self._said and _is_lost(context, session, response):
                self._said = True
                event = getattr(context.request, "event", {}).get("message")
                self._logger.warning(LOST, app.name, event)


def _is_in_cookie(app: Flask) -> bool:
    """Whether sessions are Flask's own: all that there is of one is in the request's cookie."""
    own = type(app.session_interface) is SecureCookieSessionInterface
    return own and app.request_class.cookies is Request.cookies


def _open(context: EventPart) -> SessionMixin:
    interface = context.app.session_interface
    session = interface.open_session(context.app, context.request)
    return interface.make_null_session(context.app) if session is None else session


def _is_lost(context: EventPart, session: SessionMixin, response: Response) -> bool:
    """Whether the session that was saved is not the one that the browser's next request will open."""
    if _sends_nothing_new(context.request, response):
        return False
    # Not yet proven: an emptied session's cookie is deleted, wherever its data were.
    return dict(_open(context)) != dict(session)


def _sends_nothing_new(request: Request, response: Response) -> bool:
    """Whether the browser has the cookies already that the response would set."""
    for header in response.headers.getlist("Set-Cookie"):
        name, value = next(iter(parse_cookie(header).items()), (None, None))
        if name is not None and request.cookies.get(name) != value:
            return False
    return True
