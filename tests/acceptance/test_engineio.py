"""Raw Engine.IO, against an app that echoes every message."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

import pytest
from acceptance import settings, wire
from acceptance.conftest import ServerPool
from acceptance.wire import BINARY, CLOSE, TEXT, Closed, Polling, Transport, WebSocket, WebSocketTransport
from servers import RunningServer, ServerKind, start

PATH = "engine.io"
INTERVAL, GRACE = 0.3, 0.2
HANDSHAKE_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
MAX_PAYLOAD = 1_000_000


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """With the official suites' heartbeat: a PING every 300 ms, 200 ms to answer it."""
    return server_pool.get(kind, "engine_echo", settings.OFFICIAL)


@pytest.fixture
def calm_server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """Nothing but what the test sends is on the wire."""
    return server_pool.get(kind, "engine_echo", settings.CALM)


WEBSOCKET = pytest.mark.kinds(websocket=True)
QUERIES = {
    "no EIO": "transport=polling",
    "EIO=abc": "EIO=abc&transport=polling",
    "EIO=3": "EIO=3&transport=polling",
    "EIO empty": "EIO=&transport=polling",
    "EIO in other digits": "EIO=%D9%A4&transport=polling",
    "no transport": "EIO=4",
    "transport=abc": "EIO=4&transport=abc",
    "transport empty": "EIO=4&transport=",
    "unknown sid": "EIO=4&transport=polling&sid=abcdefghijklmnopqrst",
    "no query": "",
    "JSONP": "EIO=4&transport=polling&j=0",
}


