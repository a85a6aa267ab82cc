"""Random lives of sessions, checked against what the contract says of all of them.

The model knows nothing of the implementation. Everything that was accepted for a client carries a number;
whatever happens, the client has got a beginning of these numbers, in order and each once, and all of them
unless its disconnect handler has run. The same holds for what it sent.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from engine_driver import NOTHING, EngineClient, World, event_packet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flask_realtime.types import DisconnectReason, Target

REASONS = {reason.value for reason in DisconnectReason}
NAMESPACES = ["/", "/a"]
CLIENTS = st.integers(0, 2)
NAMESPACE = st.sampled_from(NAMESPACES)


class Sessions(RuleBasedStateMachine):
    @initialize(strict=st.booleans(), websockets=st.sets(CLIENTS), every=st.integers(1, 4))
    def start(self, strict: bool, websockets: set[int], every: int) -> None:
        self.steps = 0
        #: everybody has time to react after so many steps
        self.every = every
        self.world = World(namespaces=NAMESPACES, async_handlers=not strict)
        self.clients: list[EngineClient | None] = [None, None, None]
        self.sent_down: defaultdict[str, list[int]] = defaultdict(list)
        self.sent_up: defaultdict[str, list[int]] = defaultdict(list)
        self.got_up: defaultdict[str, list[int]] = defaultdict(list)
        self.got_down: defaultdict[str, list[int]] = defaultdict(list)
        self.connects: list[str] = []
        self.disconnects: dict[str, str] = {}
        self.callbacks: defaultdict[int, int] = defaultdict(int)
        self.number = 0
        for namespace in NAMESPACES:
            self.world.on("connect", self.connected, namespace)
            self.world.on("disconnect", self.disconnected, namespace)
            self.world.on("up", self.receive, namespace)
            self.world.on("slow", self.receive_slowly, namespace)
        for i in range(3):
            self.open(i, i in websockets)

    # Handlers

    def connected(self) -> None:
        assert self.world.sid not in self.connects
        self.connects.append(self.world.sid)

    def disconnected(self, reason: str) -> None:
        sid = self.world.sid
        assert sid in self.connects
        assert sid not in self.disconnects
        assert reason in REASONS
        self.disconnects[sid] = reason

    def receive(self, sid: str, n: int, *data: Any) -> None:
        assert sid == self.world.sid
        assert sid not in self.disconnects
        self.got_up[sid].append(n)

    def receive_slowly(self, sid: str, n: int) -> None:
        self.receive(sid, n)
        self.world.backend.advance(0.25)

    # The client's view

    def next(self) -> int:
        self.number += 1
        return self.number

    def client(self, i: int) -> EngineClient:
        """A client that is connected, as far as it knows; a new one where the last has gone."""
        client = self.clients[i]
        if client is None or client.closed:
            return self.open(i, websocket=self.number % 2 == 0)
        return client

    @staticmethod
    def sid(client: EngineClient, namespace: str) -> str | None:
        """Its sid in a namespace, as far as it knows."""
        prefix = "" if namespace == "/" else namespace + ","
        sid = None
        for packet in client.received:
            if not isinstance(packet, str):
                continue
            if packet.startswith("40" + prefix + "{"):
                sid = json.loads(packet[2 + len(prefix) :])["sid"]
            elif packet == "41" + prefix:
                sid = None
        return None if namespace in client.left else sid  # type: ignore[attr-defined]

    # Sessions

    def open(self, i: int, websocket: bool) -> EngineClient:
        old = self.clients[i]
        if old is not None:
            self.collect(old)
            old.abort()
            self.world.clients.remove(old)
        start = EngineClient.websocket if websocket else EngineClient.polling
        client = self.clients[i] = start(self.world)
        client.joined, client.left = {"/"}, set()  # type: ignore[attr-defined]
        return client.connect()

    @rule(i=CLIENTS, namespace=NAMESPACE)
    def connect(self, i: int, namespace: str) -> None:
        client = self.client(i)
        if namespace not in client.joined:  # type: ignore[attr-defined]
            client.joined.add(namespace)  # type: ignore[attr-defined]
            client.send("40" if namespace == "/" else f"40{namespace},")

    @rule(i=CLIENTS, namespace=NAMESPACE)
    def leave(self, i: int, namespace: str) -> None:
        client = self.client(i)
        if self.sid(client, namespace):
            client.left.add(namespace)  # type: ignore[attr-defined]
            client.send("41" if namespace == "/" else f"41{namespace},")

    # Events

    @rule(i=CLIENTS, namespace=NAMESPACE, count=st.integers(1, 4), binary=st.booleans())
    def emit(self, i: int, namespace: str, count: int, binary: bool) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            for _ in range(count):
                n = self.next()
                self.sent_down[sid].append(n)
                data = [sid, n, b"x"] if binary else [sid, n]
                self.world.server.emit("n", data, namespace, Target((sid,)))

    @rule(namespace=NAMESPACE, room=st.booleans())
    def broadcast(self, namespace: str, room: bool) -> None:
        sids = self.world.server.participants(namespace, "room" if room else None)
        n = self.next()
        for sid in sids:
            self.sent_down[sid].append(n)
        self.world.server.emit("n", ["", n], namespace, Target(("room",) if room else None))

    @rule(i=CLIENTS, namespace=NAMESPACE)
    def emit_with_callback(self, i: int, namespace: str) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            n = self.next()
            self.sent_down[sid].append(n)

            def callback(*args: Any) -> None:
                self.callbacks[n] += 1
                assert self.callbacks[n] == 1

            self.world.server.emit("n", [sid, n], namespace, Target((sid,)), callback)

    @rule(i=CLIENTS)
    def acknowledge(self, i: int) -> None:
        client = self.client(i)
        for packet in client.received:
            if isinstance(packet, str) and packet[:2] == "42":
                body = packet[2:] if packet[2] != "/" else packet.partition(",")[2]
                where = packet[2 : -len(body)]
                if body[0].isdigit():
                    client.send(f"43{where}{body[: body.index('[')]}[]")

    @rule(i=CLIENTS, namespace=NAMESPACE, count=st.integers(1, 4), slow=st.booleans())
    def send(self, i: int, namespace: str, count: int, slow: bool) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            numbers = [self.next() for _ in range(count)]
            self.sent_up[sid] += numbers
            event = "slow" if slow else "up"
            client.send(*[event_packet(event, sid, n, namespace=namespace) for n in numbers])

    @rule(i=CLIENTS, namespace=NAMESPACE)
    def send_binary(self, i: int, namespace: str) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            n = self.next()
            self.sent_up[sid].append(n)
            prefix = "" if namespace == "/" else namespace + ","
            data = json.dumps(["up", sid, n, {"_placeholder": True, "num": 0}])
            client.send(f"451-{prefix}{data}", b"x" * 200)

    # Rooms

    @rule(i=CLIENTS, namespace=NAMESPACE, enter=st.booleans())
    def room(self, i: int, namespace: str, enter: bool) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            (self.world.server.enter_room if enter else self.world.server.leave_room)(sid, "room", namespace)

    # The upgrade

    @rule(i=CLIENTS)
    def climb(self, i: int) -> None:
        """The next rung."""
        client = self.client(i)
        candidate = client.candidate
        if client.ws is not None:
            return
        if candidate is None:
            client.connect_candidate().send("2probe")
        elif "3probe" in candidate.received and not candidate.eof:
            candidate.received.remove("3probe")
            client.complete_upgrade()

    @rule(i=CLIENTS)
    def upgrade(self, i: int) -> None:
        """The whole ladder, with traffic on every rung."""
        client = self.client(i)
        if client.ws is None and client.candidate is None:
            candidate = client.connect_candidate()
            self.emit(i, "/", 2, False)
            self.send(i, "/", 2, False)
            candidate.send("2probe")
            self.emit(i, "/", 1, True)
            self.world.settle()
            self.emit(i, "/", 1, False)
            self.send(i, "/", 1, False)
            self.climb(i)
            self.send(i, "/", 1, False)

    @rule(i=CLIENTS, how=st.sampled_from(["abort", "close", "garbage", "5", "binary"]))
    def fail_upgrade(self, i: int, how: str) -> None:
        client = self.client(i)
        if client.candidate is None:
            return
        candidate = client.candidate
        if how == "abort":
            candidate.abort()
        elif how == "close":
            candidate.close()
        elif how == "garbage":
            candidate.send_raw(b"\x00\x00")
        elif how == "binary":
            candidate.send(b"x")
        else:
            candidate.send("4x")
        self.world.settle()
        self.back_to_polling(client)

    def back_to_polling(self, client: EngineClient) -> None:
        client.candidate = None
        client.keep_polling = True

    @rule(i=CLIENTS)
    def second_websocket(self, i: int) -> None:
        client = self.client(i)
        if client.ws is not None or client.candidate is not None:
            candidate = client.candidate
            client.connect_candidate()
            self.world.settle()
            client.candidate = candidate

    # Polling

    @rule(i=CLIENTS, on=st.booleans())
    def poll(self, i: int, on: bool) -> None:
        client = self.client(i)
        if client.ws is None and client.candidate is None:
            client.keep_polling = on

    # Ends

    @rule(i=CLIENTS, how=st.sampled_from(["abort", "1", "9", "4abc", "42{}", "second get", "response fails"]))
    def end(self, i: int, how: str) -> None:
        client = self.client(i)
        polling = client.ws is None and client.candidate is None
        if how == "abort":
            self.collect(client)
            client.abort()
        elif how == "second get":
            if polling and client.poll is not None:
                self.world.request(query=client.query).serve()
        elif how == "response fails":
            if polling and client.poll is None:
                exchange = self.world.request(query=client.query)
                exchange.give_up()
                exchange.close()
                client.closed = True
        else:
            client.send(how)

    @rule(i=CLIENTS, namespace=NAMESPACE)
    def disconnect(self, i: int, namespace: str) -> None:
        client = self.client(i)
        sid = self.sid(client, namespace)
        if sid:
            self.world.server.disconnect(sid, namespace)

    @rule(i=CLIENTS, answer=st.booleans())
    def answer_pings(self, i: int, answer: bool) -> None:
        client = self.client(i)
        client.answer_pings = answer

    @rule(i=CLIENTS, stalled=st.booleans())
    def read(self, i: int, stalled: bool) -> None:
        client = self.client(i)
        if client.ws is not None:
            client.ws.stalled = stalled

    @rule(seconds=st.sampled_from([0.05, 0.2, 5, 11, 26]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds, step=5)

    @rule()
    def settle(self) -> None:
        self.world.settle()

    # What holds

    def collect(self, client: EngineClient) -> None:
        """What a client has got so far."""
        where = dict.fromkeys(NAMESPACES, "")
        for packet in client.received:
            if not isinstance(packet, str) or packet[:1] != "4":
                continue
            kind, rest = packet[1], packet[2:]
            if kind == "5":
                rest = rest.partition("-")[2]
            namespace = "/"
            if rest.startswith("/"):
                namespace, _, rest = rest.partition(",")
            data = rest.lstrip("0123456789")
            if kind == "0":
                where[namespace] = json.loads(data)["sid"]
            elif kind in "25":
                _, sid, n, *_ = json.loads(data)
                assert sid in ("", where[namespace])
                self.got_down[where[namespace]].append(n)
        client.received = [p for p in client.received if isinstance(p, str) and p[:2] in ("40", "41")]

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        self.steps += 1
        if self.steps % self.every == 0:
            self.world.settle()
        for client in self.clients:
            assert client is not None
            if client.candidate is not None and client.candidate.eof:
                self.back_to_polling(client)
        for sid, got in self.got_up.items():
            assert got == self.sent_up[sid][: len(got)]
        assert set(self.disconnects) <= set(self.connects)
        stats = self.world.stats
        assert stats["handlers_running"] == 0
        assert stats["sessions"] <= self.number + 3 + self.steps

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        for client in self.clients:
            if client is not None and not client.closed:
                client.keep_polling = client.ws is None
                for ws in (client.ws, client.candidate):
                    if ws is not None:
                        ws.stalled = False
                if client.candidate is not None:
                    client.candidate.abort()
                    world.settle()
                    client.candidate = None
                    client.keep_polling = True
        world.settle()
        for client in self.clients:
            if client is not None:
                self.collect(client)
        for sid in self.connects:
            down, up = self.got_down[sid], self.got_up[sid]
            assert down == self.sent_down[sid][: len(down)]
            assert up == self.sent_up[sid][: len(up)]
            known = any(client is not None and not client.closed for client in self.clients)
            if sid not in self.disconnects and known:
                assert up == self.sent_up[sid]
        for client in self.clients:
            if client is not None and not client.closed:
                for namespace in NAMESPACES:
                    sid = self.sid(client, namespace)
                    if sid and sid not in self.disconnects:
                        assert self.got_down[sid] == self.sent_down[sid]
                client.abort()
        world.clients.clear()
        world.advance(100, step=5)
        assert sorted(self.disconnects) == sorted(self.connects)
        assert world.stats == NOTHING
        assert world.tracebacks == []
        world.close()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=50)
