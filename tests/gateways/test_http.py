"""Requests and replies: refusals, bodies, compression, cookies, headers."""

from __future__ import annotations

import gzip
import json
import zlib
from io import BytesIO
from typing import Any

import pytest
from engine_driver import (
    NOTHING,
    WEBSOCKET_HEADERS,
    EngineClient,
    MakeWorld,
    Reply,
    WebSocket,
    World,
    event_packet,
)

from flask_realtime.gateways.http import Reply as GatewayReply
from flask_realtime.gateways.http import render_response

POLLING = "EIO=4&transport=polling"
WEBSOCKET = "EIO=4&transport=websocket"


def refused(reply: Reply, status: int, code: int, message: str) -> None:
    assert (reply.status, reply.json) == (status, {"code": code, "message": message})
    assert reply.header("Content-Type") == "application/json"
    assert reply.header("Cache-Control") == "no-store"


REFUSALS: list[tuple[str, str, dict[str, str], int, int, str]] = [
    ("GET", "", {}, 400, 0, "Transport unknown"),
    ("GET", "EIO=4&transport=x", {}, 400, 0, "Transport unknown"),
    ("GET", "transport=polling", {}, 400, 5, "Unsupported protocol version"),
    ("GET", "EIO=3&transport=polling", {}, 400, 5, "Unsupported protocol version"),
    ("POST", POLLING, {}, 400, 2, "Bad handshake method"),
    ("PUT", POLLING, {}, 400, 2, "Bad handshake method"),
    ("GET", POLLING + "&sid=nobody", {}, 400, 1, "Session ID unknown"),
    ("POST", POLLING + "&sid=nobody", {}, 400, 1, "Session ID unknown"),
    ("GET", POLLING + "&sid=../etc", {}, 400, 1, "Session ID unknown"),
    (
        "GET",
        POLLING + "&j=1",
        {},
        400,
        3,
        "Bad request: JSONP polling (parameter 'j') is not supported",
    ),
    ("DELETE", POLLING + "&sid=a", {}, 400, 3, "Bad request: method 'DELETE'"),
    ("GET", WEBSOCKET, {}, 400, 3, "transport=websocket without a websocket handshake"),
    ("GET", WEBSOCKET, {"Upgrade": "h2c"}, 400, 3, "transport=websocket without a websocket handshake"),
    ("GET", POLLING, WEBSOCKET_HEADERS, 400, 3, "a websocket handshake with transport=polling"),
    ("GET", WEBSOCKET + "&sid=nobody", WEBSOCKET_HEADERS, 400, 1, "Session ID unknown"),
    (
        "GET",
        WEBSOCKET,
        WEBSOCKET_HEADERS | {"Sec-WebSocket-Version": "8"},
        426,
        3,
        "Sec-WebSocket-Version must be 13, not '8'",
    ),
    (
        "GET",
        WEBSOCKET,
        WEBSOCKET_HEADERS | {"Sec-WebSocket-Key": "short"},
        400,
        3,
        "Sec-WebSocket-Key must be 16 bytes in base64, not 'short'",
    ),
    (
        "GET",
        WEBSOCKET,
        WEBSOCKET_HEADERS | {"Connection": "close"},
        400,
        3,
        "Connection must be Upgrade, not 'close'",
    ),
    (
        "GET",
        WEBSOCKET,
        WEBSOCKET_HEADERS | {"Content-Length": "5"},
        400,
        3,
        "A WebSocket handshake has no body",
    ),
    (
        "GET",
        POLLING,
        {"Origin": "http://evil.example"},
        403,
        4,
        "origin 'http://evil.example' is not allowed; expected 'http://server.example'",
    ),
    (
        "GET",
        WEBSOCKET,
        WEBSOCKET_HEADERS | {"Origin": "http://evil.example"},
        403,
        4,
        "origin 'http://evil.example' is not allowed; expected 'http://server.example'",
    ),
    (
        "OPTIONS",
        POLLING,
        {"Origin": "http://evil.example"},
        403,
        4,
        "origin 'http://evil.example' is not allowed; expected 'http://server.example'",
    ),
]


