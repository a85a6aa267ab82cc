"""What the packets of a client set off: connecting, events, disconnecting, and the handlers of these."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..exceptions import ConnectionRefusedError, EventRefusedError
from ..protocol.errors import excerpt
from ..protocol.socketio import Packet, PacketEncoder, PacketType
from ..types import DisconnectReason, Sid
from .async_handling import run_connect, run_disconnect, run_event
from .client import Client, Socket, SocketState
from .dispatcher import NOT_HANDLED, RESERVED_EVENTS, Dispatcher, Match, arguments
from .logs import short
from .message import Message
from .pace import Pace
from .signatures import is_async
from .work import FAILURE, AsyncWork, Work, completed

if TYPE_CHECKING:
    from ..adapters import Adapter
    from ..config import ServerConfig
    from .cluster import Cluster
    from .engine import Engine
    from .ports import Backend

__all__ = ["HandlingServer", "Outcome", "Runner"]

# An enum's members are slow to look up in the enum.
_ACK: Final = PacketType.ACK
_CONNECTING: Final = SocketState.CONNECTING
_GONE: Final = SocketState.GONE
#: what an event takes that nobody handles
NO_HANDLER: Final = Pace()
REJECTED: Final = {"message": "Connection rejected by server"}


class Runner(Protocol):
    """Runs a user's function in the context of an event (the extension's part)."""

    def run(
        self,
        socket: Socket,
        function: Callable[..., Any],
        message: str | None,
        args: list[Any],
        group: Any = None,
    ) -> Any:
        """``function(*args)`` with ``request.event`` set to ``message`` and ``args``.

        :param message: None where it is not an event's handler.
        :param group: what the handler was registered with (see :meth:`.Dispatcher.register`).
        """
        ...

    def run_async(
        self,
        socket: Socket,
        function: Callable[..., Any],
        message: str | None,
        args: list[Any],
        group: Any = None,
    ) -> Coroutine[Any, Any, Any]:
        """The same for a coroutine function."""
        ...

    def attends(self, namespace: str) -> bool:
        """Whether ``connect`` and ``disconnect`` concern it even where they have no handler."""
        ...

    def has_admitted(self, socket: Socket) -> bool:
        """Whether it has let the client connect, as far as it is concerned."""
        ...


#: what a function of the app has returned, and what it has raised
Outcome = tuple[Any, BaseException | None]


class HandlingServer:
    """The part of a :class:`.Server` that runs the app's handlers."""

    config: ServerConfig
    adapter: Adapter[Socket]
    encoder: PacketEncoder
    dispatcher: Dispatcher
    logger: logging.Logger
    engine: Engine
    runner: Runner
    _cluster: Cluster | None

    @property
    def backend(self) -> Backend:
        """Where its handlers run."""
        return self.engine.backend

    def message(self, packet: Packet, volatile: bool = False) -> Message:
        """A packet as it is sent.

        :raises TypeError, ValueError: its data can't be serialised.
        """
        text, binary = self.encoder.encode(packet)
        if text is None or binary:
            return Message.of(None if text is None else b"4" + text, binary, volatile)
        return Message(b"4" + text, binary, volatile, len(text) + 1)

    # Connecting

    def accepts(self, namespace: str) -> bool:
        """Whether clients may connect to it."""
        accepted = self.config.namespaces
        return accepted == "*" or namespace in accepted or namespace in self.dispatcher.namespaces

    def refuse(self, client: Client, namespace: str, message: str) -> None:
        """Answer a CONNECT without making a socket."""
        self.engine.refusals(
            "namespace refused", "session %s: namespace %s: %s",
            short(client.session.sid), excerpt(namespace), message,
        )  # fmt: skip
        client.session.send(self.message(Packet(PacketType.CONNECT_ERROR, namespace, {"message": message})))

    def begin_connect(self, socket: Socket, auth: Any) -> None:
        """A CONNECT has come (the lock is held): run the connect handler, if any."""
        self.adapter.add(socket)
        start = partial(self._start_connect, socket, auth)
        if self._cluster is None or socket.client.session.host is not None or not self._cluster.before(start):
            start()

    def _start_connect(self, socket: Socket, auth: Any) -> None:
        if self._handles(socket.namespace, "connect"):
            work, pace = self._work(socket, "connect", self._run_connect, run_connect, auth)
            socket.client.inbox.put(work, pace=pace)
        else:
            self._accept(socket)

    def _handles(self, namespace: str, event: str) -> bool:
        return (
            self.dispatcher.find(namespace, event) is not None
            or self.dispatcher.find_namespace(namespace) is not None
            or self.runner.attends(namespace)
        )

    def _work(
        self, socket: Socket, event: str, run: Callable[..., None], run_async: Callable[..., Any], about: Any
    ) -> tuple[Work, Pace | None]:
        """A run of an event's handler, and how long it takes; for a coroutine function that is None.

        :param run: is called with ``socket``, ``about`` and the function that handles it, if it is one.
        :param run_async: the same of :mod:`.async_handling`, where the server comes first.
        """
        match: Match | None = self.dispatcher.find(socket.namespace, event)
        pace = NO_HANDLER
        if match is not None:
            if match.is_async:
                return AsyncWork(run_async, self, socket, about, match), None
            pace = match.pace
        else:
            obj = self.dispatcher.find_namespace(socket.namespace)
            if obj is not None:
                if obj.handles_async(event):
                    return AsyncWork(run_async, self, socket, about, match), None
                pace = self.dispatcher.pace_of_namespace(socket.namespace, event)
        return partial(run, socket, about, match), pace

    def _run_connect(self, socket: Socket, auth: Any, match: Match | None) -> None:
        self.finish_connect(socket, self._outcome(socket, match, "connect", [auth]))

    def finish_connect(self, socket: Socket, outcome: Outcome) -> None:
        """A ``connect`` handler has come to its end: accept the client, or refuse it."""
        value, error = outcome
        if error is None and value is not False:
            with self.engine.lock:
                self._accept(socket)
            return
        if isinstance(error, EventRefusedError):
            self._reject(socket, error.error_args)
            return
        if isinstance(error, FAILURE):
            self._failed(
                socket,
                error,
                "connect handler of namespace %r failed; the client is refused",
                socket.namespace,
            )
        self._reject(socket, REJECTED)
        self._pass_on(error)

    @staticmethod
    def _pass_on(error: BaseException | None) -> None:
        """What was meant for the thread or the task: a cancellation, for instance."""
        if error is not None and not isinstance(error, FAILURE):
            raise error

    def _accept(self, socket: Socket) -> None:
        socket.client.connected()
        socket.accept(self.message(Packet(PacketType.CONNECT, socket.namespace, {"sid": socket.sid})))
        if socket.ending is not None:
            self.begin_disconnect(socket, socket.ending)

    def _reject(self, socket: Socket, refusal: dict[str, Any]) -> None:
        """Refuse a client (without the lock)."""
        message = self._refusal_message(socket.namespace, refusal)
        with self.engine.lock:
            self.engine.refusals(
                "connect refused", "client %s of namespace %r: %s",
                socket.sid, socket.namespace, excerpt(refusal["message"]), level=logging.INFO,
            )  # fmt: skip
            self.adapter.remove(socket)
            socket.drop()
            socket.client.refused(socket)
            socket.client.session.send(message)

    def _refusal_message(self, namespace: str, refusal: dict[str, Any]) -> Message:
        try:
            return self.message(Packet(PacketType.CONNECT_ERROR, namespace, refusal))
        except (TypeError, ValueError):
            self.logger.exception("the data of a ConnectionRefusedError can't be sent")
            return self.message(Packet(PacketType.CONNECT_ERROR, namespace, {"message": refusal["message"]}))

    # Disconnecting

    def begin_disconnect(self, socket: Socket, reason: DisconnectReason) -> None:
        """A connected socket ends (the lock is held): run the disconnect handler, then forget it."""
        if socket.client.inbox.idle and not self._handles(socket.namespace, "disconnect"):
            self._forget(socket)
            return
        socket.state = SocketState.DISCONNECTING
        work, pace = self._work(socket, "disconnect", self._run_disconnect, run_disconnect, reason.value)
        socket.client.inbox.put(work, pace=pace)

    def _run_disconnect(self, socket: Socket, reason: str, match: Match | None) -> None:
        self.finish_disconnect(socket, self._outcome(socket, match, "disconnect", [reason]))

    def finish_disconnect(self, socket: Socket, outcome: Outcome) -> None:
        """A ``disconnect`` handler has come to its end: forget the socket."""
        _, error = outcome
        if isinstance(error, EventRefusedError):
            self._refused(socket, "disconnect", error)
        elif isinstance(error, FAILURE):
            self._failed(socket, error, "disconnect handler of namespace %r failed", socket.namespace)
        with self.engine.lock:
            self._forget(socket)
        self._pass_on(error)

    def _forget(self, socket: Socket) -> None:
        self.adapter.remove(socket)
        socket.drop()

    # Events

    def receive_event(self, socket: Socket, packet: Packet, size: int) -> None:
        """An event has come (the lock is held): run its handler, which answers where an ack is asked for.

        :param size: of its message, in bytes.
        """
        event = packet.data[0]
        match = self.dispatcher.find(socket.namespace, event)
        if match is not None and not match.is_async:
            work: Work = partial(self._run_event, socket, packet, match)
            pace: Pace | None = match.pace
        elif match is not None:
            work, pace = AsyncWork(run_event, self, socket, packet, match), None
        else:
            work, pace = self._work(socket, event, self._run_event, run_event, packet)
        gate = socket if socket.state is _CONNECTING else None
        socket.client.inbox.put(work, gate, size, pace)

    def _run_event(self, socket: Socket, packet: Packet, match: Match | None) -> None:
        if socket.state is _GONE:  # its connect was refused
            return
        try:
            if match is None:
                value = self._call_object(socket, packet.data[0], packet.data[1:])
            else:
                data = packet.data
                args = data if match.event == "*" else data[1:]
                value = self.runner.run(socket, match.handler, match.event, args, match.group)
        except BaseException as error:  # noqa: BLE001 (the app may raise anything; see _pass_on)
            self.finish_event(socket, packet, (None, error))
        else:
            if packet.id is not None:
                self.finish_event(socket, packet, (value, None))

    def finish_event(self, socket: Socket, packet: Packet, outcome: Outcome) -> None:
        """An event's handler has come to its end: acknowledge the event, or log what was raised."""
        value, error = outcome
        refusal = None
        if isinstance(error, EventRefusedError):
            refusal = value = self._refused(socket, packet.data[0], error)
            error = None
        try:
            if error is None and packet.id is not None and value is not NOT_HANDLED:
                self._send_ack(socket, packet.id, value)
        except FAILURE as unsendable:
            error = unsendable
            if refusal is not None and packet.id is not None:
                # It can't be told why, but it must not wait for an answer.
                self._send_ack(socket, packet.id, {"error": {"message": refusal["error"]["message"]}})
        if isinstance(error, FAILURE):
            self._failed(
                socket,
                error,
                "handler of event %s in namespace %r failed",
                excerpt(packet.data[0]),
                socket.namespace,
            )
        self._pass_on(error)

    def _refused(self, socket: Socket, event: str, error: EventRefusedError) -> dict[str, Any]:
        """What the client is told; the rest is for us."""
        refusal = error.error_args
        self.engine.refusals(
            "event refused", "event %s of client %s in namespace %r: %s",
            excerpt(event), socket.sid, socket.namespace, excerpt(refusal["message"]), level=logging.INFO,
        )  # fmt: skip
        host = socket.client.session.host
        if host is not None and isinstance(error, ConnectionRefusedError):
            host.handler_failed(error)  # tests that were written for Flask-SocketIO expect it to be raised
        return {"error": refusal}

    # The app's functions

    def _outcome(self, socket: Socket, match: Match | None, event: str, args: list[Any]) -> Outcome:
        try:
            return self._call_handler(socket, match, event, args), None
        except BaseException as error:  # noqa: BLE001 (the app may raise anything; see _pass_on)
            return None, error

    def _failed(self, socket: Socket, error: Exception | SystemExit, what: str, *args: object) -> None:
        """A function of the app has raised: one record in the log, with its traceback."""
        host = socket.client.session.host
        if host is not None:
            host.handler_failed(error)
        else:
            self.logger.error(what, *args, exc_info=error)

    def _call_handler(self, socket: Socket, match: Match | None, event: str, args: list[Any]) -> Any:
        if match is not None:
            return self.runner.run(
                socket, match.handler, match.event, arguments(match, event, args), match.group
            )
        return self._call_object(socket, event, args)

    def _call_object(self, socket: Socket, event: str, args: list[Any]) -> Any:
        """What a namespace object makes of an event, if there is one."""
        obj = self.dispatcher.find_namespace(socket.namespace)
        result = NOT_HANDLED
        if obj is not None:
            result = completed(self.backend, obj.trigger_event(event, socket.sid, *args))
        if self.is_still_attended(socket, event, result):
            attended = self.runner.run(socket, _nothing, event, args)
            result = attended if result is NOT_HANDLED or attended is False else result
        return result

    def is_still_attended(self, socket: Socket, event: str, result: Any) -> bool:
        """Whether the runner is still to be told of an event that a namespace object had."""
        if event not in RESERVED_EVENTS or not self.runner.attends(socket.namespace):
            return False
        if result is NOT_HANDLED:
            return True
        # The object may go its own ways: an override of `trigger_event`, a method `error`.
        return event == "connect" and result is not False and not self.runner.has_admitted(socket)

    def _send_ack(self, socket: Socket, ack_id: int, result: Any) -> None:
        values = list(result) if isinstance(result, tuple) else [] if result is None else [result]
        message = self.message(Packet(_ACK, socket.namespace, values, ack_id))
        with self.engine.lock:
            socket.send(message)

    def run_in_context(
        self,
        sid: Sid,
        namespace: str,
        function: Callable[..., Any],
        event: str | None,
        args: list[Any],
        group: Any = None,
    ) -> Any:
        """Run a function in the context of a client's event; a coroutine function gives a coroutine."""
        socket = self.adapter.find(sid) if namespace == "*" else self.adapter.get(namespace, sid)
        if socket is None:
            return NOT_HANDLED
        run = self.runner.run_async if is_async(function) else self.runner.run
        return run(socket, function, event, args, group)


def _nothing(argument: object) -> None:
    """In the place of a handler of ``connect`` or ``disconnect``."""
