"""Which handler an event has, decided by what was registered."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..types import Handler
from .pace import Pace
from .signatures import fitted, is_async

__all__ = ["NOT_HANDLED", "RESERVED_EVENTS", "Dispatcher", "Match", "arguments"]

ANY: Final = "*"
#: events of the connection itself; they never reach an event ``'*'``
RESERVED_EVENTS: Final = frozenset({"connect", "disconnect"})


#: what a namespace object's ``trigger_event`` returns for an event that it has no handler for
NOT_HANDLED: Any = object()


class Match(NamedTuple):
    """The handler of an event, and what it was registered for."""

    #: called with all arguments of the event (see :func:`fitted`)
    handler: Handler
    #: the event it was registered for, ``'*'`` for a catch-all
    event: str
    #: it is a coroutine function
    is_async: bool
    #: how long its runs take
    pace: Pace
    #: the runner's: what its group runs around it
    group: Any = None


class Dispatcher:
    """Handlers by namespace and event, then namespace objects by namespace."""

    def __init__(self) -> None:
        self._handlers: dict[str, dict[str, Match]] = {}
        self._namespaces: dict[str, Any] = {}
        # How long the methods of namespace objects take, and those objects where they have no method.
        self._paces: dict[tuple[str, str], Pace] = {}

    def register(self, namespace: str, event: str, handler: Handler, group: Any = None) -> None:
        """``handler`` takes this event; a later registration replaces an earlier one.

        :param group: for the runner, with each of its runs.
        """
        self._handlers.setdefault(namespace, {})[event] = Match(
            fitted(handler) if event in RESERVED_EVENTS else handler, event, is_async(handler), Pace(), group
        )

    def register_namespace(self, namespace: str, obj: Any) -> None:
        """``obj.trigger_event(event, sid, *args)`` takes what no function takes."""
        self._namespaces[namespace] = obj
        events = [name.removeprefix("on_") for name in dir(obj) if name.startswith("on_")]
        self._paces |= {(namespace, event): Pace() for event in (ANY, *events)}

    def unregister(self, namespace: str, event: str) -> None:
        """Nothing takes this event any more.

        :raises KeyError: nothing did.
        """
        handlers = self._handlers.get(namespace, {})
        del handlers[event]
        if not handlers:
            del self._handlers[namespace]

    def handlers(self, namespace: str) -> dict[str, Handler]:
        """The functions that were registered for a namespace, by event."""
        return {event: match.handler for event, match in self._handlers.get(namespace, {}).items()}

    def handled_namespaces(self) -> list[str]:
        """The namespaces that functions were registered for, ``'*'`` among them."""
        return list(self._handlers)

    @property
    def namespaces(self) -> set[str]:
        """The namespaces that have handlers, ``'*'`` not among them."""
        return (self._handlers.keys() | self._namespaces.keys()) - {ANY}

    def find(self, namespace: str, event: str) -> Match | None:
        """The function that takes this event: exact first, then the catch-alls."""
        handlers = self._handlers.get(namespace)
        exact = handlers.get(event) if handlers else None
        return exact or self._find_catch_all(namespace, event)

    def _find_catch_all(self, namespace: str, event: str) -> Match | None:
        for in_namespace in (self._handlers.get(namespace), self._handlers.get(ANY)):
            if in_namespace:
                match = in_namespace.get(event)
                if match is None and event not in RESERVED_EVENTS:
                    match = in_namespace.get(ANY)
                if match is not None:
                    return match
        return None

    def find_namespace(self, namespace: str) -> Any | None:
        """The namespace object for it."""
        return self._namespaces.get(namespace) or self._namespaces.get(ANY)

    def pace_of_namespace(self, namespace: str, event: str) -> Pace:
        """How long the namespace object takes for this event."""
        if namespace not in self._namespaces:
            namespace = ANY
        return self._paces.get((namespace, event)) or self._paces[namespace, ANY]


def arguments(match: Match, event: str, args: list[Any]) -> list[Any]:
    """What the handler of an event is called with."""
    return [event, *args] if match.event == "*" else args
