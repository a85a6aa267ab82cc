"""Raw Engine.IO on every row: what depends on the server below."""

from __future__ import annotations

import contextlib
import time

import pytest
from acceptance import settings, wire
from acceptance.wire import Closed, Polling, WebSocket, WebSocketTransport
from matrix.conftest import ServerPool
from servers import RunningServer, ServerKind

WEBSOCKET = pytest.mark.kinds(websocket=True)
PATH = "engine.io"
HANDSHAKE = {"pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}
MESSAGES: list[wire.Packet] = [
    "4hello",
    "4",
    "4héllo € 😀",
    "42probe",
    b"\x01\x02\x03",
    b"",
    bytes(range(256)),
]
REFUSED = {
    "no EIO": ("GET", "transport=polling"),
    "EIO=3": ("GET", "EIO=3&transport=polling"),
    "no transport": ("GET", "EIO=4"),
    "unknown transport": ("GET", "EIO=4&transport=abc"),
    "POST without sid": ("POST", "EIO=4&transport=polling"),
    "PUT without sid": ("PUT", "EIO=4&transport=polling"),
    "unknown sid": ("GET", "EIO=4&transport=polling&sid=abcdefghijklmnopqrst"),
    "POST with unknown sid": ("POST", "EIO=4&transport=polling&sid=abcdefghijklmnopqrst"),
}


@pytest.fixture
def quick_server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """The echo app; a PING every 300 ms, 200 ms to answer it."""
    return server_pool.get(kind, "engine_echo", settings.OFFICIAL)


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """Without a heartbeat that gets in the way."""
    return server_pool.get(kind, "engine_echo", settings.CALM)


def assert_refused(reply: wire.Reply, *statuses: int) -> None:
    """A 4xx that explains itself."""
    assert reply.status in (statuses or (400,))
    assert set(reply.json()) == {"code", "message"}


def assert_upgrade_refused(server: RunningServer, target: str) -> None:
    """At once, and with a reason: a reply, or a close code where the server has accepted it before."""
    started = time.monotonic()
    if server.kind.refuses_upgrades:
        with pytest.raises(wire.Refused) as refused, WebSocket(server.url, target):
            pass
        # an ASGI server without the extension "websocket.http.response" says 403 whatever the app thinks
        if server.kind.interface != "asgi" or refused.value.reply.status != 403:
            assert_refused(refused.value.reply)
    else:
        with WebSocket(server.url, target) as websocket:
            assert websocket.wait_closed().code is not None
    assert time.monotonic() - started < 2


def test_handshake_over_polling(quick_server: RunningServer) -> None:
    with Polling(quick_server.url, PATH) as session:
        upgrades = ["websocket"] if quick_server.kind.websocket else []
        assert session.handshake == {**HANDSHAKE, "sid": session.sid, "upgrades": upgrades}
        assert "no-store" in session.open_reply.headers["Cache-Control"]


@WEBSOCKET
def test_handshake_over_websocket(quick_server: RunningServer) -> None:
    with WebSocketTransport.open(quick_server.url, PATH) as session:
        assert session.handshake == {**HANDSHAKE, "sid": session.sid, "upgrades": []}


def test_echo(server: RunningServer, raw_transport: str) -> None:
    with wire.open_transport(raw_transport, server.url, PATH) as session:
        for message in MESSAGES:
            session.send(message)
        assert session.receive_many(len(MESSAGES)) == MESSAGES


def test_a_payload_of_several_packets(server: RunningServer) -> None:
    with Polling(server.url, PATH) as session:
        session.send_payload("4a", b"\x01\x02", "4", "4€", b"")
        assert session.receive_many(5) == ["4a", b"\x01\x02", "4", "4€", b""]


@WEBSOCKET
def test_frame_sizes(server: RunningServer) -> None:
    with WebSocketTransport.open(server.url, PATH) as session:
        for size in (125, 126, 65_535, 65_536, 900_000):
            session.send(b"\x07" * size)
            assert session.receive() == b"\x07" * size


class TestHeartbeat:
    def test_polling(self, quick_server: RunningServer) -> None:
        with Polling(quick_server.url, PATH) as session:
            for _ in range(2):
                assert session.get().text == "2"
                assert session.post("3").text == "ok"

    def test_polling_without_a_pong(self, quick_server: RunningServer) -> None:
        session = Polling(quick_server.url, PATH)
        assert session.get().text == "2"

        # waits at the server when the time is over, or comes later
        reply = session.get()
        assert reply.status in {200, 400}
        assert reply.status == 400 or reply.text == "1"
        assert_refused(session.get())

    @WEBSOCKET
    def test_websocket(self, quick_server: RunningServer) -> None:
        with WebSocketTransport.open(quick_server.url, PATH) as session:
            for _ in range(2):
                assert session.receive_packet() == "2"
                session.send("3")

    @WEBSOCKET
    def test_websocket_without_a_pong(self, quick_server: RunningServer) -> None:
        with WebSocketTransport.open(quick_server.url, PATH) as session:
            assert session.receive_packet() == "2"
            with pytest.raises(Closed):
                session.receive_packet(timeout=2)


class TestUpgrade:
    pytestmark = WEBSOCKET

    def test_ladder(self, server: RunningServer) -> None:
        polling = Polling(server.url, PATH)
        waiting = polling.start_get()
        websocket = wire.probe(polling)
        released = waiting.reply()
        assert (released.status, released.text) == (200, "6")

        websocket.send("5")
        websocket.send("4on the websocket")
        with WebSocketTransport(websocket, polling.sid) as session:
            assert session.receive() == "4on the websocket"
            assert_refused(polling.get())
            assert_refused(polling.post("4late"))
            session.send("4still here")
            assert session.receive() == "4still here"

    def test_what_was_queued_comes_over_the_websocket(self, server: RunningServer) -> None:
        polling = Polling(server.url, PATH)
        websocket = wire.probe(polling)
        polling.send_payload("4sent by POST", b"binary")
        assert polling.get().text == "6"
        websocket.send("5")
        with WebSocketTransport(websocket, polling.sid) as session:
            assert session.receive_many(2) == ["4sent by POST", b"binary"]

    def test_a_probe_that_goes_away_leaves_polling_as_it_was(self, server: RunningServer) -> None:
        with Polling(server.url, PATH) as polling:
            wire.probe(polling).close()
            polling.send("4hello")
            assert polling.receive() == "4hello"

    def test_of_an_unknown_session(self, server: RunningServer) -> None:
        assert_upgrade_refused(server, wire.target(PATH, "websocket", sid="abcdefghijklmnopqrst"))

    def test_without_a_version(self, server: RunningServer) -> None:
        assert_upgrade_refused(server, f"/{PATH}/?transport=websocket")


class TestRefusals:
    @pytest.mark.parametrize(("method", "query"), REFUSED.values(), ids=REFUSED.keys())
    def test_query(self, server: RunningServer, method: str, query: str) -> None:
        assert_refused(
            wire.request(f"{server.url}/{PATH}/?{query}", method, "4x" if method != "GET" else None)
        )

    def test_second_poll(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH)
        first = session.start_get()
        assert_refused(session.get())
        reply = first.reply()
        assert (reply.status, reply.text) == (200, "1")
        assert_refused(session.get())

    def test_garbage(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH)
        assert_refused(session.post("abc"))
        assert_refused(session.get())

    def test_a_body_that_is_too_large(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH)
        body = "4" + "x" * 1_000_000
        # with TLS, a client that still sends may see the end of the connection before the answer
        with contextlib.suppress(OSError) if server.kind.tls else contextlib.nullcontext():
            assert_refused(session.post(body), 400, 413)
        assert wire.request(server.url + "/healthz").text == "ok"


class TestClose:
    def test_by_the_client_over_polling(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH)
        waiting = session.start_get()
        assert session.post("1").text == "ok"
        reply = waiting.reply()
        assert (reply.status, reply.text) == (200, "6")
        assert_refused(session.get())

    def test_by_the_app_over_polling(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH)
        waiting = session.start_get()
        assert close_by_app(server, session.sid) == "ok"
        assert waiting.reply().text == "1"
        assert_refused(session.get())

    @WEBSOCKET
    def test_by_the_client(self, server: RunningServer) -> None:
        with WebSocketTransport.open(server.url, PATH) as session:
            session.send("1")
            session.websocket.wait_closed(timeout=2)
            assert wire.wait_until(lambda: reason_of(server, session.sid)) in {
                "client disconnect",
                "transport close",
            }

    @WEBSOCKET
    def test_by_the_app(self, server: RunningServer) -> None:
        with WebSocketTransport.open(server.url, PATH) as session:
            assert close_by_app(server, session.sid) == "ok"
            closed = session.wait_closed(timeout=2)
            # the packet, or the frame with the code for a normal end
            assert closed.reason == "close packet" or closed.code == 1000
            assert wire.wait_until(lambda: reason_of(server, session.sid)) == "server disconnect"

    @WEBSOCKET
    def test_garbage(self, server: RunningServer) -> None:
        with WebSocketTransport.open(server.url, PATH) as session:
            session.send("abc")
            session.wait_closed(timeout=2)

    @WEBSOCKET
    def test_a_message_that_is_too_large(self, server: RunningServer) -> None:
        with WebSocketTransport.open(server.url, PATH) as session:
            session.websocket.send_raw(wire.encode_frame(wire.BINARY, bytes(1_000_001)))
            code = session.wait_closed(timeout=2).code
            assert code == 1009

    @WEBSOCKET
    def test_the_connection_is_lost(self, server: RunningServer) -> None:
        session = WebSocketTransport.open(server.url, PATH)
        session.close()
        assert wire.wait_until(lambda: reason_of(server, session.sid)) in {
            "transport close",
            "transport error",
        }


def close_by_app(server: RunningServer, sid: str) -> str:
    return wire.request(f"{server.url}/close/{sid}", "POST").text


def reason_of(server: RunningServer, sid: str) -> str | None:
    entries = wire.request(server.url + "/disconnects").json()
    reasons = [entry["reason"] for entry in entries if entry["sid"] == sid]
    assert len(reasons) <= 1, reasons
    return reasons[0] if reasons else None
