"""python-socketio's client on every row, in a namespace of functions and in one of coroutine functions."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import socketio
from acceptance import wire
from acceptance.wire import TIMEOUT
from locked_tls import LockedTLSContext
from matrix.conftest import TRANSPORTS
from python_client import KNOWN_REASONS, WARNINGS, Client
from servers import RunningServer, ServerKind, self_signed_certificate

pytestmark = WARNINGS
NAMESPACES = ["/", "/a", "/async"]
DATA = bytes(range(256))
VALUES: list[tuple[Any, ...]] = [
    (),
    ("héllo 😀",),
    (1, "2", {"3": [True, None]}),
    ([1, [2, []]],),
    (DATA, b""),
    ({"a": DATA, "b": [{"c": DATA}]}, "text", DATA),
]
MEGABYTE = 1_000_000
NewClient = Callable[..., Client]


@pytest.fixture(scope="module")
def closers() -> Iterator[ThreadPoolExecutor]:
    """They close clients while the next tests run: on polling, a client may wait for the next PING then."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
    gc.collect()  # sockets; here and not in the middle of another module's test


@pytest.fixture
def new_client(kind: ServerKind, transport: str, closers: ThreadPoolExecutor) -> Iterator[NewClient]:
    """Makes clients, on the test's transport unless it names another."""
    with contextlib.ExitStack() as stack:

        def make(name: str = transport) -> Client:
            client = Client(name, **(_verified_tls() if kind.tls else {}))
            stack.callback(closers.submit, client.close)
            return client

        yield make


def _verified_tls() -> dict[str, Any]:
    """Options of a client that trusts our own certificate, and no other."""
    session = requests.Session()
    session.verify = str(self_signed_certificate()[0])
    session.trust_env = False  # REQUESTS_CA_BUNDLE would go before verify
    tls = {"sslopt": {"context": LockedTLSContext()}}
    return {"ssl_verify": True, "http_session": session, "websocket_extra_options": tls}


@pytest.fixture
def client(new_client: NewClient, server: RunningServer) -> Client:
    """In all of ``NAMESPACES``, past their events ``auth``."""
    return enter(new_client(), server)


@pytest.fixture
def others(new_client: NewClient, server: RunningServer, kind: ServerKind) -> list[Client]:
    """One more client on each transport."""
    return [enter(new_client(name), server) for name in TRANSPORTS if kind.websocket or name == "polling"]


def enter(client: Client, server: RunningServer) -> Client:
    client.connect(server.url, NAMESPACES)
    assert sorted(client.next_event() for _ in NAMESPACES) == [(name, "auth", {}) for name in NAMESPACES]
    return client


def test_default_transports_end_on_the_best_one(client: Client, transport: str, kind: ServerKind) -> None:
    expected = "websocket" if transport != "polling" and kind.websocket else "polling"
    assert client.sio.transport() == expected


def test_events_and_acks(client: Client) -> None:
    for namespace in NAMESPACES:
        for args in VALUES:
            client.emit("echo", *args, namespace=namespace)
            assert client.next_event() == (namespace, "echo-back", *args)
            client.emit("message", *args, namespace=namespace)
            assert client.next_event() == (namespace, "message-back", *args)
            # the client gives None for no value, the value for one, a tuple for several
            expected = args if len(args) > 1 else args[0] if args else None
            assert client.call("echo-ack", *args, namespace=namespace) == expected


def test_namespaces_are_apart(client: Client) -> None:
    sids = {namespace: client.sid(namespace) for namespace in NAMESPACES}

    assert len(set(sids.values())) == len(NAMESPACES)
    for namespace, sid in sids.items():
        assert client.call("whoami", namespace=namespace) == {"sid": sid, "nsp": namespace}


@pytest.mark.parametrize("answer", [None, (1, "two"), {"deep": [DATA]}], ids=["nothing", "several", "binary"])
def test_the_client_acks(client: Client, answer: Any) -> None:
    client.answers["request"] = answer
    values = answer if isinstance(answer, tuple) else () if answer is None else (answer,)
    for namespace in NAMESPACES:
        client.emit("call-me", DATA, namespace=namespace)
        assert client.next_event() == (namespace, "request", DATA)
        assert client.next_event() == (namespace, "call-result", *values)


def test_a_handler_that_raises(client: Client) -> None:
    """It gives no ack, and nothing else happens."""
    for namespace in NAMESPACES:
        acks: queue.Queue[Any] = queue.Queue()
        client.sio.emit("raise", namespace=namespace, callback=lambda *args, acks=acks: acks.put(args))
        assert client.call("echo-ack", 1, namespace=namespace) == 1
        assert acks.empty()


