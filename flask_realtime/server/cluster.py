"""One server among several behind a message queue: what the others ask of it, and what they answer.

Every server keeps its own clients, and their rooms, for itself. What concerns
clients elsewhere is told to all others, and each does its part. So the cluster
has no state of its own that could be wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..adapters import wire
from ..protocol.errors import RemoteProtocolError
from ..protocol.socketio import JSONSerializer, MsgpackSerializer, Packet, PacketType, Serializer
from ..types import AckCallback, Room, Sid, Target
from .acks import AckReceiver, PendingAcks
from .inbox import Inbox
from .message import Message
from .outgoing import JSON, MSGPACK, Outgoing, form_of
from .signatures import is_async
from .work import FAILURE, AsyncWork, completed

if TYPE_CHECKING:
    from .client import Socket
    from .ports import Link
    from .server import Server

__all__ = ["Cluster"]

#: how many other processes are remembered, for what they have sent last
MAX_PROCESSES = 10_000
#: how long a client waits for us to hear the others, at most
LONGEST_HOLD = 5.0  # seconds
#: servers trust one another: their packets have no limits but those of memory
UNLIMITED = 1 << 62
#: how a JSON packet of an event begins, plain and with attachments
EVENT_STARTS = (b"42", b"45")
FOREIGN: dict[str, Serializer] = {
    JSON: JSONSerializer(max_attachments=UNLIMITED, max_attachment_bytes=UNLIMITED),
    MSGPACK: MsgpackSerializer(max_message_bytes=UNLIMITED),
}


class Cluster:
    """The other servers, as one of them sees them.

    :param link: the way to them.
    """

    def __init__(self, server: Server, link: Link) -> None:
        self.link = link
        #: what answers of other servers' clients are waited for
        self.acks: PendingAcks = PendingAcks(server.config.max_pending_acks)
        self._server = server
        self._form = form_of(server.serializer)
        self._outgoing = Outgoing(link, self._form)
        self.scheduled_at: float | None = None
        self._held: list[Callable[[], None]] = []
        self._last_numbers: OrderedDict[bytes, int] = OrderedDict()
        # The callbacks of emits run in order, as those of a client of ours.
        self._inbox = Inbox(server.engine, self, None, server.config.patience)
        self._actions: dict[type, Callable[[bytes, Any], None]] = {
            wire.Event: self._emit_here,
            wire.Ack: self._take_ack,
            wire.EnterRoom: self._enter_here,
            wire.LeaveRoom: self._leave_here,
            wire.CloseRoom: self._close_room_here,
            wire.Disconnect: self._disconnect_here,
        }

    def pause_reading(self) -> None:
        """See :class:`.InboxOwner`; there is only so much that we have asked for."""

    def resume_reading(self) -> None:
        """See :class:`.InboxOwner`."""

    # Clients come

    def listen(self) -> None:
        """There is somebody here for whom we have to hear the others."""
        self.link.listen(self.receive)

    def before(self, start: Callable[[], None]) -> bool:
        """Whether ``start`` has to wait until we hear the others (the lock is held).

        A client that was told of its connection gets everything that anybody emits from then on.
        """
        if self.link.listening:
            return False
        engine = self._server.engine
        self._held.append(start)
        engine.schedule(self, engine.now() + LONGEST_HOLD)
        self.link.when_listening(self._release)
        return True

    def _release(self) -> None:
        with self._server.engine.lock:
            held, self._held = self._held, []
            for start in held:
                start()

    def handle_timeout(self, now: float) -> None:
        """It takes too long (see :class:`.DeadlineOwner`)."""
        self._release()

    # What the others have to do

    def emit(self, message: Message, namespace: str, target: Target) -> None:
        """Send an event to their clients."""
        if self._may_be_elsewhere(namespace, target):
            self._outgoing.event(message, namespace, target)

    def _may_be_elsewhere(self, namespace: str, target: Target) -> bool:
        # Only its own client is in a room that is named like a sid, so an answer to a client stays here.
        return target.rooms is None or not all(self._is_client_here(namespace, room) for room in target.rooms)

    def _is_client_here(self, namespace: str, room: Room) -> bool:
        socket = self._server.adapter.get(namespace, room) if isinstance(room, str) else None
        return socket is not None and socket.client.session.alive  # in a forked process, none is

    def emit_with_callback(
        self, message: Message, namespace: str, target: Target, callback: AckCallback
    ) -> None:
        """Send an event to their clients, and call ``callback`` with the answer of each."""
        if self._may_be_elsewhere(namespace, target):
            with self._server.engine.lock:
                ack = self.acks.new_id()
            self._ask(message, namespace, target, ack, partial(self._receive_callback_ack, callback))

    def call(self, message: Message, namespace: str, sid: Sid, ack: int, receiver: AckReceiver) -> None:
        """Send an event to one client, and give ``receiver`` its answer."""
        self._ask(message, namespace, Target((sid,)), ack, receiver)

    def _ask(self, message: Message, namespace: str, target: Target, ack: int, receiver: AckReceiver) -> None:
        self.listen()
        with self._server.engine.lock:
            given_up = self.acks.register(ack, receiver)
            if given_up is not None:
                given_up(None)
        self._outgoing.question(message, namespace, target, ack)

    def enter_room(self, sid: Sid, room: Room, namespace: str) -> None:
        """Put a client of theirs into a room."""
        self._outgoing.enter_room(sid, room, namespace)

    def leave_room(self, sid: Sid, room: Room, namespace: str) -> None:
        """Take a client of theirs out of a room."""
        self._outgoing.leave_room(sid, room, namespace)

    def close_room(self, room: Room, namespace: str) -> None:
        """Take their clients out of a room."""
        self._outgoing.close_room(room, namespace)

    def disconnect(self, sid: Sid, namespace: str) -> None:
        """Send a client of theirs away."""
        self._outgoing.disconnect(sid, namespace)

    # What they tell us

    def receive(self, data: bytes) -> None:
        """Something was published: by others, or by ourselves."""
        try:
            letter = wire.unseal(data)
            if letter.origin == self.link.origin or not self._is_new(letter) or not letter.body:
                return
            message = wire.decode(letter.body)
            self._actions[type(message)](letter.origin, message)
        except (wire.WireError, RemoteProtocolError, UnicodeDecodeError) as error:
            with self._server.engine.lock:
                self._server.engine.refusals("queue message", "message queue: ignored %s", error)

    def _is_new(self, letter: wire.Letter) -> bool:
        """Brokers, and senders that have lost their connection, may say things twice."""
        numbers = self._last_numbers
        if letter.number <= numbers.get(letter.origin, 0):
            return False
        numbers[letter.origin] = letter.number
        numbers.move_to_end(letter.origin)
        if len(numbers) > MAX_PROCESSES:
            numbers.popitem(last=False)
        return True

    def _emit_here(self, origin: bytes, event: wire.Event) -> None:
        server = self._server
        target = event.target
        if event.ack is not None:
            packet = self._packet(event)
            server.emit_with_acks(
                packet.data, event.namespace, target, partial(self._answerer, origin, event.ack)
            )
            return
        message = self._message(event)
        with server.engine.lock:
            for socket in list(server.adapter.sockets(event.namespace, target)):
                socket.send(message)

    def _message(self, event: wire.Event) -> Message:
        """What our clients get: the very bytes, where they speak the sender's encoding."""
        if event.form != self._form:
            return self._server.message(self._packet(event), event.volatile)
        if event.form == JSON and (event.text is None or not event.text.startswith(EVENT_STARTS)):
            raise wire.WireError("an event that holds something else")
        return Message.of(event.text, tuple(event.binary), event.volatile)

    def _packet(self, message: wire.Event | wire.Ack) -> Packet:
        serializer = FOREIGN.get(message.form)
        if serializer is None:
            if message.form != self._form:
                raise wire.WireError(f"a packet in an encoding unknown here, {message.form[:120]!r}")
            serializer = self._server.serializer
        decoder = serializer.decoder()
        packet = None
        if message.text is not None:
            packet = decoder.receive_text(message.text[1:].decode())
        for data in message.binary:
            packet = decoder.receive_binary(data)
        if packet is None or packet.type is not _KINDS[type(message)]:
            raise wire.WireError("a packet that is not complete, or not what it should be")
        return packet

    def _enter_here(self, origin: bytes, message: wire.EnterRoom) -> None:
        try:
            self._server.enter_room(message.sid, message.room, message.namespace, ignore_queue=True)
        except ValueError as error:
            raise wire.WireError(f"enter_room: {error}") from error

    def _leave_here(self, origin: bytes, message: wire.LeaveRoom) -> None:
        self._server.leave_room(message.sid, message.room, message.namespace, ignore_queue=True)

    def _close_room_here(self, origin: bytes, message: wire.CloseRoom) -> None:
        self._server.close_room(message.room, message.namespace, ignore_queue=True)

    def _disconnect_here(self, origin: bytes, message: wire.Disconnect) -> None:
        self._server.disconnect(message.sid, message.namespace, ignore_queue=True)

    # Acknowledgements, on the side of the client that gives them

    def _answerer(self, origin: bytes, ack: int, socket: Socket) -> AckReceiver:
        return partial(self._answer, origin, ack, socket.sid)

    def _answer(self, origin: bytes, ack: int, sid: Sid, values: list[Any] | None) -> None:
        # The lock is held, and the values may be encoded by code of the app.
        self._server.backend.assist(self._send_answer, origin, ack, sid, values)

    def _send_answer(self, origin: bytes, ack: int, sid: Sid, values: list[Any] | None) -> None:
        message = None
        if values is not None:
            message = self._server.message(Packet(PacketType.ACK, "/", values, 0))
        self._outgoing.ack(origin, ack, sid, message)

    # ... and on the side of the process that has asked for them

    def _take_ack(self, origin: bytes, message: wire.Ack) -> None:
        if message.receiver != self.link.origin:
            return
        gone = message.text is None and not message.binary
        values = None if gone else self._packet(message).data
        with self._server.engine.lock:
            receiver = self.acks.receivers.get(message.ack)
            if receiver is not None:
                receiver(values)

    def _receive_callback_ack(self, callback: AckCallback, values: list[Any] | None) -> None:
        if values is None:
            return
        if is_async(callback):
            self._inbox.put(AsyncWork(self._run_callback_async, callback, values))
        else:
            self._inbox.put(partial(self._run_callback, callback, values))

    def _run_callback(self, callback: AckCallback, values: list[Any]) -> None:
        try:
            completed(self._server.backend, callback(*values))
        except FAILURE as error:
            self._failed(error)

    async def _run_callback_async(self, callback: AckCallback, values: list[Any]) -> None:
        try:
            await callback(*values)
        except FAILURE as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._server.logger.error("callback of an emit to a client of another process failed", exc_info=error)


_KINDS = {wire.Event: PacketType.EVENT, wire.Ack: PacketType.ACK}
