"""What the context of an event has, with any Flask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask, Request
    from flask.sessions import SessionMixin

    from ..server.client import Socket
    from .scope import EventScope
    from .sessions import Sessions

__all__ = ["EventPart"]


class EventPart:
    """Goes before Flask's own class: no routing, no parsing; the session is opened when it is asked for."""

    app: Flask
    scope: EventScope
    sessions: Sessions
    socket: Socket
    #: the app's teardown functions have run already
    _torn_down = False

    @property
    def url_adapter(self) -> Any:
        """The URLs of the connection's request, for ``url_for``."""
        return self.scope.url_adapter(self.socket)

    if TYPE_CHECKING:
        #: the session, if somebody has asked for it
        opened_session: SessionMixin | None

        @property
        def request(self) -> Request:
            """The connection's request, with what the event adds to it."""
            raise NotImplementedError

    def _get_session(self) -> SessionMixin:
        if self.opened_session is None:
            self.opened_session = self.sessions.open(self)
        return self.opened_session
