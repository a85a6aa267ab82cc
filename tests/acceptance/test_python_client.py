"""python-socketio's clients, as they come from its package, against the contract app."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib.util
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import engineio
import pytest
import socketio
from acceptance import settings, wire
from acceptance.conftest import ServerPool
from acceptance.wire import TIMEOUT, CuttingProxy
from python_client import KNOWN_REASONS, TRANSPORTS, WARNINGS, Client
from servers import RunningServer, ServerKind, start

pytestmark = WARNINGS


@pytest.fixture(scope="module", autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here and not in the middle of another module's test."""
    yield
    gc.collect()


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    return server_pool.get(kind, "contract", settings.CLIENTS)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param == "websocket" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


@pytest.fixture
def new_client(transport: str) -> Iterator[Callable[..., Client]]:
    """Makes clients, on the test's transport unless it names another."""
    with contextlib.ExitStack() as stack:

        def make(name: str = transport, **options: Any) -> Client:
            client = Client(name, **options)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(new_client: Callable[..., Client], server: RunningServer) -> Client:
    """In ``/``, past the event ``auth``."""
    client = new_client()
    client.connect(server.url)
    assert client.next_event() == ("/", "auth", {})
    return client


@pytest.fixture
def others(new_client: Callable[..., Client], server: RunningServer, kind: ServerKind) -> list[Client]:
    """One more client on each transport."""
    clients = [new_client(name) for name in TRANSPORTS if kind.websocket or name == "polling"]
    for client in clients:
        client.connect(server.url)
        assert client.next_event() == ("/", "auth", {})
    return clients


class TestConnect:
    def test_transport(self, client: Client, transport: str, kind: ServerKind) -> None:
        expected = "websocket" if transport != "polling" and kind.websocket else "polling"
        assert client.sio.transport() == expected
        assert client.call("whoami") == {"sid": client.sid(), "nsp": "/"}

    def test_auth_reaches_the_server(self, new_client: Callable[..., Client], server: RunningServer) -> None:
        client = new_client()
        client.connect(server.url, auth=lambda: {"token": "t", "n": 1})

        assert client.next_event() == ("/", "auth", {"token": "t", "n": 1})

    def test_namespaces(self, new_client: Callable[..., Client], server: RunningServer) -> None:
        client = new_client()
        namespaces = ["/", "/a", "/b", "/custom"]
        client.connect(server.url, namespaces)
        assert sorted(client.next_event() for _ in namespaces) == [(name, "auth", {}) for name in namespaces]

        assert len({client.sid(name) for name in namespaces}) == 4
        for name in namespaces[:3]:
            assert client.call("whoami", namespace=name) == {"sid": client.sid(name), "nsp": name}
            client.emit("echo", name, namespace=name)
            assert client.next_event() == (name, "echo-back", name)

    def test_unknown_namespace(self, new_client: Callable[..., Client], server: RunningServer) -> None:
        client = new_client()
        with pytest.raises(socketio.exceptions.ConnectionError, match="/random"):
            client.connect(server.url, ["/random"])

        assert client.next_event() == ("/random", "connect_error", {"message": "Invalid namespace"})

    @pytest.mark.parametrize("auth", [None, {"token": "wrong"}])
    def test_refusal(self, new_client: Callable[..., Client], server: RunningServer, auth: Any) -> None:
        client = new_client()
        with pytest.raises(socketio.exceptions.ConnectionError, match="/auth"):
            client.connect(server.url, ["/auth"], auth)

        explanation = {"message": "not authorized", "data": {"code": 42}}
        assert client.next_event() == ("/auth", "connect_error", explanation)

    def test_admission(self, new_client: Callable[..., Client], server: RunningServer) -> None:
        client = new_client()
        client.connect(server.url, ["/auth"], {"token": "secret"})

        assert client.next_event() == ("/auth", "auth", {"token": "secret"})
        assert client.call("echo-ack", 1, namespace="/auth") == 1

    def test_heartbeats(
        self, new_client: Callable[..., Client], server_pool: ServerPool, kind: ServerKind
    ) -> None:
        """An idle client stays connected for many of them."""
        client = new_client()
        quick = {**settings.CLIENTS, "APP_PING_INTERVAL": "0.2", "APP_PING_TIMEOUT": "0.5"}
        client.connect(server_pool.get(kind, "contract", quick).url)
        sid = client.sid()
        time.sleep(1.5)

        assert client.call("whoami") == {"sid": sid, "nsp": "/"}


