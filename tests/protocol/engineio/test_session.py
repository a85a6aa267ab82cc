"""The state machine of a session: packets, the upgrade's ladder, deadlines."""

from __future__ import annotations

import pytest

from flask_realtime.protocol.engineio.packet import Packet, PacketType
from flask_realtime.protocol.engineio.session import HeartbeatTiming, SessionProtocol, TimedOut
from flask_realtime.protocol.engineio.transitions import State
from flask_realtime.protocol.errors import RemoteProtocolError

TIMING = HeartbeatTiming(ping_interval=25.0, ping_timeout=20.0, upgrade_timeout=10.0)
PONG = Packet(PacketType.PONG)
PROBE = Packet(PacketType.PING, "probe")
UPGRADE = Packet(PacketType.UPGRADE)


def session(state: State = State.POLLING, now: float = 0.0) -> SessionProtocol:
    return SessionProtocol(TIMING, state, now)


def probed(now: float = 0.0) -> SessionProtocol:
    protocol = session(now=now)
    protocol.begin_upgrade(now)
    protocol.receive_probe_packet(PROBE)
    return protocol


class TestHeartbeat:
    def test_a_ping_is_due_one_interval_after_the_handshake(self) -> None:
        protocol = session(now=100.0)
        assert protocol.next_deadline() == 125.0
        assert protocol.handle_timeout(124.9) == TimedOut()
        assert not protocol.ping_queued
        assert protocol.handle_timeout(125.0) == TimedOut()
        assert protocol.ping_queued
        assert protocol.next_deadline() == 145.0

    def test_a_queued_ping_is_taken_once(self) -> None:
        protocol = session()
        assert not protocol.take_ping()
        protocol.handle_timeout(25.0)
        assert protocol.take_ping()
        assert not protocol.take_ping()

    def test_the_answer_is_due_from_the_moment_the_ping_was_due(self) -> None:
        protocol = session()
        protocol.handle_timeout(30.0)
        assert protocol.next_deadline() == 45.0
        assert protocol.handle_timeout(44.9) == TimedOut()
        assert protocol.handle_timeout(45.0) == TimedOut(heartbeat=True)

    def test_ping_and_timeout_in_one_look(self) -> None:
        assert session().handle_timeout(45.0) == TimedOut(heartbeat=True)

    def test_the_next_ping_is_due_one_interval_after_the_pong(self) -> None:
        protocol = session()
        protocol.handle_timeout(25.0)
        assert protocol.receive_packet(PONG, 40.0) is False
        assert protocol.next_deadline() == 65.0

    def test_a_pong_that_nobody_asked_for_says_nothing(self) -> None:
        protocol = session()
        protocol.receive_packet(PONG, 20.0)
        assert protocol.next_deadline() == 25.0

    def test_a_postponed_timeout(self) -> None:
        protocol = session()
        protocol.postpone_timeout(10.0)
        assert protocol.next_deadline() == 25.0
        protocol.handle_timeout(25.0)
        protocol.postpone_timeout(45.0)
        assert protocol.next_deadline() == 65.0
        assert protocol.handle_timeout(64.9) == TimedOut()
        assert protocol.handle_timeout(65.0) == TimedOut(heartbeat=True)


class TestPackets:
    def test_close(self) -> None:
        assert session().receive_packet(Packet(PacketType.CLOSE), 1.0) is True

    def test_noop(self) -> None:
        assert session().receive_packet(Packet(PacketType.NOOP), 1.0) is False

    @pytest.mark.parametrize("kind", [PacketType.OPEN, PacketType.PING, PacketType.UPGRADE])
    def test_packets_that_a_client_may_not_send(self, kind: PacketType) -> None:
        protocol = session(State.WEBSOCKET)
        with pytest.raises(RemoteProtocolError, match=str(kind.value)):
            protocol.receive_packet(Packet(kind), 1.0)
        assert protocol.state is State.WEBSOCKET


