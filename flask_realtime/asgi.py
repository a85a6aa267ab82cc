"""A Flask app as an ASGI application: views through a2wsgi, Socket.IO and Engine.IO natively."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.proxy_fix import ProxyFix

from .backends.asyncio import AsyncioBackend, run_backend
from .backends.lifecycle import drain_then, revive
from .backends.server_signals import drain_before_server
from .context import slim_environ
from .gateways.asgi import SocketASGI, refuse_websocket, split_path
from .gateways.http import Reply
from .mounting import AppState
from .server.asgi_types import ASGIApp, Receive, Scope, Send
from .types import DisconnectReason

if TYPE_CHECKING:
    from flask import Flask

    from .server.engine import Engine

__all__ = ["FlaskASGI", "make_asgi_app"]

Environ = dict[str, Any]


def make_asgi_app(app: Flask, state: AppState, workers: int) -> ASGIApp:
    """An ASGI 3 application that serves ``app`` and its sockets.

    :param state: of the extension that was asked; the endpoints of others in the same app are served too.
    :param workers: how many views may run at once.
    :raises ImportError: a2wsgi is not installed.
    """
    states = [other for other in app.extensions.values() if isinstance(other, AppState)]
    unique = {id(other): other for other in [state, *states]}
    return FlaskASGI(app, list(unique.values()), workers)


class FlaskASGI:
    """The ASGI application of a Flask app.

    Middlewares that the app puts around ``app.wsgi_app`` see the requests for its views. Of them, requests
    for the sockets only pass :class:`werkzeug.middleware.proxy_fix.ProxyFix`, which tells the client's
    address and the origin.

    :param states: one for each endpoint.
    :param workers: how many views may run at once.
    :raises ImportError: a2wsgi is not installed.
    """

    def __init__(self, app: Flask, states: list[AppState], workers: int) -> None:
        self._engines: list[Engine] = [state.server.engine for state in states]
        self._handler_threads = max(state.config.handler_threads for state in states)
        self._backends: dict[int, AsyncioBackend] = {}
        self._latest: AsyncioBackend | None = None
        self._has_clients = False
        serve: ASGIApp = _Views(app, workers)
        for state in states:
            serve = SocketASGI(
                state.server.engine,
                serve,
                state.config.path,
                partial(slim_environ, app),
                partial(_as_proxies_say, app),
                self._current_backend,
            )
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        backend = self._backend()
        if backend is not self._latest:
            self._latest = backend
            self._has_clients = False
            drain_before_server(backend.loop)
        if scope["type"] == "lifespan":
            await self._live(backend, receive, send)
        else:
            if not self._has_clients:
                self._has_clients = True
                drain_before_server(backend.loop)
            await self._serve(scope, receive, send)

    def _current_backend(self) -> AsyncioBackend:
        assert self._latest is not None
        return self._latest

    def _backend(self) -> AsyncioBackend:
        """The one of the running loop; the engines use it, unless another loop has clients of theirs."""
        backend = run_backend(self._backends, self._handler_threads)
        for engine in self._engines:
            if engine.backend is not backend:
                _end_left_over(engine)
                engine.use(backend)
        return backend

    async def _live(self, backend: AsyncioBackend, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                revive()
                await send({"type": "lifespan.startup.complete"})
            elif event["type"] == "lifespan.shutdown":
                # Where no signal has come before: the server was stopped in another way.
                drained = backend.async_event()
                drain_then(drained.set)
                await drained.wait()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _end_left_over(engine: Engine) -> None:
    """End the sessions of a loop that was closed: nobody can tell them anything any more."""
    backend = engine.backend
    if isinstance(backend, AsyncioBackend) and backend.loop.is_closed():
        with engine.lock:
            for session in engine.guests():
                session.end(DisconnectReason.TRANSPORT_ERROR)


class _Views:
    """The app's views, in threads; and the refusal of websockets that nobody serves."""

    def __init__(self, app: Flask, workers: int) -> None:
        try:
            from a2wsgi import WSGIMiddleware
        except ImportError as error:
            raise ImportError(
                "asgi_app() needs a2wsgi for the app's views: pip install 'flask-realtime[asgi]'"
            ) from error
        self._app = app
        self._http: Any = WSGIMiddleware(cast(Any, self._call), workers=workers)

    def _call(self, environ: Environ, start_response: Any) -> Any:
        if "CONTENT_LENGTH" not in environ:
            # The body has an end nevertheless. With a length, Werkzeug checks whether all has come.
            environ["wsgi.input_terminated"] = True
        # The app, not its `wsgi_app`: that may yet be wrapped.
        return self._app(environ, start_response)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._refuse(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(_for_views(scope), _body_of(receive), _coroutine(send))
        else:
            raise NotImplementedError(f"an ASGI scope of type {scope['type']!a}")

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] == "websocket.connect":
            reason = f"no websocket is served at {scope['path']!a}"
            body = msgspec.json.encode({"message": reason})
            await refuse_websocket(
                Reply(403, [("Content-Type", "application/json")], body, reason), scope, send
            )


def _for_views(scope: Scope) -> Scope:
    """The scope as a2wsgi takes it rightly: ``path`` begins with ``root_path``.

    And without headers whose underscores pass for hyphens: a proxy may have checked those with hyphens.
    """
    root, path = split_path(scope)
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    return {**scope, "root_path": root, "path": root + path, "headers": headers}


def _body_of(receive: Receive) -> Receive:
    """``receive``, which raises where a client has gone before the end of its body.

    It and ``send`` have to be coroutine functions for a2wsgi; granian's give other awaitables.
    """

    async def receive_body() -> dict[str, Any]:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientDisconnected
        return event

    return receive_body


def _coroutine(send: Send) -> Send:
    async def call(event: dict[str, Any]) -> None:
        await send(event)

    return call


def _as_proxies_say(app: Flask, environ: Environ) -> Environ:
    """The environ after the :class:`ProxyFix` objects around the app, under the conditions that WSGI has."""
    outer: Any = app.wsgi_app
    while isinstance(outer, ProxyFix):
        outer, proxy = outer.app, copy.copy(outer)
        proxy.app = _no_app
        proxy(environ, _no_response)
    return environ


def _no_app(environ: Environ, start_response: Any) -> list[bytes]:
    """Stands in for the app: a :class:`ProxyFix` changes the environ in place."""
    return []


def _no_response(*args: Any) -> Any:
    """Nobody starts a response there."""