@pytest.mark.kinds(tls=False)
def test_rooms(client: Client, others: list[Client]) -> None:
    everyone = [client, *others]
    for namespace in NAMESPACES:
        room = f"room-{client.sid(namespace)}"
        for member in everyone:
            assert member.call("join", room, namespace=namespace) == "ok"
        client.emit("to-room", room, {"data": DATA}, namespace=namespace)
        for member in everyone:
            assert member.next_event() == (namespace, "room-msg", {"data": DATA})

        client.emit("to-room-others", room, "others", namespace=namespace)
        for member in others:
            assert member.next_event() == (namespace, "room-msg", "others")

        assert others[-1].call("leave", room, namespace=namespace) == "ok"
        client.emit("to-room", room, "left", namespace=namespace)
        for member in everyone[:-1]:
            assert member.next_event() == (namespace, "room-msg", "left")

        assert client.call("close-room", room, namespace=namespace) == "ok"
        client.emit("to-room", room, "closed", namespace=namespace)
        assert_nothing_waits(everyone, namespace)


def test_broadcast(client: Client, others: list[Client], server: RunningServer) -> None:
    everyone = [client, *others]
    for namespace in NAMESPACES:
        for value in ("text", DATA, {"deep": [DATA]}):
            client.emit("broadcast", value, namespace=namespace)
            for member in everyone:
                assert member.next_event() == (namespace, "broadcast-msg", value)
    assert wire.request(f"{server.url}/emit?event=from-http&data=D").status == 200
    for member in everyone:
        assert member.next_event() == ("/", "from-http", "D")
    assert_nothing_waits(everyone, "/")


def assert_nothing_waits(clients: list[Client], namespace: str) -> None:
    """An ack that was asked for last is what arrives next."""
    for client in clients:
        assert client.call("echo-ack", 1, namespace=namespace) == 1
        assert client.events.empty()


def test_refusal(new_client: NewClient, server: RunningServer) -> None:
    client = new_client()
    with pytest.raises(socketio.exceptions.ConnectionError, match="/auth"):
        client.connect(server.url, ["/auth"], {"token": "wrong"})

    explanation = {"message": "not authorized", "data": {"code": 42}}
    assert client.next_event() == ("/auth", "connect_error", explanation)


def test_admission(new_client: NewClient, server: RunningServer) -> None:
    client = new_client()
    client.connect(server.url, ["/auth"], {"token": "secret"})

    assert client.next_event() == ("/auth", "auth", {"token": "secret"})
    assert client.call("echo-ack", 1, namespace="/auth") == 1


@pytest.mark.kinds(tls=False)
def test_disconnect_by_the_client(client: Client, new_client: NewClient, server: RunningServer) -> None:
    sids = {namespace: client.sid(namespace) for namespace in NAMESPACES}
    # The client may close its transport before its DISCONNECT packets are out; on polling, that is silence.
    known = {"client disconnect", "transport close"}
    if client.sio.transport() == "polling":
        known.add("ping timeout")
    client.sio.disconnect()

    observer = enter(new_client(), server)
    for namespace, sid in sids.items():
        reason = wire.wait_until(lambda: reason_of(observer, sid, namespace))  # noqa: B023
        assert reason in known


@pytest.mark.kinds(tls=False)
def test_disconnect_by_the_server(client: Client, new_client: NewClient, server: RunningServer) -> None:
    sids = {namespace: client.sid(namespace) for namespace in NAMESPACES}
    observer = enter(new_client(), server)
    for namespace in NAMESPACES:
        client.emit("disconnect-me", namespace=namespace)
        assert client.next_event() == (namespace, "disconnect", "server disconnect")
    wire.wait_until(lambda: not client.sio.connected)

    for namespace, sid in sids.items():
        reason = wire.wait_until(lambda: reason_of(observer, sid, namespace))  # noqa: B023
        assert reason == "server disconnect"
        assert reason in KNOWN_REASONS


def reason_of(observer: Client, sid: str, namespace: str) -> str | None:
    reasons = [
        entry["reason"]
        for entry in observer.call("last-disconnects")
        if (entry["sid"], entry["nsp"]) == (sid, namespace)
    ]
    assert len(reasons) <= 1, reasons
    return reasons[0] if reasons else None


def test_big_messages(client: Client) -> None:
    client.emit("big", MEGABYTE)
    assert client.next_event() == ("/", "big-back", "x" * MEGABYTE)
    client.emit("big-binary", MEGABYTE)
    assert client.next_event() == ("/", "big-back", b"\x07" * MEGABYTE)

    for value in ("é" * (MEGABYTE // 2), DATA * (MEGABYTE // 256)):
        (described,) = client.call("describe", value)
        data = value.encode() if isinstance(value, str) else value
        assert described["len"] == len(value)
        assert described["sha1"] == hashlib.sha1(data).hexdigest()


def test_bursts_stay_in_order(client: Client) -> None:
    for namespace in NAMESPACES:
        client.emit("burst", 500, namespace=namespace)
        assert [client.next_event() for _ in range(500)] == [(namespace, "burst-item", i) for i in range(500)]


def test_events_of_a_client_stay_in_order(client: Client) -> None:
    for i in range(100):
        client.emit("echo", i)
    assert [client.next_event(TIMEOUT) for _ in range(100)] == [("/", "echo-back", i) for i in range(100)]