class TestRefusals:
    @pytest.mark.parametrize(("method", "query", "headers", "status", "code", "message"), REFUSALS)
    def test_refusals(
        self,
        world: World,
        method: str,
        query: str,
        headers: dict[str, str],
        status: int,
        code: int,
        message: str,
    ) -> None:
        reply = world.fetch(method, query, headers=headers)
        refused(reply, status, code, message)
        assert world.refusals == {"request refused": 1}
        assert world.logs == [f"{status}: {message}"]
        assert world.stats == NOTHING
        if "Upgrade" in headers:
            assert reply.header("Connection") == "close"

    def test_the_answer_to_head_has_no_body(self, world: World) -> None:
        exchange = world.request("HEAD", POLLING)
        exchange.serve()
        exchange.pump()
        assert exchange.buffer.startswith(b"HTTP/1.1 400 ")
        assert exchange.buffer.endswith(b"\r\n\r\n")
        assert world.refusals == {"request refused": 1}

    def test_a_refused_version_says_which_one_is_spoken(self, world: World) -> None:
        reply = world.fetch(query=WEBSOCKET, headers=WEBSOCKET_HEADERS | {"Sec-WebSocket-Version": "8"})
        assert reply.header("Sec-WebSocket-Version") == "13"
        assert reply.header("Upgrade") == "websocket"

    def test_a_transport_that_is_switched_off(self, make_world: MakeWorld) -> None:
        world = make_world(transports=["polling"])
        refused(world.fetch(query=WEBSOCKET, headers=WEBSOCKET_HEADERS), 400, 0, "Transport unknown")
        assert EngineClient.polling(world).handshake["upgrades"] == []
        world = make_world(transports="websocket")
        refused(world.fetch(), 400, 0, "Transport unknown")
        assert EngineClient.websocket(world).handshake["upgrades"] == []

    def test_without_access_to_sockets_there_is_polling_only(self, world: World) -> None:
        reply = world.fetch(query=WEBSOCKET, headers=WEBSOCKET_HEADERS, take=False)
        refused(reply, 400, 3, "this web server gives no access to its sockets; use polling")
        client = EngineClient.polling(world, take=False)
        assert client.handshake["upgrades"] == []
        client.keep_polling = False

    def test_other_paths_are_the_apps(self, world: World) -> None:
        for path in ("/", "/socket.iox", "/x/socket.io/", "/socket"):
            assert world.fetch(environ={"PATH_INFO": path}).status == 404
        for path in ("/socket.io", "/socket.io/"):
            assert world.fetch(environ={"PATH_INFO": path}).status == 200

    def test_the_origin_is_checked_on_every_request_of_a_session(self, world: World) -> None:
        client = EngineClient.polling(world)
        client.keep_polling = False
        evil = {"Origin": "http://evil.example"}
        for method in ("GET", "POST"):
            assert world.fetch(method, client.query, headers=evil).status == 403
        candidate = client.connect_candidate(headers=evil)
        world.settle()
        assert candidate.reply is not None
        assert candidate.reply.status == 403
        assert client.session is not None


class TestForwarded:
    @pytest.mark.parametrize(
        "header",
        ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "X-Original-Host"],
    )
    def test_only_proxy_fix_may_change_the_own_origin(self, world: World, header: str) -> None:
        headers = {"Origin": "https://evil.example", header: "evil.example"}
        assert world.fetch(headers=headers).status == 403

    def test_as_proxy_fix_leaves_it(self, world: World) -> None:
        environ = {"HTTP_HOST": "public.example", "wsgi.url_scheme": "https"}
        assert world.fetch(headers={"Origin": "https://public.example"}, environ=environ).status == 200
        assert world.fetch(headers={"Origin": "http://public.example"}, environ=environ).status == 403


