"""A client for tests: it drives the real engine, in memory, in the thread of the test.

Nothing is patched. The client is an ordinary session whose websocket is a list
and whose handlers run where the test calls, so when :meth:`emit` returns, its
handlers have returned.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from werkzeug.test import EnvironBuilder

from .backends.memory import MemoryTransport
from .context import slim_environ
from .mounting import state_of
from .protocol.socketio import Packet, PacketType
from .server.message import Message
from .server.server import Server

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from .extension import SocketIO
    from .server.session import Session

__all__ = ["SocketIOTestClient"]

Work = deque[tuple[Callable[..., None], tuple[Any, ...]]]
_queues: weakref.WeakKeyDictionary[Server, Work] = weakref.WeakKeyDictionary()


class SocketIOTestClient:
    """A Socket.IO client for the tests of an app.

    :param app: the app.
    :param socketio: its extension object.
    :param namespace: where to connect, ``'/'`` unless given.
    :param query_string: of the connection's request.
    :param headers: of the connection's request.
    :param auth: what the client sends along with the connection.
    :param flask_test_client: its cookies are sent along, so that the user's
        session is seen by the handlers.
    """

    def __init__(
        self,
        app: Flask,
        socketio: SocketIO,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Any = None,
        auth: Any = None,
        flask_test_client: FlaskClient | None = None,
    ) -> None:
        self.app = app
        self.socketio = socketio
        self.flask_test_client = flask_test_client
        #: events received, as :meth:`get_received` gives them
        self.queue: list[dict[str, Any]] = []
        #: by namespace: why the connection was refused, ``{"message": ...}``
        self.refusals: dict[str, Any] = {}
        self.connected: dict[str, bool] = {}
        self.callback_counter = 0
        self._acks: dict[int, list[Any]] = {}
        self._errors: list[BaseException] = []
        self._transport = MemoryTransport(self._receive)
        self._session: Session | None = None
        self._server = _server_of(app)
        # One queue for the clients of a server: what one does to another is done when its call returns.
        self._work = _queues.setdefault(self._server, deque())
        self._decoder = self._server.serializer.decoder()
        self.connect(namespace=namespace, query_string=query_string, headers=headers, auth=auth)

    # What a test calls

    @property
    def eio_sid(self) -> str:
        """The id of its session."""
        assert self._session is not None
        return self._session.sid

    def is_connected(self, namespace: str | None = None) -> bool:
        """Whether it is connected to a namespace (``'/'`` unless given)."""
        if self._session is None or not self._session.alive:
            return False
        return self.connected.get(namespace or "/", False)

    def connect(
        self,
        namespace: str | None = None,
        query_string: str | None = None,
        headers: Any = None,
        auth: Any = None,
    ) -> None:
        """Connect to a namespace, anew if it is connected; the constructor has done so for the first one."""
        namespace = namespace or "/"
        if self.is_connected(namespace):
            self.disconnect(namespace)
        if self._session is None or self._session.ended or not self._session.alive:
            self._open(query_string, headers)
        self.refusals.pop(namespace, None)
        self._send(Packet(PacketType.CONNECT, namespace, auth))

    def disconnect(self, namespace: str | None = None) -> None:
        """Disconnect from a namespace.

        :raises RuntimeError: it is not connected.
        """
        self._check_connected(namespace)
        self._send(Packet(PacketType.DISCONNECT, namespace or "/"))
        self.connected.pop(namespace or "/", None)

    def emit(
        self, event: str, *args: Any, callback: bool = False, namespace: str | None = None, **ignored: Any
    ) -> Any:
        """Emit an event to the server; its handlers have returned when this does.

        What a handler raises, and no error handler takes, is raised here.

        :param callback: ask for an acknowledgement.
        :param ignored: what only a server can say (``broadcast`` and the like); tests written for
            Flask-SocketIO pass it.
        :returns: the acknowledgement's value, or the list of its values where
            it has several or none; None where nothing was acknowledged.
        :raises RuntimeError: it is not connected.
        """
        self._check_connected(namespace)
        ack_id = None
        if callback:
            self.callback_counter += 1
            ack_id = self.callback_counter
        self._send(Packet(PacketType.EVENT, namespace or "/", [event, *args], ack_id))
        if ack_id is None or ack_id not in self._acks:
            return None
        values = self._acks.pop(ack_id)
        return values[0] if len(values) == 1 else values

    def send(
        self, data: Any, json: bool = False, callback: bool = False, namespace: str | None = None
    ) -> Any:
        """Emit ``data`` as the event ``message`` (or ``json``); the rest is as in :meth:`emit`."""
        return self.emit("json" if json else "message", data, callback=callback, namespace=namespace)

    def get_received(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """What has come since the last call: dicts of ``name``, ``args`` and ``namespace``.

        ``args`` is a list; for ``message`` and ``json`` it is the bare payload.

        :raises RuntimeError: it is not connected.
        """
        self._check_connected(namespace)
        self._run_work()
        namespace = namespace or "/"
        received = [item for item in self.queue if item["namespace"] == namespace]
        self.queue = [item for item in self.queue if item["namespace"] != namespace]
        return received

    def _check_connected(self, namespace: str | None) -> None:
        if not self.is_connected(namespace):
            refusal = self.refusals.get(namespace or "/")
            raise RuntimeError(
                "not connected" if refusal is None else f"not connected: refused with {refusal!r}"
            )

    # The session

    def _open(self, query_string: str | None, headers: Any) -> None:
        self._transport = MemoryTransport(self._receive)
        environ = slim_environ(self.app, self._environ(query_string, headers))
        session = self._server.engine.open(self._transport, environ, host=self._submit)
        session.error_hook = self._errors.append
        self._session = self._transport.session = session
        with self._server.engine.lock:
            self._transport.wake()

    def _environ(self, query_string: str | None, headers: Any) -> dict[str, Any]:
        path = "/" + self._server.config.path + "/"
        query = (query_string or "").lstrip("?")
        if self.flask_test_client is None:
            builder = EnvironBuilder(path, query_string=query, headers=headers, base_url=self._base_url())
            return builder.get_environ()
        request = self.flask_test_client._request_from_builder_args(
            (), {"path": path, "query_string": query, "headers": headers}
        )
        environ = request.environ
        self.flask_test_client._add_cookies_to_wsgi(environ)
        return dict(environ)

    def _base_url(self) -> str:
        return f"http://{self.app.config.get('SERVER_NAME') or 'localhost'}/"

    def _submit(self, function: Callable[..., None], *args: Any) -> None:
        self._work.append((function, args))

    def _run_work(self) -> None:
        while self._work:
            function, args = self._work.popleft()
            function(*args)
        if self._errors:
            error = self._errors[0]
            self._errors.clear()
            raise error

    def _send(self, packet: Packet) -> None:
        session = self._session
        assert session is not None
        # The same encoding as on the wire: what can't be sent is an error here too.
        text, binary = self._server.encoder.encode(packet)
        messages: list[str | bytes] = [] if text is None else ["4" + text.decode()]
        session.receive(self._transport, [*messages, *binary])
        self._run_work()

    # What comes from the server

    def _receive(self, message: Message) -> None:
        """A message of the engine (its lock is held)."""
        text = None if message.text is None else message.text.decode()
        if text == "2":
            assert self._session is not None
            self._session.receive(self._transport, ["3"])
            return
        packet = None
        if text is not None and text.startswith("4"):
            packet = self._decode(text[1:])
        for data in message.binary:
            packet = self._decode_binary(data)
        if packet is not None:
            self._receive_packet(packet)

    def _decode(self, text: str) -> Packet | None:
        if text[:1] in ("0", "4"):
            # What only a server sends; a server's decoder takes neither.
            return _decode_answer(text)
        return self._decoder.receive_text(text)

    def _decode_binary(self, data: bytes) -> Packet | None:
        if self._server.config.serializer == "msgpack":
            content = msgspec.msgpack.decode(data)
            if content["type"] in (PacketType.CONNECT, PacketType.CONNECT_ERROR):
                return Packet(PacketType(content["type"]), content["nsp"], content.get("data"))
        return self._decoder.receive_binary(data)

    def _receive_packet(self, packet: Packet) -> None:
        namespace = packet.namespace
        if packet.type is PacketType.EVENT:
            name, *args = packet.data
            bare = name in ("message", "json") and args
            self.queue.append({"name": name, "args": args[0] if bare else args, "namespace": namespace})
        elif packet.type is PacketType.ACK and packet.id is not None:
            self._acks[packet.id] = packet.data
        elif packet.type is PacketType.CONNECT:
            self.connected[namespace] = True
        elif packet.type is PacketType.CONNECT_ERROR:
            self.connected[namespace] = False
            self.refusals[namespace] = packet.data
        elif packet.type is PacketType.DISCONNECT:
            self.connected[namespace] = False


def _decode_answer(text: str) -> Packet:
    namespace, data = "/", text[1:]
    if data.startswith("/"):
        namespace, _, data = data.partition(",")
    return Packet(PacketType(int(text[0])), namespace, msgspec.json.decode(data) if data else None)


def _server_of(app: Flask) -> Server:
    state = state_of(app)
    if state is None or not isinstance(state.server, Server):
        raise RuntimeError("the app has no SocketIO: call init_app(app) first")
    return state.server
