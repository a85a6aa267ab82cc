"""What an event loop does with a websocket that an ASGI server holds (see :mod:`.asgi_server`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..protocol.websocket import CloseCode
from ..server.asgi_types import Event, Receive, Send
from ..server.logs import short
from ..types import DisconnectReason
from .asgi_server import abort_connection, transports_of
from .bell import Bell
from .cork import WORTHWHILE, Cork
from .daphne_server import DaphneConnection
from .task_runner import TaskRunner, begin
from .uvicorn_server import FrameWriter

if TYPE_CHECKING:
    from ..server.engine import Engine
    from ..server.message import Message
    from ..server.session import Session

__all__ = ["ASGITransport"]

logger: logging.Logger = logging.getLogger("flask_realtime")

T = TypeVar("T")

READ_MESSAGES = 100  # that the server has in store, taken from it at once
READ_SIZE = 65536  # bytes of them
WRITE_SIZE = 65536  # bytes taken from a queue at once; a ping waits for no more
BLOCKED_AFTER = 0.05  # seconds in which every server gets a frame into its buffers
SLOWEST = 32768  # bytes per second: nobody sees how much of a message is written
LINGER = 2.0  # seconds
TOLD = 0.5  # seconds after which a Close is written, whether or not the server still waits for its answer

#: Codes with which a websocket has failed. 1006 is none of them: some servers say it of every connection
#: that the client has closed.
FAILURES = frozenset(
    {
        CloseCode.PROTOCOL_ERROR,
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_DATA,
        CloseCode.POLICY_VIOLATION,
        CloseCode.MESSAGE_TOO_BIG,
        CloseCode.MANDATORY_EXTENSION,
        CloseCode.INTERNAL_ERROR,
    }
)


#: what servers raise where the client has gone
LOSSES = (OSError, RuntimeError)


class ASGITransport:
    """A websocket of an ASGI server (a :class:`.ports.WebSocketTransport`).

    The server's own coroutine waits in :meth:`carry`; a task reads, and whoever
    writes is begun by the task runner, so that neither has to be interrupted
    for the other.

    :param tasks: what :meth:`flush` runs in.
    :param writing: where the transport is while the server takes no more of it.
    """

    __slots__ = (
        "_abort_code",
        "_allowed",
        "_cork",
        "_flush_again",
        "_frames",
        "_loop",
        "_open",
        "_over",
        "_paused",
        "_pushed",
        "_reader",
        "_receive",
        "_resumed",
        "_send",
        "_sending_since",
        "_tasks",
        "_woken",
        "_writer",
        "_writing",
        "engine",
        "session",
    )

    session: Session

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: TaskRunner,
        writing: set[ASGITransport],
        engine: Engine,
        receive: Receive,
        send: Send,
    ) -> None:
        self.engine: Engine = engine
        self._loop = loop
        self._tasks = tasks
        self._writing = writing
        self._receive = receive
        self._send = send
        self._resumed = Bell(loop)
        self._paused = False
        self._over = Bell(loop)
        self._pushed: list[Message] = []
        self._reader: asyncio.Task[None] | None = None
        # The task that writes, and whether something has come that it may not have seen.
        self._writer: asyncio.Task[Any] | None = None
        self._flush_again = False
        # Between the acceptance and the end of all writing.
        self._open = False
        self._abort_code: int | None = None
        self._woken = False
        self._cork: Cork | None = None
        self._frames: FrameWriter | None = None
        # Since when the server takes no more of one frame, and how long that may last.
        self._sending_since: float | None = None
        self._allowed = 0.0

    # From any thread, with the engine's lock held

    @property
    def blocked(self) -> bool:
        """See :class:`.ports.WebSocketTransport`."""
        since = self._sending_since
        return since is not None and self.engine.now() - since > BLOCKED_AFTER

    def wake(self) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        if not self._woken:
            self._woken = True
            self._tasks.submit_writer(self)

    def push(self, message: Message) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        self._pushed.append(message)
        self.wake()

    def abort(self, code: int) -> None:
        """See :class:`.ports.WebSocketTransport`."""
        if self._abort_code is None:
            self._abort_code = code
            self.wake()

    def has_unread(self) -> bool:
        """See :class:`.ports.WebSocketTransport`.

        What the server has read it does not show; but where we do not ask, there may be something.
        """
        return self.session.reading_paused

    # In the loop

    async def carry(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Accept the websocket and carry the session on it, until it is over.

        :param headers: more of them for the 101 response.
        """
        try:
            if await self._send_event({"type": "websocket.accept", "headers": headers}):
                self._reader = self._loop.create_task(self._read())
                self._frames = FrameWriter.of(self._send)
                self._cork = next(filter(None, map(Cork.of, transports_of(self._send))), None)
                self._open = True
                with self.engine.lock:
                    self.wake()
                await self._over.wait()
        finally:
            self._open = False
            # Also where the server cancels us. The tasks may be stuck; nobody waits for them.
            for task in (self._reader, self._writer):
                if task is not None:
                    task.cancel()
            if self._sending_since is not None:
                abort_connection(self._send)
            self.session.transport_closed(self, DisconnectReason.TRANSPORT_ERROR)
            # The session is known for a while yet, and with it we are; the server's objects need not be.
            self._receive, self._send = _lost_receive, _lost_send
            self._reader = self._cork = self._frames = None

    # Reading

    async def _read(self) -> None:
        reason = DisconnectReason.TRANSPORT_ERROR
        try:
            reason = await self._read_all()
        except Exception:
            logger.exception("error while reading a websocket")
        self.session.transport_closed(self, reason)
        self._over.ring()

    async def _read_all(self) -> DisconnectReason:
        limit = self.engine.config.max_http_buffer_size
        suspicious = limit // 4  # characters: as many may be more bytes than allowed
        messages: list[str | bytes] = []
        while True:
            if self.session.reading_paused:
                messages = self._deliver(messages)
                await self._pause()
            # What the server has in store it gives without a wait, and it is dealt with together.
            try:
                event, rest = begin(self._receive())
            except BaseException:
                self._deliver(messages)
                raise
            if rest is not None:
                messages = self._deliver(messages)
                event = await rest
            assert event is not None
            if event["type"] == "websocket.disconnect":
                self._deliver(messages)
                return self._reason(event.get("code"))
            message = event.get("text")
            if message is None:
                message = bytes(event["bytes"])
            if len(message) > suspicious and self._is_too_large(message, limit):
                messages = self._deliver(messages)
                self._refuse_message()
                continue
            messages.append(message)
            if len(messages) >= READ_MESSAGES or len(message) >= READ_SIZE:
                messages = self._deliver(messages)

    def _deliver(self, messages: list[str | bytes]) -> list[str | bytes]:
        """Give the session what has come; returns the list for what comes next."""
        if not messages:
            return messages
        if self._abort_code is None:
            self.session.receive(self, messages)
        return []

    async def _pause(self) -> None:
        """Until the session takes messages again."""
        connection = getattr(self._send, "__self__", None)
        if not isinstance(connection, DaphneConnection):
            connection = None  # all others stop reading where nobody asks
        if connection is not None:
            connection.pause_reading()
        self._paused = True
        try:
            while self.session.reading_paused and self._abort_code is None:
                await self._resumed.wait()
        finally:
            self._paused = False
            # Also where we are cancelled: the end of the connection is read as well.
            if connection is not None:
                connection.resume_reading()

    def _reason(self, code: int | None) -> DisconnectReason:
        if code is None or code not in FAILURES:
            return DisconnectReason.TRANSPORT_CLOSE
        if self._abort_code is None:
            self._log_failure(code, "")
        return DisconnectReason.TRANSPORT_ERROR

    @staticmethod
    def _is_too_large(message: str | bytes, limit: int) -> bool:
        if isinstance(message, bytes) or message.isascii() or len(message) > limit:
            return len(message) > limit
        return len(message) * 4 > limit and len(message.encode("utf-8", "surrogatepass")) > limit

    def _refuse_message(self) -> None:
        if self._abort_code is None:
            code = CloseCode.MESSAGE_TOO_BIG
            self._log_failure(code, f"message is longer than {self.engine.config.max_http_buffer_size} bytes")
            self.abort(code)
            self.session.transport_closed(self, DisconnectReason.TRANSPORT_ERROR)

    def _log_failure(self, code: int, why: str) -> None:
        self.engine.refusals(
            "websocket error", "session %s: websocket failed with %d %s", short(self.session.sid), code, why
        )

    # Writing

    def flush(self) -> Awaitable[None] | None:
        """See :class:`.Writer`: do what :meth:`wake` was called for."""
        self._woken = False
        if self._paused:
            self._resumed.ring()
        if self._writer is not None:
            self._flush_again = True
        elif self._open:
            return self._write() if self._abort_code is None else self._end()
        if self._abort_code is not None:
            self._abort()
        return None

    def _abort(self) -> None:
        # The writer says so to the client, unless it is stuck with one that does not read.
        if self.blocked:
            self._over.ring()
        else:
            self._loop.call_later(LINGER, self._over.ring)

    def _write(self) -> Awaitable[None] | None:
        """Write what there is; what has to wait for the server is to be awaited."""
        if self._frames is not None and self._frames.ready:
            return self._write_frames(self._frames)
        taken, queued = self._take(_events_of)
        events = iter(taken)
        try:
            if len(taken) < WORTHWHILE or self._cork is None:
                waiting = self._send_some(events)
            else:
                with self._cork:
                    waiting = self._send_some(events)
        except Exception as error:  # noqa: BLE001 (servers raise what they like)
            return self._lose(error)
        if waiting is not None:
            return self._send_rest(waiting, events, queued)
        if self._abort_code is not None:
            return self._end()  # _take() may have found that all is said
        if queued:
            self._commit(queued)
        return None

    def _write_frames(self, frames: FrameWriter) -> Awaitable[None] | None:
        data, queued = self._take(_frames_of)
        if data:
            try:
                frames.write(data)
            except Exception as error:  # noqa: BLE001 (servers raise what they like)
                return self._lose(error)
        if self._abort_code is not None:
            return self._end()
        if queued:
            self._commit(queued)
        return None

    def _send_some(self, events: Iterator[Event]) -> Awaitable[None] | None:
        """Send what the server takes at once, up to the first event that has to be awaited."""
        send = self._send
        for event in events:
            if self._abort_code is not None:
                break
            _, rest = begin(send(event))
            if rest is not None:
                return self._timed(rest, event)
        return None

    async def _send_rest(
        self, waiting: Awaitable[None] | None, events: Iterator[Event], queued: bool
    ) -> None:
        self._writer = asyncio.current_task(self._loop)
        try:
            while waiting is not None:
                await waiting
                waiting = self._send_some(events)
        except Exception as error:  # noqa: BLE001 (servers raise what they like)
            await self._lose(error)
        else:
            if self._abort_code is None:
                self._commit(queued)
            else:
                await self._end()
        finally:
            self._writer = None

    def _lose(self, error: Exception) -> Awaitable[None]:
        _log_loss(error)
        return self._end()

    async def _end(self) -> None:
        """The last of all writing: say why, where that is still possible."""
        self._open = False
        # The reader sees how the connection ends, if it still does.
        self._loop.call_later(LINGER, self._over.ring)
        if self._abort_code is not None:
            self._writer = asyncio.current_task(self._loop)
            try:
                await self._close(self._abort_code)
            finally:
                self._writer = None

    async def _close(self, code: int) -> None:
        """Say Close, and wait for the client's answer or the end of the linger."""
        if self._reader is not None:
            # granian sends no Close while it is asked for messages.
            self._reader.cancel()
            await asyncio.wait({self._reader}, timeout=TOLD)
        closed = partial(self.session.transport_closed, self, DisconnectReason.TRANSPORT_CLOSE)
        told = self._loop.call_later(TOLD, closed)
        # daphne refuses to say most codes of the RFC.
        plain = {"type": "websocket.close", "code": int(CloseCode.NORMAL)}
        if await self._send_event({"type": "websocket.close", "code": int(code)}, fallback=plain):
            closed()
            self._reader = self._loop.create_task(self._read())
        told.cancel()

    def _take(self, form: Callable[[list[Message]], T]) -> tuple[T, bool]:
        """What to write now, in this form, and whether some of it is of the session's queue."""
        with self.engine.lock:
            session = self.session
            messages = session.data_to_send(WRITE_SIZE) if session.transport is self else []
            queued = bool(messages)
            if self._pushed:
                messages = self._pushed + messages
                self._pushed = []
            elif not queued and session.transport is self and session.drained and self._abort_code is None:
                self._abort_code = session.close_code
            # Here, for the messages are the queue itself.
            return form(messages), queued

    def _commit(self, queued: bool) -> None:
        """What was taken is written. What is left is for the next flush: a server that buffers everything
        never waits, and others have their turn before."""
        with self.engine.lock:
            session = self.session
            if queued:
                session.outbox.commit()
            if self._flush_again or session.outbox.messages or session.drained:
                self._flush_again = False
                self.wake()

    async def _send_event(self, event: Event, fallback: Event | None = None) -> bool:
        """Send it, or ``fallback`` where the server refuses it; False where the connection is lost."""
        try:
            await self._timed(self._send(event), event)
        except Exception as error:  # noqa: BLE001 (servers raise what they like)
            if fallback is not None and not isinstance(error, LOSSES):
                return await self._send_event(fallback)
            _log_loss(error)
            return False
        return True

    async def _timed(self, sending: Awaitable[None], event: Event) -> None:
        """Wait until the server has taken an event."""
        size = len(event.get("text") or event.get("bytes") or ())
        self._allowed = self.engine.config.write_timeout + size / SLOWEST
        self._sending_since = self.engine.now()
        self._writing.add(self)
        try:
            await sending
        finally:
            self._sending_since = None
            self._writing.discard(self)

    def check_progress(self, now: float) -> None:
        """Give up a client that has not read for too long."""
        since = self._sending_since
        if since is None or now - since < self._allowed:
            return
        with self.engine.lock:
            self.engine.refusals(
                "slow reader", "session %s took no message for %.0f s while %d bytes waited; closing it",
                short(self.session.sid), now - since, self.session.outbox.bytes,
            )  # fmt: skip
        self.session.transport_closed(self, DisconnectReason.TRANSPORT_ERROR)
        self._over.ring()


async def _lost_receive() -> Event:
    """In the place of a server's function, after the end."""
    return {"type": "websocket.disconnect"}


async def _lost_send(event: Event) -> None:
    """In the place of a server's function, after the end."""
    raise ConnectionError("the websocket is over")


def _events_of(messages: list[Message]) -> list[Event]:
    events: list[Event] = []
    for message in messages:
        text = message.cached_string or message.string
        if text is not None:
            events.append({"type": "websocket.send", "text": text})
        for data in message.binary:
            events.append({"type": "websocket.send", "bytes": data})
    return events


def _frames_of(messages: list[Message]) -> bytes:
    frames = [message.cached_frame or message.ws_frame for message in messages]
    return frames[0] if len(frames) == 1 else b"".join(frames)


def _log_loss(error: Exception) -> None:
    if isinstance(error, LOSSES):
        logger.debug("a websocket's connection was lost", exc_info=error)
    else:
        logger.error("error while writing to a websocket", exc_info=error)