class Slow:
    """A body in pieces."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.asked: list[int] = []

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        assert len(piece) <= size
        return piece


class TestBodies:
    @pytest.fixture
    def client(self, make_world: MakeWorld) -> EngineClient:
        world = make_world(max_http_buffer_size=1000)
        world.record("message", "disconnect")
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        return client

    def post(self, client: EngineClient, stream: Any, **environ: Any) -> Reply:
        full = {"wsgi.input": stream, **environ}
        full.setdefault("CONTENT_LENGTH", None)
        return client.world.fetch("POST", client.query, environ=full)

    def event(self, size: int) -> bytes:
        head = b'42["message","'
        return head + b"x" * (size - len(head) - 2) + b'"]'

    def accepted(self, client: EngineClient, reply: Reply) -> None:
        assert (reply.status, reply.body) == (200, b"ok")
        assert reply.header("Content-Type") == "text/plain; charset=UTF-8"
        assert reply.header("Cache-Control") == "no-store"
        client.world.settle()
        assert len(client.world.called("message")) == 1
        assert client.session is not None

    def ended(self, client: EngineClient, reply: Reply, status: int, message: str) -> None:
        refused(reply, status, 3, message)
        client.world.settle()
        assert client.world.called("message") == []
        assert client.world.called("disconnect") == [("transport error",)]
        assert client.session is None

    @pytest.mark.parametrize("size", [50, 999, 1000])
    def test_in_order(self, client: EngineClient, size: int) -> None:
        self.accepted(client, self.post(client, BytesIO(self.event(size)), CONTENT_LENGTH=str(size)))

    def test_in_pieces(self, client: EngineClient) -> None:
        body = self.event(500)
        stream = Slow(*[body[i : i + 1] for i in range(500)])
        self.accepted(client, self.post(client, stream, CONTENT_LENGTH="500"))
        assert max(stream.asked) == 500

    def test_no_more_is_read_than_the_length_says(self, client: EngineClient) -> None:
        body = self.event(500)
        stream = BytesIO(body + b"the next request")
        self.accepted(client, self.post(client, stream, CONTENT_LENGTH="500"))
        assert stream.read() == b"the next request"

    def test_chunked(self, client: EngineClient) -> None:
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        self.accepted(client, self.post(client, BytesIO(self.event(1000)), **chunked))

    def test_chunked_and_too_large(self, client: EngineClient) -> None:
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        stream = BytesIO(b"x" * 100_000)
        reply = self.post(client, stream, **chunked)
        self.ended(client, reply, 413, "a body of more than 1000 bytes")
        assert stream.tell() == 1001

    def test_chunked_where_the_server_does_not_decode_it(self, client: EngineClient) -> None:
        reply = self.post(client, BytesIO(b"3"), HTTP_TRANSFER_ENCODING="chunked")
        self.ended(client, reply, 411, "a POST needs a Content-Length")

    @pytest.mark.parametrize("length", [None, ""])
    def test_missing(self, client: EngineClient, length: str | None) -> None:
        stream = Slow(b"3")
        self.ended(
            client, self.post(client, stream, CONTENT_LENGTH=length), 411, "a POST needs a Content-Length"
        )
        assert stream.asked == []

    @pytest.mark.parametrize(
        "length", ["-1", "1.5", "x", "+3", " 3", "3 ", "٣", "0x3", "9" * 30, "3, 3", "1_0"]
    )
    def test_garbage(self, client: EngineClient, length: str) -> None:
        stream = Slow(b"333")
        self.ended(client, self.post(client, stream, CONTENT_LENGTH=length), 400, "bad Content-Length")
        assert stream.asked == []

    def test_oversized(self, client: EngineClient) -> None:
        stream = Slow(b"3")
        reply = self.post(client, stream, CONTENT_LENGTH="1001")
        self.ended(client, reply, 413, "a body of 1001 bytes; at most 1000")
        assert stream.asked == []

    def test_short(self, client: EngineClient) -> None:
        reply = self.post(client, BytesIO(self.event(100)), CONTENT_LENGTH="101")
        self.ended(client, reply, 400, "a body of 100 bytes instead of 101")

    def test_empty(self, client: EngineClient) -> None:
        assert self.post(client, BytesIO(), CONTENT_LENGTH="0").status == 400
        assert client.session is None

    @pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), ValueError("bad chunk")])
    def test_unreadable(self, client: EngineClient, error: Exception) -> None:
        reply = self.post(client, Slow(b"42", error), CONTENT_LENGTH="100")
        assert reply.status == 400
        assert reply.json["message"].startswith("the body could not be read")
        assert client.session is None

    def test_a_pending_poll_is_told(self, client: EngineClient) -> None:
        poll = client.poll
        assert self.post(client, BytesIO(b"abc"), CONTENT_LENGTH="3").status == 400
        client.world.settle()
        assert client.closed
        assert poll is not None
        assert poll.reply is not None
        assert poll.reply.body == b"1"

    def test_too_many_packets(self, make_world: MakeWorld) -> None:
        world = make_world(max_payload_packets=10)
        client = EngineClient.polling(world).connect()
        assert client.post(*[event_packet("message")] * 10).status == 200
        reply = client.post(*[event_packet("message")] * 11)
        refused(reply, 400, 3, "Too many packets in one payload: 11, the limit is 10")

    def test_a_post_after_the_end(self, client: EngineClient) -> None:
        client.post("1")
        assert client.post("3").json == {"code": 1, "message": "Session ID unknown"}

    def test_close_with_a_poll_pending(self, client: EngineClient) -> None:
        poll = client.poll
        assert client.post("1").status == 200
        client.world.settle()
        assert poll is not None
        assert poll.reply is not None
        assert (poll.reply.status, poll.reply.body) == (200, b"6")
        assert client.world.fetch(query=client.query).status == 400


class TestPollReplies:
    def waiting(self, world: World, data: str, accept: str | None) -> Reply:
        """The answer to a poll that was taken over."""
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        world.server.emit("release", [])
        world.settle()
        headers = {} if accept is None else {"Accept-Encoding": accept}
        poll = world.request(query=client.query, headers=headers)
        poll.serve()
        world.settle()
        world.server.emit("n", [data])
        world.settle()
        poll.pump()
        reply = poll.reply
        assert reply is not None
        assert reply.header("Connection") == "close"
        return reply

    def at_once(self, world: World, data: str, accept: str | None) -> Reply:
        """The answer to a poll that did not have to wait."""
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        world.server.emit("release", [])
        world.settle()
        world.server.emit("n", [data])
        return world.fetch(query=client.query, headers={} if accept is None else {"Accept-Encoding": accept})

    @pytest.fixture(params=["waiting", "at_once"])
    def poll(self, request: pytest.FixtureRequest) -> Any:
        return getattr(self, request.param)

    @pytest.mark.parametrize(
        ("accept", "encoding"),
        [
            ("gzip", "gzip"),
            ("gzip, deflate, br", "gzip"),
            ("deflate", "deflate"),
            ("GZIP;q=1.0", "gzip"),
            ("gzip;q=0, deflate", "deflate"),
            ("gzip; q=0.000", None),
            ("br", None),
            ("", None),
            (None, None),
        ],
    )
    def test_compression(self, world: World, poll: Any, accept: str | None, encoding: str | None) -> None:
        data = "x" * 5000
        reply = poll(world, data, accept)
        assert reply.header("Content-Encoding") == encoding
        assert "Accept-Encoding" in reply.header("Vary")
        decode: Any = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding]
        assert json.loads(decode(reply.body)[2:]) == ["n", data]
        assert reply.header("Content-Length") == str(len(reply.body))

    def test_small_payloads_are_sent_as_they_are(self, world: World, poll: Any) -> None:
        reply = poll(world, "x" * 1000, "gzip")
        assert reply.header("Content-Encoding") is None
        assert reply.header("Vary") == "Origin"

    def test_compression_that_is_switched_off(self, make_world: MakeWorld, poll: Any) -> None:
        world = make_world(http_compression=False)
        assert poll(world, "x" * 5000, "gzip").header("Content-Encoding") is None

    def test_headers(self, world: World, poll: Any) -> None:
        reply = poll(world, "x", None)
        assert reply.status == 200
        assert reply.header("Content-Type") == "text/plain; charset=UTF-8"
        assert reply.header("Cache-Control") == "no-store"
        assert reply.header("Set-Cookie") is None


class TestCookies:
    @pytest.mark.parametrize(
        ("option", "expected"),
        [
            ("io", "io={sid}; path=/; HttpOnly; SameSite=Lax"),
            ({"name": "x"}, "x={sid}"),
            (
                {"name": "x", "path": "/a", "Secure": True, "HttpOnly": False, "SameSite": "Strict"},
                "x={sid}; path=/a; Secure; SameSite=Strict",
            ),
            (
                {"name": "x", "path": lambda: "/f", "Secure": lambda: True, "Max-Age": None},
                "x={sid}; path=/f; Secure",
            ),
        ],
    )
    def test_on_both_transports(self, make_world: MakeWorld, option: Any, expected: str) -> None:
        world = make_world(cookie=option)
        reply = world.fetch()
        sid = json.loads(reply.body[1:])["sid"]
        assert reply.header("Set-Cookie") == expected.format(sid=sid)
        client = EngineClient.websocket(world)
        assert client.ws is not None
        assert client.ws.reply is not None
        assert client.ws.reply.header("Set-Cookie") == expected.format(sid=client.sid)

    def test_none_unless_asked_for_and_only_once(self, make_world: MakeWorld) -> None:
        assert make_world().fetch().header("Set-Cookie") is None
        world = make_world(cookie="io")
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        world.server.emit("release", [])
        world.settle()
        world.server.emit("n", [])
        assert world.fetch(query=client.query).header("Set-Cookie") is None

    @pytest.mark.parametrize("value", ["a\r\nX: y", "a; Domain=evil", "a\0"])
    def test_no_separator_in_an_attribute(self, make_world: MakeWorld, value: str) -> None:
        world = make_world(cookie={"name": "io", "path": value})
        with pytest.raises(ValueError, match="separator"):
            world.fetch()
        world.advance(60)
        assert world.stats == NOTHING


class TestCORS:
    ORIGIN = "http://good.example"

    @pytest.fixture
    def world(self, make_world: MakeWorld) -> World:
        return make_world(cors_allowed_origins=self.ORIGIN)

    def check(self, reply: Reply) -> None:
        assert reply.header("Access-Control-Allow-Origin") == self.ORIGIN
        assert reply.header("Access-Control-Allow-Credentials") == "true"
        assert reply.header("Vary") == "Origin"

    def test_on_all_replies(self, world: World) -> None:
        headers = {"Origin": self.ORIGIN}
        self.check(world.fetch(headers=headers))
        client = EngineClient.polling(world, headers=headers).connect()
        client.keep_polling = False
        poll = client.poll
        assert poll is not None
        client.poll = None
        world.server.emit("release", [])
        world.settle()
        self.check(world.fetch("POST", client.query, body=b"3", headers=headers))
        world.server.emit("n", [])
        self.check(world.fetch(query=client.query, headers=headers))
        poll = world.request(query=client.query, headers=headers)
        poll.serve()
        world.settle()
        world.server.emit("n", [])
        world.settle()
        poll.pump()
        assert poll.reply is not None
        self.check(poll.reply)

    def test_on_refusals_that_an_allowed_page_may_read(self, world: World) -> None:
        reply = world.fetch(query="EIO=4&transport=polling&sid=nobody", headers={"Origin": self.ORIGIN})
        self.check(reply)

    def test_not_on_the_refusal_of_an_origin(self, world: World) -> None:
        reply = world.fetch(headers={"Origin": "http://evil.example"})
        assert reply.header("Access-Control-Allow-Origin") is None
        assert reply.header("Vary") == "Origin"

    def test_preflight(self, world: World) -> None:
        headers = {
            "Origin": self.ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        reply = world.fetch("OPTIONS", POLLING, headers=headers)
        assert (reply.status, reply.body) == (204, b"")
        self.check(reply)
        assert reply.header("Access-Control-Allow-Methods") == "GET, POST, OPTIONS"
        assert reply.header("Access-Control-Allow-Headers") == "content-type"
        assert world.stats == NOTHING

    def test_everybody(self, make_world: MakeWorld) -> None:
        world = make_world(cors_allowed_origins="*")
        reply = world.fetch(headers={"Origin": self.ORIGIN})
        assert reply.header("Access-Control-Allow-Origin") == "*"
        assert reply.header("Access-Control-Allow-Credentials") is None

    def test_on_the_refusal_of_a_drain(self, world: World) -> None:
        world.drain()
        self.check(world.fetch(headers={"Origin": self.ORIGIN}))

    def test_no_header_is_split(self, make_world: MakeWorld) -> None:
        world = make_world(cors_allowed_origins=lambda origin: True)
        try:
            reply = world.fetch(headers={"Origin": "http://good.example\r\nX-Evil: 1"})
        except AssertionError as error:
            pytest.fail(str(error))
        assert reply.header("X-Evil") is None

    def test_a_poll_of_such_an_origin_does_not_break_in_the_loop(self, make_world: MakeWorld) -> None:
        world = make_world(cors_allowed_origins=lambda origin: True)
        client = EngineClient.polling(world).connect()
        client.keep_polling = False
        world.server.emit("release", [])
        world.settle()
        poll = world.request(query=client.query, headers={"Origin": "http://good.example\r\nX-Evil: 1"})
        poll.serve()
        world.server.emit("n", [])
        world.settle()
        errors = world.logged("error in the loop")
        world._records.records.clear()  # or else the fixture complains too
        assert errors == []


class TestRenderResponse:
    def test_a_response(self) -> None:
        assert render_response(GatewayReply(200, [("A", "b")], b"body")) == (
            b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
        )

    @pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
    def test_no_line_breaks(self, value: str) -> None:
        with pytest.raises(ValueError, match="line break"):
            render_response(GatewayReply(200, [("A", value)], b""))
        with pytest.raises(ValueError, match="line break"):
            render_response(GatewayReply(200, [(value, "a")], b""))


class TestHandshakes:
    def test_the_open_packet(self, make_world: MakeWorld) -> None:
        world = make_world(ping_interval=0.3, ping_timeout=0.2, max_http_buffer_size=5)
        client = EngineClient.polling(world)
        assert client.handshake == {
            "sid": client.sid,
            "upgrades": ["websocket"],
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 5,
        }
        assert EngineClient.websocket(world).handshake["upgrades"] == []
        assert len(client.sid) == 20

    def test_ids_are_never_the_same(self, world: World) -> None:
        sids = [json.loads(world.fetch().body[1:])["sid"] for _ in range(200)]
        assert len(set(sids)) == 200

    def test_the_public_sid_is_not_the_secret_one(self, world: World) -> None:
        client = EngineClient.websocket(world).connect()
        assert client.public_sid() != client.sid
        assert len(client.public_sid()) == 16

    def test_compressed_websockets_are_off_unless_asked_for(self, make_world: MakeWorld) -> None:
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
        for on in (False, True):
            world = make_world(permessage_deflate=on)
            ws = WebSocket(world, WEBSOCKET, headers=offer)
            world.backend.settle()
            ws.exchange.pump()
            assert (b"permessage-deflate" in ws.exchange.buffer) is on
