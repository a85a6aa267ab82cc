"""What the events of a client share."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

import flask.globals  # pyright: ignore[reportUnusedImport] (which takes the branch below for unreachable)
from flask import Flask, Request
from werkzeug.exceptions import HTTPException

from ..server.signatures import is_async

if TYPE_CHECKING:
    from ..server.client import Socket
    from ..server.server import Server
    from .split import EventContext, get_current
elif "_cv_request" in vars(flask.globals):  # not hasattr: Flask 3.2 warns of what it no longer has
    from .split import EventContext, get_current
else:
    from .merged import EventContext, get_current

__all__ = ["EventContext", "EventScope", "current_event", "slim_environ"]

#: objects of the web server that must not live as long as the client
SERVER_KEYS = ("wsgi.", "werkzeug.", "gunicorn.", "gevent", "eventlet.", "waitress.", "uwsgi.")
KEPT_KEYS = frozenset(
    {"wsgi.url_scheme", "wsgi.version", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"}
)


def slim_environ(app: Flask, environ: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a handshake's environ: the request as text, and what the app's middlewares added."""
    # Keys are interned: ten thousand clients share them. Those of CGI, which are most, are in capitals.
    intern = sys.intern
    kept = {
        intern(key): value
        for key, value in environ.items()
        if key < "a" or not key.startswith(SERVER_KEYS) or key in KEPT_KEYS
    }
    kept["flask.app"] = app
    return kept


def current_event() -> EventContext | None:
    """The context of the event that is being handled; None in a view and elsewhere."""
    context = get_current(None)
    return context if type(context) is EventContext else None


class EventScope:
    """What the events of one socket share."""

    __slots__ = (
        "_template",
        "_url_adapter",
        "admitted",
        "app",
        "environ",
        "overrides_teardown",
        "server",
        "tears_down_async",
    )

    def __init__(self, socket: Socket) -> None:
        self.environ: dict[str, Any] = socket.client.session.environ
        self.app: Flask = self.environ["flask.app"]
        self.server: Server = socket.client.server
        #: all hooks that could refuse the client have let it pass
        self.admitted: bool = False
        #: some teardown functions of the app are coroutine functions
        self.tears_down_async: bool = _tears_down_async(self.app)
        kind = type(self.app)
        #: the app has teardown methods of its own
        self.overrides_teardown: bool = (
            kind.do_teardown_request is not Flask.do_teardown_request
            or kind.do_teardown_appcontext is not Flask.do_teardown_appcontext
        )
        # Made when a handler first asks for it: many never do.
        self._template: Request | None = None
        self._url_adapter: Any = None

    def _template_for(self, socket: Socket) -> Request:
        """The connection's request; the socket is not kept, for it keeps this."""
        if self._template is not None:
            return self._template
        environ = {**self.environ, "wsgi.input": BytesIO(), "wsgi.errors": sys.stderr}
        # Not populated: the environ would hold the request that holds the environ.
        request = self.app.request_class(environ, populate_request=False)
        request.json_module = self.app.json
        request.sid = socket.sid  # type: ignore[attr-defined]
        request.namespace = socket.namespace  # type: ignore[attr-defined]
        self._template = request
        return request

    def request(self, socket: Socket, message: str | None, args: list[Any]) -> Request:
        """A copy of the connection's request, for one event."""
        template = self._template_for(socket)
        request = object.__new__(type(template))
        request.__dict__.update(template.__dict__)
        request.event = {"message": message, "args": tuple(args)}  # type: ignore[attr-defined]
        return request

    def url_adapter(self, socket: Socket) -> Any:
        """For ``url_for``; made when first asked for."""
        if self._url_adapter is None:
            template = self._template_for(socket)
            try:
                self._url_adapter = self.app.create_url_adapter(template)
            except HTTPException as e:
                template.routing_exception = e
        return self._url_adapter


def _tears_down_async(app: Flask) -> bool:
    """Whether teardown functions of the app are coroutine functions."""
    functions = [*app.teardown_request_funcs.get(None, ()), *app.teardown_appcontext_funcs]
    return any(is_async(function) for function in functions)
