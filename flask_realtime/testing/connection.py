"""What a test client has instead of a network: a session of the real engine, in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask.testing import EnvironBuilder
from werkzeug.test import run_wsgi_app

from ..backends.memory import MemoryTransport
from ..backends.stage import Stage
from ..gateways.wsgi import DRIVEN
from ..mounting import state_of
from ..protocol.errors import RemoteProtocolError
from ..protocol.socketio import Packet, PacketType
from ..server.client import Client
from ..server.server import Server
from .packets import PacketReader

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from ..server.handle import EngineHandle
    from ..server.message import Message
    from ..server.session import Session
    from ..types import DisconnectReason

__all__ = ["Connection", "QueryString"]

QueryString = str | Mapping[str, Any] | None

# One for the clients of a server's engine: what one does to another is done when its call returns.
_stages: weakref.WeakKeyDictionary[EngineHandle, Stage] = weakref.WeakKeyDictionary()


class Connection:
    """One session after the other, each opened by a request that passes through the app (a :class:`.Host`).

    Nothing is patched: the transport is a list, and handlers run where the test calls.

    :param app: the app.
    :param http: its cookies are sent along with a session's request.
    :param receive: gets each packet of the server, from any thread, with the engine's lock held.
    :param ended: told why a session has ended, in the same way.
    :raises RuntimeError: the app has no SocketIO.
    :raises ValueError: ``http`` belongs to another app.
    """

    def __init__(
        self,
        app: Flask,
        http: FlaskClient | None,
        receive: Callable[[Packet], None],
        ended: Callable[[DisconnectReason], None],
    ) -> None:
        self.app = app
        self.server: Server = _server_of(app)
        if http is not None and http.application != app:
            raise ValueError("flask_test_client belongs to another app")
        self.stage: Stage = _stages.setdefault(self.server.engine.handle, Stage())
        self.session: Session | None = None
        #: the rule that a message has broken, where that has ended the session
        self.error: str | None = None
        self._http = http
        self._receive_packet = receive
        self._ended = ended
        self._reader = PacketReader(self.server.serializer)
        self._transport = MemoryTransport(self._receive)
        self._failures: list[BaseException] = []
        self._request_keys: frozenset[str] = frozenset()

    @property
    def alive(self) -> bool:
        """There is a session that takes messages."""
        return self.session is not None and self.session.alive

    # The request that opens a session

    def open(self, query_string: QueryString, headers: Any) -> str | None:
        """Open a session.

        :returns: why its request was refused; None where it was not.
        """
        self.error = None
        return self._request(query_string, headers, self._open)

    def _open(self, environ: dict[str, Any]) -> str:
        self._reader = PacketReader(self.server.serializer)
        self._transport = MemoryTransport(self._receive)
        engine = self.server.engine
        with engine.lock:
            session = engine.open(self._transport, environ, host=self)
            self.session = self._transport.session = session
            self._request_keys = frozenset(environ)
            self._transport.wake()
        return session.sid

    def change_request(self, query_string: QueryString, headers: Any) -> str | None:
        """Have the namespaces that connect from now on see another request than those before.

        No real client can do that; tests written for Flask-SocketIO do.
        """
        return self._request(query_string, headers, self._change)

    def _change(self, environ: dict[str, Any]) -> str:
        assert self.session is not None
        with self.server.engine.lock:
            kept = self.session.environ
            # What was put there since, the client's copy of the user's session for one, stays.
            for key in self._request_keys:
                kept.pop(key, None)
            kept.update(environ)
            self._request_keys = frozenset(environ)
        return self.session.sid

    def _request(
        self, query_string: QueryString, headers: Any, take: Callable[[dict[str, Any]], str]
    ) -> str | None:
        """Send a request through the app and all that is wrapped around it; ``take`` gets its environ."""
        taken: list[str] = []

        def open_session(environ: dict[str, Any]) -> str:
            taken.append(take(environ))
            return taken[0]

        environ = self._environ(query_string, headers)
        environ[DRIVEN] = open_session
        if self._http is None:
            body, status, _ = run_wsgi_app(self.app, environ, buffered=True)
        else:
            body, status, _ = self._http.run_wsgi_app(environ, buffered=True)
        if taken:
            return None
        explanation = b"".join(body).decode("utf-8", "replace")
        return f"the request was answered with {status}: {explanation[:300]}"

    def _environ(self, query_string: QueryString, headers: Any) -> dict[str, Any]:
        if isinstance(query_string, str):
            query_string = query_string.removeprefix("?")
        builder = EnvironBuilder(
            self.app,
            f"/{self.server.config.path}/",
            query_string=query_string,
            headers=headers,
            environ_base=getattr(self._http, "environ_base", None),
        )
        try:
            return builder.get_environ()
        finally:
            builder.close()

    # Sending

    def send(self, packet: Packet) -> None:
        """Send a packet; what it sets off is done by :meth:`finish` or :meth:`run`. From any thread.

        :raises TypeError, ValueError: its data can't be sent.
        """
        # The same encoding as on the wire: what can't be sent is an error here too.
        text, binary = self.server.encoder.encode(packet)
        if packet.type is PacketType.CONNECT:
            self._reader.connecting = packet.namespace
        self._send(*([] if text is None else ["4" + text.decode()]), *binary)

    def _send(self, *messages: str | bytes) -> None:
        assert self.session is not None
        self.session.receive(self._transport, list(messages))

    def hang_up(self) -> None:
        """End the session, as a client that leaves."""
        if self.alive:
            self._send("1")

    # Running handlers

    def run(self) -> None:
        """Run the handlers that wait. What one has raised is raised."""
        self.stage.run()
        self.raise_failure()

    def finish(self, timeout: float | None = None) -> None:
        """Run handlers until those of this client have returned, also where another thread runs them.

        What one has raised is raised.

        :raises TimeoutError: after ``timeout`` seconds one still runs.
        """
        self.stage.run()
        if not self._idle() and self.stage.may_wait and not self.wait(self._idle, timeout):
            raise TimeoutError(f"a handler of the client, in another thread, still runs after {timeout:g} s")
        self.raise_failure()

    def wait(self, condition: Callable[[], object], timeout: float | None = None) -> bool:
        """Run handlers until ``condition()`` holds (see :meth:`.Stage.wait`)."""
        return self.stage.wait(lambda: self._failures or condition(), self.server.backend, timeout)

    def raise_failure(self) -> None:
        """Raise the first thing that a handler has raised since the last call."""
        if self._failures:
            failure = self._failures[0]
            self._failures.clear()
            raise failure

    def _idle(self) -> bool:
        client = self._client
        return client is None or client.inbox.idle

    @property
    def _client(self) -> Client | None:
        client = None if self.session is None else self.session.application
        return client if isinstance(client, Client) else None

    def sid(self, namespace: str) -> str | None:
        """What handlers see as ``request.sid``; None where it is not connected."""
        client = self._client
        socket = None if client is None else client.sockets.get(namespace)
        return None if socket is None else socket.sid

    # Host

    def __call__(self, function: Callable[..., None], *args: Any) -> None:
        """See :class:`.Host`."""
        self.stage.submit(function, *args)

    def settle(self) -> None:
        """See :class:`.Host`."""
        self.stage.settle()

    def handler_failed(self, error: BaseException) -> None:
        """See :class:`.Host`."""
        self._failures.append(error)
        self.stage.notify()

    def session_refused(self, error: RemoteProtocolError) -> None:
        """See :class:`.Host`."""
        self.error = error.message

    def session_ended(self, reason: DisconnectReason) -> None:
        """See :class:`.Host`."""
        self._ended(reason)
        self.stage.notify()

    # Receiving

    def _receive(self, message: Message) -> None:
        """A message of the engine (its lock is held)."""
        if message.text == b"2":
            self._send("3")
            return
        try:
            packet = self._reader.read(message)
        except RemoteProtocolError as error:
            self.handler_failed(error)  # whoever has sent it is not to blame
            return
        if packet is not None:
            self._receive_packet(packet)
            self.stage.notify()


def _server_of(app: Flask) -> Server:
    state = state_of(app)
    if state is None or not isinstance(state.server, Server):
        raise RuntimeError("the app has no SocketIO: call init_app(app) first")
    return state.server
