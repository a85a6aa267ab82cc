"""A client for tests: it drives the real engine, in memory, in the thread of the test.

Nothing is patched. The client is an ordinary session whose websocket is a list
and whose handlers run where the test calls, so when :meth:`emit` returns, its
handlers have returned. What comes from elsewhere (background tasks, other
threads) is waited for with :meth:`wait_for`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .protocol.socketio import Packet, PacketType
from .server.work import completed
from .testing.connection import Connection, QueryString
from .types import DisconnectReason

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from .extension import SocketIO
    from .server.session import Session

__all__ = ["ReceivedEvent", "SocketIOTestClient"]

TIMEOUT = 5.0  # seconds
#: events whose ``args`` are given as the bare payload
BARE = ("message", "json")


class ReceivedEvent(dict[str, Any]):
    """An event as a test gets it: ``{"name": ..., "args": ..., "namespace": ...}``.

    ``args`` is a list; for ``message`` and ``json`` it is the bare payload.
    """

    #: the acknowledgement that the server still waits for, if it has asked for one
    ack_id: int | None = None


class SocketIOTestClient:
    """A Socket.IO client for the tests of an app.

    It can be used as a context manager, which closes it at the end.

    :param app: the app.
    :param socketio: its extension object.
    :param namespace: where to connect, ``'/'`` unless given.
    :param query_string: of the connection's request.
    :param headers: of the connection's request.
    :param auth: what the client sends along with the connection.
    :param flask_test_client: its cookies are sent along, so that the user's
        session is seen by the handlers.
    :raises RuntimeError: the app has no SocketIO.
    :raises ValueError: ``flask_test_client`` belongs to another app.
    """

    def __init__(
        self,
        app: Flask,
        socketio: SocketIO,
        namespace: str | None = None,
        query_string: QueryString = None,
        headers: Any = None,
        auth: Any = None,
        flask_test_client: FlaskClient | None = None,
    ) -> None:
        self.app = app
        self.socketio = socketio
        self.flask_test_client = flask_test_client
        #: events received, as :meth:`get_received` gives them
        self.queue: list[ReceivedEvent] = []
        #: by namespace: why the connection was refused, ``{"message": ...}``
        self.refusals: dict[str, Any] = {}
        #: by namespace: why it is no longer connected, as disconnect handlers are told
        self.disconnect_reasons: dict[str, str] = {}
        self.connected: dict[str, bool] = {}
        self.callback_counter: int = 0
        self._acks: dict[int, list[Any]] = {}
        self._answers: dict[tuple[str, str], Any] = {}
        self._connection = Connection(app, flask_test_client, self._receive, self._session_ended)
        self.connect(namespace=namespace, query_string=query_string, headers=headers, auth=auth)

    def __enter__(self) -> SocketIOTestClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Connecting

    @property
    def eio_sid(self) -> str:
        """The id of its session.

        :raises RuntimeError: it never had one.
        """
        if self._session is None:
            raise RuntimeError(f"not connected: {self._why_not('/')}")
        return self._session.sid

    def get_sid(self, namespace: str | None = None) -> str:
        """What handlers see as ``request.sid``.

        :raises RuntimeError: it is not connected.
        """
        sid = self._connection.sid(namespace or "/") if self.is_connected(namespace) else None
        if sid is None:
            raise RuntimeError(f"not connected: {self._why_not(namespace or '/')}")
        return sid

    def is_connected(self, namespace: str | None = None) -> bool:
        """Whether it is connected to a namespace (``'/'`` unless given)."""
        return self._connection.alive and self.connected.get(namespace or "/", False)

    def connect(
        self,
        namespace: str | None = None,
        query_string: QueryString = None,
        headers: Any = None,
        auth: Any = None,
    ) -> None:
        """Connect to a namespace, anew if it is connected; the constructor has done so for the first one.

        Namespaces share a connection, and so its request, unless ``query_string`` or ``headers`` are given.
        """
        namespace = namespace or "/"
        if self.is_connected(namespace):
            self.disconnect(namespace)
        self.refusals.pop(namespace, None)
        self.disconnect_reasons.pop(namespace, None)
        self.connected.pop(namespace, None)
        refusal = self._prepare_request(query_string, headers)
        if refusal is None:
            self._connection.send(Packet(PacketType.CONNECT, namespace, auth))
        else:
            self._refuse(namespace, {"message": refusal})
        self._finish()
        if namespace not in self.connected:
            # The CONNECT itself was against the rules.
            self._refuse(namespace, {"message": f"the session has ended: {self._connection.error}"})

    def _prepare_request(self, query_string: QueryString, headers: Any) -> str | None:
        if not self._connection.alive:
            return self._connection.open(query_string, headers)
        if query_string is not None or headers is not None:
            return self._connection.change_request(query_string, headers)
        return None

    def disconnect(self, namespace: str | None = None) -> None:
        """Disconnect from a namespace.

        :raises RuntimeError: it is not connected.
        """
        namespace = namespace or "/"
        self._check_connected(namespace)
        self.disconnect_reasons[namespace] = DisconnectReason.CLIENT_DISCONNECT.value
        self.connected.pop(namespace, None)
        self._connection.send(Packet(PacketType.DISCONNECT, namespace))
        self._finish()

    def close(self) -> None:
        """Disconnect from all namespaces. One that is not connected may be closed too.

        :raises TimeoutError: another thread runs a handler of the client that does not return.
        """
        self._connection.hang_up()
        self._connection.finish(TIMEOUT)

    # Events

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
            with self._connection.server.engine.lock:
                ack_id = self.callback_counter = self.callback_counter + 1
        self._connection.send(Packet(PacketType.EVENT, namespace or "/", [event, *args], ack_id))
        self._finish()
        if ack_id is None or ack_id not in self._acks:
            return None
        values = self._acks.pop(ack_id)
        return values[0] if len(values) == 1 else values

    def send(
        self, data: Any, json: bool = False, callback: bool = False, namespace: str | None = None
    ) -> Any:
        """Emit ``data`` as the event ``message`` (or ``json``); the rest is as in :meth:`emit`."""
        return self.emit("json" if json else "message", data, callback=callback, namespace=namespace)

    def get_received(self, namespace: str | None = None) -> list[ReceivedEvent]:
        """What has come since the last call: dicts of ``name``, ``args`` and ``namespace``.

        ``args`` is a list; for ``message`` and ``json`` it is the bare payload.

        :raises RuntimeError: it is not connected.
        """
        self._check_connected(namespace)
        self._connection.run()
        namespace = namespace or "/"
        with self._connection.server.engine.lock:
            received = [item for item in self.queue if item["namespace"] == namespace]
            self.queue[:] = [item for item in self.queue if item["namespace"] != namespace]
        return received

    def wait_for(
        self, event: str | None = None, namespace: str | None = None, timeout: float = TIMEOUT
    ) -> ReceivedEvent:
        """The first event of a name that has come, or comes within ``timeout`` seconds; it leaves the queue.

        For what is emitted by background tasks, by other threads, or later. What has come before that
        event stays in the queue.

        :param event: its name; any, unless given.
        :raises TimeoutError: it has not come; the message lists what has.
        :raises RuntimeError: it has not come, and the client is not connected (any more).
        """
        namespace = namespace or "/"
        found: list[ReceivedEvent] = []

        def look() -> bool:
            # What came before the end of a connection is still there.
            gone = not self.is_connected(namespace)
            found.extend(self._take(event, namespace))
            return bool(found) or gone

        in_time = self._connection.wait(look, timeout)
        if found:
            return found[0]
        self._connection.raise_failure()
        what = "event" if event is None else repr(event)
        if in_time:
            raise RuntimeError(f"no {what}, and not connected: {self._why_not(namespace)}; {self._summary()}")
        raise TimeoutError(f"no {what} in namespace {namespace!r} within {timeout:g} s; {self._summary()}")

    def _take(self, event: str | None, namespace: str) -> list[ReceivedEvent]:
        """The first event of this name, which leaves the queue; an empty list where there is none."""
        with self._connection.server.engine.lock:
            for index, item in enumerate(self.queue):
                if item["namespace"] == namespace and event in (None, item["name"]):
                    return [self.queue.pop(index)]
        return []

    def _summary(self) -> str:
        """What waits in the queue, in words."""
        with self._connection.server.engine.lock:
            counts = Counter((item["namespace"], item["name"]) for item in self.queue)
        if not counts:
            return "nothing else has come"
        names = [
            repr(name) + (f" ({count} times)" if count > 1 else "") + (f" in {ns!r}" if ns != "/" else "")
            for (ns, name), count in counts.items()
        ]
        return f"what has come: {', '.join(names)}"

    def wait_for_disconnect(self, namespace: str | None = None, timeout: float = TIMEOUT) -> str:
        """Wait until it is no longer connected to a namespace.

        :returns: why, as disconnect handlers are told: ``"server disconnect"``, for instance.
        :raises TimeoutError: after ``timeout`` seconds it still is.
        :raises RuntimeError: it never was.
        """
        namespace = namespace or "/"
        if namespace not in self.disconnect_reasons:
            self._check_connected(namespace)
        gone = self._connection.wait(lambda: not self.is_connected(namespace), timeout)
        self._finish()
        if not gone:
            raise TimeoutError(
                f"still connected to namespace {namespace!r} after {timeout:g} s; {self._summary()}"
            )
        return self.disconnect_reasons[namespace]

    # Acknowledgements that the server asks for

    def answer(self, event: str, answer: Any, namespace: str | None = None) -> None:
        """Acknowledge an event with this from now on, wherever the server asks for an acknowledgement.

        So ``call()`` and the callbacks of ``emit()`` get what a client would say. The event is received
        as others are.

        :param answer: a value, a tuple of several, or None for none; or a function of the event's
            arguments that returns it. It runs in a thread of its own, as a client would.
        """
        self._answers[namespace or "/", event] = answer

    def acknowledge(self, event: ReceivedEvent, *values: Any) -> None:
        """Acknowledge an event that was received (by :meth:`wait_for`, say), once.

        :raises RuntimeError: no acknowledgement was asked for, or it was given.
        """
        if event.ack_id is None:
            raise RuntimeError(f"the server does not wait for an acknowledgement of {event['name']!r}")
        self._check_connected(event["namespace"])
        self._connection.send(Packet(PacketType.ACK, event["namespace"], list(values), event.ack_id))
        event.ack_id = None
        self._connection.run()

    def _answer(self, event: ReceivedEvent, args: list[Any]) -> None:
        """The registered answer to an event that asks for one (the lock is held)."""
        key = event["namespace"], event["name"]
        if key not in self._answers:
            return
        answer = self._answers[key]
        ack_id, event.ack_id = event.ack_id, None
        if callable(answer):
            # Not here: the engine must not wait for it, and neither may a handler that waits in call().
            self._connection.server.backend.spawn(self._send_answer, answer, args, key[0], ack_id)
        else:
            self._send_answer(lambda *args: answer, args, key[0], ack_id)

    def _send_answer(
        self, answer: Callable[..., Any], args: list[Any], namespace: str, ack_id: int | None
    ) -> None:
        try:
            value = completed(self._connection.server.backend, answer(*args))
            values = list(value) if isinstance(value, tuple) else [] if value is None else [value]
            self._connection.send(Packet(PacketType.ACK, namespace, values, ack_id))
        except Exception as error:  # noqa: BLE001 (it is raised where the test next asks something)
            self._connection.handler_failed(error)

    # The connection

    @property
    def _session(self) -> Session | None:
        return self._connection.session

    def _finish(self) -> None:
        """Have all handlers run, and leave as real clients do where no namespace is connected any more."""
        self._connection.finish()
        if self._connection.alive and not any(self.connected.values()):
            self._connection.hang_up()

    def _check_connected(self, namespace: str | None) -> None:
        namespace = namespace or "/"
        if not self.is_connected(namespace):
            raise RuntimeError(f"not connected: {self._why_not(namespace)}")

    def _why_not(self, namespace: str) -> str:
        if namespace in self.refusals:
            return f"refused with {self.refusals[namespace]!r}"
        reason = self.disconnect_reasons.get(namespace)
        if reason is None:
            connected = ", ".join(repr(name) for name, is_so in self.connected.items() if is_so)
            return f"connect({namespace!r}) was not called; connected are: {connected or 'none'}"
        error = self._connection.error
        return f"namespace {namespace!r} has ended: {reason}" + (f" ({error})" if error else "")

    def _refuse(self, namespace: str, refusal: Any) -> None:
        self.connected[namespace] = False
        self.refusals[namespace] = refusal

    # What comes from the server, with the engine's lock held

    def _receive(self, packet: Packet) -> None:
        namespace = packet.namespace
        if packet.type is PacketType.EVENT:
            self._receive_event(packet)
        elif packet.type is PacketType.ACK and packet.id is not None:
            self._acks[packet.id] = packet.data
        elif packet.type is PacketType.CONNECT:
            self.connected[namespace] = True
        elif packet.type is PacketType.CONNECT_ERROR:
            self._refuse(namespace, packet.data)
        elif packet.type is PacketType.DISCONNECT:
            self.connected[namespace] = False
            self.disconnect_reasons[namespace] = DisconnectReason.SERVER_DISCONNECT.value

    def _receive_event(self, packet: Packet) -> None:
        name, *args = packet.data
        bare = name in BARE and args
        event = ReceivedEvent(name=name, args=args[0] if bare else args, namespace=packet.namespace)
        event.ack_id = packet.id
        self.queue.append(event)
        if packet.id is not None:
            self._answer(event, args)

    def _session_ended(self, reason: DisconnectReason) -> None:
        for namespace, connected in list(self.connected.items()):
            if connected:
                self.connected[namespace] = False
                self.disconnect_reasons[namespace] = reason.value
