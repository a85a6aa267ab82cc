"""Polling and websockets on an ASGI server in memory."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from typing import Any

import flask
import pytest
from asgi_driver import Request, WebSocket, eventually, play, played
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_realtime import EngineIO
from flask_realtime.gateways.asgi import environ_of, split_path

POLLING = "EIO=4&transport=polling"


class World:
    """An Engine.IO echo under ASGI."""

    def __init__(self, **options: Any) -> None:
        self.app = Flask("echo")
        self.engineio = EngineIO(self.app, **options)
        self.sessions: list[Any] = []
        self.messages: list[str | bytes] = []
        self.reasons: list[str] = []
        self.engineio.on_connect(self.sessions.append)
        self.engineio.on_message(self._echo)
        self.engineio.on_disconnect(lambda session, reason: self.reasons.append(str(reason)))
        self.asgi = self.engineio.asgi_app(self.app)

        @self.app.route("/view", methods=["GET", "POST"])
        def view() -> str:
            return f"seen {len(flask.request.get_data())}"

    def _echo(self, session: Any, data: str | bytes) -> None:
        self.messages.append(data)
        session.send(data)

    def request(self, *args: Any, **kwargs: Any) -> Request:
        return Request(self.asgi, *args, **kwargs)

    def websocket(self, *args: Any, **kwargs: Any) -> WebSocket:
        return WebSocket(self.asgi, *args, **kwargs)

    def poll(self, sid: str, **kwargs: Any) -> Request:
        return self.request(query=f"{POLLING}&sid={sid}", **kwargs)

    def post(self, sid: str, body: bytes, **kwargs: Any) -> Request:
        return self.request("POST", f"{POLLING}&sid={sid}", body=body, **kwargs)

    async def open_polling(self) -> str:
        reply = await self.request().reply()
        assert reply.status == 200
        sid: str = json.loads(reply.text[1:])["sid"]
        await eventually(lambda: self.sessions)
        return sid

    async def echo_one_of_two(self) -> tuple[str, threading.Event]:
        """A session on polling that has the echo of "one", and gets that of "two" when the event is set."""
        go_on = threading.Event()

        def echo(session: Any, data: str | bytes) -> None:
            if data == "two":
                go_on.wait(10)
            self._echo(session, data)

        self.engineio.on_message(echo)
        sid = await self.open_polling()
        assert (await self.post(sid, b"4one\x1e4two").reply()).text == "ok"
        await eventually(lambda: self.messages == ["one"])
        return sid, go_on

    async def open_websocket(self, **kwargs: Any) -> WebSocket:
        websocket = self.websocket(**kwargs)
        assert (await websocket.next_event())["type"] == "websocket.accept"
        handshake = json.loads(str(await websocket.receive())[1:])
        assert handshake["upgrades"] == []
        await eventually(lambda: self.sessions)
        return websocket

    @property
    def alive(self) -> int:
        return self.engineio.stats()["sessions"]


class TestPolling:
    @played
    async def test_echo(self) -> None:
        world = World()
        sid = await world.open_polling()
        assert (await world.post(sid, b"4hello\x1ebAAE=").reply()).text == "ok"
        await eventually(lambda: len(world.messages) == 2)
        reply = await world.poll(sid).reply()
        assert reply.text == "4hello\x1ebAAE="
        assert reply.header("content-length") == str(len(reply.body))
        assert reply.header("cache-control") == "no-store"

    @played
    async def test_one_poll_brings_all_that_the_client_has_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("gateways.asgi", "server.inbox"):
            monkeypatch.setattr(f"flask_realtime.{module}.MOMENT", 10)
        world = World()
        sid, go_on = await world.echo_one_of_two()
        poll = world.poll(sid)
        await asyncio.sleep(0)
        go_on.set()
        assert (await poll.reply()).text == "4one\x1e4two"

    @played
    async def test_a_handshake_waits_for_no_handler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_realtime.gateways.asgi.MOMENT", 10)
        world = World()
        go_on = threading.Event()

        def connected(session: Any) -> None:
            go_on.wait(10)
            session.send("hello")

        world.engineio.on_connect(connected)
        sid = json.loads((await world.request().reply()).text[1:])["sid"]
        assert not go_on.is_set()
        go_on.set()
        assert (await world.poll(sid).reply()).text == "4hello"

    @played
    async def test_a_poll_does_not_wait_for_a_handler_that_takes_its_time(self) -> None:
        world = World()
        sid, go_on = await world.echo_one_of_two()
        assert (await world.poll(sid).reply()).text == "4one"
        go_on.set()
        assert (await world.poll(sid).reply()).text == "4two"

    @played
    async def test_a_poll_waits_until_a_thread_sends(self) -> None:
        world = World()
        poll = world.poll(await world.open_polling())
        await asyncio.sleep(0.05)
        assert not poll.sent
        threading.Thread(target=world.sessions[0].send, args=("late",)).start()
        assert (await poll.reply()).text == "4late"
        assert world.alive == 1

    @pytest.mark.parametrize("how", ["leave", "cancel"])
    @played
    async def test_a_poll_that_is_given_up_ends_the_session(self, how: str) -> None:
        world = World()
        poll = world.poll(await world.open_polling())
        await asyncio.sleep(0.02)
        if how == "leave":
            poll.leave()
            await poll.done()
        else:
            poll.task.cancel()
        await eventually(lambda: world.reasons == ["transport error"])
        assert world.alive == 0

    @played
    async def test_a_client_that_leaves_before_all_is_written(self) -> None:
        world = World(http_compression=False)
        sid = await world.open_polling()
        world.sessions[0].send("x" * 100_000)
        poll = world.poll(sid)
        poll.reads.clear()
        await asyncio.sleep(0.05)
        poll.leave()
        await asyncio.sleep(0.05)
        poll.reads.set()
        await poll.done()
        await eventually(lambda: world.reasons == ["transport error"])

    @played
    async def test_a_client_that_does_not_read_its_response(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_realtime.gateways.asgi.SLOWEST", 1e9)
        world = World(http_compression=False, write_timeout=0.1)
        sid = await world.open_polling()
        world.sessions[0].send("x" * 100_000)
        poll = world.poll(sid)
        poll.reads.clear()
        await eventually(lambda: world.reasons == ["transport error"])
        await poll.done()

    @played
    async def test_a_server_that_takes_nothing_behind_the_last_byte(self) -> None:
        world = World(http_compression=False)
        sid = await world.open_polling()
        world.sessions[0].send("x" * 100_000)
        reply = await world.poll(sid).reply()
        assert len(reply.body) == 100_001
        sizes = [len(event["body"]) for event in reply.sent[1:]]
        assert sum(sizes[:-1]) == 100_000
        assert world.alive == 1

    @played
    async def test_a_large_payload_is_compressed_elsewhere(self) -> None:
        world = World()
        sid = await world.open_polling()
        world.sessions[0].send("x" * 100_000)
        reply = await world.poll(sid, headers={"accept-encoding": "gzip"}).reply()
        assert reply.header("content-encoding") == "gzip"
        assert len(reply.body) < 1000

    @played
    async def test_a_second_poll(self) -> None:
        world = World()
        sid = await world.open_polling()
        first = world.poll(sid)
        await asyncio.sleep(0.02)
        second = await world.poll(sid).reply()
        assert second.status == 400
        assert (await first.reply()).text == "1"
        assert world.alive == 0

    @played
    async def test_a_poll_waits_while_the_one_before_is_written(self) -> None:
        world = World()
        sid = await world.open_polling()
        world.sessions[0].send("one")
        first = world.poll(sid)
        first.reads.clear()
        await asyncio.sleep(0.02)
        second = world.poll(sid)
        await asyncio.sleep(0.02)
        assert not second.sent
        first.reads.set()
        assert (await first.reply()).text == "4one"
        world.sessions[0].send("two")
        assert (await second.reply()).text == "4two"

    @pytest.mark.parametrize(
        ("headers", "status"),
        [({"content-length": "2000000"}, 413), ({}, 411), ({"content-length": "x"}, 400)],
    )
    @played
    async def test_a_body_that_is_refused(
        self, headers: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flask_realtime.gateways.asgi.DISCARD_IDLE", 0.05)
        world = World()
        sid = await world.open_polling()
        reply = await world.request("POST", f"{POLLING}&sid={sid}", headers, body=None).reply()
        assert reply.status == status
        assert set(json.loads(reply.text)) == {"code", "message"}
        assert world.alive == 0

    @played
    async def test_a_refused_body_is_read_so_that_the_client_sees_the_answer(self) -> None:
        world = World(max_http_buffer_size=1000)
        sid = await world.open_polling()
        post = world.request("POST", f"{POLLING}&sid={sid}", {"content-length": "20000"}, body=None)
        for _ in range(3):
            post.incoming.put_nowait({"type": "http.request", "body": b"4" * 5000, "more_body": True})
        await eventually(lambda: post.incoming.empty())
        assert post.status == 413
        assert post.text.endswith('"')
        post.incoming.put_nowait({"type": "http.request", "body": b"4" * 5000})
        assert set(json.loads((await post.reply()).text)) == {"code", "message"}

    @played
    async def test_a_small_body_that_is_refused_holds_up_nothing(self) -> None:
        post = World().request("POST", f"{POLLING}&sid=unknown", {"content-length": "10"}, body=None)
        await eventually(lambda: post.task.done(), 0.4)
        assert post.status == 400

    @played
    async def test_a_refused_body_is_not_read_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_realtime.gateways.asgi.DISCARD_AT_LEAST", 0)
        world = World(max_http_buffer_size=1000)
        sid = await world.open_polling()
        post = world.request("POST", f"{POLLING}&sid={sid}", {"transfer-encoding": "chunked"}, body=None)
        for _ in range(30):
            post.incoming.put_nowait({"type": "http.request", "body": b"4" * 1000, "more_body": True})
        assert (await post.reply()).status == 413
        assert post.incoming.qsize() == 30 - 2 - 16

    @played
    async def test_a_refused_body_that_waits_for_our_word_is_not_asked_for(self) -> None:
        headers = {"content-length": "100000", "expect": "100-continue"}
        post = World().request("POST", f"{POLLING}&sid=unknown", headers, body=None)
        assert (await post.reply()).status == 400

    @pytest.mark.parametrize("how", ["leave", "cancel"])
    @played
    async def test_a_body_that_breaks_off(self, how: str) -> None:
        world = World()
        sid = await world.open_polling()
        post = world.request("POST", f"{POLLING}&sid={sid}", {"content-length": "10"}, body=None)
        post.incoming.put_nowait({"type": "http.request", "body": b"4hel", "more_body": True})
        await asyncio.sleep(0.02)
        if how == "leave":
            post.leave()
            await post.done()
        else:
            post.task.cancel()
        await eventually(lambda: world.reasons == ["transport error"])
        assert world.messages == []

    @played
    async def test_a_body_in_http2_needs_no_length(self) -> None:
        world = World()
        sid = await world.open_polling()
        post = world.request("POST", f"{POLLING}&sid={sid}", body=None, http_version="2")
        post.incoming.put_nowait({"type": "http.request", "body": b"4hel", "more_body": True})
        post.incoming.put_nowait({"type": "http.request", "body": b"lo"})
        assert (await post.reply()).text == "ok"
        await eventually(lambda: world.messages == ["hello"])

    @pytest.mark.parametrize(
        ("method", "query", "status"),
        [
            ("GET", "EIO=3&transport=polling", 400),
            ("GET", "EIO=4&transport=websocket", 400),
            ("POST", POLLING, 400),
            ("GET", f"{POLLING}&sid=unknown", 400),
            ("OPTIONS", "", 204),
        ],
    )
    @played
    async def test_answers_without_a_session(self, method: str, query: str, status: int) -> None:
        reply = await World().request(method, query).reply()
        assert reply.status == status
        assert (reply.header("content-length") is None) is (status == 204)

    @played
    async def test_head_has_no_body(self) -> None:
        reply = await World().request("HEAD").reply()
        assert reply.status == 400
        assert reply.body == b""


class TestWebSocket:
    @played
    async def test_echo(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.send("4hello", b"\x00\x01", "4")
        assert [await websocket.receive() for _ in range(3)] == ["4hello", b"\x00\x01", "4"]
        websocket.leave()
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport close"])

    @played
    async def test_threads_that_send_at_the_same_time_keep_their_orders(self) -> None:
        world = World()
        websocket = await world.open_websocket()

        def send(name: str) -> None:
            for i in range(300):
                world.sessions[0].send(f"{name}{i}")

        for name in "abcd":
            threading.Thread(target=send, args=(name,)).start()
        received = [str(await websocket.receive()) for _ in range(1200)]
        for name in "abcd":
            assert [m for m in received if m[1] == name] == [f"4{name}{i}" for i in range(300)]

    @pytest.mark.parametrize(
        ("code", "reason"), [(1001, "transport close"), (1006, "transport close"), (1002, "transport error")]
    )
    @played
    async def test_why_a_client_has_gone(self, code: int, reason: str) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.leave(code)
        await eventually(lambda: world.reasons == [reason])

    @played
    async def test_cookie(self) -> None:
        world = World(cookie="io")
        accept = await world.websocket().next_event()
        assert accept["headers"][0][0] == b"set-cookie"
        assert accept["headers"][0][1].startswith(b"io=")

    @played
    async def test_a_message_that_is_too_large(self) -> None:
        world = World(max_http_buffer_size=1000)
        websocket = await world.open_websocket()
        websocket.send("4" + "é" * 499)
        assert len(str(await websocket.receive())) == 500
        websocket.send("4" + "é" * 500)
        assert await websocket.closed() == 1009
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport error"])

    @played
    async def test_one_that_is_too_large_among_others(self) -> None:
        world = World(max_http_buffer_size=1000)
        websocket = await world.open_websocket()
        websocket.send("4first", "4" + "x" * 1000, "4second")
        assert await websocket.closed() == 1009
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport error"])
        assert world.messages in ([], ["first"]), "what came before it may be handled, nothing else"

    @played
    async def test_what_was_said_before_the_end_is_heard(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.send(*(f"4{i}" for i in range(250)))
        websocket.leave()
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport close"])
        assert world.messages == [f"{i}" for i in range(250)]

    def test_a_server_that_fails_behind_some_messages(self, caplog: pytest.LogCaptureFixture) -> None:
        async def test() -> None:
            world = World()

            async def app(scope: Any, receive: Any, send: Any) -> None:
                async def receive_or_fail() -> Any:
                    event = await receive()
                    if event.get("text") == "fail":
                        raise ValueError("on purpose")
                    return event

                await world.asgi(scope, receive_or_fail, send)

            websocket = WebSocket(app)
            assert (await websocket.next_event())["type"] == "websocket.accept"
            websocket.send("4first", "4second", "fail")
            await websocket.done()
            await eventually(lambda: world.reasons == ["transport error"])
            assert world.messages == ["first", "second"]

        play(test)
        assert "on purpose" in caplog.text

    @played
    async def test_garbage_closes(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.send("abc")
        assert await websocket.closed() == 1002
        await websocket.done()

    @played
    async def test_the_app_closes(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        world.sessions[0].send("last")
        world.sessions[0].close()
        assert await websocket.receive() == "4last"
        assert await websocket.closed() == 1000
        await websocket.done()
        assert world.alive == 0

    @played
    async def test_a_server_that_closes_only_after_the_answer(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.reads.clear()
        world.sessions[0].close()
        await eventually(lambda: world.alive == 0)
        websocket.task.cancel()

    @played
    async def test_a_client_that_does_not_read_is_sent_away(self) -> None:
        world = World(max_queued_bytes=10_000)
        websocket = await world.open_websocket()
        websocket.reads.clear()
        await asyncio.sleep(0.01)
        for _ in range(10):
            world.sessions[0].send("x" * 900)
        await asyncio.sleep(0.1)
        for _ in range(20):
            world.sessions[0].send("x" * 900)
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport error"])
        assert world.engineio.stats()["queued_bytes"] == 0

    @played
    async def test_what_is_sent_while_the_server_takes_nothing(self) -> None:
        world = World()
        websocket, other = await world.open_websocket(), await world.open_websocket()
        await eventually(lambda: len(world.sessions) == 2)
        websocket.reads.clear()
        for i in range(100):
            world.sessions[0].send(f"{i}")
            if i % 10 == 0:
                await asyncio.sleep(0.001)
                world.sessions[1].send(f"{i}")
                assert await other.receive() == f"4{i}"
        assert len(websocket.sent) == 2
        websocket.reads.set()
        assert [await websocket.receive() for _ in range(100)] == [f"4{i}" for i in range(100)]
        await eventually(lambda: world.engineio.stats()["queued_packets"] == 0)

    @played
    async def test_a_session_that_is_closed_while_the_server_takes_nothing(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.reads.clear()
        world.sessions[0].send("last words")
        await asyncio.sleep(0.01)
        world.sessions[0].close()
        await asyncio.sleep(0.01)
        websocket.reads.set()
        assert await websocket.receive() == "4last words"
        assert await websocket.closed() == 1000
        await websocket.done()

    @played
    async def test_a_server_whose_functions_give_futures(self) -> None:
        world = World()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await world.asgi(
                scope,
                lambda: asyncio.ensure_future(receive()),
                lambda event: asyncio.ensure_future(send(event)),
            )

        websocket = WebSocket(app)
        assert (await websocket.next_event())["type"] == "websocket.accept"
        assert str(await websocket.receive()).startswith("0")
        websocket.send("4hello", b"\x00\x01", "4")
        assert [await websocket.receive() for _ in range(3)] == ["4hello", b"\x00\x01", "4"]
        websocket.leave()
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport close"])

    @played
    async def test_a_client_that_reads_nothing_for_too_long(self) -> None:
        world = World(write_timeout=0.2)
        websocket = await world.open_websocket()
        websocket.reads.clear()
        world.sessions[0].send("x")
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport error"])

    @played
    async def test_a_connection_that_is_lost_while_we_write(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.lost = OSError("gone")
        world.sessions[0].send("x")
        await asyncio.sleep(0.05)
        websocket.leave(1001)
        await websocket.done()
        await eventually(lambda: world.reasons == ["transport close"])

    @played
    async def test_a_server_that_refuses_most_close_codes(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.refused_code = 1002
        websocket.send("abc")
        assert await websocket.closed() == 1000
        await websocket.done()

    @played
    async def test_what_is_known_of_a_session_that_is_over_does_not_keep_the_connection(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        transport = world.sessions[0]._session.transport
        send = weakref.ref(websocket)
        websocket.leave()
        await websocket.done()
        del websocket
        await asyncio.sleep(0)
        gc.collect()
        assert transport is not None
        assert send() is None

    @played
    async def test_a_server_that_cancels_us(self) -> None:
        world = World()
        websocket = await world.open_websocket()
        websocket.task.cancel()
        await eventually(lambda: world.reasons == ["transport error"])

    @played
    async def test_nothing_is_read_for_handlers_that_are_behind(self) -> None:
        world = World()
        blocked = threading.Event()

        def wait(session: Any, data: str | bytes) -> None:
            blocked.wait(10)
            world.messages.append(data)

        world.engineio.on_message(wait)
        websocket = await world.open_websocket()
        websocket.send(*(f"4{i}" for i in range(3000)))
        await asyncio.sleep(0.3)
        assert websocket.incoming.qsize() > 1000
        blocked.set()
        await eventually(lambda: len(world.messages) == 3000, 20)

    @played
    async def test_a_thousand_idle_websockets_need_no_thread(self) -> None:
        world = World()
        await world.open_websocket()
        await asyncio.sleep(0.05)
        before = threading.active_count()
        clients = [world.websocket() for _ in range(1000)]
        for client in clients:
            await client.next_event()
            await client.receive()
        # At most the handlers of 1,000 connects that came at once.
        assert threading.active_count() - before <= 256


class TestRefusals:
    @played
    async def test_with_a_response(self) -> None:
        websocket = World().websocket("EIO=3&transport=websocket", extensions={"websocket.http.response": {}})
        await websocket.done()
        start, body = websocket.sent
        assert start["type"] == "websocket.http.response.start"
        assert start["status"] == 400
        assert json.loads(body["body"])["code"] == 5

    @played
    async def test_without_one(self) -> None:
        websocket = World().websocket("EIO=3&transport=websocket")
        await websocket.done()
        assert [event["type"] for event in websocket.sent] == ["websocket.close"]

    @played
    async def test_an_origin(self) -> None:
        world = World()
        good = {"origin": "http://server.example"}
        assert (await world.websocket(headers=good).next_event())["type"] == "websocket.accept"
        bad = {"origin": "http://evil.example"}
        assert (await world.websocket(headers=bad).next_event())["type"] == "websocket.close"
        secure = {"origin": "https://server.example"}
        accepted = world.websocket(headers=secure, scheme="wss")
        assert (await accepted.next_event())["type"] == "websocket.accept"

    @played
    async def test_other_websockets(self) -> None:
        world = World()
        websocket = world.websocket(path="/elsewhere", extensions={"websocket.http.response": {}})
        await websocket.done()
        assert websocket.sent[0]["status"] == 403
        assert b"/elsewhere" in websocket.sent[1]["body"]


class TestUpgrade:
    @played
    async def test_the_ladder(self) -> None:
        world = World()
        sid = await world.open_polling()
        poll = world.poll(sid)
        await asyncio.sleep(0.02)
        websocket = world.websocket(f"EIO=4&transport=websocket&sid={sid}")
        assert (await websocket.next_event())["type"] == "websocket.accept"
        websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        assert (await poll.reply()).text == "6"
        websocket.send("5", "4hello")
        assert await websocket.receive() == "4hello"
        assert (await world.poll(sid).reply()).status == 400
        assert world.alive == 1

    @played
    async def test_a_second_one(self) -> None:
        world = World()
        sid = await world.open_polling()
        first = world.websocket(f"EIO=4&transport=websocket&sid={sid}")
        await first.next_event()
        second = world.websocket(f"EIO=4&transport=websocket&sid={sid}")
        await second.next_event()
        assert await second.closed() == 1008
        first.send("2probe")
        assert await first.receive() == "3probe"

    @played
    async def test_one_that_fails_beside_a_poll(self) -> None:
        world = World()
        sid = await world.open_polling()
        poll = world.poll(sid)
        websocket = world.websocket(f"EIO=4&transport=websocket&sid={sid}")
        await websocket.next_event()
        websocket.leave(1006)
        await websocket.done()
        await asyncio.sleep(0.05)
        assert not poll.sent
        world.sessions[0].send("still here")
        assert (await poll.reply()).text == "4still here"
        assert world.alive == 1

    @played
    async def test_one_that_fails(self) -> None:
        world = World()
        sid = await world.open_polling()
        websocket = world.websocket(f"EIO=4&transport=websocket&sid={sid}")
        await websocket.next_event()
        websocket.send("2probe")
        await websocket.receive()
        websocket.leave(1006)
        await websocket.done()
        world.sessions[0].send("still here")
        assert (await world.poll(sid).reply()).text in ("4still here", "6")
        assert world.alive == 1


class TestScope:
    @pytest.mark.parametrize(
        ("root", "path", "expected"),
        [
            ("", "/engine.io/", ("", "/engine.io/")),
            ("/app", "/app/engine.io/", ("/app", "/engine.io/")),
            ("/app", "/engine.io/", ("/app", "/engine.io/")),
            ("/app/", "/app/x", ("/app", "/x")),
            ("/app", "/application", ("/app", "/application")),
            ("/app", "/app", ("/app", "")),
        ],
    )
    def test_where_an_app_is_mounted(self, root: str, path: str, expected: tuple[str, str]) -> None:
        assert split_path({"root_path": root, "path": path}) == expected

    def test_what_wsgi_would_say(self) -> None:
        environ = environ_of(
            {
                "type": "http",
                "method": "POST",
                "path": "/ä",
                "query_string": b"a=1",
                "scheme": "https",
                "http_version": "2",
                "server": ("h", None),
                "client": ("192.0.2.1", 5),
                "headers": [
                    (b"cookie", b"a=1"),
                    (b"cookie", b"b=2"),
                    (b"x-forwarded-for", b"1"),
                    (b"x_forwarded_for", b"2"),
                    (b"x-forwarded-for", b"3"),
                    (b"content-type", b"text/plain"),
                ],
            }
        )
        assert environ["PATH_INFO"] == "/ä".encode().decode("latin-1")
        assert environ["HTTP_COOKIE"] == "a=1; b=2"
        assert environ["HTTP_X_FORWARDED_FOR"] == "1,3"
        assert environ["CONTENT_TYPE"] == "text/plain"
        assert environ["REMOTE_ADDR"] == "192.0.2.1"
        assert environ["wsgi.url_scheme"] == "https"
        assert environ["SERVER_PORT"] == "0"

    @pytest.mark.parametrize("proxies", [0, 1])
    @played
    async def test_proxies_are_believed_where_the_app_says_so(self, proxies: int) -> None:
        world = World()
        if proxies:
            world.app.wsgi_app = ProxyFix(world.app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
        headers = {
            "origin": "https://public.example",
            "x-forwarded-proto": "https",
            "x-forwarded-host": "public.example",
        }
        reply = await world.request(headers=headers).reply()
        assert reply.status == (200 if proxies else 403)

    @played
    async def test_views(self) -> None:
        reply = await World().request(query="", path="/view").reply()
        assert reply.text == "seen 0"

    @played
    async def test_views_on_a_server_whose_functions_give_futures(self) -> None:
        world = World()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await world.asgi(
                scope,
                lambda: asyncio.ensure_future(receive()),
                lambda event: asyncio.ensure_future(send(event)),
            )

        reply = await Request(app, "POST", query="", path="/view", body=b"x" * 200_000).reply()
        assert reply.text == "seen 200000"

    @played
    async def test_a_view_gets_a_body_without_a_length(self) -> None:
        headers = {"transfer-encoding": "chunked"}
        post = World().request("POST", "", headers, body=None, path="/view")
        post.incoming.put_nowait({"type": "http.request", "body": b"ab", "more_body": True})
        post.incoming.put_nowait({"type": "http.request", "body": b"c"})
        assert (await post.reply()).text == "seen 3"

    @pytest.mark.parametrize("headers", [{"transfer-encoding": "chunked"}, {"content-length": "10"}])
    @played
    async def test_a_view_gets_no_body_that_breaks_off(self, headers: dict[str, str]) -> None:
        post = World().request("POST", "", headers, body=None, path="/view")
        post.incoming.put_nowait({"type": "http.request", "body": b"ab", "more_body": True})
        post.leave()
        assert (await post.reply()).status == 400

    @played
    async def test_a_view_sees_no_header_with_an_underscore(self) -> None:
        world = World()
        world.app.add_url_rule("/for", view_func=lambda: flask.request.headers.get("X-Forwarded-For", "none"))
        reply = await world.request(query="", path="/for", headers={"x_forwarded_for": "192.0.2.9"}).reply()
        assert reply.text == "none"

    @pytest.mark.parametrize(
        ("root", "path"), [("/app", "/app/view"), ("/app", "/view"), ("/app/", "/app/view"), ("/v", "/view")]
    )
    @played
    async def test_a_view_of_an_app_that_is_mounted(self, root: str, path: str) -> None:
        reply = await World().request(query="", path=path, root_path=root).reply()
        assert reply.text == "seen 0"

    @played
    async def test_what_is_neither_a_request_nor_a_websocket(self) -> None:
        with pytest.raises(NotImplementedError):
            await World().asgi({"type": "webtransport"}, None, None)
