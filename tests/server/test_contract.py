"""What Flask-Realtime promises, line by line: order, delivery, polling, upgrade, and how it all ends.

Everything runs in memory and in virtual time, over real sockets (see ``engine_driver``).
"""

from __future__ import annotations

import contextlib
import gc
import json
import threading
from typing import Any

import pytest
from engine_driver import NOTHING, EngineClient, MakeWorld, WebSocket, World, event_packet, payload

from flask_realtime.backends.clock import LoopClock
from flask_realtime.backends.loop import Loop
from flask_realtime.backends.memory import MemoryBackend
from flask_realtime.backends.pollers import SelectorPoller
from flask_realtime.exceptions import CallTimeoutError, ClientGoneError, ConnectionRefusedError
from flask_realtime.server.inbox import Inbox
from flask_realtime.server.session import Session
from flask_realtime.types import DisconnectReason, Target

REASONS = {reason.value for reason in DisconnectReason}


def numbers(client: EngineClient) -> list[int]:
    """The arguments of the events ``n`` that a client got."""
    return [args[0] for name, *args in client.events() if name == "n"]


def emit(world: World, *values: int) -> None:
    for value in values:
        world.server.emit("n", [value])


def stall(client: EngineClient) -> None:
    """The client of a websocket does not read any more, and the buffers between are small."""
    assert client.ws is not None
    client.ws.stalled = True


def probed(world: World) -> tuple[EngineClient, WebSocket]:
    """A client that polls no more, and the websocket on which its probe was answered."""
    client = EngineClient.polling(world).connect()
    client.keep_polling = False
    candidate = client.connect_candidate()
    candidate.send("2probe")
    world.settle()
    return client, candidate


def close(world: World, client: EngineClient) -> None:
    """The app closes the client's connection."""
    with world.engine.lock:
        client.session.close()