class TestUpgrade:
    def test_the_ladder(self) -> None:
        protocol = session()
        protocol.begin_upgrade(5.0)
        assert protocol.upgrading
        assert protocol.receive_probe_packet(PROBE) == (PacketType.PONG, "probe")
        assert protocol.upgrading
        assert protocol.state is State.PROBED
        assert protocol.receive_probe_packet(UPGRADE) is None
        assert protocol.state is State.WEBSOCKET
        assert not protocol.upgrading
        assert protocol.next_deadline() == 25.0

    @pytest.mark.parametrize("rungs", [0, 1])
    def test_it_has_10_seconds(self, rungs: int) -> None:
        protocol = session()
        protocol.begin_upgrade(5.0)
        for _ in range(rungs):
            protocol.receive_probe_packet(PROBE)
        assert protocol.next_deadline() == 15.0
        assert protocol.handle_timeout(14.9) == TimedOut()
        assert protocol.handle_timeout(15.0) == TimedOut(upgrade=True)

    @pytest.mark.parametrize("state", [State.UPGRADING, State.PROBED, State.WEBSOCKET])
    def test_a_second_one_is_refused(self, state: State) -> None:
        protocol = probed() if state is State.PROBED else session(state)
        if state is State.UPGRADING:
            protocol = session()
            protocol.begin_upgrade(0.0)
        with pytest.raises(RemoteProtocolError, match="no upgrade here"):
            protocol.begin_upgrade(1.0)
        assert protocol.state is state

    def test_none_for_a_session_that_ends(self) -> None:
        protocol = session()
        protocol.close(1.0)
        with pytest.raises(RemoteProtocolError):
            protocol.begin_upgrade(1.0)
        protocol.end()
        with pytest.raises(RemoteProtocolError):
            protocol.begin_upgrade(1.0)

    @pytest.mark.parametrize(
        "packet",
        [
            Packet(PacketType.PING),
            Packet(PacketType.PING, "probe "),
            Packet(PacketType.PONG, "probe"),
            Packet(PacketType.MESSAGE, "x"),
            Packet(PacketType.CLOSE),
            Packet(PacketType.NOOP),
            Packet(PacketType.OPEN),
        ],
    )
    @pytest.mark.parametrize("rungs", [0, 1])
    def test_any_other_packet_breaks_it(self, packet: Packet, rungs: int) -> None:
        protocol = session()
        protocol.begin_upgrade(0.0)
        for _ in range(rungs):
            protocol.receive_probe_packet(PROBE)
        with pytest.raises(RemoteProtocolError, match="broken upgrade"):
            protocol.receive_probe_packet(packet)

    def test_rungs_in_the_wrong_order_break_it(self) -> None:
        protocol = session()
        protocol.begin_upgrade(0.0)
        with pytest.raises(RemoteProtocolError, match="broken upgrade"):
            protocol.receive_probe_packet(UPGRADE)
        with pytest.raises(RemoteProtocolError, match="broken upgrade"):
            probed().receive_probe_packet(PROBE)

    def test_back_to_polling(self) -> None:
        protocol = probed()
        protocol.abort_upgrade()
        assert protocol.state is State.POLLING
        assert protocol.next_deadline() == 25.0
        protocol.begin_upgrade(1.0)
        assert protocol.upgrading

    @pytest.mark.parametrize("state", [State.POLLING, State.WEBSOCKET])
    def test_nothing_to_abort(self, state: State) -> None:
        protocol = session(state)
        protocol.abort_upgrade()
        assert protocol.state is state


class TestTheEnd:
    @pytest.mark.parametrize("state", [State.POLLING, State.WEBSOCKET])
    def test_a_close_gives_the_peer_the_ping_timeout(self, state: State) -> None:
        protocol = session(state)
        protocol.close(7.0)
        assert not protocol.alive
        assert protocol.next_deadline() == 27.0
        assert protocol.handle_timeout(26.9) == TimedOut()
        assert protocol.handle_timeout(27.0) == TimedOut(closing=True)

    def test_a_close_while_a_ping_waits(self) -> None:
        protocol = session()
        protocol.handle_timeout(25.0)
        protocol.close(26.0)
        assert not protocol.take_ping()
        assert protocol.next_deadline() == 46.0

    def test_a_second_close_changes_nothing(self) -> None:
        protocol = session()
        protocol.close(7.0)
        protocol.close(20.0)
        assert protocol.next_deadline() == 27.0

    def test_a_pong_does_not_extend_the_closing(self) -> None:
        protocol = session()
        protocol.close(7.0)
        protocol.receive_packet(PONG, 8.0)
        assert protocol.next_deadline() == 27.0

    def test_an_end_has_no_deadlines(self) -> None:
        for protocol in (session(), session(State.WEBSOCKET), probed()):
            protocol.handle_timeout(25.0)
            protocol.end()
            protocol.end()
            assert protocol.state is State.CLOSED
            assert protocol.next_deadline() is None
            assert not protocol.take_ping()
            assert protocol.handle_timeout(1e9) == TimedOut()

    def test_closing_ends_an_upgrade(self) -> None:
        protocol = session()
        protocol.begin_upgrade(0.5)
        protocol.close(1.0)
        assert not protocol.upgrading
        assert protocol.next_deadline() == 21.0
        protocol.abort_upgrade()
        assert protocol.state is State.CLOSING
        for packet in (PROBE, UPGRADE):
            with pytest.raises(RemoteProtocolError, match="broken upgrade"):
                protocol.receive_probe_packet(packet)

    def test_an_upgrade_whose_probe_was_answered_goes_on_while_closing(self) -> None:
        protocol = probed(0.5)
        protocol.close(1.0)
        assert protocol.next_deadline() == 10.5
        with pytest.raises(RemoteProtocolError, match="broken upgrade"):
            protocol.receive_probe_packet(PROBE)
        assert protocol.receive_probe_packet(UPGRADE) is None
        assert not protocol.upgrading
        assert protocol.state is State.CLOSING
        assert protocol.next_deadline() == 21.0
        with pytest.raises(RemoteProtocolError, match="broken upgrade"):
            protocol.receive_probe_packet(UPGRADE)

    def test_an_upgrade_that_is_not_completed_while_closing(self) -> None:
        protocol = probed(0.5)
        protocol.close(1.0)
        assert protocol.handle_timeout(10.5) == TimedOut(upgrade=True)
        protocol.abort_upgrade()
        assert protocol.state is State.CLOSING
        assert protocol.handle_timeout(20.9) == TimedOut()
        assert protocol.handle_timeout(21.0) == TimedOut(closing=True)
