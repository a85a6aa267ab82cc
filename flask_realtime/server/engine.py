"""All Engine.IO sessions of a server: requests in, replies out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ..protocol.engineio.request import ErrorCode
from ..protocol.engineio.session import HeartbeatTiming, SessionProtocol
from ..protocol.engineio.transitions import State
from ..protocol.errors import RemoteProtocolError
from ..types import DisconnectReason
from .handle import EngineHandle
from .heartbeat import DeadlineHeap, DeadlineOwner
from .logs import RefusalLog
from .message import Message
from .outbox import OutboxLimits
from .session import GOING_AWAY, Session

if TYPE_CHECKING:
    from ..config import ServerConfig
    from .ports import Application, Backend, Host, Lock, WebSocketTransport

__all__ = ["Engine"]


class Engine:
    """The sessions of one endpoint (one path).

    :param config: the options.
    :param backend: time, locks and the handlers' pool.
    :param application: what lives on the sessions.
    """

    def __init__(
        self, config: ServerConfig, backend: Backend, application: Application, logger: logging.Logger
    ) -> None:
        #: for who may forget it
        self.handle: EngineHandle = EngineHandle(self)
        self.config = config
        self.application = application
        #: guards all state of the server layer; never held while a user's code runs
        self.lock: Lock = backend.lock()
        self.logger = logger
        self.refusals: RefusalLog = RefusalLog(logger, backend.now, backend.assist)
        self.backend: Backend = backend
        self.now: Callable[[], float] = backend.now
        self.stopwatch: Callable[[], float] = backend.stopwatch
        self.sessions: dict[str, Session] = {}
        self.outbox_limits: OutboxLimits = OutboxLimits(config.max_queued_bytes, config.max_queued_packets)
        self.draining = False
        #: handlers that wait or run, and those of them that run
        self.work_pending: int = 0
        self.handlers_running: int = 0
        self._timing = HeartbeatTiming(
            config.ping_interval, config.ping_timeout + config.ping_interval_grace, config.upgrade_timeout
        )
        self._deadlines = DeadlineHeap()
        self._kept = False

    def use(self, backend: Backend) -> None:
        """Wait elsewhere from now on: only the process that serves knows what its server runs on.

        Nothing changes while sessions are alive; they were made for the backend that they have.
        """
        with self.lock:
            if not self.sessions:
                self.backend = backend
                self.now = backend.now
                self.stopwatch = backend.stopwatch
                self.refusals.move(backend.now, backend.assist)
                self._kept = False

    def abandon(self) -> None:
        """In a forked child: the sessions are the parent's, and somebody there may have held the lock."""
        self.lock = self.backend.lock()
        for session in self.sessions.values():
            session.protocol.end()
        self.sessions.clear()
        self.work_pending = self.handlers_running = 0
        self._deadlines = DeadlineHeap()
        self._kept = False

    # Handshakes

    def open(
        self,
        transport: WebSocketTransport | None,
        environ: Any,
        can_upgrade: bool = True,
        host: Host | None = None,
    ) -> Session:
        """A handshake: a new session, whose first packet is OPEN.

        :param transport: the websocket, or None for polling.
        :param can_upgrade: the connection's server is able to carry websockets.
        :param host: who drives the session, if it is a test.
        :raises RemoteProtocolError: 503 while the server drains.
        """
        self.check_accepting()
        state = State.POLLING if transport is None else State.WEBSOCKET
        # 120 bits from the system's source; 20 characters of [A-Za-z0-9_-].
        sid = secrets.token_urlsafe(15)
        session = Session(self, sid, SessionProtocol(self._timing, state, self.now()), environ, host)
        session.transport = transport
        session.outbox.append(self._open_message(session, can_upgrade), self.outbox_limits)
        with self.lock:
            self.sessions[sid] = session
            session.application = self.application.session_opened(session)
            self._keep_time()
            self.schedule(session)
        return session

    def check_accepting(self) -> None:
        """
        :raises RemoteProtocolError: 503 while the server drains.
        """
        if self.draining:
            raise RemoteProtocolError("the server is shutting down", code=ErrorCode.FORBIDDEN, status=503)

    def _open_message(self, session: Session, can_upgrade: bool) -> Message:
        config = self.config
        upgrade = (
            can_upgrade
            and session.transport is None
            and config.allow_upgrades
            and "websocket" in config.transports
        )
        handshake = {
            "sid": session.sid,
            "upgrades": ["websocket"] if upgrade else [],
            "pingInterval": round(config.ping_interval * 1000),
            "pingTimeout": round(config.ping_timeout * 1000),
            "maxPayload": config.max_http_buffer_size,
        }
        return Message.of(b"0" + msgspec.json.encode(handshake))

    def session(self, sid: str) -> Session:
        """The living session with this id, its overdue deadlines handled.

        :raises RemoteProtocolError: there is none.
        """
        session = self.sessions.get(sid)
        if session is not None:
            # The loop may not have come to it yet; a request must not find a
            # session that is overdue at this very moment.
            with self.lock:
                deadline = session.protocol.next_deadline()
                if deadline is not None and deadline <= self.now():
                    self.schedule(session, session.handle_timeout(self.now()))
        if session is None or session.ended:
            raise RemoteProtocolError("Session ID unknown", code=ErrorCode.SESSION_UNKNOWN)
        return session

    def upgraded(self, session: Session) -> None:
        """A session has moved to a websocket."""

    def forget(self, session: Session, reason: DisconnectReason) -> None:
        """A session has ended."""
        self.sessions.pop(session.sid, None)
        self.unschedule(session)

    # Deadlines

    def schedule(self, owner: DeadlineOwner, when: float | None = None) -> None:
        """Ask ``owner`` at ``when`` (of a session: at its next deadline)."""
        if when is None and isinstance(owner, Session):
            when = owner.protocol.next_deadline()
        if self._deadlines.schedule(owner, when):
            self.backend.reschedule()

    def unschedule(self, owner: DeadlineOwner) -> None:
        """``owner`` has gone: the time to ask it must not keep it alive."""
        self._deadlines.forget(owner)

    def next_deadline(self) -> float | None:
        """For the loop: when :meth:`handle_timeouts` is due."""
        return self._deadlines.next_deadline()

    def handle_timeouts(self, now: float) -> None:
        """For the loop: do what is due."""
        with self.lock:
            self._deadlines.handle_timeouts(now)

    def _keep_time(self) -> None:
        if not self._kept:
            self._kept = True
            self.backend.keep(self.handle)

    # The end

    def close_all(self) -> None:
        """Close all sessions gracefully, as a server that goes away."""
        with self.lock:
            for session in self.guests():
                session.close(GOING_AWAY)

    def close_when_idle(self) -> bool:
        """Close all sessions if no handler has anything to do; whether it was so."""
        with self.lock:
            idle = not self.work_pending
            if idle:
                self.close_all()
            return idle

    def end_absent(self) -> None:
        """End the sessions on polling that have no poll pending: nobody is there to be told."""
        with self.lock:
            for session in self.polling_guests():
                if session.poll is None:
                    session.end(DisconnectReason.TRANSPORT_CLOSE)

    def guests(self) -> list[Session]:
        """Sessions of real clients."""
        return [s for s in self.sessions.copy().values() if s.host is None]

    def polling_guests(self) -> list[Session]:
        """Those of them that poll."""
        return [session for session in self.guests() if session.transport is None]

    def stats(self) -> dict[str, int]:
        """Counts of what is alive here."""
        with self.lock:
            outboxes = [session.outbox for session in self.sessions.values()]
            return {
                "sessions": len(outboxes),
                "handlers_running": self.handlers_running,
                "queued_packets": sum(outbox.packets for outbox in outboxes),
                "queued_bytes": sum(outbox.bytes for outbox in outboxes),
            }
