"""Socket.IO as the contract app speaks it: raw packets, on every transport."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from acceptance import settings, wire
from acceptance.conftest import ServerPool
from acceptance.wire import ACK, EVENT, TRANSPORTS, Packet, Polling, SioPacket, SocketIO, Transport
from servers import RunningServer, ServerKind

CONNECTED = re.compile(r'40\{"sid":"([^"]+)"\}')


@pytest.fixture
def official_server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """A PING every 300 ms, 200 ms to answer it, one second to connect."""
    return server_pool.get(kind, "contract", settings.OFFICIAL)


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """Nothing but what the test sends is on the wire."""
    return server_pool.get(kind, "contract", settings.CALM)


@pytest.fixture(params=TRANSPORTS)
def transport_name(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param != "polling" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


@pytest.fixture
def transport(server: RunningServer, transport_name: str) -> Iterator[Transport]:
    """An Engine.IO session in no namespace."""
    with wire.open_transport(transport_name, server.url) as transport:
        yield transport


@pytest.fixture
def client(server: RunningServer, transport_name: str) -> Iterator[SocketIO]:
    """In ``/``."""
    with SocketIO.connected(transport_name, server.url) as client:
        yield client


@pytest.fixture
def others(server: RunningServer, kind: ServerKind) -> Iterator[list[SocketIO]]:
    """Two more clients in ``/``, if possible on different transports."""
    with (
        SocketIO.connected("polling", server.url) as polling,
        SocketIO.connected("websocket" if kind.websocket else "polling", server.url) as websocket,
    ):
        yield [polling, websocket]


class TestConnect:
    @pytest.mark.parametrize(
        ("sent", "prefix", "event"),
        [
            ("40", "40", '42["auth",{}]'),
            ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
            ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
            ("40/custom", "40/custom,", '42/custom,["auth",{}]'),
            ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
            ('40/auth,{"token":"secret"}', "40/auth,", '42/auth,["auth",{"token":"secret"}]'),
        ],
        ids=["main", "main with auth", "custom", "custom without comma", "custom with auth", "right token"],
    )
    def test_the_answer_comes_first_and_then_the_event(
        self, transport: Transport, sent: str, prefix: str, event: str
    ) -> None:
        transport.send(sent)
        answer = transport.receive()

        assert isinstance(answer, str)
        assert answer.startswith(prefix + '{"sid":"')
        assert " " not in answer
        body = json.loads(answer[len(prefix) :])
        assert set(body) == {"sid"}
        assert body["sid"] != transport.sid
        assert transport.receive() == event

    @pytest.mark.parametrize("sent", ["40/random", "40/random,", '40/random,{"token":"123"}'])
    def test_unknown_namespace_is_refused_and_the_connection_stays(
        self, transport: Transport, sent: str
    ) -> None:
        transport.send(sent)
        assert transport.receive() == '44/random,{"message":"Invalid namespace"}'

        transport.send("40")
        assert CONNECTED.fullmatch(str(transport.receive()))

    @pytest.mark.parametrize("auth", ["", "{}", '{"token":"wrong"}', '{"token":"secret","more":1}'])
    def test_refusal_is_all_that_the_client_gets(self, transport: Transport, auth: str) -> None:
        transport.send("40/auth," + auth)
        assert transport.receive() == '44/auth,{"message":"not authorized","data":{"code":42}}'

        transport.send('40/auth,{"token":"secret"}')
        assert str(transport.receive()).startswith('40/auth,{"sid":"')
        assert transport.receive() == '42/auth,["auth",{"token":"secret"}]'

    def test_a_refused_connect_has_no_disconnect(self, client: SocketIO) -> None:
        client.transport.send("40/auth,")
        assert str(client.transport.receive()).startswith("44/auth,")
        (entries,) = client.call("last-disconnects")
        before = len(entries)

        client.transport.send("40/auth,")
        assert str(client.transport.receive()).startswith("44/auth,")

        (entries,) = client.call("last-disconnects")
        assert len(entries) == before

    def test_events_sent_right_behind_connect_are_delivered(
        self, server: RunningServer, transport_name: str
    ) -> None:
        with wire.open_transport(transport_name, server.url) as transport:
            if isinstance(transport, Polling):
                transport.send_payload("40", '42["echo",1]', '42["echo",2]')
            else:
                for packet in ("40", '42["echo",1]', '42["echo",2]'):
                    transport.send(packet)

            assert CONNECTED.fullmatch(str(transport.receive()))
            assert transport.receive_many(3) == [
                '42["auth",{}]',
                '42["echo-back",1]',
                '42["echo-back",2]',
            ]

    def test_several_namespaces_on_one_connection(self, client: SocketIO) -> None:
        a, b = client.connect("/a"), client.connect("/b", {"x": 1})

        assert len({a, b, client.sid, client.transport.sid}) == 4
        assert client.call("whoami", namespace="/a") == [{"sid": a, "nsp": "/a"}]
        assert client.call("whoami", namespace="/b") == [{"sid": b, "nsp": "/b"}]
        assert client.call("whoami") == [{"sid": client.sid, "nsp": "/"}]

    def test_a_client_that_never_connects_is_closed(
        self, official_server: RunningServer, transport_name: str
    ) -> None:
        with wire.open_transport(transport_name, official_server.url) as transport:
            started = time.monotonic()
            transport.wait_closed(timeout=3)
            assert 0.4 < time.monotonic() - started < 3

    def test_only_refused_connects_do_not_count(
        self, official_server: RunningServer, transport_name: str
    ) -> None:
        with wire.open_transport(transport_name, official_server.url) as transport:
            transport.send("40/random")
            started = time.monotonic()
            transport.wait_closed(timeout=3)
            assert 0.4 < time.monotonic() - started < 3

    def test_a_connected_client_outlives_the_connect_timeout(
        self, official_server: RunningServer, transport_name: str
    ) -> None:
        with SocketIO.connected(transport_name, official_server.url) as client:
            client.transport.assert_silent(1.3)
            assert client.call("echo-ack", 1) == [1]


class TestDisconnect:
    def test_heartbeat_goes_on_after_leaving(
        self, official_server: RunningServer, transport_name: str
    ) -> None:
        with SocketIO.connected(transport_name, official_server.url) as client:
            client.transport.send("41")
            for _ in range(5):  # which is longer than the connect timeout
                assert client.transport.receive_packet() == "2"
                client.transport.send("3")

    def test_leaving_one_namespace_keeps_the_other(self, client: SocketIO) -> None:
        client.connect("/custom")
        client.transport.send("41/custom")
        client.transport.send('42["message","to the main namespace"]')

        assert client.transport.receive() == '42["message-back","to the main namespace"]'

    def test_client_disconnect_is_reported(self, client: SocketIO) -> None:
        sid = client.connect("/a")
        client.transport.send("41/a,")

        entry = wire.wait_until(lambda: disconnect_of(client, sid))
        assert entry == {"sid": sid, "nsp": "/a", "reason": "client disconnect"}

    def test_the_server_disconnects_the_main_namespace(
        self, client: SocketIO, others: list[SocketIO]
    ) -> None:
        client.emit("disconnect-me")
        assert client.transport.receive() == "41"

        entry = wire.wait_until(lambda: disconnect_of(others[0], client.sid))
        assert entry == {"sid": client.sid, "nsp": "/", "reason": "server disconnect"}

    def test_the_server_disconnects_another_namespace(self, client: SocketIO) -> None:
        sid = client.connect("/a")
        client.emit("disconnect-me", namespace="/a")
        assert client.transport.receive() == "41/a,"

        entry = wire.wait_until(lambda: disconnect_of(client, sid))
        assert entry == {"sid": sid, "nsp": "/a", "reason": "server disconnect"}
        assert client.call("echo-ack", "still here") == ["still here"]

    def test_a_namespace_can_be_entered_again(self, client: SocketIO) -> None:
        first = client.connect("/a")
        client.transport.send("41/a")
        second = client.connect("/a")

        assert first != second
        assert client.call("whoami", namespace="/a") == [{"sid": second, "nsp": "/a"}]

    def test_every_namespace_of_a_lost_connection_is_disconnected_once(
        self, server: RunningServer, transport_name: str, others: list[SocketIO]
    ) -> None:
        with SocketIO.connected(transport_name, server.url) as client:
            sids = {client.sid, client.connect("/a")}
        wire.wait_until(lambda: all(disconnect_of(others[0], sid) for sid in sids))

        (entries,) = others[0].call("last-disconnects")
        assert sorted(entry["nsp"] for entry in entries if entry["sid"] in sids) == ["/", "/a"]
        known = {"client disconnect", "transport close", "transport error"}
        assert {entry["reason"] for entry in entries if entry["sid"] in sids} <= known

    def test_a_silent_client_is_timed_out(self, official_server: RunningServer, transport_name: str) -> None:
        with SocketIO.connected("polling", official_server.url) as observer:
            with SocketIO.connected(transport_name, official_server.url) as client:
                entry = wire.wait_until(lambda: disconnect_of(observer, client.sid))
            assert entry["reason"] == "ping timeout"


def disconnect_of(observer: SocketIO, sid: str) -> dict[str, str] | None:
    (entries,) = observer.call("last-disconnects")
    return next((entry for entry in entries if entry["sid"] == sid), None)


A, B = b"\x01\x02\x03", b"\x04\x05\x06"
SLOT = '{"_placeholder":true,"num":%d}'
SLOTS = f"{SLOT % 0},{SLOT % 1}"
EXCHANGES: dict[str, tuple[list[Packet], list[Packet]]] = {
    "event": (['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']),
    "no arguments": (['42["message"]'], ['42["message-back"]']),
    "echo without arguments": (['42["echo"]'], ['42["echo-back"]']),
    "null": (['42["echo",null]'], ['42["echo-back",null]']),
    "one list": (['42["echo",[1,2]]'], ['42["echo-back",[1,2]]']),
    "nested": (['42["echo",{"a":[{}, [ ]]}]'], ['42["echo-back",{"a":[{},[]]}]']),
    "spaces": (['42[ "echo" , {"a" : 1 } ]'], ['42["echo-back",{"a":1}]']),
    "falsy": (['42["echo",0,false,"",[]]'], ['42["echo-back",0,false,"",[]]']),
    "numbers": (['42["echo",-1,1.5,9007199254740991]'], ['42["echo-back",-1,1.5,9007199254740991]']),
    "binary event": (
        [f'452-["message",{SLOTS}]', A, B],
        [f'452-["message-back",{SLOTS}]', A, B],
    ),
    "nested binary": (
        ['451-["echo",{"file":{"_placeholder":true,"num":0},"n":1}]', A],
        ['451-["echo-back",{"file":{"_placeholder":true,"num":0},"n":1}]', A],
    ),
    "empty attachment": (
        ['451-["echo",{"_placeholder":true,"num":0}]', b""],
        ['451-["echo-back",{"_placeholder":true,"num":0}]', b""],
    ),
    "ack": (['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']),
    "ack without values": (['427["echo-ack"]'], ["437[]"]),
    "ack id 0": (['420["echo-ack",1]'], ["430[1]"]),
    "ack of one list": (['421["echo-ack",[1]]'], ["431[[1]]"]),
    "ack of null": (['421["echo-ack",null]'], ["431[null]"]),
    "largest ack id": (['429007199254740991["echo-ack"]'], ["439007199254740991[]"]),
    "binary ack": (
        [f'452-789["message-with-ack",{SLOTS}]', A, B],
        [f"462-789[{SLOTS}]", A, B],
    ),
    "namespace": (['42/a,["message",1]'], ['42/a,["message-back",1]']),
    "namespace and ack": (['42/a,12["echo-ack",1]'], ["43/a,12[1]"]),
    "namespace and binary": (
        [f'452-/a,["message",{SLOTS}]', A, B],
        [f'452-/a,["message-back",{SLOTS}]', A, B],
    ),
    "namespace and binary ack": (
        [f'452-/a,34["message-with-ack",{SLOTS}]', A, B],
        [f"462-/a,34[{SLOTS}]", A, B],
    ),
    "binary from the server": (
        ['42["make-binary",2]'],
        [
            f'453-["binary",{{"a":{SLOT % 0},"b":[{SLOT % 1},{{"c":{SLOT % 2}}}],"n":2}}]',
            b"\x00\x01",
            b"\x00\x01",
            b"\x00\x01",
        ],
    ),
    "a placeholder that is text": (
        ['42["echo",{"_placeholder":false,"num":0}]'],
        ['42["echo-back",{"_placeholder":false,"num":0}]'],
    ),
}


class TestMessages:
    @pytest.mark.parametrize(("sent", "expected"), EXCHANGES.values(), ids=EXCHANGES.keys())
    def test_exact_form(self, client: SocketIO, sent: list[Packet], expected: list[Packet]) -> None:
        client.connect("/a")
        for packet in sent:
            client.transport.send(packet)

        assert client.transport.receive_many(len(expected)) == expected
        client.assert_nothing_waits()

    def test_binary_event_in_one_payload(self, server: RunningServer) -> None:
        with SocketIO.connected("polling", server.url) as client:
            assert isinstance(client.transport, Polling)
            client.transport.send_payload(f'452-["message",{SLOTS}]', A, B, '42["echo",1]')
            packets = client.transport.receive_many(4)

        assert packets == [f'452-["message-back",{SLOTS}]', A, B, '42["echo-back",1]']

    @pytest.mark.parametrize("text", ["é", "€", "😀", "\x00\x1f\x7f", "\u2028", '"\\/', "\x1e", "<b>&amp;"])
    def test_text_comes_back_unharmed(self, client: SocketIO, text: str) -> None:
        # JSON keeps the separator of polling payloads out of them: as the escape \u001e
        client.transport.send("42" + json.dumps(["echo", text]))

        assert client.wait_event("echo-back") == [text]

    def test_nobody_acks_what_nobody_handles(self, client: SocketIO) -> None:
        client.transport.send('425["no-such-event",1]')
        client.transport.send('42["no-such-event"]')
        client.transport.send('426["echo-ack"]')

        assert client.transport.receive() == "436[]"
        client.assert_nothing_waits()

    def test_events_of_a_connect_only_namespace_go_nowhere(self, client: SocketIO) -> None:
        client.connect("/custom")
        client.transport.send('42/custom,5["echo-ack",1]')

        client.assert_nothing_waits()

    def test_describe(self, client: SocketIO) -> None:
        text, data = "aé€😀", bytes(range(256))
        values = [None, True, 1, 1.5, text, data, [1, "x"], {"k": None}]

        assert client.call("describe", *values) == [
            [
                {"t": "null"},
                {"t": "bool", "v": True},
                {"t": "number", "v": 1},
                {"t": "number", "v": 1.5},
                {"t": "string", "len": 5, "sha1": hashlib.sha1(text.encode()).hexdigest()},
                {"t": "binary", "len": 256, "sha1": hashlib.sha1(data).hexdigest()},
                {"t": "array", "v": [1, "x"]},
                {"t": "object", "v": {"k": None}},
            ]
        ]

    def test_describe_nothing(self, client: SocketIO) -> None:
        assert client.call("describe") == [[]]

    @pytest.mark.parametrize("size", [0, 1, 1000, 100_000, 900_000])
    def test_big(self, client: SocketIO, size: int) -> None:
        client.emit("big", size)
        assert client.wait_event("big-back") == ["x" * size]
        client.emit("big-binary", size)
        assert client.wait_event("big-back") == [b"\x07" * size]

    def test_burst_in_order(self, client: SocketIO) -> None:
        client.emit("burst", 500)

        assert [client.wait_event("burst-item") for _ in range(500)] == [[i] for i in range(500)]

    def test_events_are_handled_in_the_order_of_arrival(self, client: SocketIO) -> None:
        for i in range(100):
            client.emit("echo", i)

        assert [client.wait_event("echo-back") for _ in range(100)] == [[i] for i in range(100)]

    def test_acks_and_events_keep_their_order(self, client: SocketIO) -> None:
        """What is emitted before the ack arrives before it."""
        for _ in range(10):
            client.transport.send('42["echo","first"]')
            client.transport.send('423["echo-ack","second"]')
            assert client.transport.receive() == '42["echo-back","first"]'
            assert client.transport.receive() == '433["second"]'

    def test_a_handler_that_raises(self, client: SocketIO, server: RunningServer) -> None:
        marker = f"marker-{time.monotonic_ns()}"
        before = server.log_size()
        client.transport.send(f'429["raise","{marker}"]')

        assert client.call("echo-ack", 1) == [1]
        client.assert_nothing_waits()
        lines = wire.wait_until(lambda: lines_with(marker, server.log_text(before)), what="it is logged")
        assert len(lines) == 1, lines


def lines_with(marker: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if marker in line]


class TestDelayedAcks:
    def test_other_clients_do_not_wait(self, client: SocketIO, others: list[SocketIO]) -> None:
        id = client.request("ack-delay", 1500, "late")
        started = time.monotonic()
        for other in others:
            assert other.call("echo-ack", 1) == [1]
        assert time.monotonic() - started < 1.2

        assert client.wait_ack(id) == ["late"]
        assert time.monotonic() - started > 1.3

    def test_later_events_of_the_same_client_do_not_wait_for_ever(self, client: SocketIO) -> None:
        slow = client.request("ack-delay", 2000, "slow")
        quick = client.request("echo-ack", "quick")

        assert client.receive() == SioPacket(ACK, "/", quick, ["quick"])
        assert client.receive() == SioPacket(ACK, "/", slow, ["slow"])

    def test_many_at_once(self, client: SocketIO) -> None:
        ids = [client.request("ack-delay", 300, i) for i in range(5)]
        started = time.monotonic()

        answers = {packet.id: packet.data for packet in (client.receive() for _ in ids)}
        assert answers == {id: [i] for i, id in enumerate(ids)}
        assert time.monotonic() - started < 5

    def test_strictly_one_at_a_time_where_the_app_wants_it(
        self, server_pool: ServerPool, kind: ServerKind, transport_name: str
    ) -> None:
        server = server_pool.get(kind, "contract", {**settings.CALM, "APP_ASYNC_HANDLERS": "0"})
        with (
            SocketIO.connected(transport_name, server.url) as client,
            SocketIO.connected("polling", server.url) as other,
        ):
            slow = client.request("ack-delay", 700, "slow")
            quick = client.request("echo-ack", "quick")
            assert other.call("echo-ack", 1) == [1]

            assert client.receive() == SioPacket(ACK, "/", slow, ["slow"])
            assert client.receive() == SioPacket(ACK, "/", quick, ["quick"])


class TestCallbacks:
    def test_what_the_client_answers_reaches_the_callback(self, client: SocketIO) -> None:
        client.emit("call-me", {"q": 1})
        request = client.receive()
        assert request == SioPacket(EVENT, "/", request.id, ["request", {"q": 1}])
        assert request.id is not None

        client.transport.send(f'43{request.id}["answer",2,null]')
        assert client.transport.receive() == '42["call-result","answer",2,null]'

    def test_an_answer_without_values(self, client: SocketIO) -> None:
        client.emit("call-me", 1)
        client.transport.send(f"43{client.receive().id}[]")

        assert client.transport.receive() == '42["call-result"]'

    def test_a_binary_answer(self, client: SocketIO) -> None:
        client.emit("call-me", A)
        request = client.receive()
        assert request.data == ["request", A]
        client.transport.send(f'461-{request.id}[{{"_placeholder":true,"num":0}}]')
        client.transport.send(B)

        assert client.wait_event("call-result") == [B]

    def test_in_a_namespace(self, client: SocketIO) -> None:
        client.connect("/a")
        client.emit("call-me", 1, namespace="/a")
        request = client.receive()
        assert request.namespace == "/a"
        client.transport.send(f"43/a,{request.id}[7]")

        assert client.transport.receive() == '42/a,["call-result",7]'

    def test_each_answer_counts_once_and_in_any_order(self, client: SocketIO) -> None:
        for number in range(3):
            client.emit("call-me", number)
        ids = [client.receive().id for _ in range(3)]
        assert len(set(ids)) == 3
        for number in (2, 0, 2, 1):
            client.transport.send(f"43{ids[number]}[{number}]")

        assert [client.wait_event("call-result") for _ in range(3)] == [[2], [0], [1]]
        client.assert_nothing_waits()

    def test_somebody_elses_ids_mean_nothing(self, client: SocketIO, others: list[SocketIO]) -> None:
        client.emit("call-me", "mine")
        id = client.receive().id
        others[0].transport.send(f'43{id}["stolen"]')
        others[0].assert_nothing_waits()
        client.assert_nothing_waits()

        client.transport.send(f'43{id}["own"]')
        assert client.wait_event("call-result") == ["own"]


class TestRooms:
    def test_join_leave_close(self, client: SocketIO, others: list[SocketIO]) -> None:
        room = f"room-{client.sid}"
        everyone = [client, *others]
        for member in everyone:
            assert member.call("join", room) == ["ok"]

        client.emit("to-room", room, "for all")
        assert [member.wait_event("room-msg") for member in everyone] == [["for all"]] * 3

        client.emit("to-room-others", room, "for others")
        assert [member.wait_event("room-msg") for member in others] == [["for others"]] * 2
        client.assert_nothing_waits()

        assert others[0].call("leave", room) == ["ok"]
        client.emit("to-room", room, "for two")
        assert [member.wait_event("room-msg") for member in (client, others[1])] == [["for two"]] * 2
        others[0].assert_nothing_waits()

        assert others[1].call("close-room", room) == ["ok"]
        client.emit("to-room", room, "for nobody")
        for member in everyone:
            member.assert_nothing_waits()

    def test_a_room_of_another_namespace_is_another_room(
        self, client: SocketIO, others: list[SocketIO]
    ) -> None:
        room = f"room-{client.sid}"
        client.connect("/a")
        assert client.call("join", room, namespace="/a") == ["ok"]
        assert others[0].call("join", room) == ["ok"]
        others[0].emit("to-room", room, 1)
        assert others[0].wait_event("room-msg") == [1]
        client.assert_nothing_waits()

        client.emit("to-room", room, 2, namespace="/a")
        assert client.receive() == SioPacket(EVENT, "/a", None, ["room-msg", 2])
        others[0].assert_nothing_waits()

    def test_a_room_named_by_a_number(self, client: SocketIO) -> None:
        assert client.call("join", 7) == ["ok"]
        client.emit("to-room", 7, "x")

        assert client.wait_event("room-msg") == ["x"]

    def test_a_client_can_be_reached_by_its_sid(self, client: SocketIO, others: list[SocketIO]) -> None:
        others[0].emit("to-room", client.sid, "for you")

        assert client.wait_event("room-msg") == ["for you"]
        others[0].assert_nothing_waits()

    def test_nobody_joins_the_room_of_another_client(self, client: SocketIO, others: list[SocketIO]) -> None:
        eavesdropper, sender = others
        eavesdropper.request("join", client.sid)  # whether it is acked is the app's business
        eavesdropper.wait_ack(eavesdropper.request("echo-ack"))
        sender.emit("to-room", client.sid, "secret")
        assert client.wait_event("room-msg") == ["secret"]

        id = eavesdropper.request("echo-ack", "mark")
        while (packet := eavesdropper.receive()).id != id:
            assert packet.data[:1] != ["room-msg"], packet

    def test_rooms_end_with_the_connection(self, server: RunningServer, others: list[SocketIO]) -> None:
        with SocketIO.connected("polling", server.url) as client:
            room = f"room-{client.sid}"
            assert client.call("join", room) == ["ok"]
            rooms = wire.stats(server.url)["rooms"]
            sid = client.sid
        wire.wait_until(lambda: disconnect_of(others[0], sid))

        assert wire.wait_until(lambda: wire.stats(server.url)["rooms"] < rooms) is True


class TestBroadcast:
    def test_everyone_in_the_namespace(self, client: SocketIO, others: list[SocketIO]) -> None:
        client.connect("/a")
        others[0].connect("/a")
        client.emit("broadcast", {"to": "main"})

        assert [member.wait_event("broadcast-msg") for member in (client, *others)] == [[{"to": "main"}]] * 3
        for member in (client, *others):
            member.assert_nothing_waits()

        others[0].emit("broadcast", "to a", namespace="/a")
        expected = SioPacket(EVENT, "/a", None, ["broadcast-msg", "to a"])
        assert [client.receive(), others[0].receive()] == [expected, expected]
        others[1].assert_nothing_waits()

    def test_binary_to_every_transport(self, client: SocketIO, others: list[SocketIO]) -> None:
        client.emit("broadcast", {"data": A, "more": [B]})

        for member in (client, *others):
            assert member.wait_event("broadcast-msg") == [{"data": A, "more": [B]}]

    def test_in_the_order_in_which_it_was_sent(self, client: SocketIO, others: list[SocketIO]) -> None:
        for number in range(50):
            client.emit("broadcast", number)

        for member in (client, *others):
            assert [member.wait_event("broadcast-msg") for _ in range(50)] == [[i] for i in range(50)]

    def test_from_an_http_route(
        self, server: RunningServer, client: SocketIO, others: list[SocketIO]
    ) -> None:
        client.connect("/a")
        reply = wire.request(f"{server.url}/emit?event=from-http&data=D%20%C3%A9")

        assert reply.status == 200
        for member in (client, *others):
            assert member.wait_event("from-http") == ["D é"]
            member.assert_nothing_waits()


@pytest.mark.parametrize("offered", ["polling", "websocket"])
@pytest.mark.kinds(websocket=True)
def test_a_transport_that_is_not_offered(server_pool: ServerPool, kind: ServerKind, offered: str) -> None:
    server = server_pool.get(kind, "contract", {**settings.CALM, "APP_TRANSPORTS": offered})
    with SocketIO.connected(offered, server.url) as client:
        assert client.transport.handshake["upgrades"] == []
        assert client.call("echo-ack", 1) == [1]

        refused = "websocket" if offered == "polling" else "polling"
        with pytest.raises(wire.Refused) as refusal, wire.open_transport(refused, server.url):
            pass
        assert refusal.value.reply.status == 400
        assert set(refusal.value.reply.json()) == {"code", "message"}


def test_counts_follow_the_clients(server_pool: ServerPool, kind: ServerKind, transport_name: str) -> None:
    # a server that no other test uses
    server = server_pool.get(kind, "contract", {**settings.CALM, "APP_COUNTED_FOR": transport_name})
    assert wire.stats(server.url)["sessions"] == 0
    with SocketIO.connected(transport_name, server.url) as client:
        client.connect("/a")
        client.emit("call-me", 1)
        assert client.receive().data == ["request", 1]
        figures = wire.stats(server.url)
        assert figures["sessions"] == 1
        assert figures["sockets"] == 2
        assert figures["pending_acks"] == 1

        id = client.request("ack-delay", 500, "x")
        wire.wait_until(lambda: wire.stats(server.url)["handlers_running"] >= 1)
        assert client.wait_ack(id) == ["x"]
        wire.wait_until(lambda: wire.stats(server.url)["handlers_running"] == 0)

    counts = ("sessions", "sockets", "rooms", "queued_packets", "queued_bytes", "pending_acks")
    wire.wait_until(lambda: not any(wire.stats(server.url)[name] for name in counts), what="all counts are 0")
    figures = wire.stats(server.url)
    assert figures["fds"] > 0
    assert figures["rss"] > 0
    assert figures["threads"] > 0


class MsgpackClient:
    """Speaks ``socket.io-msgpack-parser``: every Socket.IO packet is one binary message."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(self, **packet: Any) -> None:
        self.transport.send(msgspec.msgpack.encode({"nsp": "/", **packet}))

    def receive(self) -> dict[str, Any]:
        packet = self.transport.receive()
        assert isinstance(packet, bytes), packet
        decoded: dict[str, Any] = msgspec.msgpack.decode(packet)
        return decoded


