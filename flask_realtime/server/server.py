"""Socket.IO on top of the engine: namespaces, events, acks, rooms."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import CallTimeoutError, ClientGoneError
from ..protocol.socketio import Packet, PacketEncoder, PacketType, Serializer
from ..types import EVERYBODY, AckCallback, DisconnectReason, Room, Sid, Target
from .acks import AckReceiver, PendingAcks
from .async_handling import call, run_callback
from .client import Client, Socket, SocketState
from .cluster import Cluster
from .dispatcher import Dispatcher
from .handling import HandlingServer, Runner
from .message import Message
from .pace import Pace
from .signatures import is_async
from .tracing import make_engine
from .work import FAILURE, AsyncWork, completed

if TYPE_CHECKING:
    from ..adapters import Adapter
    from ..config import ServerConfig
    from .engine import Engine
    from .ports import AsyncEvent, Backend, Event, Link
    from .session import Session

__all__ = ["Server"]

# An enum's members are slow to look up in the enum.
_EVENT: Final = PacketType.EVENT
_CONNECTED: Final = SocketState.CONNECTED
STAYING: Final = (SocketState.CONNECTING, SocketState.CONNECTED)


@dataclass
class PendingCall:
    """An event whose sender waits for the acknowledgement."""

    event: str
    sid: Sid
    #: where the acknowledgement is waited for
    acks: PendingAcks
    ack_id: int
    #: the values; None where the client has gone
    answer: list[Any] | None = None


class Server(HandlingServer):
    """One Socket.IO endpoint (an :class:`.Application` of the engine).

    :param dispatcher: the handlers.
    :param runner: how they are run.
    :param link: the way to other processes behind a message queue, if there is one.
    """

    def __init__(
        self,
        config: ServerConfig,
        backend: Backend,
        adapter: Adapter[Socket],
        serializer: Serializer,
        dispatcher: Dispatcher,
        runner: Runner,
        logger: logging.Logger,
        link: Link | None = None,
    ) -> None:
        self.config = config
        self.adapter = adapter
        self.serializer = serializer
        self.encoder: PacketEncoder = serializer.encoder()
        self.dispatcher = dispatcher
        self.logger = logger
        self.engine: Engine = make_engine(config, backend, self, logger)
        self.runner = runner
        #: how long callbacks take
        self._callbacks = Pace()
        self._cluster = None if link is None else Cluster(self, link)

    # The engine's side

    def session_opened(self, session: Session) -> Client:
        """See :class:`.Application`."""
        if self._cluster is not None and session.host is None:
            self._cluster.listen()
        return Client(self, session)

    # Emitting

    def emit(
        self,
        event: str,
        args: Sequence[Any],
        namespace: str = "/",
        target: Target = EVERYBODY,
        callback: AckCallback | None = None,
        volatile: bool = False,
        ignore_queue: bool = False,
    ) -> None:
        """Send an event; never waits.

        :param callback: called with the acknowledgement of each recipient.
        :param ignore_queue: to the clients of this process only.
        :raises TypeError, ValueError: the data can't be serialised.
        """
        data = [event, *args]
        if callback is not None:
            self._emit_with_callback(data, namespace, target, callback, ignore_queue)
            return
        message = self.message(Packet(_EVENT, namespace, data), volatile)
        with self.engine.lock:
            for socket in self.adapter.sockets(namespace, target):
                if socket.state is _CONNECTED:
                    socket.client.session.send(message)
                else:
                    socket.send(message)
        if self._cluster is not None and not ignore_queue:
            self._cluster.emit(message, namespace, target)

    def emit_to(self, socket: Socket, event: str, args: Sequence[Any]) -> None:
        """Send an event to one client of this process; :meth:`emit` for what handlers do most."""
        if self._cluster is not None:
            # In a forked process, its client is another's.
            self.emit(event, args, socket.namespace, Target((socket.sid,)))
            return
        message = self.message(Packet(_EVENT, socket.namespace, [event, *args]))
        lock = self.engine.lock
        lock.acquire()
        try:
            socket.send(message)
        finally:
            lock.release()

    def _emit_with_callback(
        self, data: list[Any], namespace: str, target: Target, callback: AckCallback, ignore_queue: bool
    ) -> None:
        self.emit_with_acks(
            data,
            namespace,
            target,
            lambda socket: partial(self._receive_callback_ack, socket, callback),
        )
        if self._cluster is not None and not ignore_queue:
            message = self.message(Packet(PacketType.EVENT, namespace, data))
            self._cluster.emit_with_callback(message, namespace, target, callback)

    def emit_with_acks(
        self,
        data: list[Any],
        namespace: str,
        target: Target,
        receiver_of: Callable[[Socket], AckReceiver],
    ) -> None:
        """Send an event to clients of this process, who shall acknowledge it.

        :param receiver_of: what is to get the acknowledgement of a client.
        :raises TypeError, ValueError: the data can't be serialised.
        """
        with self.engine.lock:
            recipients = [(s, s.acks.new_id()) for s in self.adapter.sockets(namespace, target)]
        # The app's data is encoded without the lock, and all of it before the first is sent.
        messages = [
            self.message(Packet(PacketType.EVENT, namespace, data, ack_id)) for _, ack_id in recipients
        ] or [self.message(Packet(PacketType.EVENT, namespace, data))]
        with self.engine.lock:
            for (socket, ack_id), message in zip(recipients, messages, strict=False):
                self._send_with_ack(socket, message, ack_id, receiver_of(socket))

    def _send_with_ack(self, socket: Socket, message: Message, ack_id: int, receiver: AckReceiver) -> None:
        given_up = socket.acks.register(ack_id, receiver)
        if given_up is not None:
            self.engine.refusals("acks given up", "client %s owes more than %d acks; the oldest is given up",
                                 socket.sid, self.config.max_pending_acks)  # fmt: skip
            given_up(None)
        socket.send(message)

    def _receive_callback_ack(self, socket: Socket, callback: AckCallback, values: list[Any] | None) -> None:
        if values is None:
            return
        if is_async(callback):
            socket.client.inbox.put(AsyncWork(run_callback, self, socket, callback, values))
        else:
            work = partial(self._run_callback, socket, callback, values)
            socket.client.inbox.put(work, pace=self._callbacks)

    def _run_callback(self, socket: Socket, callback: AckCallback, values: list[Any]) -> None:
        try:
            completed(self.backend, callback(*values))
        except FAILURE as error:
            self.callback_failed(socket, error)

    def callback_failed(self, socket: Socket, error: Exception | SystemExit) -> None:
        """A callback of an emit has raised."""
        self._failed(socket, error, "callback of an emit to client %s failed", socket.sid)

    def call(
        self,
        event: str,
        args: list[Any],
        namespace: str,
        sid: Sid,
        timeout: float | None,
        ignore_queue: bool = False,
    ) -> Any:
        """Send an event to one client and wait for its acknowledgement.

        :param ignore_queue: it is a client of this process.
        :returns: None, one value, or a tuple of several.
        :raises CallTimeoutError: none within ``timeout`` seconds.
        :raises ClientGoneError: the client is not connected, or goes meanwhile. With a message queue it may
            be connected elsewhere; then a client that nobody has is a timeout.
        :raises RuntimeError: in a coroutine, which must not wait: see :meth:`call_async`.
        """
        done = self.backend.event()
        pending = self.begin_call([event, *args], namespace, sid, done, ignore_queue)
        return self.finish_call(pending, done.wait(timeout), timeout)

    def call_async(
        self,
        event: str,
        args: list[Any],
        namespace: str,
        sid: Sid,
        timeout: float | None,
        ignore_queue: bool = False,
    ) -> Coroutine[Any, Any, Any]:
        """:meth:`call` for coroutines."""
        return call(self, [event, *args], namespace, sid, timeout, ignore_queue)

    def begin_call(
        self, data: list[Any], namespace: str, sid: Sid, done: Event | AsyncEvent, ignore_queue: bool
    ) -> PendingCall:
        """Send what a call asks.

        :param done: is set when there is an answer, or when there will be none.
        :raises ClientGoneError: see :meth:`call`.
        """
        with self.engine.lock:
            socket = self.adapter.get(namespace, sid)
            if socket is None and self._cluster is not None and not ignore_queue:
                acks = self._cluster.acks
            elif socket is None or socket.state is not SocketState.CONNECTED:
                raise ClientGoneError(f"no client {sid!r} is connected to namespace {namespace!r}")
            else:
                acks = socket.acks
            pending = PendingCall(data[0], sid, acks, acks.new_id())

        def receive(values: list[Any] | None) -> None:
            pending.answer = values
            done.set()

        if socket is None:
            assert self._cluster is not None
            message = self.message(Packet(PacketType.EVENT, namespace, data))
            self._cluster.call(message, namespace, sid, pending.ack_id, receive)
            return pending
        message = self.message(Packet(PacketType.EVENT, namespace, data, pending.ack_id))
        with self.engine.lock:
            if socket.state is not SocketState.CONNECTED:
                raise ClientGoneError(f"client {sid!r} has gone")
            self._send_with_ack(socket, message, pending.ack_id, receive)
            # Its acknowledgement may wait behind events that we have stopped reading.
            socket.client.session.resume_reading()
        return pending

    def abandon_call(self, pending: PendingCall) -> None:
        """Nobody waits for the answer any more."""
        with self.engine.lock:
            pending.acks.pop(pending.ack_id)

    def finish_call(self, pending: PendingCall, in_time: bool, timeout: float | None) -> Any:
        """The answer to a call.

        :raises CallTimeoutError, ClientGoneError: see :meth:`call`.
        """
        sid = pending.sid
        self.abandon_call(pending)
        if not in_time:
            raise CallTimeoutError(f"client {sid!r} did not acknowledge {pending.event!r} within {timeout} s")
        values = pending.answer
        if values is None:
            raise ClientGoneError(f"client {sid!r} has gone before it acknowledged {pending.event!r}")
        return None if not values else values[0] if len(values) == 1 else tuple(values)

    # Rooms and clients

    def socket(self, sid: Sid, namespace: str = "/") -> Socket:
        """The socket of a client.

        :raises KeyError: it is not connected to this namespace.
        """
        socket = self.adapter.get(namespace, sid)
        if socket is None:
            raise KeyError(f"no client {sid!r} in namespace {namespace!r}")
        return socket

    def enter_room(self, sid: Sid, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        """Put a client into a room. A client that has gone is ignored.

        :param ignore_queue: only if it is a client of this process.
        :raises ValueError: the room is named like another client's sid: only that client is in it.
        """
        with self.engine.lock:
            socket = self.adapter.get(namespace, sid)
            if socket is not None:
                if room != sid and isinstance(room, str) and self.adapter.get(namespace, room) is not None:
                    raise ValueError("a room can't be named like the sid of another client")
                self.adapter.join(socket, room)
        if socket is None and self._cluster is not None and not ignore_queue:
            self._cluster.enter_room(sid, room, namespace)

    def leave_room(self, sid: Sid, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        """Take a client out of a room."""
        with self.engine.lock:
            socket = self.adapter.get(namespace, sid)
            if socket is not None:
                self.adapter.leave(socket, room)
        if socket is None and self._cluster is not None and not ignore_queue:
            self._cluster.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str = "/", ignore_queue: bool = False) -> None:
        """Take everybody out of a room."""
        with self.engine.lock:
            self.adapter.close_room(namespace, room)
        if self._cluster is not None and not ignore_queue:
            self._cluster.close_room(room, namespace)

    def rooms(self, sid: Sid, namespace: str = "/") -> list[Room]:
        """The rooms of a client of this process, its own first."""
        with self.engine.lock:
            socket = self.adapter.get(namespace, sid)
            return [] if socket is None else [sid, *(socket.rooms or ())]

    def participants(self, namespace: str = "/", room: Room | None = None) -> list[Sid]:
        """The sids of this process's clients in a room, or in the whole namespace."""
        with self.engine.lock:
            return [socket.sid for socket in self.adapter.members(namespace, room)]

    def disconnect(self, sid: Sid, namespace: str = "/", ignore_queue: bool = False) -> None:
        """Send a client away; it does not come back by itself.

        :param ignore_queue: only if it is a client of this process.
        """
        with self.engine.lock:
            socket = self.adapter.get(namespace, sid)
            if socket is not None and not socket.ending and socket.state in STAYING:
                socket.send(self.message(Packet(PacketType.DISCONNECT, namespace)))
                socket.client.leave(socket, DisconnectReason.SERVER_DISCONNECT)
        if socket is None:
            if self._cluster is not None and not ignore_queue:
                self._cluster.disconnect(sid, namespace)
        elif socket.client.session.host is not None:
            socket.client.session.host.settle()

    def transport(self, sid: Sid, namespace: str = "/") -> str:
        """``"polling"`` or ``"websocket"``.

        :raises KeyError: see :meth:`socket`.
        """
        return self.socket(sid, namespace).client.session.transport_name

    def get_session(self, sid: Sid, namespace: str = "/") -> dict[str, Any]:
        """A copy of what :meth:`save_session` stored for a client.

        :raises KeyError: see :meth:`socket`.
        """
        return dict(self.socket(sid, namespace).store or {})

    def save_session(self, sid: Sid, session: dict[str, Any], namespace: str = "/") -> None:
        """Store something for a client, for as long as it is connected.

        :raises KeyError: see :meth:`socket`.
        """
        self.socket(sid, namespace).store = session

    @contextmanager
    def session(self, sid: Sid, namespace: str = "/") -> Iterator[dict[str, Any]]:
        """A ``with`` block that changes what is stored for a client."""
        session = self.get_session(sid, namespace)
        yield session
        self.save_session(sid, session, namespace)

    @property
    def environ(self) -> dict[str, Any]:
        """What is kept of the handshakes' WSGI environs, by the sessions' ids."""
        return {sid: session.environ for sid, session in self.engine.sessions.copy().items()}

    def get_environ(self, sid: Sid, namespace: str = "/") -> Any:
        """What is kept of the handshake's WSGI environ; None for a client that is not connected."""
        socket = self.adapter.get(namespace, sid)
        return None if socket is None else socket.client.session.environ

    # Counts

    def stats(self) -> dict[str, int]:
        """Counts of what is alive."""
        with self.engine.lock:
            clients = [s.application for s in self.engine.sessions.values()]
            counts = self.engine.stats() | self.adapter.stats()
            counts["pending_acks"] = sum(_pending_acks(clients))
            counts["pending_attachments"] = sum(
                c.pending_attachments for c in clients if isinstance(c, Client)
            )
        if self._cluster is not None:
            counts |= self._cluster.link.stats()
        return counts


def _pending_acks(clients: Iterable[object]) -> Iterable[int]:
    return (socket.pending_acks for c in clients if isinstance(c, Client) for socket in c.sockets.values())