DATA = bytes(range(256))
BACK: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "text": ("héllo 😀",),
    "several": (1, "2", {"3": [True, None]}),
    "None": (None,),
    "list": ([1, [2, []]],),
    "binary": (DATA,),
    "nested binary": ({"a": DATA, "b": [b"", {"c": DATA}]}, "text", DATA),
}


class TestEvents:
    @pytest.mark.parametrize("args", BACK.values(), ids=BACK.keys())
    @pytest.mark.parametrize(("event", "answer"), [("message", "message-back"), ("echo", "echo-back")])
    def test_echo(self, client: Client, event: str, answer: str, args: tuple[Any, ...]) -> None:
        client.emit(event, *args)

        assert client.next_event() == ("/", answer, *args)

    @pytest.mark.parametrize("args", BACK.values(), ids=BACK.keys())
    @pytest.mark.parametrize("event", ["message-with-ack", "echo-ack"])
    def test_ack(self, client: Client, event: str, args: tuple[Any, ...]) -> None:
        # the client gives None for no value, the value for one, a tuple for several
        expected = args if len(args) > 1 else args[0] if args else None

        assert client.call(event, *args) == expected

    def test_callback(self, client: Client) -> None:
        answers: queue.Queue[tuple[Any, ...]] = queue.Queue()
        client.sio.emit("echo-ack", (1, DATA), callback=lambda *args: answers.put(args))

        assert answers.get(timeout=TIMEOUT) == (1, DATA)

    def test_describe(self, client: Client) -> None:
        sha1 = hashlib.sha1(DATA).hexdigest()

        assert client.call("describe", None, False, 2, "ab", DATA, [1], {"k": 1}) == [
            {"t": "null"},
            {"t": "bool", "v": False},
            {"t": "number", "v": 2},
            {"t": "string", "len": 2, "sha1": hashlib.sha1(b"ab").hexdigest()},
            {"t": "binary", "len": 256, "sha1": sha1},
            {"t": "array", "v": [1]},
            {"t": "object", "v": {"k": 1}},
        ]

    def test_delayed_ack(self, client: Client) -> None:
        started = time.monotonic()

        assert client.call("ack-delay", 300, "late") == "late"
        assert time.monotonic() - started > 0.25

    def test_unhandled_event_is_not_acked(self, client: Client) -> None:
        with pytest.raises(socketio.exceptions.TimeoutError):
            client.sio.call("no-such-event", timeout=0.3)
        assert client.call("echo-ack", 1) == 1

    def test_handler_that_raises(self, client: Client) -> None:
        with pytest.raises(socketio.exceptions.TimeoutError):
            client.sio.call("raise", timeout=0.3)
        assert client.call("echo-ack", 1) == 1

    def test_make_binary(self, client: Client) -> None:
        client.emit("make-binary", 300)
        data = bytes(i % 256 for i in range(300))

        assert client.next_event() == ("/", "binary", {"a": data, "b": [data, {"c": data}], "n": 300})

    @pytest.mark.parametrize("answer", [None, "one", (1, "two"), DATA, {"deep": [DATA]}])
    def test_call_me(self, client: Client, answer: Any) -> None:
        client.answers["request"] = answer
        client.emit("call-me", {"q": 1})
        assert client.next_event() == ("/", "request", {"q": 1})

        values = answer if isinstance(answer, tuple) else () if answer is None else (answer,)
        assert client.next_event() == ("/", "call-result", *values)

    def test_big(self, client: Client) -> None:
        client.emit("big", 2_000_000)
        assert client.next_event() == ("/", "big-back", "x" * 2_000_000)
        client.emit("big-binary", 2_000_000)
        assert client.next_event() == ("/", "big-back", b"\x07" * 2_000_000)

    def test_big_from_the_client(self, client: Client) -> None:
        data = DATA * 8_000

        (described,) = client.call("describe", data)
        assert described == {"t": "binary", "len": len(data), "sha1": hashlib.sha1(data).hexdigest()}

    def test_burst(self, client: Client, any_number_of_packets: None) -> None:
        client.emit("burst", 1000)

        assert [client.next_event() for _ in range(1000)] == [("/", "burst-item", i) for i in range(1000)]

    def test_many_events_in_order(self, client: Client, any_number_of_packets: None) -> None:
        for i in range(200):
            client.emit("echo", i)

        assert [client.next_event() for _ in range(200)] == [("/", "echo-back", i) for i in range(200)]

    def test_no_response_holds_more_than_the_client_takes(self, client: Client) -> None:
        """python-engineio refuses a polling response of more than 16 packets, and drops the connection."""
        sid = client.sid()
        client.emit("burst", 100)

        assert [client.next_event() for _ in range(100)] == [("/", "burst-item", i) for i in range(100)]
        assert client.sid() == sid


