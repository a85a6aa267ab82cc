"""Handlers that belong together, and to a blueprint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .hooks import Hook, HookTable
from .mounting import state_of
from .registry import AppHandlers, HandlerRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Blueprint, Flask
    from flask.sansio.blueprints import BlueprintSetupState

    from .hooks import Hooks

__all__ = ["EventGroup", "attach_groups"]

H = TypeVar("H", bound="Callable[..., Any]")
#: where an app holds its groups, for an extension object that comes later
KEY = "realtime_groups"


class EventGroup(HandlerRegistry):
    """Handlers of one part of an app, registered together: what a blueprint is for views.

    ::

        chat = Blueprint("chat", __name__)
        events = EventGroup(chat, namespace="/chat")

        @events.on("say")
        def say(text): ...

        app.register_blueprint(chat)  # before or after SocketIO(app)

    Its hooks and its error handler are for its own handlers, inside of those of the app.

    :param blueprint: the group comes to an app with it. Without one, call :meth:`init_app`.
    :param namespace: that of handlers which are registered without one.
    :raises AssertionError: the blueprint is registered already.
    """

    def __init__(self, blueprint: Blueprint | None = None, namespace: str = "/") -> None:
        super().__init__()
        self._namespace = namespace
        self._hooks = HookTable()
        if blueprint is not None:
            blueprint.record(self._blueprint_registered)

    def _blueprint_registered(self, state: BlueprintSetupState) -> None:
        self.init_app(state.app)  # type: ignore[arg-type]  # the part of it that is common with Quart's

    def init_app(self, app: Flask) -> None:
        """Give an app the handlers: at once if it has a :class:`.SocketIO`, else when it gets one."""
        groups = app.extensions.setdefault(KEY, [])
        if self not in groups:
            groups.append(self)
        state = state_of(app)
        if state is not None and state.handlers is not None:
            self._attach(state.handlers)

    @property
    def _group(self) -> HookTable:
        return self._hooks

    @property
    def _connect_namespace(self) -> str:
        return self._namespace

    def _add_hooks(self, namespace: str | None, add: Callable[[Hooks], object]) -> None:
        add(self._hooks.of(namespace))

    def on_error(self, handler: H) -> H:
        """Register the decorated function for what the group's handlers raise.

        It gets the exception; what it returns goes to the client as the acknowledgement. It goes before the
        error handlers of the app.

        :raises TypeError: it can't be called.
        """
        self._hooks.error = Hook.of(handler).function
        return handler


def attach_groups(app: Flask, handlers: AppHandlers) -> None:
    """Give an app the handlers of the groups that it already has."""
    for group in app.extensions.get(KEY, ()):
        group._attach(handlers)