@pytest.fixture(params=["polling", "websocket"])
def transport_name(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param == "websocket" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


def open_polling(server: RunningServer) -> Polling:
    return Polling(server.url, PATH)


def open_websocket(server: RunningServer) -> WebSocketTransport:
    return WebSocketTransport.open(server.url, PATH)


def assert_refusal(reply: wire.Reply, status: int = 400) -> None:
    """A 4xx that explains itself."""
    assert reply.status == status
    explanation = reply.json()
    assert set(explanation) == {"code", "message"}
    assert isinstance(explanation["code"], int)
    assert explanation["message"]


def assert_session_gone(polling: Polling) -> None:
    assert_refusal(polling.get())
    assert_refusal(polling.post("4late"))


class TestHandshake:
    def test_polling_opens_a_session(self, server: RunningServer) -> None:
        reply = wire.request(server.url + wire.target(PATH, "polling"))

        assert reply.status == 200
        assert wire.SEPARATOR not in reply.text
        handshake = wire.parse_open(reply.text)
        assert set(handshake) == HANDSHAKE_KEYS
        assert handshake["upgrades"] == (["websocket"] if server.kind.websocket else [])
        assert handshake["pingInterval"] == 300
        assert handshake["pingTimeout"] == 200
        assert handshake["maxPayload"] == MAX_PAYLOAD

    @WEBSOCKET
    def test_websocket_opens_a_session(self, server: RunningServer) -> None:
        with open_websocket(server) as session:
            assert set(session.handshake) == HANDSHAKE_KEYS
            assert session.handshake["upgrades"] == []
            assert session.handshake["pingInterval"] == 300
            assert session.handshake["pingTimeout"] == 200
            assert session.handshake["maxPayload"] == MAX_PAYLOAD

    def test_nothing_else_is_sent_at_connect(self, calm_server: RunningServer, transport_name: str) -> None:
        with wire.open_transport(transport_name, calm_server.url, PATH) as session:
            session.assert_silent(0.15)

    def test_session_ids_are_long_and_never_the_same(self, calm_server: RunningServer) -> None:
        sessions = [open_polling(calm_server) for _ in range(20)]
        sids = {session.sid for session in sessions}
        for session in sessions:
            session.close()

        assert len(sids) == 20
        # 96 bits take 16 characters of base64
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{16,}", sid) for sid in sids), sids

    def test_responses_may_not_be_cached(self, server: RunningServer) -> None:
        session = open_polling(server)

        assert "no-store" in session.open_reply.headers["Cache-Control"]
        content_type = session.open_reply.headers["Content-Type"].replace(" ", "").lower()
        assert content_type == "text/plain;charset=utf-8"
        assert "Set-Cookie" not in session.open_reply.headers
        session.close()


class TestRefusedHandshake:
    @pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
    def test_over_polling(self, server: RunningServer, query: str) -> None:
        assert_refusal(wire.request(f"{server.url}/{PATH}/?{query}"))

    @WEBSOCKET
    @pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
    def test_over_websocket(self, server: RunningServer, query: str) -> None:
        target = f"/{PATH}/?{query.replace('polling', 'websocket')}"
        with pytest.raises(wire.Refused) as refused, WebSocket(server.url, target):
            pass

        assert_refusal(refused.value.reply)
        assert refused.value.reply.headers["connection"].lower() == "close"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_another_method_without_a_sid(self, server: RunningServer, method: str) -> None:
        assert_refusal(wire.request(server.url + wire.target(PATH, "polling"), method))

    def test_post_with_an_unknown_sid(self, server: RunningServer) -> None:
        address = server.url + wire.target(PATH, "polling", sid="x" * 20)
        assert_refusal(wire.request(address, "POST", "4hello"))

    @WEBSOCKET
    def test_poll_of_a_session_that_began_as_websocket(self, server: RunningServer) -> None:
        with open_websocket(server) as session:
            address = server.url + wire.target(PATH, "polling", sid=session.sid)
            assert_refusal(wire.request(address))
            session.send("4still here")
            assert session.receive() == "4still here"

    @pytest.mark.parametrize(
        ("method", "query", "code"),
        [
            ("GET", "EIO=4&transport=abc", 0),
            ("GET", "EIO=4&transport=polling&sid=abcdefghijklmnopqrst", 1),
            ("POST", "EIO=4&transport=polling", 2),
            ("GET", "EIO=3&transport=polling", 5),
        ],
        ids=["transport unknown", "session id unknown", "bad handshake method", "protocol version"],
    )
    def test_codes_are_those_of_the_reference_server(
        self, server: RunningServer, method: str, query: str, code: int
    ) -> None:
        assert wire.request(f"{server.url}/{PATH}/?{query}", method).json()["code"] == code

    @WEBSOCKET
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-WebSocket-Version": "8"},
            {"Sec-WebSocket-Version": ""},
            {"Sec-WebSocket-Key": ""},
            {"Sec-WebSocket-Key": "dG9vIHNob3J0"},
            {"Sec-WebSocket-Key": "not base64 at all!!!!!!!"},
            {"Upgrade": "h2c"},
            {"Upgrade": "", "Connection": "close"},
        ],
        ids=["version 8", "no version", "no key", "short key", "bad key", "h2c", "no upgrade"],
    )
    def test_an_upgrade_request_that_is_none(self, server: RunningServer, headers: dict[str, str]) -> None:
        target = wire.target(PATH, "websocket")
        with pytest.raises(wire.Refused) as refused, WebSocket(server.url, target, headers):
            pass

        assert 400 <= refused.value.reply.status < 500
        assert refused.value.reply.headers["connection"].lower() == "close"


