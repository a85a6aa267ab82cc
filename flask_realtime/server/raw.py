"""Messages without Socket.IO: the application behind :class:`flask_realtime.EngineIO`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..types import DisconnectReason
from .inbox import Inbox
from .message import Message
from .pace import Pace
from .signatures import is_async, positional_capacity
from .tracing import make_engine
from .work import FAILURE, AsyncWork, Work, completed

if TYPE_CHECKING:
    from ..config import ServerConfig
    from .engine import Engine
    from .ports import AnyEvent, Backend
    from .session import Session

__all__ = ["RawHandlers", "RawServer", "RawSession"]


class RawHandlers:
    """The handlers, shared by the servers of all apps."""

    def __init__(self) -> None:
        self.on_connect: Callable[[RawSession], Any] | None = None
        self.on_message: Callable[[RawSession, str | bytes], Any] | None = None
        self.on_disconnect: Callable[..., Any] | None = None


class RawSession:
    """A client as the handlers of :class:`flask_realtime.EngineIO` see it.

    :meth:`send` and :meth:`close` may be called from anywhere.
    """

    __slots__ = ("_server", "_session", "data", "inbox")

    def __init__(self, server: RawServer, session: Session) -> None:
        self._server = server
        self._session = session
        self.inbox: Inbox = Inbox(server.engine, self, session.host, server.config.patience)
        #: the application's own
        self.data: dict[str, Any] = {}

    @property
    def sid(self) -> str:
        """The session's id, a secret between the client and the server."""
        return self._session.sid

    @property
    def environ(self) -> Any:
        """What is kept of the handshake's WSGI environ."""
        return self._session.environ

    @property
    def transport(self) -> str:
        """``"polling"`` or ``"websocket"``."""
        return self._session.transport_name

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """Send a message, text or binary; never waits.

        :raises TypeError: for anything else.
        """
        if isinstance(data, str):
            message = Message.of(b"4" + data.encode())
        elif isinstance(data, (bytes, bytearray, memoryview)):
            message = Message.of(None, (bytes(data),))
        else:
            raise TypeError(f"a message is str or bytes, not {type(data).__name__}")
        with self._server.engine.lock:
            self._session.send(message)

    def close(self) -> None:
        """Close the session; what was sent before still goes out."""
        with self._server.engine.lock:
            self._session.close()

    def receive_message(self, data: str | bytes) -> None:
        """See :class:`.SessionApplication`."""
        handler = self._server.handlers.on_message
        if handler is not None:
            work, pace = self._server.work(handler, self, data)
            self.inbox.put(work, None, len(data), pace)

    def session_closed(self, reason: DisconnectReason) -> None:
        """See :class:`.SessionApplication`."""
        handler = self._server.handlers.on_disconnect
        if handler is not None:
            args = [reason.value] if positional_capacity(handler) > 1 else []
            work, pace = self._server.work(handler, self, *args)
            self.inbox.put(work, pace=pace)

    def backlog(self) -> int:
        """See :class:`.SessionApplication`."""
        return len(self.inbox)

    def when_idle(self, make: Callable[[], AnyEvent]) -> AnyEvent | None:
        """See :class:`.SessionApplication`."""
        return self.inbox.when_idle(make)

    def pause_reading(self) -> None:
        """See :class:`.InboxOwner`."""
        self._session.pause_reading()

    def resume_reading(self) -> None:
        """See :class:`.InboxOwner`."""
        self._session.resume_reading()


class RawServer:
    """One Engine.IO endpoint (an :class:`.Application` of the engine)."""

    def __init__(
        self, config: ServerConfig, backend: Backend, handlers: RawHandlers, logger: logging.Logger
    ) -> None:
        self.config = config
        self.handlers = handlers
        self.logger = logger
        self.engine: Engine = make_engine(config, backend, self, logger)
        #: how long the handlers take
        self.pace: Pace = Pace()

    def session_opened(self, session: Session) -> RawSession:
        """See :class:`.Application`."""
        raw = RawSession(self, session)
        if self.handlers.on_connect is not None:
            # Strictly in order until it has returned.
            raw.inbox.patience = None
            work, pace = self.work(self.handlers.on_connect, raw)
            raw.inbox.put(work, pace=pace)
            raw.inbox.put(partial(self._restore_patience, raw))
        return raw

    def _restore_patience(self, session: RawSession) -> None:
        session.inbox.patience = self.config.patience

    def work(self, handler: Callable[..., Any], session: RawSession, *args: Any) -> tuple[Work, Pace | None]:
        """A handler's run, and how long it takes; for a coroutine function that is None."""
        if is_async(handler):
            return AsyncWork(self._run_async, handler, session, *args), None
        return partial(self._run, handler, session, *args), self.pace

    def _run(self, handler: Callable[..., Any], session: RawSession, *args: Any) -> None:
        try:
            completed(self.engine.backend, handler(session, *args))
        except FAILURE as error:
            self._log(handler, error)

    async def _run_async(self, handler: Callable[..., Any], session: RawSession, *args: Any) -> None:
        try:
            await handler(session, *args)
        except FAILURE as error:
            self._log(handler, error)

    def _log(self, handler: Callable[..., Any], error: BaseException) -> None:
        self.logger.error("%s failed", getattr(handler, "__name__", "handler"), exc_info=error)

    def stats(self) -> dict[str, int]:
        """Counts of what is alive."""
        return self.engine.stats() | {"sockets": 0, "rooms": 0, "pending_acks": 0, "pending_attachments": 0}
