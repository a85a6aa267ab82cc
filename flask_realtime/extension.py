"""The extension: what an app registers handlers with and emits through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import flask

from .adapters import Channel, MemoryAdapter, make_channel
from .backends.choice import choose_backend
from .backends.link import QueueLink
from .backends.patching import patched_by
from .config import ServerConfig
from .context import current_event
from .exceptions import UnsupportedOptionError
from .formats import make_serializer
from .groups import attach_groups
from .mounting import mount, state_of
from .registry import AppHandlers, HandlerRegistry
from .run import ServerRunner
from .runner import HandlerRunner
from .server.emitter import Emitter
from .server.server import Server
from .server.signatures import is_async
from .server.tracing_server import TracingServer
from .server_api import SocketIOServer
from .types import EVERYBODY, AckCallback, DisconnectReason, Handler, Room, Sid, Target

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from typing_extensions import Unpack

    from .hooks import HookTable
    from .options import SocketIOOptions
    from .server.asgi_types import ASGIApp
    from .server.ports import Backend, Joinable
    from .test_client import SocketIOTestClient
    from .testing.connection import QueryString

__all__ = ["SocketIO"]

H = TypeVar("H", bound=Callable[..., Any])
Rooms = Room | Iterable[Room] | None
KEY = "realtime"
#: the key that apps written for Flask-SocketIO look under
COMPATIBLE_KEY = "socketio"


class SocketIO(HandlerRegistry):
    """Gives a Flask app Socket.IO.

    :param app: the app; or call :meth:`init_app` later, once or several times. With a ``message_queue``
        and no app, it emits to the clients of other processes, and has none itself.
    :param options: see :class:`.SocketIOOptions`. They can also be given to
        :meth:`init_app`, or in the app's config as ``SOCKETIO_<NAME>``.
    :raises TypeError: an option that nobody knows.
    """

    #: why a client has gone, as disconnect handlers are told
    reason = DisconnectReason

    def __init__(self, app: Flask | None = None, **options: Unpack[SocketIOOptions]) -> None:
        super().__init__()
        #: the options that hold for every app
        self.server_options: dict[str, Any] = {**options}
        #: the clients and rooms of the current app, once there is one
        self.server: SocketIOServer | None = None
        # The server of the app that was initialised last.
        self._server: Server | None = None
        #: its middleware
        self.sockio_mw: Any = None
        #: the web server, while :meth:`run` runs
        self.wsgi_server: Any = None
        #: :attr:`manage_session`, where it was set for all apps at once
        self.manage_session_override: bool | None = None
        #: how the app is served, as the option takes it; known for sure when a server runs
        self.async_mode: str = options.get("async_mode") or patched_by() or "threading"
        self.exception_handlers: dict[str, Handler] = {}
        self.default_exception_handler: Handler | None = None
        self._runner = ServerRunner()
        # What emits where there is no app, only a message queue.
        self._emitter: Emitter | None = None
        config = ServerConfig.from_options(options)  # a wrong option is best shown where it is written
        if app is not None or config.has_queue:
            self.init_app(app)

    def init_app(self, app: Flask | None, **options: Unpack[SocketIOOptions]) -> None:
        """Give an app a server of its own, with this object's handlers.

        :param app: None in a process that has no clients, and only writes to the ``message_queue``.
        :param options: for this app; they go before the constructor's.
        """
        if app is None:
            self.server_options.update(options)
            self._emitter = _make_emitter(ServerConfig.from_options(self.server_options))
            self.server = self.server or SocketIOServer(self)
            return
        config = ServerConfig.from_options({**self.server_options, **options}, app.config)
        handlers = AppHandlers(self)
        state = mount(app, config, partial(self._make_server, app, config, handlers))
        state.handlers = handlers
        app.extensions[KEY] = state
        app.extensions[COMPATIBLE_KEY] = self
        self.async_mode = config.async_mode or patched_by() or "threading"
        self._server = state.server
        self.server = self.server or SocketIOServer(self)
        self.sockio_mw = state.middleware
        self._attach(handlers)
        attach_groups(app, handlers)

    def _make_server(
        self, app: Flask, config: ServerConfig, handlers: AppHandlers, backend: Backend
    ) -> Server:
        make = Server if config.event_logger() is None else TracingServer
        return make(
            config,
            backend,
            MemoryAdapter(),
            make_serializer(app, config),
            handlers.dispatcher,
            HandlerRunner(self, config, handlers.hooks),
            config.make_logger(),
            _make_link(config),
        )

    @property
    def manage_session(self) -> bool:
        """The option of the app that was initialised last; setting it overrides that of every app."""
        if self.manage_session_override is not None:
            return self.manage_session_override
        return True if self._server is None else self._server.config.manage_session

    @manage_session.setter
    def manage_session(self, value: bool) -> None:
        self.manage_session_override = value

    @property
    def current_server(self) -> Server:
        """The server of the current app; without one, that of the app that was initialised last.

        :raises RuntimeError: :meth:`init_app` was not called.
        """
        event = current_event()
        if event is not None and event.app.extensions.get(COMPATIBLE_KEY) is self:
            return event.scope.server
        if flask.has_app_context():
            state = state_of(flask.current_app)
            if state is not None and state.handlers in self._apps and isinstance(state.server, Server):
                return state.server
        if self._server is None:
            if self._emitter is not None:
                raise RuntimeError(
                    "this needs a server, and this SocketIO has none: without an app it only writes to the"
                    " message queue"
                )
            raise RuntimeError("call SocketIO.init_app(app) first")
        return self._server

    @property
    def outlet(self) -> Server | Emitter:
        """What emits: the server, or what stands for one in a process without clients.

        :raises RuntimeError: see :attr:`current_server`.
        """
        if self._server is None and self._emitter is not None:
            return self._emitter
        return self.current_server

    @property
    def _backend(self) -> Backend:
        return choose_backend(1) if isinstance(self.outlet, Emitter) else self.current_server.backend

    # Handlers (the rest is in HandlerRegistry)

    def on_error(self, namespace: str | None = None) -> Callable[[H], H]:
        """Register the decorated function for the exceptions of a namespace's handlers.

        It gets the exception; what it returns goes to the client as the
        acknowledgement.
        """

        def decorator(handler: H) -> H:
            if not callable(handler):
                raise ValueError("exception_handler must be callable")
            self.exception_handlers[namespace or "/"] = handler
            return handler

        return decorator

    def on_error_default(self, exception_handler: H) -> H:
        """Register the decorated function for exceptions that no :meth:`on_error` function takes.

        :raises ValueError: it can't be called.
        """
        if not callable(exception_handler):
            raise ValueError("exception_handler must be callable")
        self.default_exception_handler = exception_handler
        return exception_handler

    def run_handler(
        self,
        function: Handler,
        event: str,
        namespace: str,
        sid: Sid,
        args: list[Any],
        group: HookTable | None = None,
    ) -> Any:
        """Run a function in the context of a client's event (what ``Namespace.trigger_event`` does)."""
        return self.current_server.run_in_context(sid, namespace, function, event, args, group)

    # Emitting

    def emit(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: Rooms = None,
        room: Rooms = None,
        callback: AckCallback | None = None,
        include_self: bool = True,
        skip_sid: Sid | Iterable[Sid] | None = None,
        ignore_queue: bool = False,
        volatile: bool = False,
        broadcast: bool = True,
        data: Any = None,
    ) -> None:
        """Emit an event to everybody in a namespace, or to rooms and clients of it. Never waits.

        May be called from anywhere: a view, a handler, a thread.

        :param args: what the event carries: text, binary, and all that JSON can
            say. One tuple is taken for several arguments.
        :param data: another way to say what it carries.
        :param to: a sid or room, or several (``room`` is another name for it).
        :param callback: called with the acknowledgement of each recipient, in
            the context of the event that emits, if there is one.
        :param include_self: False leaves the client of the current event out.
        :param skip_sid: leaves these clients out.
        :param ignore_queue: only to the clients of this process.
        :param volatile: drop it for clients that are behind.
        :param broadcast: accepted for compatibility; without ``to``, it always is.
        :raises TypeError, ValueError: the data can't be serialised.
        """
        if to is None:
            to = room
        rooms = None if to is None else _several(to)
        if skip_sid is None and include_self:
            target = EVERYBODY if rooms is None else Target(rooms)
        else:
            # Without a skip_sid, include_self=False leaves out the client of the current event.
            skip = _several(skip_sid) or (() if include_self else (flask.request.sid,))  # type: ignore[attr-defined]
            target = Target(rooms, frozenset(skip))
        outlet = self.outlet
        if callback is not None and isinstance(outlet, Server):
            callback = self._in_current_context(callback)
        outlet.emit(event, _values(args, data), namespace or "/", target, callback, volatile, ignore_queue)

    #: equal to :attr:`emit` where no subclass, and no test, has put another in its place
    own_emit: Callable[..., None] = emit

    def _in_current_context(self, callback: AckCallback) -> AckCallback:
        """A callback runs in the context of the client whose event has emitted."""
        sid = getattr(flask.request, "sid", None) if flask.has_request_context() else None
        if sid is None:
            return callback
        namespace: str = flask.request.namespace  # type: ignore[attr-defined]
        server = self.current_server
        if is_async(callback):

            async def run(*args: Any) -> Any:
                return await server.run_in_context(sid, namespace, callback, None, list(args))

            return run
        return lambda *args: server.run_in_context(sid, namespace, callback, None, list(args))

    def send(
        self,
        data: Any,
        json: bool = False,
        namespace: str | None = None,
        to: Rooms = None,
        callback: AckCallback | None = None,
        include_self: bool = True,
        skip_sid: Sid | Iterable[Sid] | None = None,
        room: Rooms = None,
        ignore_queue: bool = False,
        volatile: bool = False,
        broadcast: bool = True,
    ) -> None:
        """Emit ``data`` as the event ``message`` (or ``json``); the rest is as in :meth:`emit`."""
        self.emit(
            "json" if json else "message",
            data,
            namespace=namespace,
            to=room if to is None else to,
            callback=callback,
            include_self=include_self,
            skip_sid=skip_sid,
            ignore_queue=ignore_queue,
            volatile=volatile,
        )

    def call(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: Sid | None = None,
        room: Sid | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
        data: Any = None,
    ) -> Any:
        """Emit an event to one client and wait for its acknowledgement.

        :param ignore_queue: it is a client of this process.
        :returns: None, one value, or a tuple of several.
        :raises ValueError: there is no ``to``.
        :raises TimeoutError: no acknowledgement within ``timeout`` seconds, or the client has gone.
        :raises RuntimeError: in a coroutine, which must not wait: see :meth:`call_async`.
        """
        return self.current_server.call(
            event, _values(args, data), namespace or "/", _one(to or room), timeout, ignore_queue
        )

    async def call_async(
        self,
        event: str,
        *args: Any,
        namespace: str | None = None,
        to: Sid | None = None,
        room: Sid | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
        data: Any = None,
    ) -> Any:
        """:meth:`call` for coroutines: ``answer = await socketio.call_async("question", to=sid)``."""
        return await self.current_server.call_async(
            event, _values(args, data), namespace or "/", _one(to or room), timeout, ignore_queue
        )

    def close_room(self, room: Room, namespace: str | None = None) -> None:
        """Take everybody out of a room."""
        self.outlet.close_room(room, namespace or "/")

    def stats(self) -> dict[str, int]:
        """Counts of what is alive.

        The keys: ``sessions``, ``sockets``, ``rooms``, ``queued_packets``, ``queued_bytes``,
        ``pending_acks``, ``pending_attachments``, ``handlers_running``; with a message queue also
        ``queue_connected``, 1 if the queue was needed and can be reached, and ``queue_pending``, the messages
        for other processes that wait to be published. Without an app, only these two.
        """
        return self.outlet.stats()

    def refusals(self) -> dict[str, int]:
        """How often clients were refused or sent away, by kind."""
        return dict(self.current_server.engine.refusals.counts)

    # Tasks and the web server

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        """Run a function in the background, as the backend does it.

        :returns: what has ``join()`` and ``is_alive()``, as a thread.
        """
        return self._backend.spawn(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Sleep, as the backend does it.

        :raises RuntimeError: in a coroutine, which must not wait: ``await asyncio.sleep()``.
        """
        self._backend.sleep(seconds)

    def run(self, app: Flask, host: str | None = None, port: int | str | None = None, **options: Any) -> None:
        """Serve the app until Ctrl-C, SIGTERM or :meth:`stop` (options: :meth:`.ServerRunner.run`)."""
        self._runner.run(app, self, host, port, **options)

    def asgi_app(self, app: Flask, *, workers: int = 32) -> ASGIApp:
        """The app for an ASGI server: ``asgi_app = socketio.asgi_app(app)``, ``uvicorn module:asgi_app``.

        Clients are served by the server's event loop, without a thread for each; ``async def`` handlers
        run there too. Views run in threads, through a2wsgi (see :class:`.FlaskASGI`).

        :param workers: how many views may run at once.
        :raises ImportError: a2wsgi is not installed (``flask-realtime[asgi]``).
        :raises RuntimeError: :meth:`init_app` was not called with this app.
        """
        from .asgi import make_asgi_app

        state = state_of(app)
        if state is None:
            raise RuntimeError("call SocketIO.init_app(app) first")
        return make_asgi_app(app, state, workers)

    def stop(self) -> None:
        """Stop the server that :meth:`run` has started; clients are told.

        :raises RuntimeError: the web server is not ours to stop.
        """
        self._runner.stop()

    def test_client(
        self,
        app: Flask,
        namespace: str | None = None,
        query_string: QueryString = None,
        headers: Any = None,
        auth: Any = None,
        flask_test_client: FlaskClient | None = None,
    ) -> SocketIOTestClient:
        """A client for tests, connected (see :class:`.SocketIOTestClient`)."""
        from .test_client import SocketIOTestClient

        return SocketIOTestClient(app, self, namespace, query_string, headers, auth, flask_test_client)


def _one(sid: Sid | None) -> Sid:
    if sid is None:
        raise ValueError("call() needs to=: it waits for one client")
    return sid


def _several(value: Any) -> tuple[Any, ...]:
    """One room (or sid) or several, as a tuple."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple, set, frozenset)) else (value,)


def _values(args: tuple[Any, ...], data: Any) -> list[Any]:
    """The arguments of an event: one tuple stands for several."""
    if data is not None:
        args = (*args, data)
    if len(args) == 1 and isinstance(args[0], tuple):
        args = args[0]
    return list(args)


def _make_link(config: ServerConfig) -> QueueLink | None:
    """The way to other processes.

    :raises UnsupportedOptionError: a queue that no driver knows, or a client manager of python-socketio.
    """
    if not config.has_queue:
        return None
    channel = config.client_manager or make_channel(str(config.message_queue), config.channel)
    if not isinstance(channel, Channel):
        kind = type(channel)
        raise UnsupportedOptionError(
            f"client_manager takes a Channel of ours, not {kind.__module__}.{kind.__qualname__}."
            " Managers of python-socketio don't fit this engine: give the URL of the queue instead, as in"
            " message_queue='redis://'"
        )
    return QueueLink(channel, config.make_logger(), config.max_unpublished)


def _make_emitter(config: ServerConfig) -> Emitter:
    link = _make_link(config)
    if link is None:
        raise TypeError("init_app() needs an app, or a message_queue to write to")
    return Emitter(make_serializer(None, config), link)
