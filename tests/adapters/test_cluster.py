"""Several servers behind one queue act as one."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
import socketio
from adapters.cluster import Cluster, MemoryLink
from engine_driver import EngineClient, MakeWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_realtime.adapters import wire
from flask_realtime.exceptions import CallTimeoutError, ClientGoneError
from flask_realtime.protocol.socketio import JSONSerializer, MsgpackSerializer
from flask_realtime.protocol.socketio.packet_class import PacketClassSerializer
from flask_realtime.types import Target


def names(client: EngineClient) -> list[str]:
    """The events it got, without their arguments."""
    return [event[0] for event in client.events()]


def three_clients(cluster: Cluster) -> list[EngineClient]:
    """One for each server."""
    return [cluster.client(index) for index in range(3)]


class TestEmitting:
    def test_everybody_gets_it_once(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        cluster.worlds[0].server.emit("hello", [1, {"a": "b"}])
        cluster.settle()
        assert [client.events() for client in clients] == [[["hello", 1, {"a": "b"}]]] * 3

    def test_own_clients_do_not_wait_for_the_broker(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        cluster.worlds[0].server.emit("hello", [])
        cluster.worlds[0].settle()
        assert names(clients[0]) == ["hello"]
        assert names(clients[1]) == []

    def test_rooms_sids_and_skips(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        sids = [client.public_sid() for client in clients]
        for index in (0, 1):
            cluster.worlds[index].server.enter_room(sids[index], "room")
        emit = cluster.worlds[2].server.emit
        emit("room", [], target=Target(("room",)))
        emit("one", [], target=Target((sids[1],)))
        emit("several", [], target=Target((sids[0], "room", sids[2])))
        emit("others", [], target=Target(None, frozenset({sids[1], sids[2]})))
        emit("nobody", [], target=Target(()))
        cluster.settle()
        assert [names(client) for client in clients] == [
            ["room", "several", "others"],
            ["room", "one", "several"],
            ["several"],
        ]

    def test_rooms_may_be_numbers_and_tuples(self, cluster: Cluster) -> None:
        client = cluster.client(0)
        for room in (1, (1, "a", (2.5, None)), b"x", "", True, 2.5):
            cluster.worlds[0].server.enter_room(client.public_sid(), room)
            cluster.worlds[1].server.emit("room", [repr(room)], target=Target((room,)))
            cluster.worlds[1].server.close_room(room)
            cluster.settle()
        assert len(client.events()) == 6
        assert cluster.worlds[0].server.rooms(client.public_sid()) == [client.public_sid()]

    def test_a_room_that_others_cannot_know_is_an_error_of_the_caller(self, cluster: Cluster) -> None:
        with pytest.raises(TypeError, match="rooms are named by text"):
            cluster.worlds[0].server.emit("event", [], target=Target((object(),)))

    def test_binary(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        cluster.worlds[0].server.emit("file", [{"data": b"\x00\xff"}, b"more"])
        cluster.settle()
        packets = [client.received[1:] for client in clients]
        assert packets[0] == packets[1] == packets[2]
        assert packets[0][1:] == [b"\x00\xff", b"more"]

    def test_namespaces_are_apart(self, cluster: Cluster) -> None:
        for world in cluster.worlds:
            world.on("anything", lambda: None, "/chat")
        main, chat = cluster.client(0), cluster.client(1, "/chat")
        cluster.worlds[2].server.emit("chat", [], "/chat")
        cluster.worlds[2].server.emit("main", [])
        cluster.settle()
        assert main.events() == [["main"]]
        assert chat.events("/chat") == [["chat"]]

    def test_order_of_one_thread_is_kept(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        for number in range(200):
            cluster.worlds[0].server.emit("n", [number])
        cluster.settle()
        for client in clients:
            assert client.events() == [["n", number] for number in range(200)]

    def test_volatile_is_told_to_the_others(self, cluster: Cluster) -> None:
        cluster.client(1)
        cluster.worlds[0].server.emit("event", [], volatile=True)
        (body,) = cluster.hub.bodies()
        assert isinstance(body, wire.Event)
        assert body.volatile

    def test_ignore_queue_is_for_our_own_clients(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        server = cluster.worlds[0].server
        server.emit("event", [], ignore_queue=True)
        server.emit("with callback", [], callback=lambda: None, ignore_queue=True)
        with pytest.raises(ClientGoneError):
            server.call("event", [], "/", clients[1].public_sid(), 1, ignore_queue=True)
        cluster.settle()
        assert [names(client) for client in clients] == [["event", "with callback"], [], []]
        assert cluster.hub.published == []

    def test_an_answer_to_our_own_client_does_not_go_through_the_broker(self, cluster: Cluster) -> None:
        client = cluster.client(0)
        cluster.worlds[0].server.emit("answer", [], target=Target((client.public_sid(),)))
        cluster.settle()
        assert names(client) == ["answer"]
        assert cluster.hub.published == []

    def test_unserialisable_data_is_an_error_of_the_caller(self, cluster: Cluster) -> None:
        with pytest.raises(TypeError):
            cluster.worlds[0].server.emit("event", [object()])
        assert cluster.hub.published == []


class TestClientsOfOthers:
    def test_entering_and_leaving_rooms(self, cluster: Cluster) -> None:
        client = cluster.client(0)
        sid = client.public_sid()
        elsewhere = cluster.worlds[1].server
        elsewhere.enter_room(sid, "room")
        elsewhere.enter_room("nobody", "room")
        cluster.settle()
        assert cluster.worlds[0].server.rooms(sid) == [sid, "room"]
        elsewhere.leave_room(sid, "room")
        cluster.settle()
        assert cluster.worlds[0].server.rooms(sid) == [sid]

    def test_a_room_cannot_be_named_like_somebody_elses_sid(self, cluster: Cluster) -> None:
        one, other = cluster.client(0), cluster.client(0)
        cluster.worlds[1].server.enter_room(one.public_sid(), other.public_sid())
        cluster.settle()
        cluster.worlds[2].server.emit("private", [], target=Target((other.public_sid(),)))
        cluster.settle()
        assert names(one) == []
        assert names(other) == ["private"]
        assert cluster.worlds[0].refusals == {"queue message": 1}

    def test_close_room(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        for world, client in zip(cluster.worlds, clients, strict=True):
            world.server.enter_room(client.public_sid(), "room")
        cluster.worlds[1].server.close_room("room")
        cluster.settle()
        assert [world.stats["rooms"] for world in cluster.worlds] == [0, 0, 0]

    def test_disconnect(self, cluster: Cluster) -> None:
        client = cluster.client(0)
        cluster.worlds[0].record("disconnect")
        cluster.worlds[2].server.disconnect(client.public_sid())
        cluster.worlds[2].server.disconnect("nobody")
        cluster.settle()
        assert client.received[-1] == "41"
        assert cluster.worlds[0].called("disconnect") == [("server disconnect",)]


class TestAcknowledgements:
    @staticmethod
    def acknowledge(client: EngineClient, *values: str) -> None:
        """Answer the last event with these values, each as JSON."""
        packet = str(client.received[-1])
        number = packet[2 : packet.index("[")]
        client.send(f"43{number}[{','.join(values)}]")

    def test_callback(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        answers: list[Any] = []
        cluster.worlds[0].server.emit("question", [], callback=lambda *values: answers.append(values))
        cluster.settle()
        for client, values in zip(clients, (["1"], [], ['"a"', '{"b":null}']), strict=True):
            self.acknowledge(client, *values)
        cluster.settle()
        assert sorted(answers, key=repr) == [("a", {"b": None}), (), (1,)]

    def test_coroutine_function_as_callback(self, cluster: Cluster) -> None:
        client = cluster.client(1)
        answers: list[Any] = []

        async def callback(value: Any) -> None:
            answers.append(value)

        cluster.worlds[0].server.emit("question", [], callback=callback)
        cluster.settle()
        self.acknowledge(client, "1")
        cluster.meanwhile(lambda: wait_for(answers))
        assert answers == [1]

    def test_call(self, cluster: Cluster) -> None:
        client = cluster.client(1)

        def answer(event: str) -> None:
            if event == "question":
                self.acknowledge(client, "1", "[2]")

        respond(client, answer)
        server = cluster.worlds[0].server
        sid = client.public_sid()
        assert cluster.meanwhile(lambda: server.call("question", [], "/", sid, 10)) == (1, [2])
        assert not cluster.worlds[0].server._cluster.acks.receivers

    def test_call_with_binary_values(self, cluster: Cluster) -> None:
        client = cluster.client(1)

        def answer(event: str) -> None:
            packet = str(client.received[-1])
            client.send(f'461-{packet[2 : packet.index("[")]}[{{"_placeholder":true,"num":0}}]', b"\x00\x01")

        respond(client, answer)
        server = cluster.worlds[0].server
        sid = client.public_sid()
        assert cluster.meanwhile(lambda: server.call("question", [], "/", sid, 10)) == b"\x00\x01"

    def test_call_of_a_client_that_goes(self, cluster: Cluster) -> None:
        client = cluster.client(1)
        respond(client, lambda event: client.send("41"))
        sid = client.public_sid()
        with pytest.raises(ClientGoneError, match="has gone before"):
            cluster.meanwhile(lambda: cluster.worlds[0].server.call("question", [], "/", sid, 10))

    def test_call_of_a_client_that_nobody_has(self, cluster: Cluster) -> None:
        with pytest.raises(CallTimeoutError) as caught:
            cluster.meanwhile(lambda: cluster.worlds[0].server.call("question", [], "/", "nobody", 0.05))
        assert not isinstance(caught.value, ClientGoneError)
        assert not cluster.worlds[0].server._cluster.acks.receivers

    @pytest.mark.parametrize("lost", ["event", "answer"])
    def test_call_when_the_broker_loses_something(self, cluster: Cluster, lost: str) -> None:
        client = cluster.client(1)
        respond(client, lambda event: self.acknowledge(client))
        kind = wire.Event if lost == "event" else wire.Ack
        cluster.hub.fate = lambda message: int(not isinstance(wire.decode(wire.unseal(message).body), kind))
        sid = client.public_sid()
        with pytest.raises(CallTimeoutError):
            cluster.meanwhile(lambda: cluster.worlds[0].server.call("question", [], "/", sid, 0.1))

    def test_callbacks_are_bounded(self, cluster: Cluster) -> None:
        world = cluster.add(max_pending_acks=3)
        for _ in range(10):
            world.server.emit("question", [], callback=lambda: None)
        assert len(world.server._cluster.acks.receivers) == 3

    def test_a_callback_that_fails_is_logged(self, cluster: Cluster) -> None:
        world = cluster.add()
        client = cluster.client(1)
        world.server.emit("question", [], callback=lambda: 1 / 0)
        cluster.settle()
        self.acknowledge(client)
        cluster.settle()
        assert world.logged("callback of an emit") != []
        world._records.records.clear()
        for other in cluster.worlds:
            other._records.records.clear()


def respond(client: EngineClient, answer: Any) -> None:
    """Have a client call ``answer(event)`` for each event that it gets."""
    receive = client.receive

    def receive_and_answer(packet: str | bytes) -> None:
        receive(packet)
        if isinstance(packet, str) and packet.startswith("42"):
            answer(client.events()[-1][0])

    client.receive = receive_and_answer  # type: ignore[method-assign]


def wait_for(items: list[Any]) -> None:
    import time

    deadline = time.monotonic() + 10
    while not items and time.monotonic() < deadline:
        time.sleep(0.005)


class TestFaults:
    def test_what_the_broker_says_twice_is_heard_once(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        cluster.hub.fate = lambda message: 2
        for number in range(10):
            cluster.worlds[0].server.emit("n", [number])
        cluster.settle()
        for client in clients:
            assert client.events() == [["n", number] for number in range(10)]

    def test_what_the_broker_loses_harms_nothing_else(self, cluster: Cluster) -> None:
        clients = three_clients(cluster)
        lost = iter([1, 0, 0, 1, 0])
        cluster.hub.fate = lambda message: next(lost)
        for number in range(5):
            cluster.worlds[0].server.emit("n", [number])
        cluster.settle()
        assert [len(client.events()) for client in clients] == [5, 2, 2]
        assert clients[1].events() == [["n", 0], ["n", 3]]

    @pytest.mark.parametrize(
        ("garbage", "said"),
        [
            (pickle.dumps({"method": "emit", "event": "x"}), "a pickle, which is never loaded"),
            (b'{"method":"emit","event":"x"}', "JSON; if it is from Flask-SocketIO"),
            (b"", "not from Flask-Realtime"),
            (b"FRT", "not from Flask-Realtime"),
            (b"\xff" * 100, "not from Flask-Realtime"),
            (b"FRT\x02" + bytes(30), "version 2 of the format"),
            (wire.seal(b"o" * 12, 1, b"\xff"), "wrong shape"),
            (wire.seal(b"o" * 12, 1, b"\x91\xa5other"), "wrong shape"),
            (wire.seal(b"o" * 12, 1, b"\x92\xa5event\x01"), "wrong shape"),
            (wire.seal(b"o" * 12, 1, b"\x91" * 100_000), "wrong shape"),
            (wire.seal(b"o" * 12, 1, wire.encode(wire.EnterRoom("/", "sid", {}))), "a room can't be named"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, cluster: Cluster, garbage: bytes, said: str) -> None:
        client = cluster.client(0)
        cluster.hub.publish(garbage)
        cluster.worlds[1].server.emit("after it", [])
        cluster.settle()
        assert names(client) == ["after it"]
        assert cluster.worlds[0].refusals == {"queue message": 1}
        (line,) = cluster.worlds[0].logged("message queue: ignored")
        assert said in line

    def test_a_pickle_is_not_loaded(self, cluster: Cluster) -> None:
        class Trap:
            def __reduce__(self) -> Any:
                return logging.getLogger("flask_realtime").critical, ("the trap has sprung",)

        cluster.client(0)
        cluster.hub.publish(pickle.dumps(Trap()))
        cluster.settle()
        assert cluster.worlds[0].logged("the trap has sprung") == []

    def test_the_log_is_rate_limited(self, cluster: Cluster) -> None:
        cluster.client(0)
        for _ in range(100):
            cluster.hub.publish(b"garbage")
        cluster.settle()
        assert cluster.worlds[0].refusals == {"queue message": 100}
        assert len(cluster.worlds[0].logged("message queue: ignored")) == 5

    @pytest.mark.parametrize("text", [None, b"", b"41", b"40{}", b"2"])
    def test_an_event_that_holds_something_else_does_not_reach_clients(
        self, cluster: Cluster, text: bytes | None
    ) -> None:
        client = cluster.client(0)
        before = list(client.received)
        body = wire.encode(wire.Event("/", None, [], "json", text, [], False, None))
        cluster.hub.publish(wire.seal(b"o" * 12, 1, body))
        cluster.settle()
        assert client.received == before
        assert cluster.worlds[0].refusals == {"queue message": 1}


class TestConnecting:
    def test_a_client_is_connected_when_we_hear_the_others(self, cluster: Cluster) -> None:
        link = MemoryLink(cluster.hub, listening=False)
        late = cluster.add(link)
        late.record("connect")
        client = cluster.client(3)
        assert (client.received, late.called("connect")) == ([], [])
        link.begin()
        cluster.settle()
        assert client.public_sid()
        assert late.called("connect") == [(None,)]
        cluster.worlds[0].server.emit("hello", [])
        cluster.settle()
        assert names(client) == ["hello"]

    def test_no_client_waits_for_ever(self, cluster: Cluster) -> None:
        late = cluster.add(MemoryLink(cluster.hub, listening=False))
        client = cluster.client(3)
        late.advance(4)
        assert client.received == []
        late.advance(2)
        assert client.public_sid()

    def test_a_client_that_leaves_meanwhile_is_told_to_the_app_in_order(self, cluster: Cluster) -> None:
        link = MemoryLink(cluster.hub, listening=False)
        late = cluster.add(link)
        late.record("connect", "disconnect")
        client = cluster.client(3)
        client.abort()
        cluster.settle()
        assert late.calls == []
        link.begin()
        cluster.settle()
        assert [call[0] for call in late.calls] == ["connect", "disconnect"]
        assert late.stats["sockets"] == 0

    def test_a_question_waits_until_we_hear_the_answer(self, cluster: Cluster) -> None:
        link = MemoryLink(cluster.hub, listening=False)
        late = cluster.add(link)
        client = cluster.client(0)
        late.server.emit("question", [], callback=lambda: None)
        cluster.settle()
        assert names(client) == []
        link.begin()
        cluster.settle()
        assert names(client) == ["question"]

    def test_stats(self, cluster: Cluster) -> None:
        cluster.client(0)
        assert cluster.worlds[0].stats["queue_connected"] == 1
        assert cluster.worlds[0].stats["queue_pending"] == 0


class TestEncodings:
    """Each packet is encoded once; who speaks another encoding makes it anew."""

    @pytest.fixture
    def mixed(self, make_world: MakeWorld) -> Cluster:
        made = Cluster(make_world)
        made.add()
        made.add(serializer=MsgpackSerializer())
        return made

    def test_both_ways(self, mixed: Cluster) -> None:
        text, packed = mixed.client(0), EngineClient.websocket(mixed.worlds[1])
        decoder = MsgpackSerializer().decoder()
        packed.send(b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\xc0")
        mixed.settle()
        mixed.worlds[0].server.emit("from text", [b"\x01", {"a": 1}])
        mixed.worlds[1].server.emit("from packed", [b"\x02", {"a": 1}])
        mixed.settle()
        packets = [decoder.receive_binary(data) for data in packed.received if isinstance(data, bytes)]
        assert [packet.data for packet in packets if packet is not None][1:] == [
            ["from packed", b"\x02", {"a": 1}],
            ["from text", b"\x01", {"a": 1}],
        ]
        assert text.received[-2:] == [
            '451-["from packed",{"_placeholder":true,"num":0},{"a":1}]',
            b"\x02",
        ]

    def test_a_packet_class_of_the_app(self, make_world: MakeWorld) -> None:
        cluster = Cluster(make_world)
        for _ in range(2):
            cluster.add(serializer=PacketClassSerializer(socketio.packet.Packet))
        clients = [cluster.client(0), cluster.client(1)]
        answers: list[Any] = []
        cluster.worlds[0].server.emit("event", [1, b"\x01"], callback=answers.append)
        cluster.emitter(JSONSerializer()).emit("from elsewhere", [b"\x02"])
        cluster.settle()
        for client in clients:
            assert b"\x01" in client.received
            assert client.received[-1] == b"\x02"
        question = str(clients[1].received[1])
        clients[1].send(f"43{question[3 : question.index('[')].lstrip('-')}[2]")
        cluster.settle()
        assert answers == [2]
        assert cluster.worlds[1].refusals == {}

    def test_an_event_with_many_attachments_and_a_callback(self, cluster: Cluster) -> None:
        """The limits for clients do not hold for servers."""
        client = cluster.client(1)
        cluster.worlds[0].server.emit("files", [[b"x"] * 50], callback=lambda: None)
        cluster.settle()
        assert client.received.count(b"x") == 50

    def test_an_unknown_encoding_is_refused(self, cluster: Cluster) -> None:
        client = cluster.client(0)
        body = wire.encode(wire.Event("/", None, [], "another", b"42[]", [], False, None))
        cluster.hub.publish(wire.seal(b"o" * 12, 1, body))
        cluster.settle()
        assert names(client) == []
        assert "encoding unknown here, 'another'" in cluster.worlds[0].logged("message queue: ignored")[0]


class TestEmitter:
    @pytest.mark.parametrize("serializer", [JSONSerializer(), MsgpackSerializer()], ids=["json", "msgpack"])
    def test_it_reaches_the_clients_of_all_servers(self, cluster: Cluster, serializer: Any) -> None:
        clients = three_clients(cluster)
        sids = [client.public_sid() for client in clients]
        emitter = cluster.emitter(serializer)
        emitter.emit("all", [{"a": 1}])
        emitter.emit("some", [], target=Target(("room",)))  # nobody yet
        emitter.enter_room(sids[1], "room")
        emitter.emit("some", [], target=Target(("room",)))
        emitter.leave_room(sids[1], "room")
        emitter.enter_room(sids[2], "room")
        emitter.emit("others", [], target=Target(("room",)))
        emitter.close_room("room")
        emitter.emit("here", [], ignore_queue=True)
        emitter.disconnect(sids[0])
        cluster.settle()
        assert clients[0].events() == [["all", {"a": 1}]]
        assert clients[0].received[-1] == "41"
        assert names(clients[1]) == ["all", "some"]
        assert names(clients[2]) == ["all", "others"]

    def test_what_needs_a_server_is_an_error(self, cluster: Cluster) -> None:
        emitter = cluster.emitter(JSONSerializer())
        with pytest.raises(RuntimeError, match="a callback needs a server"):
            emitter.emit("event", [], callback=lambda: None)
        with pytest.raises(TypeError):
            emitter.emit("event", [object()])
        assert cluster.hub.published == []


CLIENTS = 4
ROOMS = ["r", "s", "own"]
STEP = st.tuples(
    st.sampled_from(["enter", "leave", "close", "emit", "emit", "emit to", "skip", "disconnect"]),
    st.integers(0, 2),  # the server that does it
    st.integers(0, CLIENTS - 1),
    st.sampled_from(ROOMS),
)


def play(steps: list[tuple[str, int, int, str]], cluster: Cluster, servers: int) -> list[list[Any]]:
    """The events that each client gets when clients are spread over so many servers."""
    clients = [cluster.client(index % servers) for index in range(CLIENTS)]
    sids = [client.public_sid() for client in clients]
    for number, (step, at, who, room) in enumerate(steps):
        server = cluster.worlds[at % servers].server
        name: str = sids[who] if room == "own" else room
        if step == "enter":
            server.enter_room(sids[who], sids[who] if room == "own" else room)
        elif step == "leave":
            server.leave_room(sids[who], name)
        elif step == "close":
            server.close_room(name)
        elif step == "emit":
            server.emit("e", [number])
        elif step == "emit to":
            server.emit("e", [number], target=Target((name, "r")))
        elif step == "skip":
            server.emit("e", [number], target=Target((name, "s"), frozenset({sids[who]})))
        else:
            server.disconnect(sids[who])
        cluster.settle()
    return [client.events() for client in clients]


@settings(max_examples=25)
@given(steps=st.lists(STEP, min_size=5, max_size=40))
def test_three_servers_deliver_what_one_does(steps: list[tuple[str, int, int, str]]) -> None:
    outcomes = []
    for servers in (1, 3):
        worlds: list[Any] = []

        def make(worlds: list[Any] = worlds, **options: Any) -> Any:
            from engine_driver import World

            worlds.append(World(**options))
            return worlds[-1]

        cluster = Cluster(make)
        for _ in range(servers):
            cluster.add()
        try:
            outcomes.append(play(steps, cluster, servers))
        finally:
            for world in worlds:
                world.close()
    assert outcomes[0] == outcomes[1]
