"""The state machine of one Engine.IO session: transports, upgrade, heartbeat.

It holds no socket, queue or clock. The caller hands in packets and the time,
and fetches the control packets that are to be sent and the next deadline.
Messages (packet type ``4``) carry no state, so they pass this class by: the
caller asks :attr:`SessionProtocol.receives_messages` and goes on.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..errors import RemoteProtocolError, excerpt
from .packet import Packet, PacketType
from .request import ErrorCode
from .transitions import IllegalTransition, Input, State, next_state

__all__ = ["HeartbeatTiming", "SessionProtocol", "TimedOut"]

PING: Final = Packet(PacketType.PING)
PROBE_ANSWER: Final = Packet(PacketType.PONG, "probe")
# An enum's members are slow to look up in the enum.
_CLOSED: Final = State.CLOSED
_CLOSING: Final = State.CLOSING


class HeartbeatTiming(NamedTuple):
    """The server's timing, in seconds; one object for all sessions."""

    ping_interval: float
    ping_timeout: float
    upgrade_timeout: float


class TimedOut(NamedTuple):
    """What :meth:`SessionProtocol.handle_timeout` found to be overdue."""

    heartbeat: bool = False
    upgrade: bool = False
    closing: bool = False


NOTHING: Final = TimedOut()


class SessionProtocol:
    """One session, on whatever transport it currently has.

    :param timing: intervals and timeouts.
    :param state: :attr:`State.POLLING` or :attr:`State.WEBSOCKET`, by the
        transport of the handshake.
    :param now: the time, in seconds, of any monotonic clock.
    """

    __slots__ = ("_ping_at", "_pong_by", "_timing", "_upgrade_by", "ping_queued", "state")

    def __init__(self, timing: HeartbeatTiming, state: State, now: float) -> None:
        self.state: State = state
        self._timing = timing
        self._ping_at: float | None = now + timing.ping_interval
        self._pong_by: float | None = None
        self._upgrade_by: float | None = None
        #: a ping waits to be sent
        self.ping_queued: bool = False

    @property
    def alive(self) -> bool:
        """Neither closed nor being closed by us."""
        return self.state is not _CLOSED and self.state is not _CLOSING

    @property
    def upgrading(self) -> bool:
        """A websocket is about to become the transport."""
        return self._upgrade_by is not None

    # Packets on the session's own transport

    def receive_packet(self, packet: Packet, now: float) -> bool:
        """Take a packet that is not a message; True where the peer has closed.

        :raises RemoteProtocolError: for a packet that a client may not send
            here.
        """
        if packet.type is PacketType.PONG:
            self._receive_pong(now)
            return False
        if packet.type is PacketType.CLOSE:
            return True
        if packet.type is PacketType.NOOP:
            return False
        raise RemoteProtocolError(f"packet type {packet.type.value} is not expected from a client here")

    def _receive_pong(self, now: float) -> None:
        # The next ping goes out one interval after the answer, so that a slow
        # client is never asked twice. A pong that nobody asked for says nothing.
        if self._pong_by is not None and self.alive:
            self._pong_by = None
            self._ping_at = now + self._timing.ping_interval

    # The upgrade ladder: 2probe -> 3probe -> 5 (Engine.IO protocol, "Upgrade")

    def begin_upgrade(self, now: float) -> None:
        """A websocket has connected for this session.

        :raises RemoteProtocolError: a second upgrade, or a session that ends.
        """
        try:
            self.state = next_state(self.state, Input.UPGRADE_REQUESTED)
        except IllegalTransition as e:
            raise RemoteProtocolError(f"no upgrade here: {e}", code=ErrorCode.BAD_REQUEST) from None
        self._upgrade_by = now + self._timing.upgrade_timeout

    def receive_probe_packet(self, packet: Packet) -> Packet | None:
        """A packet on the websocket that wants to become the transport.

        :returns: the packet to send on that websocket, if any. The upgrade is
            complete when :attr:`upgrading` has become false.
        :raises RemoteProtocolError: for anything but the ladder's next rung.
        """
        try:
            if packet == (PacketType.PING, "probe"):
                self.state = next_state(self.state, Input.PROBED)
                return PROBE_ANSWER
            if packet.type is PacketType.UPGRADE and self.upgrading:
                self.state = next_state(self.state, Input.UPGRADED)
                self._upgrade_by = None
                return None
        except IllegalTransition as e:
            raise RemoteProtocolError(f"broken upgrade: {e}") from None
        raise RemoteProtocolError(f"broken upgrade: unexpected packet {excerpt(packet.data)}")

    def abort_upgrade(self) -> None:
        """The candidate websocket is gone or broke the rules: back to polling."""
        if self.upgrading:
            self.state = next_state(self.state, Input.UPGRADE_FAILED)
            self._upgrade_by = None

    # The end

    def close(self, now: float) -> None:
        """Close from our side; the peer has ``ping_timeout`` to fetch what is left.

        An upgrade whose probe was answered goes on: the client may already have given up polling.
        """
        if self.alive:
            if self.state is not State.PROBED:
                self._upgrade_by = None
            self.state = next_state(self.state, Input.CLOSE)
            self._ping_at = None
            self.ping_queued = False
            self._pong_by = now + self._timing.ping_timeout

    def end(self) -> None:
        """The session is over, now."""
        if self.state is not _CLOSED:
            self.state = next_state(self.state, Input.END)
            self._ping_at = self._upgrade_by = self._pong_by = None
            self.ping_queued = False

    # Time

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timeout` should be called next."""
        # A session waits either to send a ping or for its answer, never for both.
        first = self._ping_at if self._ping_at is not None else self._pong_by
        if self._upgrade_by is not None and (first is None or self._upgrade_by < first):
            return self._upgrade_by
        return first

    def handle_timeout(self, now: float) -> TimedOut:
        """Queue the ping that is due, or say what is overdue."""
        if self._upgrade_by is not None and now >= self._upgrade_by:
            return TimedOut(upgrade=True)
        if self._pong_by is not None and now >= self._pong_by:
            return TimedOut(closing=True) if self.state is _CLOSING else TimedOut(heartbeat=True)
        if self._ping_at is not None and now >= self._ping_at:
            # The answer is due from the moment the ping was due, whether or not
            # a poll was there to carry it (and however late we look).
            self._pong_by = self._ping_at + self._timing.ping_timeout
            self._ping_at = None
            self.ping_queued = True
            return self.handle_timeout(now)
        return NOTHING

    def postpone_timeout(self, now: float) -> None:
        """Bytes of the peer wait unread: give it the time to have them read."""
        if self._pong_by is not None:
            self._pong_by = now + self._timing.ping_timeout

    # Output

    def take_ping(self) -> bool:
        """True once for a queued ping: it is the caller's to send now."""
        queued, self.ping_queued = self.ping_queued, False
        return queued