@pytest.fixture
def any_number_of_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What python-engineio's documentation says to do against "Too many packets in payload"."""
    monkeypatch.setattr(engineio.payload.Payload, "max_decode_packets", 10_000)


class TestRooms:
    def test_rooms(self, client: Client, others: list[Client]) -> None:
        room = f"room-{client.sid()}"
        for member in (client, *others):
            assert member.call("join", room) == "ok"
        client.emit("to-room", room, {"data": DATA})
        for member in (client, *others):
            assert member.next_event() == ("/", "room-msg", {"data": DATA})

        client.emit("to-room-others", room, "others")
        for member in others:
            assert member.next_event() == ("/", "room-msg", "others")

        assert others[-1].call("leave", room) == "ok"
        client.emit("to-room", room, "left")
        for member in (client, *others[:-1]):
            assert member.next_event() == ("/", "room-msg", "left")

        assert client.call("close-room", room) == "ok"
        client.emit("to-room", room, "closed")
        assert_nothing_waits(client, *others)

    def test_broadcast(self, client: Client, others: list[Client]) -> None:
        for value in ("text", DATA, {"deep": [DATA]}):
            client.emit("broadcast", value)
            for member in (client, *others):
                assert member.next_event() == ("/", "broadcast-msg", value)
        assert_nothing_waits(client, *others)

    def test_emit_from_a_route(self, client: Client, others: list[Client], server: RunningServer) -> None:
        assert wire.request(f"{server.url}/emit?event=from-http&data=D").status == 200

        for member in (client, *others):
            assert member.next_event() == ("/", "from-http", "D")


def assert_nothing_waits(*clients: Client) -> None:
    for client in clients:
        assert client.call("echo-ack", 1) == 1
        assert client.events.empty()


class TestDisconnect:
    def test_by_the_client(self, client: Client, others: list[Client]) -> None:
        sid = client.sid()
        # The client may close its transport before its DISCONNECT packet is out; on polling, that is silence.
        known = {"client disconnect", "transport close"}
        if client.sio.transport() == "polling":
            known.add("ping timeout")
        client.sio.disconnect()

        assert client.next_event() == ("/", "disconnect", "client disconnect")
        assert wire.wait_until(lambda: reason_of(others[0], sid)) in known

    def test_by_the_server(self, client: Client, others: list[Client]) -> None:
        sid = client.sid()
        client.emit("disconnect-me")

        assert client.next_event() == ("/", "disconnect", "server disconnect")
        assert wire.wait_until(lambda: reason_of(others[0], sid)) == "server disconnect"
        wire.wait_until(lambda: not client.sio.connected)

    def test_one_namespace_by_the_server(
        self, new_client: Callable[..., Client], server: RunningServer
    ) -> None:
        client = new_client()
        client.connect(server.url, ["/", "/a"])
        assert {client.next_event()[0], client.next_event()[0]} == {"/", "/a"}
        client.emit("disconnect-me", namespace="/a")

        assert client.next_event() == ("/a", "disconnect", "server disconnect")
        assert client.call("echo-ack", "still here") == "still here"

    def test_reconnect_after_the_connection_was_cut(
        self, new_client: Callable[..., Client], server: RunningServer, others: list[Client]
    ) -> None:
        with CuttingProxy(server.url) as proxy:
            client = new_client()
            client.connect(proxy.url)
            assert client.next_event() == ("/", "auth", {})
            sid = client.sid()
            assert client.call("join", "kept-room") == "ok"

            # a cut between two polls goes unnoticed
            wire.wait_until(lambda: proxy.cut() and has_event(client), what="the client notices the cut")

            assert client.next_event()[:2] == ("/", "disconnect")
            assert client.next_event() == ("/", "auth", {})
            assert client.sid() != sid
            assert client.call("whoami") == {"sid": client.sid(), "nsp": "/"}
            client.emit("to-room", "kept-room", "rooms do not outlive a connection")
            assert_nothing_waits(client)
            assert wire.wait_until(lambda: reason_of(others[0], sid)) in KNOWN_REASONS
            client.close()

    def test_reconnect_after_the_server_was_restarted(
        self, new_client: Callable[..., Client], kind: ServerKind, transport: str
    ) -> None:
        client = new_client()
        with start(kind, "contract", settings.CLIENTS) as server:
            port = server.port
            client.connect(server.url)
            assert client.next_event() == ("/", "auth", {})
            sid = client.sid()
            if transport == "polling":
                # the close packet of an orderly end is final for this client, which then does not reconnect
                server.kill()
        assert client.next_event()[:2] == ("/", "disconnect")

        with start(kind, "contract", settings.CLIENTS, port=port):
            while (event := client.next_event(timeout=20))[1] == "connect_error":
                pass  # a try while nobody listened
            assert event == ("/", "auth", {})
            assert client.sid() != sid
            assert client.call("echo-ack", 1) == 1
            client.close()