class TestMsgpack:
    @pytest.fixture
    def msgpack(
        self, server_pool: ServerPool, kind: ServerKind, transport_name: str
    ) -> Iterator[MsgpackClient]:
        server = server_pool.get(kind, "contract", {**settings.CALM, "APP_SERIALIZER": "msgpack"})
        with wire.open_transport(transport_name, server.url) as transport:
            yield MsgpackClient(transport)

    @pytest.fixture
    def connected(self, msgpack: MsgpackClient) -> MsgpackClient:
        msgpack.send(type=0)
        answer = msgpack.receive()
        assert (answer["type"], answer["nsp"], set(answer["data"])) == (0, "/", {"sid"})
        assert msgpack.receive()["data"] == ["auth", {}]
        return msgpack

    def test_event_with_binary_inside(self, connected: MsgpackClient) -> None:
        connected.send(type=2, data=["message", A, {"b": B}, "text"])
        answer = connected.receive()

        assert (answer["type"], answer["nsp"]) == (2, "/")
        assert answer["data"] == ["message-back", A, {"b": B}, "text"]
        assert answer.get("id") is None

    def test_ack(self, connected: MsgpackClient) -> None:
        connected.send(type=2, id=456, data=["message-with-ack", 1, A])
        answer = connected.receive()

        assert (answer["type"], answer["nsp"], answer["id"], answer["data"]) == (3, "/", 456, [1, A])

    def test_callback(self, connected: MsgpackClient) -> None:
        connected.send(type=2, data=["call-me", A])
        request = connected.receive()
        assert (request["type"], request["data"]) == (2, ["request", A])
        connected.send(type=3, id=request["id"], data=[B, 1])

        assert connected.receive()["data"] == ["call-result", B, 1]

    def test_namespaces_and_refusals(self, connected: MsgpackClient) -> None:
        connected.send(type=0, nsp="/random")
        assert connected.receive() == {
            "type": 4,
            "nsp": "/random",
            "data": {"message": "Invalid namespace"},
        }
        connected.send(type=0, nsp="/auth", data={"token": "wrong"})
        assert connected.receive() == {
            "type": 4,
            "nsp": "/auth",
            "data": {"message": "not authorized", "data": {"code": 42}},
        }
        connected.send(type=0, nsp="/a")
        assert connected.receive()["type"] == 0
        assert connected.receive()["data"] == ["auth", {}]
        connected.send(type=2, nsp="/a", data=["disconnect-me"])
        farewell = connected.receive()
        assert (farewell["type"], farewell["nsp"]) == (1, "/a")

    def test_undefined(self, msgpack: MsgpackClient) -> None:
        """The JavaScript client writes it as an extension of its own: ``data`` of a connect without auth."""
        undefined = msgspec.msgpack.Ext(0, b"\x00")
        msgpack.send(type=0, data=undefined)
        assert msgpack.receive()["type"] == 0
        assert msgpack.receive()["data"] == ["auth", {}]

        msgpack.send(type=2, data=["echo", undefined, 1])
        assert msgpack.receive()["data"] == ["echo-back", None, 1]

    @pytest.mark.parametrize(
        "message",
        [b"", b"\xc1", b"\x93\x01\x02", msgspec.msgpack.encode([2, "/", ["echo"]]), b"\x82\xa4type\x09"],
        ids=["empty", "never used byte", "cut off", "not a map", "cut off map"],
    )
    def test_garbage_closes(self, connected: MsgpackClient, message: bytes) -> None:
        with contextlib.suppress(wire.Closed):  # over polling the POST itself is refused
            connected.transport.send(message)
        with pytest.raises(wire.Closed):
            connected.receive()

    @pytest.mark.parametrize(
        "packet",
        [
            {"type": 9, "data": ["echo"]},
            {"type": 2, "data": {}},
            {"type": 2, "data": []},
            {"type": 2, "data": [1]},
            {"type": 2, "data": ["echo"], "id": "x"},
            {"type": 2, "data": ["echo"], "id": -1},
            {"type": 2, "data": ["connect", {}]},
            {"type": "2", "data": ["echo"]},
            {"type": 2, "nsp": 5, "data": ["echo"]},
        ],
        ids=lambda packet: json.dumps(packet),
    )
    def test_bad_packets_close(self, connected: MsgpackClient, packet: dict[str, Any]) -> None:
        with contextlib.suppress(wire.Closed):  # over polling the POST itself is refused
            connected.send(**packet)
        with pytest.raises(wire.Closed):
            connected.receive()


def test_polling_responses_are_compressed_where_the_client_can_take_it(server: RunningServer) -> None:
    with Polling(server.url, headers={"Accept-Encoding": "gzip"}) as transport:
        transport.send("40")
        assert transport.receive_many(2)[1] == '42["auth",{}]'
        transport.send('42["big",100000]')
        reply = wire.request(transport.address, headers={"Accept-Encoding": "gzip"})

    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(reply.body) < 10_000
    assert gzip.decompress(reply.body).decode() == '42["big-back","' + "x" * 100_000 + '"]'


def test_binary_in_a_polling_response_is_base64(server: RunningServer) -> None:
    with Polling(server.url) as transport:
        transport.send("40")
        assert transport.receive_many(2)[1] == '42["auth",{}]'
        transport.send('42["big-binary",4]')
        body = transport.get().text
        while body.count(wire.SEPARATOR) < 1:
            body += wire.SEPARATOR + transport.get().text

    encoded = base64.b64encode(b"\x07" * 4).decode()
    assert body == '451-["big-back",{"_placeholder":true,"num":0}]' + wire.SEPARATOR + "b" + encoded