class Test1Order:
    def test_emits_arrive_in_order_across_the_upgrade(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        emit(world, 1, 2)
        candidate = client.connect_candidate()
        emit(world, 3)
        world.settle()
        candidate.send("2probe")
        emit(world, 4)
        world.settle()
        emit(world, 5)
        client.complete_upgrade()
        emit(world, 6)
        world.settle()
        emit(world, 7)
        world.settle()
        assert candidate.received == []
        assert client.received[1] != "3probe"
        assert numbers(client) == [1, 2, 3, 4, 5, 6, 7]

    def test_emits_keep_their_order_when_every_step_is_taken_at_once(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        emit(world, 1)
        candidate = client.connect_candidate()
        candidate.send("2probe")
        client.complete_upgrade()
        emit(world, 2, 3)
        world.settle()
        emit(world, 4)
        world.settle()
        assert numbers(client) == [1, 2, 3, 4]

    def test_a_clients_events_start_in_order_across_the_upgrade(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.post(*[event_packet("message", n) for n in range(3)])
        client.upgrade()
        client.send(*[event_packet("message", n) for n in range(3, 6)])
        world.settle()
        assert world.called("message") == [(n,) for n in range(6)]

    def test_a_slow_handler_holds_the_next_event_back_for_its_patience_only(
        self, make_world: MakeWorld
    ) -> None:
        world = make_world(handler_patience=0.1)
        started: list[tuple[str, float]] = []

        def slow() -> None:
            started.append(("slow", world.backend.time))
            world.backend.advance(0.09)
            assert [name for name, _ in started] == ["slow"]
            world.backend.advance(0.5)
            started.append(("slow returns", world.backend.time))

        world.on("slow", slow)
        world.on("cancel", lambda: started.append(("cancel", world.backend.time)))
        client = EngineClient.websocket(world).connect()
        client.send(event_packet("slow"), event_packet("cancel"))
        world.settle()
        assert [name for name, _ in started] == ["slow", "cancel", "slow returns"]
        assert started[1][1] - started[0][1] == pytest.approx(0.1)

    def test_an_event_that_comes_during_a_slow_handler_waits_no_longer(self, make_world: MakeWorld) -> None:
        world = make_world(handler_patience=0.1)
        started = []
        client = EngineClient.websocket(world)

        def slow() -> None:
            world.backend.advance(0.3)
            client.emit("cancel")
            world.backend.settle()
            started.append(world.backend.time)
            world.backend.advance(1)

        world.on("slow", slow)
        world.on("cancel", lambda: started.append(world.backend.time))
        client.connect().emit("slow")
        world.settle()
        assert started == [pytest.approx(0.3), pytest.approx(0.3)]

    def test_strict_handlers_run_one_at_a_time(self, make_world: MakeWorld) -> None:
        world = make_world(async_handlers=False)
        order = []

        def slow(name: str) -> None:
            order.append(name)
            world.backend.advance(10)
            order.append(name + " returns")

        world.on("slow", slow)
        client = EngineClient.websocket(world).connect()
        client.send(event_packet("slow", "a"), event_packet("slow", "b"))
        world.settle()
        assert order == ["a", "a returns", "b", "b returns"]

    def test_a_slow_handler_holds_back_no_heartbeat_ack_or_other_client(self, make_world: MakeWorld) -> None:
        world = make_world(async_handlers=False)
        seen: list[Any] = []

        def slow() -> None:
            world.server.emit("n", [1], callback=lambda *args: None, target=Target((world.sid,)))
            for _ in range(12):
                world.backend.advance(5)
                for client in (first, second):
                    client.pump()
                world.backend.settle()
            second.emit("quick")
            first.send("431[]")
            world.backend.settle()
            seen.append(world.stats["pending_acks"])

        world.on("slow", slow)
        world.on("quick", lambda: seen.append("quick"))
        first = EngineClient.websocket(world).connect()
        second = EngineClient.websocket(world).connect()
        first.emit("slow")
        world.settle()
        assert seen == ["quick", 0]
        assert not first.closed
        assert first.pings >= 2

    def test_events_start_in_arrival_order_across_namespaces(self, make_world: MakeWorld) -> None:
        world = make_world(namespaces=["/", "/a"], handler_patience=60)
        client = EngineClient.websocket(world)

        def connect() -> None:
            client.send(event_packet("message", 1), event_packet("message", 2, namespace="/a"))
            world.backend.settle()

        world.record("message")
        world.record("message", namespace="/a")
        world.on("connect", connect, "/a")
        client.connect().connect("/a")
        world.settle()
        assert world.called("message") == [(1,), (2,)]

    def test_a_pool_without_free_threads_holds_back_no_heartbeat(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        world.server.emit("big", ["x" * 20_000])
        while world.backend.time < 60 and client.session is not None:
            world.backend.time += 1
            world.engine.handle_timeouts(world.backend.time)
            # The loop turns, and no handler's thread is free.
            world.backend.loop().turn(wait=False)
            world.backend.run_assistance()
            client.pump()
        assert client.session is not None


class Test2AtMostOnceNeverLost:
    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    def test_every_packet_arrives_once(self, world: World, start: Any) -> None:
        client = start(world).connect()
        for n in range(100):
            emit(world, n)
            if n % 7 == 0:
                world.settle()
        world.settle()
        assert numbers(client) == list(range(100))

    def test_a_large_message_arrives_whole_through_small_buffers(self, world: World) -> None:
        client = EngineClient.websocket(world, buffer_size=4096).connect()
        data = "x" * 900_000
        world.server.emit("big", [data])
        emit(world, 1)
        world.settle()
        assert client.events() == [["big", data], ["n", 1]]

    def test_binary_follows_its_packet_whatever_else_is_sent(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.received.clear()
        world.server.emit("b", [b"one", b"two"])
        emit(world, 1)
        world.settle()
        assert client.received == [
            '452-["b",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
            b"one",
            b"two",
            '42["n",1]',
        ]

    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    def test_a_lost_connection_means_one_disconnect(self, world: World, start: Any) -> None:
        client = start(world).connect()
        emit(world, 1)
        client.abort()
        world.settle()
        emit(world, 2)
        world.settle()
        world.advance(100)
        assert len(world.called("disconnect")) == 1
        assert world.stats == NOTHING

    def test_clients_that_have_gone_are_not_kept_until_their_heartbeats_would_be_due(
        self, world: World
    ) -> None:
        """A server on which many come and go holds those that are there."""
        for _ in range(150):
            EngineClient.websocket(world).connect().abort()
            world.settle()
            world.clients.clear()
        world.backend.advance(2)  # what they might still have sent is waited for
        world.settle()
        gc.collect()
        kept = [each for each in gc.get_objects() if type(each) is Session and each.engine is world.engine]
        assert len(kept) <= 60

    def test_what_is_queued_at_the_end_is_dropped_and_not_counted(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        assert client.poll is not None
        client.poll.close()
        client.poll = None
        emit(world, *range(10))
        world.settle()
        assert world.stats == NOTHING
        assert world.called("disconnect") == [("transport error",)] or world.called("disconnect") == [
            ("transport close",)
        ]


class Test3PollingCommits:
    def client(self, world: World) -> EngineClient:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        # The poll that waits is released, so that no poll is pending.
        emit(world, 0)
        world.settle()
        assert client.poll is None
        client.received.clear()
        return client

    def test_a_message_stays_queued_until_its_response_is_written(self, world: World) -> None:
        client = self.client(world)
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        assert world.stats["queued_packets"] == 1
        exchange.serve()
        assert world.stats["queued_packets"] == 0
        exchange.pump()
        assert exchange.reply is not None
        assert exchange.reply.packets == ['42["n",1]']

    def test_a_response_that_could_not_be_written_ends_the_session(self, world: World) -> None:
        client = self.client(world)
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.give_up()
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.stats == NOTHING
        assert world.fetch(query=client.query).status == 400

    def test_what_is_emitted_while_a_response_is_written_goes_with_the_next(self, world: World) -> None:
        client = self.client(world)
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        emit(world, 2)
        exchange.serve()
        assert world.stats["queued_packets"] == 1
        assert world.fetch(query=client.query).packets == ['42["n",2]']

    def test_a_waiting_poll_that_is_aborted_ends_the_session(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        assert client.poll is not None
        client.abort()
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.stats == NOTHING

    def test_a_waiting_poll_whose_answer_the_client_does_not_read_ends_the_session(
        self, world: World
    ) -> None:
        client = self.client(world)
        exchange = client.start_poll(buffer_size=4096)
        client.poll = None
        world.settle()
        world.server.emit("big", ["x" * 900_000])
        world.backend.settle()
        assert world.stats["queued_packets"] == 1
        world.backend.advance(19)
        assert world.stats["sessions"] == 1
        world.backend.advance(2)
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.stats == NOTHING
        exchange.close()

    def test_a_second_get_ends_both_and_the_session(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        pending = client.poll
        assert pending is not None
        second = world.fetch(query=client.query)
        assert (second.status, second.json) == (
            400,
            {"code": 3, "message": "a second GET while one is pending"},
        )
        pending.pump()
        assert pending.reply is not None
        assert (pending.reply.status, pending.reply.body) == (200, b"1")
        assert world.called("disconnect") == [("transport error",)]
        assert world.fetch(query=client.query).status == 400

    def test_a_get_while_the_one_before_is_written_waits_for_that(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flask_realtime.gateways.wsgi.RESPONSE_GRACE", 0.05)
        client = self.client(world)
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        assert world.fetch(query=client.query).status == 400
        exchange.serve()
        world.settle()
        assert world.called("disconnect") == [("transport error",)]

    def test_a_get_goes_on_once_the_one_before_is_written(self, world: World) -> None:
        client = self.client(world)
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        emit(world, 2)
        finish = threading.Timer(0.05, exchange.serve)
        finish.start()
        reply = world.fetch(query=client.query)
        finish.join()
        assert reply.packets == ['42["n",2]']

    def second_post(self, world: World, client: EngineClient) -> tuple[Any, Any]:
        """Two POSTs at once: the second comes while the first one's body is read."""
        seconds = []
        body = payload(event_packet("message", "first"))

        class Body:
            def read(self, size: int) -> bytes:
                if not seconds:
                    seconds.append(client.post(event_packet("message", "second")))
                    return body
                return b""

        first = world.fetch(
            "POST",
            client.query,
            environ={"CONTENT_LENGTH": str(len(body)), "wsgi.input": Body()},
        )
        return first, seconds[0]

    def test_a_second_post_ends_the_session(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        _, second = self.second_post(world, client)
        assert (second.status, second.json) == (
            400,
            {"code": 3, "message": "a second POST while one is pending"},
        )
        assert world.called("message") == []
        assert world.called("disconnect") == [("transport error",)]

    def test_the_first_of_two_posts_is_not_told_that_all_is_well(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        first, _ = self.second_post(world, client)
        assert first.status == 400

    def test_a_poll_whose_connection_is_lost_at_the_take_over_ends_the_session(self, world: World) -> None:
        client = self.client(world)
        with contextlib.suppress(OSError):
            world.request(query=client.query, peer_gone=True)
        world.settle()
        assert world.called("disconnect") == [("transport error",)]


class Test4Upgrade:
    def test_the_ladder(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.received.clear()
        candidate = client.connect_candidate()
        world.settle()
        pending = client.poll
        assert pending is not None
        assert pending.reply is None
        candidate.send("2probe")
        world.backend.settle()
        pending.pump()
        candidate.pump()
        assert candidate.received == ["3probe"]
        assert pending.reply is not None
        assert pending.reply.packets == ["6"]

    def test_polls_are_released_at_once_while_the_upgrade_is_not_complete(self, world: World) -> None:
        client, _ = probed(world)
        emit(world, 1)
        assert world.fetch(query=client.query).packets == ["6"]
        assert world.stats["queued_packets"] == 1
        client.complete_upgrade()
        world.settle()
        assert numbers(client) == [1]

    def test_nothing_is_flushed_to_the_websocket_before_the_last_rung(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        candidate = client.connect_candidate()
        candidate.send("2probe")
        world.settle()
        emit(world, 1)
        world.settle()
        assert candidate.received == ["3probe"]
        assert numbers(client) == []

    @pytest.mark.parametrize(
        "step",
        ["abort", "close", "garbage", "binary", "5 too early", "2probe twice", "message", "timeout"],
    )
    @pytest.mark.parametrize("probed", [False, True])
    def test_after_a_failure_polling_goes_on_with_the_queue(
        self, world: World, step: str, probed: bool
    ) -> None:
        client = EngineClient.polling(world).connect()
        candidate = client.connect_candidate()
        world.settle()
        if probed:
            candidate.send("2probe")
            world.settle()
        emit(world, 1)
        if step == "abort":
            candidate.abort()
        elif step == "close":
            candidate.close(1001)
        elif step == "garbage":
            candidate.send_raw(b"\x00" * 20)
        elif step == "binary":
            candidate.send(b"x")
        elif step == "5 too early":
            candidate.send("5", "5") if not probed else candidate.send("4x")
        elif step == "2probe twice":
            candidate.send("2probe", "2probe")
        elif step == "message":
            candidate.send(event_packet("message", 1))
        else:
            world.advance(10.5)
        world.settle()
        client.candidate, client.keep_polling = None, True
        world.settle()
        emit(world, 2)
        world.settle()
        assert numbers(client) == [1, 2]
        assert not client.closed
        assert world.called("disconnect") == []
        assert candidate.eof or step == "abort"
        # A new attempt may succeed.
        client.upgrade()
        emit(world, 3)
        world.settle()
        assert numbers(client) == [1, 2, 3]

    def test_the_ladder_has_10_seconds(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        candidate = client.connect_candidate()
        world.advance(9.9)
        assert candidate.close_code is None
        world.advance(0.2)
        assert candidate.close_code == 1000
        assert world.refusals == {"upgrade timeout": 1}

    @pytest.mark.parametrize("how", ["close", "drain"])
    def test_a_client_that_polls_no_more_hears_on_the_websocket_that_we_have_closed(
        self, world: World, how: str
    ) -> None:
        client, candidate = probed(world)
        assert client.poll is None  # it was released
        emit(world, 1)

        def go_on() -> None:
            if client.candidate is not None:
                assert candidate.close_code is None
                client.complete_upgrade()
            world.settle()

        if how == "close":
            close(world, client)
            go_on()
        else:
            world.drain(meanwhile=go_on)
        assert numbers(client) == [1]
        assert candidate.close_code == (1000 if how == "close" else 1001)
        assert world.called("disconnect") == [("server disconnect" if how == "close" else "transport close",)]
        assert world.stats == NOTHING

    def test_a_client_that_still_polls_hears_there_that_we_have_closed(self, world: World) -> None:
        client, candidate = probed(world)
        emit(world, 1)
        close(world, client)
        assert world.fetch(query=client.query).packets == ['42["n",1]']
        assert world.fetch(query=client.query).packets == ["1"]
        world.settle()
        assert candidate.close_code == 1000
        assert world.stats == NOTHING

    @pytest.mark.parametrize("step", ["abort", "message", "timeout"])
    def test_an_upgrade_that_fails_after_we_have_closed(self, world: World, step: str) -> None:
        client, candidate = probed(world)
        emit(world, 1)
        close(world, client)
        if step == "abort":
            candidate.abort()
        elif step == "message":
            candidate.send("4x")
        else:
            world.advance(10.5)
        world.settle()
        assert world.fetch(query=client.query).packets == ['42["n",1]']
        assert world.fetch(query=client.query).packets == ["1"]
        world.settle()
        assert candidate.eof or step == "abort"
        assert world.stats == NOTHING

    def test_a_client_that_has_not_been_probed_polls_on(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        candidate = client.connect_candidate()
        world.settle()
        emit(world, 1)
        close(world, client)
        world.settle()
        assert candidate.close_code == 1000
        assert numbers(client) == [1]
        assert client.closed
        assert world.stats == NOTHING

    def test_a_second_upgrade_is_refused_and_the_first_goes_on(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        first = client.connect_candidate()
        world.settle()
        second = client.connect_candidate()
        world.settle()
        assert second.close_code == 1008
        assert second.eof
        client.candidate = first
        first.send("2probe")
        world.settle()
        assert first.received == ["3probe"]
        first.received.clear()
        client.complete_upgrade()
        emit(world, 1)
        world.settle()
        assert numbers(client) == [1]
        assert world.refusals == {"upgrade refused": 1}

    def test_a_second_websocket_after_the_upgrade_is_closed(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.upgrade()
        second = client.connect_candidate()
        world.settle()
        assert second.close_code == 1008
        client.candidate = None
        emit(world, 1)
        world.settle()
        assert numbers(client) == [1]

    def test_polling_is_refused_after_the_upgrade_and_the_session_goes_on(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.upgrade()
        get = world.fetch(query=client.query)
        post = world.fetch("POST", client.query, body=b"3")
        assert (get.status, post.status) == (400, 400)
        assert get.json == {"code": 3, "message": "the session has been upgraded to websocket"}
        emit(world, 1)
        world.settle()
        assert numbers(client) == [1]

    def test_probe_and_upgrade_back_to_back_behind_the_request(self, world: World) -> None:
        for read_ahead in (False, True):
            client = EngineClient.polling(world).connect()
            candidate = client.connect_candidate(early=["2probe", "5"], read_ahead=read_ahead)
            client.ws, client.candidate = candidate, None
            emit(world, 1)
            world.settle()
            assert numbers(client) == [1]
            assert "3probe" in client.received

    def test_data_waits_until_the_released_poll_is_written(self, world: World) -> None:
        client, candidate = probed(world)
        candidate.received.clear()
        exchange = world.request(query=client.query)
        exchange.begin()
        client.complete_upgrade()
        emit(world, 1)
        world.settle()
        assert numbers(client) == []
        exchange.serve()
        world.settle()
        assert numbers(client) == [1]

    def test_messages_taken_by_a_poll_are_not_sent_again_on_the_websocket(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        candidate = client.connect_candidate()
        candidate.send("2probe")
        world.settle()
        candidate.received.clear()
        client.complete_upgrade()
        emit(world, 2)
        world.settle()
        exchange.serve()
        world.settle()
        exchange.pump()
        assert exchange.reply is not None
        assert exchange.reply.packets == ['42["n",1]']
        assert numbers(client) == [0, 2]

    def test_a_released_poll_that_breaks_after_the_upgrade_costs_nothing(self, world: World) -> None:
        client, candidate = probed(world)
        candidate.received.clear()
        # A NOOP carries nothing: whether it arrives makes no difference.
        exchange = world.request(query=client.query)
        client.complete_upgrade()
        world.settle()
        exchange.give_up()
        emit(world, 1)
        world.settle()
        assert numbers(client) == [1]
        assert world.called("disconnect") == []

    def test_messages_of_a_poll_that_broke_are_not_sent_again_on_the_websocket(self, world: World) -> None:
        """The client may have read them: at most once."""
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        candidate = client.connect_candidate()
        candidate.send("2probe")
        world.settle()
        candidate.received.clear()
        client.complete_upgrade()
        world.settle()
        exchange.give_up()
        world.settle()
        exchange.pump()
        assert exchange.reply is not None
        assert exchange.reply.packets == ['42["n",1]']
        assert numbers(client) == [0]
        assert world.called("disconnect") == [("transport error",)]

    def test_upgrades_that_are_switched_off_are_refused(self, make_world: MakeWorld) -> None:
        world = make_world(allow_upgrades=False)
        client = EngineClient.polling(world).connect()
        assert client.handshake["upgrades"] == []
        candidate = client.connect_candidate()
        world.settle()
        assert candidate.reply is not None
        assert candidate.reply.status == 400
        assert candidate.reply.json == {"code": 3, "message": "upgrades are switched off"}


class Test5EmitNeverWaits:
    def test_an_emit_to_a_client_that_does_not_read_returns(self, world: World) -> None:
        client = EngineClient.websocket(world, buffer_size=4096).connect()
        stall(client)
        for n in range(100):
            world.server.emit("n", [n, "x" * 10_000])
        assert world.stats["queued_packets"] == 100
        world.settle()
        assert client.ws is not None
        client.ws.stalled = False
        world.settle()
        assert numbers(client) == list(range(100))

    @pytest.mark.parametrize("value", [object(), {1, object()}, {"a": [lambda: 1]}, "\ud800"])
    def test_data_that_cannot_be_serialised_raises_in_the_caller(self, world: World, value: Any) -> None:
        client = EngineClient.websocket(world).connect()
        with pytest.raises((TypeError, ValueError)):
            world.server.emit("n", [value])
        with pytest.raises((TypeError, ValueError)):
            world.server.emit("n", [value], callback=print)
        assert world.stats["pending_acks"] == 0
        emit(world, 1)
        world.settle()
        assert numbers(client) == [1]

    def test_a_call_that_cannot_be_serialised_leaves_no_ack_behind(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        with pytest.raises((TypeError, ValueError)):
            world.server.call("n", [object()], "/", client.public_sid(), 1)
        assert world.stats["pending_acks"] == 0

    def test_emits_to_nobody_and_to_those_who_have_gone(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        sid = client.public_sid()
        client.abort()
        world.settle()
        world.server.emit("n", [1], target=Target((sid, "room")))
        world.server.emit("n", [1], namespace="/nowhere")
        assert world.stats == NOTHING


class Test6SlowReaders:
    def slow(self, world: World, **kwargs: Any) -> EngineClient:
        client = EngineClient.websocket(world, buffer_size=4096, **kwargs).connect()
        stall(client)
        # Fills what the sockets buffer, so that the rest has to wait in the queue.
        world.server.emit("fill", ["x" * 900_000], target=Target((client.public_sid(),)))
        world.settle()
        return client

    def test_too_many_packets(self, world: World) -> None:
        client = self.slow(world)
        other = EngineClient.websocket(world).connect()
        for n in range(10_000):
            world.server.emit("n", [n], target=Target((client.public_sid(),)))
        assert world.refusals == {}
        world.server.emit("n", [10_000], target=Target((client.public_sid(),)))
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.refusals == {"slow reader": 1}
        assert len(world.logged("does not read")) == 1
        assert "10001 packets" in world.logged("does not read")[0]
        emit(world, 1)
        world.settle()
        assert numbers(other) == [1]
        assert world.stats["sessions"] == 1
        assert world.stats["queued_bytes"] == 0

    def test_too_many_bytes(self, make_world: MakeWorld) -> None:
        world = make_world(max_queued_bytes=100_000)
        world.record("disconnect")
        client = self.slow(world)
        target = Target((client.public_sid(),))
        for _ in range(9):
            world.server.emit("n", ["x" * 10_000], target=target)
        assert world.refusals == {}
        world.server.emit("n", ["x" * 10_000], target=target)
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.stats == NOTHING
        assert client.session is None

    def test_too_much_for_a_polling_client_that_does_not_poll(self, make_world: MakeWorld) -> None:
        world = make_world(max_queued_packets=10)
        world.record("disconnect")
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, *range(10))
        assert world.refusals == {}
        emit(world, 11)
        world.settle()
        assert world.called("disconnect") == [("transport error",)]
        assert world.stats == NOTHING

    @pytest.mark.parametrize("poll", [False, True])
    def test_20_seconds_without_progress(self, world: World, poll: bool) -> None:
        client = self.slow(world)
        world.advance(19.5)
        assert world.called("disconnect") == []
        world.advance(1)
        assert world.called("disconnect") == [("transport error",)]
        assert world.refusals == {"slow reader": 1}
        assert world.stats == NOTHING
        assert client.session is None

    def test_progress_extends_the_time(self, make_world: MakeWorld) -> None:
        world = make_world(ping_interval=1000)
        client = self.slow(world)
        assert client.ws is not None
        for _ in range(5):
            world.advance(15)
            client.ws.exchange.buffer += client.ws.exchange.sock.recv(65536)
            world.settle()
        assert world.stats["sessions"] == 1

    def test_the_log_says_how_much_waited_when_there_was_no_progress(self, world: World) -> None:
        client = self.slow(world)
        emit(world, 1)
        sid = client.session.sid
        world.advance(21)
        (line,) = [line for line in world.logs if "20 s" in line]
        assert "bytes" in line
        assert sid[:6] in line

    def test_volatile_emits_are_dropped_for_those_who_are_behind(self, world: World) -> None:
        slow = self.slow(world)
        other = EngineClient.websocket(world).connect()
        for n in range(20_000):
            world.server.emit("n", [n], volatile=True)
            if n % 2_000 == 0:
                world.settle()
        world.settle()
        assert world.refusals == {}
        assert numbers(other) == list(range(20_000))
        assert slow.ws is not None
        slow.ws.stalled = False
        world.settle()
        assert numbers(slow) == []

    def test_volatile_emits_are_dropped_at_the_limit_of_a_polling_client(self, make_world: MakeWorld) -> None:
        world = make_world(max_queued_packets=10)
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, *range(1, 11))
        world.server.emit("n", [99], volatile=True)
        assert world.refusals == {}
        client.keep_polling = True
        world.settle()
        assert numbers(client) == list(range(11))

    def test_one_large_message_is_sent_whatever_the_limit(self, make_world: MakeWorld) -> None:
        world = make_world(max_queued_bytes=1000)
        client = EngineClient.websocket(world).connect()
        world.server.emit("big", ["x" * 100_000])
        world.settle()
        assert client.events() == [["big", "x" * 100_000]]

    def test_the_limits_hold_while_the_connect_handler_runs(self, make_world: MakeWorld) -> None:
        world = make_world(max_queued_packets=10)
        most = []

        def connect() -> None:
            for n in range(100):
                emit(world, n)
            most.append(world.stats["queued_packets"] if world.stats["sessions"] else "ended")

        world.on("connect", connect)
        EngineClient.websocket(world).connect()
        assert most == ["ended"]

    def test_a_flood_of_websocket_pings_is_bounded_for_a_client_that_does_not_read(
        self, world: World
    ) -> None:
        client = self.slow(world)
        assert client.ws is not None
        for _ in range(2000):
            client.ws.ping(b"x" * 100)
            world.backend.settle()
        client.ws.stalled = False
        world.settle()
        assert len(client.ws.pongs) < 200


class Test7Heartbeats:
    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    def test_pings_go_out_at_the_interval_after_the_last_pong(self, world: World, start: Any) -> None:
        client = start(world).connect()
        world.advance(24.9)
        assert client.pings == 0
        world.advance(0.2)
        assert client.pings == 1
        world.advance(24.5)
        assert client.pings == 1
        world.advance(1)
        assert client.pings == 2

    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    def test_a_client_that_does_not_answer_is_timed_out(self, world: World, start: Any) -> None:
        client = start(world).connect()
        client.answer_pings = False
        world.advance(44.9)
        assert world.called("disconnect") == []
        world.advance(0.2)
        assert world.called("disconnect") == [("ping timeout",)]
        assert client.closed
        assert world.stats == NOTHING

    def test_a_poll_at_the_very_moment_of_the_timeout_is_refused(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = client.answer_pings = False
        world.advance(44)
        world.backend.time = 45.0  # the loop has not come to it yet
        reply = world.fetch(query=client.query)
        assert (reply.status, reply.json["code"]) == (400, 1)

    def test_that_holds_while_an_upgrade_is_overdue_too(self, make_world: MakeWorld) -> None:
        world = make_world(ping_interval=2, ping_timeout=2, upgrade_timeout=4)
        client = EngineClient.polling(world).connect()
        client.keep_polling = client.answer_pings = False
        client.connect_candidate()
        world.backend.settle()
        world.backend.advance(3.5)
        client.pump()
        world.backend.time = 4.0
        assert world.fetch(query=client.query).status == 400

    def test_a_ping_passes_what_is_queued(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, 1, 2)
        world.backend.advance(25)
        assert world.fetch(query=client.query).packets == ["2", '42["n",1]', '42["n",2]']

    def test_a_ping_passes_what_is_queued_on_a_websocket(self, world: World) -> None:
        client = EngineClient.websocket(world, buffer_size=4096).connect()
        world.advance(20)
        stall(client)
        for n in range(20):
            world.server.emit("n", [n, "x" * 100_000])
        world.advance(6)
        assert client.ws is not None
        client.ws.stalled = False
        order: list[str] = []
        receive = client.receive
        client.receive = lambda packet: (order.append(str(packet)[:5]), receive(packet))[1]  # type: ignore[method-assign]
        world.settle()
        assert order.index("2") < len(order) - 5
        assert len(order) == 21

    def test_a_client_with_unread_bytes_waiting_is_not_timed_out(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.answer_pings = False
        world.advance(26)
        assert client.pings == 1
        client.send("3")
        # The loop has not come to read yet when the deadline passes.
        world.backend.time = 45.0
        world.engine.handle_timeouts(45.0)
        assert world.stats["sessions"] == 1
        world.settle()
        world.advance(20)
        assert world.called("disconnect") == []

    def test_a_client_whose_post_is_being_read_is_not_timed_out(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.answer_pings = False
        world.advance(40)
        assert client.pings == 1

        class Body:
            def read(self, size: int) -> bytes:
                world.advance(10)
                return b"3"

        reply = world.fetch("POST", client.query, environ={"CONTENT_LENGTH": "1", "wsgi.input": Body()})
        assert reply.status == 200
        world.advance(10)
        assert world.called("disconnect") == []

    def test_a_post_that_never_ends_does_not_keep_a_client_alive(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.answer_pings = False
        world.advance(30)

        class Body:
            def read(self, size: int) -> bytes:
                world.advance(60)
                return b"3"

        reply = world.fetch("POST", client.query, environ={"CONTENT_LENGTH": "1", "wsgi.input": Body()})
        assert reply.status == 400
        assert world.called("disconnect") == [("ping timeout",)]

    def test_bytes_that_say_nothing_do_not_keep_a_client_alive(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.answer_pings = False
        for _ in range(70):
            client.emit("message", 1)
            world.advance(1)
        assert world.called("disconnect") == [("ping timeout",)]

    def test_time_that_the_loop_has_lost_times_nobody_out(self, make_world: MakeWorld) -> None:
        backend = StallingBackend()
        world = make_world(backend=backend)
        world.record("connect", "disconnect")
        client = EngineClient.websocket(world).connect()
        backend.stall_in_select = 300.0
        world.settle()
        assert world.called("disconnect") == []
        assert world.logged("loop blocked") == ["loop blocked 299.9 s; heartbeats are extended by that much"]
        client.emit("message", 1)
        world.settle()
        assert world.stats["sessions"] == 1

    def test_time_lost_in_the_loops_own_work_times_nobody_out(self, make_world: MakeWorld) -> None:
        backend = StallingBackend()
        world = make_world(backend=backend)
        world.record("connect", "disconnect")
        EngineClient.websocket(world).connect()
        world.settle()

        def stand_still() -> None:
            backend.time += 300

        backend.loop().call_soon(stand_still)
        world.settle()
        world.settle()
        assert world.called("disconnect") == []

    def test_monitor_clients_off(self, make_world: MakeWorld) -> None:
        world = make_world(monitor_clients=False)
        client = EngineClient.websocket(world).connect()
        client.answer_pings = False
        world.advance(200)
        assert not client.closed


class StallingPoller(SelectorPoller):
    """Wakes up late."""

    def __init__(self, backend: StallingBackend) -> None:
        super().__init__(None)
        self._backend = backend

    def poll(self, timeout: float | None = None) -> Any:
        self._backend.time += self._backend.stall_in_select
        self._backend.stall_in_select = 0.0
        return super().poll(0)


class StallingBackend(MemoryBackend):
    """Its clock is the loop's; its loop may stand still, as a suspended machine's."""

    def __init__(self) -> None:
        super().__init__()
        self.close()
        self.stall_in_select = 0.0
        self._loop = Loop(StallingPoller(self), LoopClock(lambda: self.time))

    def now(self) -> float:
        return self._loop.now()

    def keep(self, scheduler: Any) -> None:
        self._loop.keep(scheduler)


class Test8Lifecycle:
    def test_one_connect_and_one_disconnect(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        sid = client.public_sid()
        client.send("41")
        world.settle()
        client.abort()
        world.settle()
        assert [call[:2] for call in world.calls] == [("connect", sid), ("disconnect", sid)]
        assert world.stats == NOTHING

    def test_the_answer_to_connect_comes_first(self, world: World) -> None:
        def connect() -> None:
            emit(world, 1)
            world.server.enter_room(world.sid, "room")
            world.server.emit("n", [2], target=Target(("room",)))

        world.on("connect", connect)
        client = EngineClient.polling(world).connect()
        assert json.loads(str(client.received[0])[2:]).keys() == {"sid"}
        assert numbers(client) == [1, 2]

    def test_events_that_come_during_connect_are_held_then_delivered(self, make_world: MakeWorld) -> None:
        world = make_world()
        client = EngineClient.websocket(world)
        order = []

        def connect() -> None:
            client.emit("message", 1)
            client.emit("message", 2)
            world.backend.advance(5)
            order.append("connect returns")

        world.on("connect", connect)
        world.on("message", order.append)
        client.connect()
        assert order == ["connect returns", 1, 2]

    def test_events_keep_their_order_when_connect_returns_at_an_awkward_moment(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One event is held, the next has been taken from the inbox, then connect is accepted."""
        world = make_world()
        world.record("message")
        entered, go = threading.Event(), threading.Event()
        world.on("connect", lambda: (entered.set(), go.wait(5))[0])
        client = EngineClient.websocket(world)
        client.send("40", event_packet("message", 1), event_packet("message", 2))
        world.backend.loop().turn(wait=False)
        function, args = world.backend.tasks.popleft()
        connecting = threading.Thread(target=function, args=args)
        connecting.start()
        assert entered.wait(5)
        next_work = Inbox._next
        taken = 0

        def next_work_then_accept(inbox: Inbox, *args: Any, **options: Any) -> Any:
            nonlocal taken
            work = next_work(inbox, *args, **options)
            taken += 1
            if threading.current_thread() is not connecting and taken == 2:
                go.set()
                connecting.join()
            return work

        monkeypatch.setattr(Inbox, "_next", next_work_then_accept)
        world.backend.advance(0.2)
        go.set()
        connecting.join()
        world.settle()
        assert world.called("message") == [(1,), (2,)]

    @pytest.mark.parametrize("how", ["false", "refused", "raises"])
    def test_a_refused_client_has_no_events_rooms_or_disconnect(
        self, make_world: MakeWorld, how: str
    ) -> None:
        world = make_world()
        world.record("message", "disconnect")
        client = EngineClient.websocket(world)

        def connect() -> Any:
            world.server.enter_room(world.sid, "room")
            emit(world, 1)
            client.emit("message", 1)
            world.backend.settle()
            if how == "refused":
                raise ConnectionRefusedError("not you", {"code": 42})
            if how == "raises":
                raise RuntimeError("oops")
            return False

        world.on("connect", connect)
        client.connect()
        client.emit("message", 2)
        world.settle()
        answer = {
            "false": '44{"message":"Connection rejected by server"}',
            "refused": '44{"message":"not you","data":{"code":42}}',
            "raises": '44{"message":"Connection rejected by server"}',
        }[how]
        assert client.received == [answer]
        assert world.calls == []
        assert not client.closed
        assert world.stats == NOTHING | {"sessions": 1}
        assert len(world.tracebacks) == (how == "raises")

    def test_an_error_object_that_cannot_be_serialised(self, make_world: MakeWorld) -> None:
        world = make_world()

        def connect() -> None:
            raise ConnectionRefusedError("no", object())

        world.on("connect", connect)
        client = EngineClient.websocket(world).connect()
        assert client.received == ['44{"message":"no"}']

    @pytest.mark.parametrize("accepted", [True, False])
    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    def test_a_transport_that_dies_during_connect(
        self, make_world: MakeWorld, start: Any, accepted: bool
    ) -> None:
        world = make_world()
        client = start(world)
        order: list[Any] = []

        def connect() -> bool:
            client.abort()
            world.backend.advance(5)
            order.append("connect returns")
            return accepted

        world.on("connect", connect)
        world.on("disconnect", order.append)
        client.connect()
        world.advance(1)
        assert order[:1] == ["connect returns"]
        assert len(order) == (2 if accepted else 1)
        assert world.stats == NOTHING

    def test_held_events_still_run_between_connect_and_disconnect(self, make_world: MakeWorld) -> None:
        world = make_world()
        client = EngineClient.websocket(world)
        order: list[Any] = []

        def connect() -> None:
            client.emit("message", 1)
            client.send("41")
            world.backend.settle()
            order.append("connect returns")

        world.on("connect", connect)
        world.on("message", order.append)
        world.on("disconnect", order.append)
        client.connect()
        assert order == ["connect returns", 1, "client disconnect"]

    def test_disconnect_in_the_connect_handler(self, make_world: MakeWorld) -> None:
        world = make_world()
        world.record("disconnect")
        world.on("connect", lambda: world.server.disconnect(world.sid))
        client = EngineClient.websocket(world).connect()
        assert [str(packet)[:2] for packet in client.received] == ["40", "41"]
        assert world.called("disconnect") == [("server disconnect",)]
        assert world.stats == NOTHING | {"sessions": 1}

    def test_a_handlers_exception_runs_it_once(self, make_world: MakeWorld) -> None:
        world = make_world()
        runs: list[Any] = []

        def raising(*args: Any) -> None:
            runs.append(args)
            raise TypeError("missing 1 required positional argument")

        for event in ("message", "disconnect"):
            world.on(event, raising)
        client = EngineClient.websocket(world).connect()
        client.emit("message", 1, ack=5)
        world.settle()
        assert runs == [(1,)]
        assert len(world.tracebacks) == 1
        assert not any(str(packet).startswith("43") for packet in client.received)
        client.abort()
        world.settle()
        assert len(runs) == 2
        assert world.stats == NOTHING

    def test_a_handler_that_exits_does_not_stop_its_clients_other_handlers(self, world: World) -> None:
        def leave() -> None:
            raise SystemExit(1)

        world.on("exit", leave)
        client = EngineClient.websocket(world).connect()
        client.emit("exit")
        world.settle()
        assert len(world.tracebacks) == 1
        client.emit("message", 1)
        world.settle()
        client.abort()
        world.settle()
        assert world.called("message") == [(1,)]
        assert world.called("disconnect") == [("transport close",)]
        assert world.stats == NOTHING

    def test_rooms_are_left_when_the_disconnect_handler_has_returned(self, world: World) -> None:
        rooms: list[Any] = []
        world.on("disconnect", lambda reason: rooms.append(world.server.rooms(world.sid)))
        client = EngineClient.websocket(world).connect()
        sid = client.public_sid()
        world.server.enter_room(sid, "room")
        client.abort()
        world.settle()
        assert rooms == [[sid, "room"]]
        assert list(world.server.participants("/", "room")) == []
        world.server.enter_room(sid, "room")
        assert world.stats == NOTHING

    def test_a_client_may_come_back_to_a_namespace(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.send("41", "40")
        world.settle()
        sids = [json.loads(str(packet)[2:])["sid"] for packet in client.received]
        assert len(set(sids)) == 2
        assert [call[:2] for call in world.calls] == [
            ("connect", sids[0]),
            ("disconnect", sids[0]),
            ("connect", sids[1]),
        ]

    def test_nobody_connects_in_time(self, world: World) -> None:
        client = EngineClient.websocket(world)
        world.advance(44.5)
        assert not client.closed
        world.advance(1)
        assert client.closed
        assert world.refusals == {"connect timeout": 1}
        assert world.stats == NOTHING

    def test_attachments_do_not_come_in_time(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"1")
        world.settle()
        assert world.stats["pending_attachments"] == 1
        world.advance(31)
        assert client.closed
        assert world.refusals == {"attachments timeout": 1}
        assert world.stats == NOTHING

    def test_gate_nothing_before_connect(self, world: World) -> None:
        for packets in ([event_packet("message", 1)], ["41"], ["430[]"], [b"x"]):
            client = EngineClient.websocket(world)
            client.send(*packets)
            world.settle()
            assert client.closed
        assert world.calls == []
        assert world.refusals == {"protocol error": 4}

    def test_at_most_16_namespaces(self, make_world: MakeWorld) -> None:
        world = make_world(namespaces="*")
        client = EngineClient.websocket(world)
        for n in range(17):
            client.connect(f"/{n}")
        assert client.received[-1] == '44/16,{"message":"Too many namespaces"}'
        assert world.stats["sockets"] == 16
        assert world.refusals == {"namespace refused": 1}

    def test_an_unknown_namespace(self, world: World) -> None:
        client = EngineClient.websocket(world).connect("/random")
        assert client.received == ['44/random,{"message":"Invalid namespace"}']
        assert not client.closed


class Test8RawLifecycle:
    """The same for the engine by itself."""

    def test_order(self, make_world: MakeWorld) -> None:
        world = make_world(raw=True)
        calls: list[Any] = []
        world.server.handlers.on_connect = lambda session: calls.append("connect")
        world.server.handlers.on_message = lambda session, data: (calls.append(data), session.send(data))
        world.server.handlers.on_disconnect = lambda session, reason: calls.append(reason)
        client = EngineClient.websocket(world)
        client.send("4a", b"b", "4")
        world.settle()
        client.send("1")
        world.settle()
        assert calls == ["connect", "a", b"b", "", "client disconnect"]
        assert client.received == ["4a", b"b", "4"]
        assert world.stats == NOTHING

    def test_nothing_starts_before_connect_has_returned(self, make_world: MakeWorld) -> None:
        world = make_world(raw=True)
        client = EngineClient(world)
        calls: list[Any] = []

        def connect(session: Any) -> None:
            client.sid = session.sid
            client.post("4a", "1")
            world.backend.advance(1)
            calls.append("connect returns")

        world.server.handlers.on_connect = connect
        world.server.handlers.on_message = lambda session, data: calls.append(data)
        world.server.handlers.on_disconnect = lambda session, reason: calls.append(reason)
        client.keep_polling = False
        world.fetch()
        world.settle()
        assert calls == ["connect returns", "a", "client disconnect"]

    def test_a_close_during_a_response_is_told_by_the_next_poll(self, make_world: MakeWorld) -> None:
        world = make_world(raw=True)
        sessions: list[Any] = []
        world.server.handlers.on_connect = sessions.append
        exchange = world.request()
        exchange.begin()
        world.settle()
        sessions[0].close()
        exchange.serve()
        reply = world.fetch(query=f"EIO=4&transport=polling&sid={sessions[0].sid}")
        assert (reply.status, reply.body) == (200, b"1")


class Test9Reasons:
    @pytest.mark.parametrize("start", [EngineClient.polling, EngineClient.websocket])
    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ("41", "client disconnect"),
            ("1", "client disconnect"),
            ("server", "server disconnect"),
            ("silence", "ping timeout"),
            ("garbage", "transport error"),
            ("drain", "transport close"),
        ],
    )
    def test_reasons(self, world: World, start: Any, how: str, reason: str) -> None:
        client = start(world).connect()
        if how in ("41", "1"):
            client.send(how)
        elif how == "server":
            world.server.disconnect(client.public_sid())
        elif how == "silence":
            client.answer_pings = False
            world.advance(46)
        elif how == "garbage":
            client.send("4abc")
        else:
            world.drain()
        world.settle()
        assert world.called("disconnect") == [(reason,)]
        assert reason in REASONS

    def test_reasons_of_websockets_alone(self, world: World) -> None:
        closed = EngineClient.websocket(world).connect()
        assert closed.ws is not None
        closed.ws.close(1001)
        dropped = EngineClient.websocket(world).connect()
        dropped.abort()
        broken = EngineClient.websocket(world).connect()
        assert broken.ws is not None
        broken.ws.send_raw(b"\xff\x00")
        world.settle()
        reasons = {call[1]: call[2] for call in world.calls if call[0] == "disconnect"}
        assert reasons == {
            closed.public_sid(): "transport close",
            dropped.public_sid(): "transport close",
            broken.public_sid(): "transport error",
        }
        assert (closed.ws.close_code, broken.ws.close_code) == (1001, 1002)

    def test_a_disconnect_by_the_server_says_so_and_keeps_the_session(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        sid = client.public_sid()
        emit(world, 1)
        world.server.disconnect(sid)
        world.server.disconnect(sid)
        emit(world, 2)
        world.settle()
        assert client.received[1:] == ['42["n",1]', "41"]
        assert world.stats == NOTHING | {"sessions": 1}
        world.advance(60)
        assert not client.closed

    def test_a_clients_disconnect_is_not_answered(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.received.clear()
        client.send("41", event_packet("message", 1))
        world.settle()
        assert client.received == []
        assert world.called("message") == []


class Test10Drain:
    def test_everybody_is_told_and_what_is_queued_goes_first(self, world: World) -> None:
        websocket = EngineClient.websocket(world).connect()
        polling = EngineClient.polling(world).connect()
        emit(world, 1)
        world.drain()
        world.settle()
        assert numbers(websocket) == numbers(polling) == [1]
        assert websocket.ws is not None
        assert websocket.ws.close_code == 1001
        assert polling.received[-1] == "1"
        assert not any(str(p).startswith("41") for p in websocket.received + polling.received)
        assert world.called("disconnect") == [("transport close",)] * 2
        assert world.stats == NOTHING

    def test_new_handshakes_get_503(self, world: World) -> None:
        world.drain()
        reply = world.fetch()
        assert (reply.status, reply.json) == (503, {"code": 4, "message": "the server is shutting down"})
        refused = EngineClient.websocket(world)
        assert refused.refusal is not None
        assert refused.refusal.status == 503
        assert refused.refusal.header("Connection") == "close"
        assert world.stats == NOTHING
        assert world.refusals == {"request refused": 2}

    def test_a_client_between_two_polls_gets_its_last_packets(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, 1)
        fetched: list[list[Any]] = []

        def poll() -> None:
            if world.backend.time > 0.5 and ["1"] not in fetched:
                fetched.append(world.fetch(query=client.query).packets)

        world.drain(meanwhile=poll)
        # The JavaScript client drops what comes together with the close.
        assert fetched == [['42["n",1]'], ["1"]]
        assert world.stats == NOTHING

    def test_a_client_that_does_not_come_is_not_waited_for(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        started = world.backend.time
        world.drain()
        assert world.backend.time - started < 1.2
        assert world.called("disconnect") == [("transport close",)]

    @pytest.mark.parametrize("written_after", [0.0, 1.5])
    def test_a_client_that_does_not_come_back_is_not_waited_for(
        self, world: World, written_after: float
    ) -> None:
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        emit(world, 0)
        world.settle()
        emit(world, 1)
        exchange = world.request(query=client.query)
        exchange.begin()
        written: list[float] = []

        def write() -> None:
            if world.backend.time >= started + written_after and not written:
                written.append(world.backend.time)
                exchange.serve()

        started = world.backend.time
        world.drain(meanwhile=write)
        assert written
        assert world.backend.time - started < max(written_after, 1) + 0.2
        assert world.called("disconnect") == [("transport close",)]

    def test_a_client_that_does_not_read_is_cut_off_after_the_time(self, make_world: MakeWorld) -> None:
        world = make_world(drain_timeout=5)
        world.record("disconnect")
        client = EngineClient.websocket(world, buffer_size=4096).connect()
        stall(client)
        world.server.emit("big", ["x" * 900_000])
        world.drain()
        assert 4.9 < world.backend.time < 5.2
        assert world.logged("cut off") == ["1 sessions were cut off after the drain's 5 s"]
        assert world.called("disconnect") == [("transport close",)]

    def test_running_handlers_finish_first(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.emit("message", 1)
        world.backend.loop().turn(wait=False)
        assert world.called("message") == []
        world.drain()
        assert [call[0] for call in world.calls] == ["connect", "message", "disconnect"]

    def test_an_upgrade_under_way(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        candidate = client.connect_candidate()
        candidate.send("2probe")
        world.settle()
        client.candidate, client.keep_polling = None, True
        world.drain()
        candidate.pump()
        assert candidate.close_code == 1001
        assert client.received[-1] == "1"
        assert world.stats == NOTHING


class Test11Refusals:
    def test_every_refusal_is_counted_and_logged(self, world: World) -> None:
        refusals = [
            world.fetch(query=""),
            world.fetch(query="EIO=3&transport=polling"),
            world.fetch(query="EIO=4&transport=polling&sid=unknown"),
            world.fetch("POST", "EIO=4&transport=polling&sid=unknown", body=b"3"),
            world.fetch("DELETE", "EIO=4&transport=polling"),
            world.fetch(headers={"Origin": "http://evil.example"}),
            world.fetch(query="EIO=4&transport=websocket"),
        ]
        for n, reply in enumerate(refusals, 1):
            assert 400 <= reply.status < 500
            assert reply.json.keys() == {"code", "message"}
            assert reply.header("Cache-Control") == "no-store"
            assert world.refusals["request refused"] >= n
        assert world.refusals == {"request refused": len(refusals)}
        assert len(world.logs) == 5  # the rest is counted only: lines are limited per kind
        assert world.tracebacks == []

    def test_refusals_on_a_websocket(self, world: World) -> None:
        codes = []
        for bad in ("9", "4abc", "42{}", "42abc[]", '42["connect"]', "2", "0{}", "44{}"):
            client = EngineClient.websocket(world).connect()
            client.send(bad)
            world.settle()
            assert client.ws is not None
            codes.append(client.ws.close_code)
        assert codes == [1002] * len(codes)
        assert world.refusals == {"protocol error": len(codes)}
        assert world.called("disconnect") == [("transport error",)] * len(codes)
        assert world.tracebacks == []

    def test_refusals_in_polling(self, world: World) -> None:
        for bad in ("9", "abc", "4abc", "42{}", "", "bXX", "2"):
            client = EngineClient.polling(world).connect()
            reply = client.post(bad)
            assert reply.status == 400
            assert reply.json["code"] == 3
            world.settle()
            assert client.session is None
        assert world.called("disconnect") == [("transport error",)] * 7

    def test_what_a_client_said_is_cut_in_the_log(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.send("4" + "x" * 5000 + "\r\nroot logged in")
        world.settle()
        (line,) = world.logged("session")
        assert len(line) < 250
        assert "\n" not in line
        assert client.sid not in line
        assert client.sid[:6] in line

    def test_unknown_acks_are_counted(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        client.send("4312[]")
        world.settle()
        assert world.refusals == {"unknown ack": 1}
        assert not client.closed

    def test_a_connect_that_the_app_refuses_is_counted(self, make_world: MakeWorld) -> None:
        world = make_world()
        world.on("connect", lambda: False)
        EngineClient.websocket(world).connect()
        assert sum(world.refusals.values()) == 1


class TestPressure:
    """Handlers that can't keep up."""

    def test_a_websocket_is_not_read_while_a_thousand_events_wait(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        event = event_packet("message", "x" * 1000)
        client.send(*[event] * 3000)
        # The loop reads; no handler runs.
        for _ in range(100):
            world.backend.loop().turn(wait=False)
            client.pump()
        assert world.engine.work_pending < 1200
        world.settle()
        assert len(world.called("message")) == 3000

    def post_until_refused(self, client: EngineClient) -> int:
        """How many events a polling client could post before it was refused, of 20,000."""
        for n in range(0, 20_000, 1000):
            reply = client.post(*[event_packet("message", 1)] * 1000)
            if reply.status != 200:
                assert reply.status == 429
                return n
        return 20_000

    def test_a_polling_client_cannot_queue_events_without_limit(self, world: World) -> None:
        client = EngineClient.polling(world).connect()
        assert self.post_until_refused(client) <= 11_000
        world.settle()
        assert len(world.called("disconnect")) == 1
        assert world.stats == NOTHING

    def test_nor_while_its_connect_handler_runs(self, make_world: MakeWorld) -> None:
        world = make_world()
        client = EngineClient.polling(world)
        posted = []
        world.on("connect", lambda: posted.append(self.post_until_refused(client)))
        client.connect()
        assert posted[0] <= 11_000

    def test_events_held_during_connect_count_too(self, make_world: MakeWorld) -> None:
        world = make_world()
        client = EngineClient.websocket(world)
        pending = []

        def connect() -> None:
            client.send(*[event_packet("message", n) for n in range(5000)])
            for _ in range(20):
                world.backend.loop().turn(wait=False)
                client.pump()

        def message(n: int) -> None:
            if n == 0:
                # The handler is slow: the loop reads meanwhile.
                for _ in range(20):
                    world.backend.loop().turn(wait=False)
                    client.pump()
                pending.append(world.engine.work_pending)

        world.on("connect", connect)
        world.on("message", message)
        client.connect()
        world.settle()
        assert pending[0] < 3500

    def test_reading_goes_on_after_a_pause_with_held_events(self, make_world: MakeWorld) -> None:
        """Events of a namespace that connects slowly are held while those of another one are handled."""
        world = make_world(namespaces=["/", "/a"])
        world.record("message")
        world.record("message", namespace="/a")
        client = EngineClient.websocket(world).connect()
        here = [event_packet("message", n) for n in range(1200)]
        there = [event_packet("message", n, namespace="/a") for n in range(300)]

        def connect() -> None:
            client.send(*there, *here)
            for _ in range(20):
                world.backend.loop().turn(wait=False)
                client.pump()
            world.backend.advance(5)

        world.on("connect", connect, "/a")
        client.connect("/a")
        assert len(world.called("message")) == 1500
        client.emit("message", "the last")
        world.settle()
        assert world.called("message")[-1] == ("the last",)

    def test_a_clients_unacknowledged_callbacks_are_limited(self, make_world: MakeWorld) -> None:
        world = make_world(max_pending_acks=10)
        client = EngineClient.websocket(world).connect()
        got: list[Any] = []
        for n in range(12):
            world.server.emit("n", [n], callback=lambda value, n=n: got.append((n, value)))
        world.settle()
        assert world.stats["pending_acks"] == 10
        assert world.refusals == {"acks given up": 2}
        for ack_id in (1, 3, 12):
            client.send(f'43{ack_id}["v"]')
        world.settle()
        assert got == [(2, "v"), (11, "v")]


class TestCalls:
    def waiting(self, world: World, meanwhile: Any) -> None:
        """While a call waits, this happens, in virtual time."""

        class Waiting(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                meanwhile()
                world.settle()
                if not self.is_set() and timeout is not None:
                    world.backend.advance(timeout)
                return self.is_set()

        world.backend.event = Waiting  # type: ignore[method-assign, assignment]

    @pytest.mark.parametrize(
        ("answer", "value"), [("431[]", None), ('431["a"]', "a"), ("431[1,2]", (1, 2)), ("431[[1]]", [1])]
    )
    def test_a_call(self, world: World, answer: str, value: Any) -> None:
        client = EngineClient.websocket(world).connect()
        self.waiting(world, lambda: client.send(answer))
        assert world.server.call("n", [1], "/", client.public_sid(), 5) == value
        assert client.received[-1] == '421["n",1]'

    def test_no_answer(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        self.waiting(world, lambda: None)
        with pytest.raises(CallTimeoutError):
            world.server.call("n", [1], "/", client.public_sid(), 5)
        assert world.stats["pending_acks"] == 0

    def test_nobody_there(self, world: World) -> None:
        with pytest.raises(ClientGoneError):
            world.server.call("n", [1], "/", "nobody", 5)

    def test_the_client_goes(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        self.waiting(world, client.abort)
        with pytest.raises(ClientGoneError):
            world.server.call("n", [1], "/", client.public_sid(), 5)

    def test_the_client_goes_while_its_own_strict_handler_calls(self, make_world: MakeWorld) -> None:
        world = make_world(async_handlers=False)
        client = EngineClient.websocket(world)
        raised: list[type] = []

        def ask() -> None:
            try:
                world.server.call("n", [1], "/", world.sid, 60)
            except CallTimeoutError as error:
                raised.append(type(error))

        self.waiting(world, client.abort)
        world.on("ask", ask)
        client.connect().emit("ask")
        world.settle()
        assert raised == [ClientGoneError]
