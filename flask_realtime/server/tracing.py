"""What the option ``engineio_logger`` asks for: a line about each session.

It is in a subclass, so that it costs nothing where nobody asks; as what
``logger`` asks for (``tracing_server``).
"""

from __future__ import annotations

import logging
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..types import DisconnectReason
from .engine import Engine
from .logs import short

if TYPE_CHECKING:
    from ..config import ServerConfig
    from .ports import Application, Backend, Host, WebSocketTransport
    from .session import Session

__all__ = ["TraceLog", "TracingEngine", "make_engine"]

_writing: ContextVar[bool] = ContextVar("flask_realtime_tracing", default=False)


class TraceLog:
    """Writes lines in the order in which things happen.

    As in :class:`.RefusalLog`, they are written elsewhere: what is told may
    happen with the engine's lock held. What a handler of the log does itself
    is not told: a line that is emitted to a browser would never end.
    """

    def __init__(self, logger: logging.Logger, engine: Engine) -> None:
        self._logger = logger
        self._engine = engine
        self._lines: deque[tuple[str, tuple[object, ...]]] = deque()
        self._is_written = False
        self._lock = engine.backend.lock()

    def __call__(self, message: str, *args: object) -> None:
        """Log ``message % args``, soon."""
        if _writing.get() or not self._logger.isEnabledFor(logging.INFO):
            return
        with self._lock:
            self._lines.append((message, args))
            if self._is_written:
                return
            self._is_written = True
        self._engine.backend.assist(self._write)

    def _write(self) -> None:
        token = _writing.set(True)
        try:
            while (line := self._next()) is not None:
                self._logger.info(line[0], *line[1])
        finally:
            _writing.reset(token)

    def _next(self) -> tuple[str, tuple[object, ...]] | None:
        with self._lock:
            if self._lines:
                return self._lines.popleft()
            self._is_written = False
            return None


class TracingEngine(Engine):
    """An engine that tells of its sessions."""

    def __init__(
        self,
        config: ServerConfig,
        backend: Backend,
        application: Application,
        logger: logging.Logger,
        trace_to: logging.Logger,
    ) -> None:
        super().__init__(config, backend, application, logger)
        self._trace = TraceLog(trace_to, self)

    def open(
        self,
        transport: WebSocketTransport | None,
        environ: Any,
        can_upgrade: bool = True,
        host: Host | None = None,
    ) -> Session:
        session = super().open(transport, environ, can_upgrade, host)
        self._trace("session %s opened, %s", short(session.sid), session.transport_name)
        return session

    def upgraded(self, session: Session) -> None:
        self._trace("session %s upgraded to websocket", short(session.sid))

    def forget(self, session: Session, reason: DisconnectReason) -> None:
        super().forget(session, reason)
        self._trace("session %s ended: %s", short(session.sid), reason.value)


def make_engine(
    config: ServerConfig, backend: Backend, application: Application, logger: logging.Logger
) -> Engine:
    """The engine that the options ask for."""
    trace_to = config.session_logger()
    if trace_to is None:
        return Engine(config, backend, application, logger)
    return TracingEngine(config, backend, application, logger, trace_to)