class TestCors:
    def test_any_origin_is_allowed_without_credentials(self, server: RunningServer) -> None:
        session = Polling(server.url, PATH, {"Origin": "http://elsewhere.example"})

        assert session.open_reply.headers["Access-Control-Allow-Origin"] in {"*", "http://elsewhere.example"}
        assert session.open_reply.headers.get("Access-Control-Allow-Credentials") is None
        session.close()

    def test_preflight(self, server: RunningServer) -> None:
        session = open_polling(server)
        headers = {
            "Origin": "http://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        reply = wire.request(session.address, "OPTIONS", headers=headers)

        assert reply.status in {200, 204}
        assert reply.headers["Access-Control-Allow-Origin"] in {"*", "http://elsewhere.example"}
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        assert "content-type" in reply.headers["Access-Control-Allow-Headers"].lower()
        session.close()


MESSAGES: dict[str, wire.Packet] = {
    "text": "4hello",
    "empty": "4",
    "not ASCII": "4héllo € 😀",
    "like another packet": "42probe",
    "binary": b"\x01\x02\x03\x04",
    "empty binary": b"",
    "all bytes": bytes(range(256)),
    "line breaks": "4a\r\nb\0c",
}


class TestMessages:
    @pytest.mark.parametrize("packet", MESSAGES.values(), ids=MESSAGES.keys())
    def test_echo(self, calm_server: RunningServer, transport_name: str, packet: wire.Packet) -> None:
        with wire.open_transport(transport_name, calm_server.url, PATH) as session:
            session.send(packet)
            assert session.receive() == packet

    @WEBSOCKET
    @pytest.mark.parametrize("size", [124, 125, 126, 127, 65_535, 65_536, 900_000])
    def test_websocket_frame_sizes(self, calm_server: RunningServer, size: int) -> None:
        with open_websocket(calm_server) as session:
            session.send("4" + "x" * (size - 1))
            assert session.receive() == "4" + "x" * (size - 1)
            session.send(b"\x07" * size)
            assert session.receive() == b"\x07" * size

    @WEBSOCKET
    def test_websocket_message_in_fragments(self, calm_server: RunningServer) -> None:
        with open_websocket(calm_server) as session:
            session.websocket.send_raw(wire.encode_frame(TEXT, b"4a", fin=False))
            session.websocket.send_raw(wire.encode_frame(wire.PING, b"in between"))
            session.websocket.send_raw(wire.encode_frame(wire.CONTINUATION, b"b", fin=False))
            assert session.websocket.receive_frame() == wire.Frame(wire.PONG, b"in between")
            session.websocket.send_raw(wire.encode_frame(wire.CONTINUATION, b"c"))
            assert session.receive() == "4abc"

    @WEBSOCKET
    def test_websocket_in_single_bytes(self, calm_server: RunningServer) -> None:
        with open_websocket(calm_server) as session:
            for byte in wire.encode_frame(TEXT, "4€".encode()):
                session.websocket.send_raw(bytes([byte]))
            assert session.receive() == "4€"

    @pytest.mark.parametrize(
        "body",
        ["4hello", "4", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "bAQIDBA==\x1e4\x1eb\x1e4€"],
        ids=["text", "empty", "several", "mixed", "with empty ones"],
    )
    def test_payload_comes_back_as_it_went(self, calm_server: RunningServer, body: str) -> None:
        session = open_polling(calm_server)
        answer = session.post(body)
        assert (answer.status, answer.text) == (200, "ok")

        reply = session.get()

        assert (reply.status, reply.text) == (200, body)
        session.close()

    @pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/octet-stream", ""])
    def test_content_type_of_a_post(self, calm_server: RunningServer, content_type: str) -> None:
        session = open_polling(calm_server)

        assert session.post("4é", {"Content-Type": content_type}).text == "ok"
        assert session.get().text == "4é"
        session.close()

    def test_pending_poll_gets_the_message(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        pending = session.start_get()
        session.send("4hello")

        assert pending.reply().text == "4hello"
        session.close()

    def test_many_stay_in_order(self, calm_server: RunningServer, transport_name: str) -> None:
        packets = [f"4{i}" if i % 3 else i.to_bytes(4, "big") for i in range(200)]
        with wire.open_transport(transport_name, calm_server.url, PATH) as session:
            for packet in packets:
                session.send(packet)
            assert session.receive_many(200) == packets

    def test_a_payload_of_a_thousand_packets(self, calm_server: RunningServer) -> None:
        packets = [f"4{i}" for i in range(1000)]
        with open_polling(calm_server) as session:
            session.send_payload(*packets)
            assert session.receive_many(1000) == packets

    def test_a_payload_of_more_packets_is_refused(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        assert_refusal(session.post(wire.SEPARATOR.join(["4x"] * 1001)))
        assert_session_gone(session)

    def test_max_payload_is_exact(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        body = "4" + "x" * (MAX_PAYLOAD - 1)
        assert session.post(body).text == "ok"
        assert session.get().text == body

        reply = session.post(body + "x")

        assert reply.status in {400, 413}
        assert set(reply.json()) == {"code", "message"}
        session.close()

    @WEBSOCKET
    def test_max_payload_is_exact_on_websocket(self, calm_server: RunningServer) -> None:
        with open_websocket(calm_server) as session:
            session.send(bytes(MAX_PAYLOAD))
            assert session.receive() == bytes(MAX_PAYLOAD)
            session.websocket.send_raw(wire.encode_frame(BINARY, bytes(MAX_PAYLOAD + 1)))
            assert session.wait_closed().code == 1009

    def test_parallel_sessions_do_not_mix(self, calm_server: RunningServer, transport_name: str) -> None:
        sessions = [wire.open_transport(transport_name, calm_server.url, PATH) for _ in range(12)]
        for number, session in enumerate(sessions):
            session.send(f"4for {number}")
        received = [session.receive() for session in sessions]
        for session in sessions:
            session.close()

        assert received == [f"4for {number}" for number in range(12)]


class TestGarbage:
    def test_polling(self, server: RunningServer) -> None:
        session = open_polling(server)
        assert_refusal(session.post("abc"))
        assert_session_gone(session)

    def test_good_packets_before_the_bad_one_do_not_save_the_session(self, server: RunningServer) -> None:
        session = open_polling(server)
        assert_refusal(session.post("4hello\x1eabc"))
        assert_session_gone(session)

    def test_a_waiting_poll_is_answered(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        pending = session.start_get()
        assert_refusal(session.post("abc"))

        assert pending.reply().status in {200, 400}
        assert_session_gone(session)

    @WEBSOCKET
    def test_websocket(self, server: RunningServer) -> None:
        with open_websocket(server) as session:
            session.send("abc")
            assert isinstance(session.wait_closed(timeout=1), Closed)


class TestConcurrentRequests:
    def test_second_get_ends_both_and_the_session(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        first = session.start_get()
        second = session.get()
        first_reply = first.reply()

        assert (first_reply.status, first_reply.text) == (200, "1")
        assert_refusal(second)
        assert_session_gone(session)

    @pytest.mark.kinds(concurrent_requests=True, streams_bodies=True)
    def test_second_post_ends_the_session(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        half_a_post = (
            f"POST {wire.target(PATH, 'polling', sid=session.sid)} HTTP/1.1\r\n"
            f"Host: localhost\r\nContent-Length: 100\r\n\r\n4half of it"
        )
        with wire.connect_tcp(calm_server.url) as sock:
            sock.sendall(half_a_post.encode())
            # the first has to be at the server before the second
            reply = wire.wait_until(lambda: _refused(session.post("4hello")), what="a second POST is refused")

        assert_refusal(reply)
        assert_session_gone(session)


def _refused(reply: wire.Reply) -> wire.Reply | None:
    return reply if reply.status != 200 else None


class TestHeartbeat:
    def test_polling(self, server: RunningServer) -> None:
        session = open_polling(server)
        for _ in range(3):
            started = time.monotonic()
            reply = session.get()
            assert (reply.status, reply.text) == (200, "2")
            assert time.monotonic() - started > INTERVAL / 3
            assert session.post("3").text == "ok"
        session.close()

    @WEBSOCKET
    def test_websocket(self, server: RunningServer) -> None:
        with open_websocket(server) as session:
            for _ in range(3):
                started = time.monotonic()
                assert session.receive_packet() == "2"
                assert time.monotonic() - started > INTERVAL / 3
                session.send("3")

    def test_polling_times_out_at_the_very_moment(self, server: RunningServer) -> None:
        session = open_polling(server)
        time.sleep(INTERVAL + GRACE)
        assert_refusal(session.get())

    def test_polling_that_takes_pings_and_answers_none(self, server: RunningServer) -> None:
        session = open_polling(server)
        assert session.get().text == "2"
        time.sleep(GRACE)
        assert_refusal(session.get())

    def test_a_poll_that_waits_when_time_is_up_is_answered(self, server: RunningServer) -> None:
        session = open_polling(server)
        assert session.get().text == "2"
        pending = session.start_get()

        assert pending.reply(timeout=2).status in {200, 400}
        assert_refusal(session.get())

    @WEBSOCKET
    def test_websocket_times_out(self, server: RunningServer) -> None:
        with open_websocket(server) as session:
            started = time.monotonic()
            assert session.receive_packet() == "2"
            with pytest.raises(Closed):
                session.receive_packet(timeout=2)
            assert INTERVAL / 2 < time.monotonic() - started < 2

    def test_the_session_outlives_many_heartbeats(self, server: RunningServer, transport_name: str) -> None:
        with wire.open_transport(transport_name, server.url, PATH) as session:
            session.assert_silent(2 * (INTERVAL + GRACE))
            session.send("4still here")
            assert session.receive() == "4still here"


class TestClose:
    def test_polling(self, calm_server: RunningServer) -> None:
        session = open_polling(calm_server)
        pending = session.start_get()
        answer = session.post("1")
        reply = pending.reply()

        assert (answer.status, answer.text) == (200, "ok")
        assert (reply.status, reply.text) == (200, "6")
        assert_session_gone(session)

    @WEBSOCKET
    def test_websocket(self, calm_server: RunningServer) -> None:
        with open_websocket(calm_server) as session:
            session.send("1")
            assert isinstance(session.wait_closed(timeout=1), Closed)

    @WEBSOCKET
    def test_close_frame_is_answered(self, calm_server: RunningServer) -> None:
        with open_websocket(calm_server) as session:
            session.websocket.send_raw(wire.encode_frame(CLOSE, (1000).to_bytes(2, "big")))
            assert session.wait_closed(timeout=1).code == 1000

    @pytest.mark.parametrize(
        ("leave", "reasons"),
        [
            pytest.param(lambda session: session.send("1"), {"client disconnect", "transport close"}, id="1"),
            pytest.param(lambda session: session.close(), {"transport close", "transport error"}, id="gone"),
            pytest.param(
                lambda session: session.send("abc"), {"transport error", "transport close"}, id="garbage"
            ),
        ],
    )
    @WEBSOCKET
    def test_the_handler_learns_the_reason(
        self, calm_server: RunningServer, leave: Callable[[Transport], None], reasons: set[str]
    ) -> None:
        with open_websocket(calm_server) as session:
            leave(session)
            reason = wire.wait_until(lambda: reason_of(calm_server, session.sid), what="on_disconnect ran")

        assert reason in reasons

    def test_timeout_is_the_reason_of_a_silent_client(self, server: RunningServer) -> None:
        session = open_polling(server)

        assert wire.wait_until(lambda: reason_of(server, session.sid)) == "ping timeout"

    def test_the_app_closes_a_session(self, calm_server: RunningServer, transport_name: str) -> None:
        with wire.open_transport(transport_name, calm_server.url, PATH) as session:
            closer = threading.Timer(0.1, wire.request, (f"{calm_server.url}/close/{session.sid}", "POST"))
            closer.start()
            assert isinstance(session.wait_closed(timeout=3), Closed)
            closer.join()
            assert wire.wait_until(lambda: reason_of(calm_server, session.sid)) == "server disconnect"


def reason_of(server: RunningServer, sid: str) -> str | None:
    """Why the session ended, for the handler; asserts that the handler ran once at most."""
    entries = wire.request(server.url + "/disconnects").json()
    reasons = [entry["reason"] for entry in entries if entry["sid"] == sid]
    assert len(reasons) <= 1, reasons
    return reasons[0] if reasons else None


@WEBSOCKET
class TestUpgrade:
    def test_waiting_poll_is_released(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        pending = polling.start_get()
        with wire.probe(polling) as websocket:
            reply = pending.reply()
            assert (reply.status, reply.text) == (200, "6")
            websocket.send("5")
            websocket.send("4hello")
            assert websocket.receive() == "4hello"

    def test_poll_after_the_probe_is_released(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with wire.upgrade(polling) as session:  # asserts the NOOP
            session.send("4hello")
            assert session.receive_packet() == "4hello"

    def test_websocket_is_silent_until_the_upgrade_packet(self, calm_server: RunningServer) -> None:
        """The NOOP is for the poll alone, and what waits is not sent before ``5``."""
        polling = open_polling(calm_server)
        with wire.probe(polling) as websocket:
            assert polling.get().text == "6"
            assert polling.post("4meanwhile").text == "ok"
            with pytest.raises(TimeoutError):
                websocket.receive(timeout=0.3)
            websocket.send("5")
            websocket.send("4after")
            assert [websocket.receive(), websocket.receive()] == ["4meanwhile", "4after"]

    def test_probe_and_upgrade_back_to_back(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with WebSocket(calm_server.url, wire.target(PATH, "websocket", sid=polling.sid)) as websocket:
            websocket.send("2probe")
            websocket.send("5")
            assert_refusal_soon(polling)
            websocket.send("4hello")
            assert [websocket.receive(), websocket.receive()] == ["3probe", "4hello"]

    def test_probe_and_upgrade_in_one_segment_with_the_request(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        frames = b"".join(wire.encode_frame(TEXT, packet) for packet in (b"2probe", b"5", b"4hello"))
        target = wire.target(PATH, "websocket", sid=polling.sid)
        with WebSocket(calm_server.url, target, right_behind=frames) as websocket:
            assert [websocket.receive(), websocket.receive()] == ["3probe", "4hello"]

    def test_requests_of_an_upgraded_session_are_refused(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with wire.upgrade(polling) as session:
            assert_refusal_soon(polling)
            assert_refusal(polling.post("4not here"))
            session.send("4here")
            assert session.receive() == "4here"

    def test_second_websocket_is_closed(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with wire.upgrade(polling) as session:
            session.send("4one")
            assert session.receive() == "4one"
            with WebSocket(calm_server.url, wire.target(PATH, "websocket", sid=polling.sid)) as second:
                assert isinstance(second.wait_closed(timeout=2), Closed)
            session.send("4two")
            assert session.receive() == "4two"

    def test_second_probe_while_the_first_is_under_way(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with wire.probe(polling) as first:
            with WebSocket(calm_server.url, wire.target(PATH, "websocket", sid=polling.sid)) as second:
                assert isinstance(second.wait_closed(timeout=2), Closed)
            assert polling.get().text == "6"
            first.send("5")
            first.send("4hello")
            assert first.receive() == "4hello"

    def test_heartbeat_goes_on_after_the_upgrade(self, server: RunningServer) -> None:
        with wire.upgrade(open_polling(server)) as session:
            session.assert_silent(2 * (INTERVAL + GRACE))
            session.send("4hello")
            assert session.receive() == "4hello"

    def test_nothing_is_lost_or_reordered(self, calm_server: RunningServer) -> None:
        """Messages before, during and after the upgrade arrive once each, in order."""
        polling = open_polling(calm_server)
        polling.send_payload(*(f"4{i}" for i in range(5)))
        received: list[wire.Packet] = []
        with wire.probe(polling) as websocket:
            polling.send_payload(*(f"4{i}" for i in range(5, 10)))
            while "6" not in received:
                received += wire.decode_payload(polling.get().text)
            received = [packet for packet in received if packet != "6"]
            websocket.send("5")
            for i in range(10, 15):
                websocket.send(f"4{i}")
            while len(received) < 15:
                received.append(websocket.receive())

        assert received == [f"4{i}" for i in range(15)]

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda websocket: websocket.close(), id="connection lost"),
            pytest.param(lambda websocket: websocket.send("4hello"), id="message instead of 5"),
            pytest.param(lambda websocket: websocket.send("abc"), id="garbage"),
            pytest.param(lambda websocket: websocket.send(b"\x01"), id="binary"),
            pytest.param(
                lambda websocket: websocket.send_raw(wire.encode_frame(CLOSE, b"\x03\xe8")), id="close frame"
            ),
            pytest.param(
                lambda websocket: websocket.send_raw(wire.encode_frame(TEXT, b"\xff")), id="bad UTF-8"
            ),
        ],
    )
    def test_polling_goes_on_after_a_failed_upgrade(
        self, calm_server: RunningServer, spoil: Callable[[WebSocket], None]
    ) -> None:
        polling = open_polling(calm_server)
        with wire.probe(polling) as websocket:
            polling.send("4waiting")
            spoil(websocket)
            assert polling.receive() == "4waiting"
            polling.send("4more")
            assert polling.receive() == "4more"
        # and a new try succeeds
        wire.wait_until(lambda: probe_again(polling), what="a new upgrade is accepted")
        polling.close()

    def test_a_wrong_probe_is_refused(self, calm_server: RunningServer) -> None:
        polling = open_polling(calm_server)
        with WebSocket(calm_server.url, wire.target(PATH, "websocket", sid=polling.sid)) as websocket:
            websocket.send("2wrong")
            assert isinstance(websocket.wait_closed(timeout=2), Closed)
        polling.send("4hello")
        assert polling.receive() == "4hello"
        polling.close()

    @pytest.mark.slow
    def test_an_upgrade_that_is_never_finished_is_given_up(self, server: RunningServer) -> None:
        polling = open_polling(server)
        with wire.probe(polling) as websocket:
            closed = threading.Event()
            waiter = threading.Thread(target=lambda: (websocket.wait_closed(timeout=13), closed.set()))
            waiter.start()
            deadline = time.monotonic() + 13
            while not closed.is_set() and time.monotonic() < deadline:
                polling.assert_silent(0.2)
            waiter.join()
            assert closed.is_set()
        polling.send("4hello")
        assert polling.receive() == "4hello"
        polling.close()


def assert_refusal_soon(polling: Polling) -> None:
    """The session lives on the WebSocket. A poll that comes before the server has read ``5`` is a NOOP."""
    reply = wire.wait_until(lambda: _refused(polling.get()), what="polls are refused after the upgrade")
    assert_refusal(reply)


def probe_again(polling: Polling) -> bool:
    try:
        with wire.probe(polling):
            return True
    except (wire.Refused, Closed):
        return False


@pytest.mark.parametrize("transport_name", ["polling", "websocket", "upgrade"])
def test_sessions_are_counted_and_forgotten(kind: ServerKind, transport_name: str) -> None:
    if transport_name != "polling" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    with start(kind, "engine_echo", settings.CALM) as server:  # one that no other test uses
        sessions = [wire.open_transport(transport_name, server.url, PATH) for _ in range(3)]
        assert wire.stats(server.url)["sessions"] == 3
        for session in sessions:
            session.close()

        wire.wait_until(lambda: wire.stats(server.url)["sessions"] == 0, what="sessions are forgotten")
        wire.wait_until(lambda: wire.stats(server.url)["queued_bytes"] == 0)
