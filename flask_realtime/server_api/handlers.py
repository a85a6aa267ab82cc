"""Handlers that are told the sid, and the registered ones to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import flask

from ..server.signatures import check_handler, positional_capacity
from ..types import Handler

if TYPE_CHECKING:
    from ..server.dispatcher import Dispatcher
    from .server import SocketIOServer

__all__ = ["EventHandlers", "NamespaceHandlers", "with_sid"]

ANY = "*"


def with_sid(server: SocketIOServer, handler: Handler, event: str, namespace: str) -> Handler:
    """A handler for :meth:`.SocketIO.on` that calls one of python-socketio's kind.

    :raises TypeError: it can't be called.
    """
    check_handler(handler)
    capacity = positional_capacity(handler)

    def handle(*args: Any) -> Any:
        request: Any = flask.request
        told = [*args[:1], *_names(namespace, request)] if event == ANY else _names(namespace, request)
        rest = args[1:] if event == ANY else args
        if event == "connect":
            rest = (server.get_environ(request.sid, request.namespace), *rest)
        values = [*told, request.sid, *rest]
        # connect(sid, environ[, auth]), disconnect(sid[, reason])
        return handler(*(values[:capacity] if event in server.reserved_events else values))

    return handle


def _names(namespace: str, request: Any) -> list[str]:
    return [request.namespace] if namespace == ANY else []


class EventHandlers(MutableMapping[str, Handler]):
    """The functions of a namespace by event, as :meth:`.SocketIO.on` takes them: without a sid."""

    def __init__(self, dispatcher: Dispatcher, namespace: str) -> None:
        self._dispatcher = dispatcher
        self._namespace = namespace

    def __getitem__(self, event: str) -> Handler:
        return self._dispatcher.handlers(self._namespace)[event]

    def __setitem__(self, event: str, handler: Handler) -> None:
        check_handler(handler)
        self._dispatcher.register(self._namespace, event, handler)

    def __delitem__(self, event: str) -> None:
        self._dispatcher.unregister(self._namespace, event)

    def __iter__(self) -> Iterator[str]:
        return iter(self._dispatcher.handlers(self._namespace))

    def __len__(self) -> int:
        return len(self._dispatcher.handlers(self._namespace))

    def __repr__(self) -> str:
        return repr(dict(self))


class NamespaceHandlers(Mapping[str, EventHandlers]):
    """The functions by namespace and event."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def __getitem__(self, namespace: str) -> EventHandlers:
        if namespace not in self._dispatcher.handled_namespaces():
            raise KeyError(namespace)
        return EventHandlers(self._dispatcher, namespace)

    def __delitem__(self, namespace: str) -> None:
        self[namespace].clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._dispatcher.handled_namespaces())

    def __len__(self) -> int:
        return len(self._dispatcher.handled_namespaces())

    def __repr__(self) -> str:
        return repr(dict(self))
