"""Registering handlers and hooks: for an extension object's apps, or for a group of events."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .hooks import Hook, Hooks, HookTable
from .namespace import Namespace
from .server.dispatcher import Dispatcher
from .server.signatures import check_handler, fitted
from .types import Handler

if TYPE_CHECKING:
    from .extension import SocketIO

__all__ = ["AppHandlers", "HandlerRegistry"]

H = TypeVar("H", bound=Callable[..., Any])
Registration = Callable[["AppHandlers"], object]


class AppHandlers:
    """The handlers and hooks of one app, whoever has registered them."""

    def __init__(self, socketio: SocketIO) -> None:
        #: whose app it is
        self.socketio = socketio
        self.dispatcher: Dispatcher = Dispatcher()
        self.hooks: HookTable = HookTable()


class HandlerRegistry:
    """Where an app registers its handlers: :class:`.SocketIO` and :class:`.EventGroup`.

    What is registered is for all apps, those that come later included.
    """

    #: the namespace of what is registered without one
    _namespace = "/"

    def __init__(self) -> None:
        #: the functions, as ``(event, handler, namespace)``
        self.handlers: list[tuple[str, Handler, str]] = []
        #: the class-based namespaces
        self.namespace_handlers: list[Namespace] = []
        self._registrations: list[Registration] = []
        # An app that is gone (a test's) is not kept alive.
        self._apps: weakref.WeakSet[AppHandlers] = weakref.WeakSet()

    def _attach(self, app: AppHandlers) -> None:
        """Give an app everything, and what comes later too."""
        if app not in self._apps:
            self._apps.add(app)
            for register in self._registrations:
                register(app)

    def _register(self, register: Registration) -> None:
        self._registrations.append(register)
        for app in self._apps:
            register(app)

    @property
    def _group(self) -> HookTable | None:
        """What is run around the handlers that are registered here, besides the hooks of their app."""
        return None

    @property
    def _connect_namespace(self) -> str | None:
        """Where :meth:`before_connect` is asked unless told otherwise; None for everywhere."""
        return None

    # Handlers

    def on(self, message: str, namespace: str | None = None) -> Callable[[H], H]:
        """Register the decorated function for an event.

        :param message: the event; ``'*'`` for all that have no handler of
            their own (it then gets the event's name as its first argument).
        :param namespace: ``'/'`` unless given; ``'*'`` for all.
        """

        def decorator(handler: H) -> H:
            self.on_event(message, handler, namespace)
            return handler

        return decorator

    def on_event(self, message: str, handler: Handler, namespace: str | None = None) -> None:
        """Register a function, or a coroutine function, for an event (see :meth:`on`).

        :raises TypeError: it can't be called.
        """
        check_handler(handler)
        where = namespace or self._namespace
        self.handlers.append((message, handler, where))
        self._register(lambda app: app.dispatcher.register(where, message, handler, self._group))

    @overload
    def event(self, handler: H, /) -> H: ...

    @overload
    def event(self, handler: str | None = None, /, *, namespace: str | None = None) -> Callable[[H], H]: ...

    def event(
        self, handler: Callable[..., Any] | str | None = None, /, *, namespace: str | None = None
    ) -> Any:
        """Register the decorated function for the event of its name: ``@socketio.event``.

        With arguments, ``@socketio.event(namespace="/chat")`` or ``@socketio.event("/chat")``.
        """
        if callable(handler):
            return self.on(handler.__name__, namespace)(handler)
        return lambda function: self.on(function.__name__, namespace or handler)(function)

    def on_namespace(self, namespace_handler: Namespace) -> None:
        """Register the methods of a :class:`.Namespace` object.

        :raises ValueError: it is none.
        """
        if not isinstance(namespace_handler, Namespace):
            raise ValueError("not a Namespace object")
        for name in dir(namespace_handler):
            if name.startswith("on_"):
                check_handler(getattr(namespace_handler, name))
        self.namespace_handlers.append(namespace_handler)

        def register(app: AppHandlers) -> None:
            namespace_handler._belong(app.socketio, self._group)
            app.dispatcher.register_namespace(namespace_handler.namespace, namespace_handler)

        self._register(register)

    # Hooks

    @overload
    def before_event(self, function: H, /) -> H: ...

    @overload
    def before_event(self, function: None = None, /, *, namespace: str | None = None) -> Callable[[H], H]: ...

    def before_event(self, function: Any = None, /, *, namespace: str | None = None) -> Any:
        """Run the decorated function before an event's handler, in its context.

        ``@socketio.before_event``, or ``@socketio.before_event(namespace="/chat")`` for the events of one
        namespace. It takes no arguments. If it returns something, that is the answer: the handler is not run
        (except that of ``disconnect``).
        """
        return self._add_hook("before", function, namespace)

    @overload
    def after_event(self, function: H, /) -> H: ...

    @overload
    def after_event(self, function: None = None, /, *, namespace: str | None = None) -> Callable[[H], H]: ...

    def after_event(self, function: Any = None, /, *, namespace: str | None = None) -> Any:
        """Run the decorated function after an event's handler (see :meth:`before_event`).

        It gets what the handler has returned, and returns what the client shall get. It is not run where the
        handler has raised and no error handler has taken it.
        """
        return self._add_hook("after", function, namespace)

    @overload
    def teardown_event(self, function: H, /) -> H: ...

    @overload
    def teardown_event(
        self, function: None = None, /, *, namespace: str | None = None
    ) -> Callable[[H], H]: ...

    def teardown_event(self, function: Any = None, /, *, namespace: str | None = None) -> Any:
        """Run the decorated function when an event is over, whatever has happened (see :meth:`before_event`).

        It gets the exception that nobody has handled, or None. What it raises is logged.
        """
        return self._add_hook("teardown", function, namespace)

    def _add_hook(self, kind: str, function: Callable[..., Any] | None, namespace: str | None) -> Any:
        def decorator(function: H) -> H:
            hook = Hook.of(function)
            self._add_hooks(namespace, lambda hooks: getattr(hooks, kind).append(hook))
            return function

        return decorator if function is None else decorator(function)

    def _add_hooks(self, namespace: str | None, add: Callable[[Hooks], object]) -> None:
        """Add to the hooks of a namespace, None for all."""
        self._register(lambda app: add(app.hooks.of(namespace)))

    @overload
    def before_connect(self, function: H, /) -> H: ...

    @overload
    def before_connect(
        self, function: None = None, /, *, namespace: str | None = None
    ) -> Callable[[H], H]: ...

    def before_connect(self, function: Any = None, /, *, namespace: str | None = None) -> Any:
        """Ask the decorated function whether a client may connect: a middleware, in Socket.IO's terms.

        ``@socketio.before_connect`` is asked for all namespaces (a group's: for that of the group),
        ``@socketio.before_connect(namespace="/admin")`` for one. It gets the client's ``auth`` if it takes an
        argument, and runs before the connect handler, also where there is none. It refuses by returning False
        or by raising :class:`.ConnectionRefusedError`.
        """

        def decorator(function: H) -> H:
            hook = Hook.of(function)._replace(function=fitted(function))
            where = namespace or self._connect_namespace
            self._register(lambda app: app.hooks.of(where).connect.append(hook))
            return function

        return decorator if function is None else decorator(function)
