"""The Flask context of an event.

Pushing a real request context costs more than everything else that is done for
an event: it parses the environ, opens a session and matches a URL. So what the
events of a client have in common is built once (:class:`EventScope`), and each
event gets a light context with its own ``g`` and its own copy of the request.
``teardown_request`` and ``teardown_appcontext`` functions run after every
event, as after every request: database sessions depend on them.

::

    scope           what the events of a client share
    sessions        which session handlers see
    http_answers    what abort() and a redirect do in a handler
    part            what the context of an event has, with any Flask
    split           that context for Flask before 3.2, which has one for the app and one for the request
    merged          that context for Flask from 3.2 on, which has one for both
"""

from __future__ import annotations

from .scope import EventContext, EventScope, current_event, slim_environ
from .sessions import ManagedSession, ManagedSessions, Sessions, SharedSessions

__all__ = [
    "EventContext",
    "EventScope",
    "ManagedSession",
    "ManagedSessions",
    "Sessions",
    "SharedSessions",
    "current_event",
    "slim_environ",
]