def has_event(client: Client) -> bool:
    deadline = time.monotonic() + 0.3
    while client.events.empty() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not client.events.empty()


def reason_of(observer: Client, sid: str) -> str | None:
    entries = observer.call("last-disconnects")
    return next((entry["reason"] for entry in entries if entry["sid"] == sid), None)


class TestSimpleClient:
    @pytest.fixture
    def simple(self, server: RunningServer, transport: str) -> Iterator[socketio.SimpleClient]:
        with socketio.SimpleClient(handle_sigint=False, ssl_verify=False) as simple:
            simple.connect(server.url, transports=TRANSPORTS[transport], namespace="/a", wait_timeout=TIMEOUT)
            assert simple.receive(timeout=TIMEOUT) == ["auth", {}]
            yield simple

    def test_emit_and_receive(self, simple: socketio.SimpleClient) -> None:
        simple.emit("echo", ("text", 1))

        assert simple.receive(timeout=TIMEOUT) == ["echo-back", "text", 1]

    def test_call(self, simple: socketio.SimpleClient) -> None:
        assert simple.call("whoami", timeout=TIMEOUT) == {"sid": simple.sid, "nsp": "/a"}
        assert simple.call("echo-ack", {"k": [1]}, timeout=TIMEOUT) == {"k": [1]}


class TestMsgpack:
    @pytest.fixture
    def client(
        self,
        new_client: Callable[..., Client],
        server_pool: ServerPool,
        kind: ServerKind,
        require: Callable[[str, object], None],
    ) -> Client:
        require("msgpack", importlib.util.find_spec("msgpack"))
        client = new_client(serializer="msgpack")
        client.connect(server_pool.get(kind, "contract", settings.CLIENTS_MSGPACK).url, ["/", "/a"])
        assert sorted([client.next_event(), client.next_event()]) == [("/", "auth", {}), ("/a", "auth", {})]
        return client

    @pytest.mark.parametrize("args", BACK.values(), ids=BACK.keys())
    def test_echo(self, client: Client, args: tuple[Any, ...]) -> None:
        client.emit("echo", *args)
        assert client.next_event() == ("/", "echo-back", *args)
        expected = args if len(args) > 1 else args[0] if args else None
        assert client.call("echo-ack", *args, namespace="/a") == expected

    def test_call_me(self, client: Client) -> None:
        client.answers["request"] = (DATA, 1)
        client.emit("call-me", DATA)

        assert client.next_event() == ("/", "request", DATA)
        assert client.next_event() == ("/", "call-result", DATA, 1)

    def test_disconnect(self, client: Client) -> None:
        client.emit("disconnect-me", namespace="/a")

        assert client.next_event() == ("/a", "disconnect", "server disconnect")
        assert client.call("echo-ack", 1) == 1
