"""The test client, as tests written for Flask-SocketIO use it."""

from __future__ import annotations

from typing import Any

import pytest
from extension.conftest import Connect
from flask import Flask, request

from flask_realtime import (
    ConnectionRefusedError,
    SocketIO,
    SocketIOTestClient,
    disconnect,
    emit,
    join_room,
    send,
)


@pytest.fixture(autouse=True)
def handlers(socketio: SocketIO) -> None:
    for namespace in ("/", "/chat"):
        socketio.on_event("echo", lambda *args: emit("echoed", args), namespace)
        socketio.on_event("ack", lambda *args: args, namespace)
        socketio.on_event("message", send, namespace)
        socketio.on_event("json", lambda data: send(data, json=True), namespace)


def test_both_ways_to_make_one(app: Flask, socketio: SocketIO) -> None:
    assert isinstance(socketio.test_client(app), SocketIOTestClient)
    client = SocketIOTestClient(app, socketio, namespace="/chat", query_string="?a=1", headers={}, auth={})
    assert client.is_connected("/chat")


def test_connected_and_not(connect: Connect) -> None:
    client = connect()
    assert client.is_connected()
    assert client.is_connected("/")
    assert not client.is_connected("/chat")
    client.disconnect()
    assert not client.is_connected()
    for action in (
        client.disconnect,
        client.get_received,
        lambda: client.emit("x"),
        lambda: client.send("x"),
    ):
        with pytest.raises(RuntimeError, match="not connected"):
            action()


def test_reconnecting(socketio: SocketIO, connect: Connect) -> None:
    client = connect()
    client.disconnect()
    client.connect()
    assert client.is_connected()
    socketio.emit("event")
    assert len(client.get_received()) == 1


def test_connecting_twice(socketio: SocketIO, connect: Connect) -> None:
    client = connect()
    client.connect()
    socketio.emit("event")
    assert len(client.get_received()) >= 1


def test_several_namespaces(connect: Connect) -> None:
    client = connect("/chat")
    client.connect("/")
    client.emit("echo", 1)
    client.emit("echo", 2, namespace="/chat")
    client.emit("echo", 3, namespace="/chat")
    assert [item["args"] for item in client.get_received("/chat")] == [[2], [3]]
    assert client.get_received() == [{"name": "echoed", "args": [1], "namespace": "/"}]
    assert client.get_received() == client.get_received("/chat") == []
    client.disconnect("/chat")
    assert client.is_connected()


class TestReceived:
    def test_events(self, connect: Connect) -> None:
        client = connect()
        client.emit("echo", 1, "two", {"three": [3]})
        client.emit("echo")
        assert client.get_received() == [
            {"name": "echoed", "args": [1, "two", {"three": [3]}], "namespace": "/"},
            {"name": "echoed", "args": [], "namespace": "/"},
        ]

    def test_message_and_json_are_bare(self, connect: Connect) -> None:
        client = connect("/chat")
        client.send("text", namespace="/chat")
        client.send({"a": 1}, json=True, namespace="/chat")
        assert client.get_received("/chat") == [
            {"name": "message", "args": "text", "namespace": "/chat"},
            {"name": "json", "args": {"a": 1}, "namespace": "/chat"},
        ]

    def test_binary(self, connect: Connect) -> None:
        client = connect()
        client.emit("echo", b"one", {"two": [bytearray(b"2")]})
        client.send(b"three")
        assert [item["args"] for item in client.get_received()] == [[b"one", {"two": [b"2"]}], b"three"]

    def test_it_is_what_a_real_client_would_get(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        data = {"tuple": (1, 2), 3: "key"}
        socketio.emit("event", data)
        assert client.get_received()[0]["args"] == [{"tuple": [1, 2], "3": "key"}]

    def test_is_a_copy_for_each_client(self, socketio: SocketIO, connect: Connect) -> None:
        clients = [connect(), connect()]
        socketio.emit("event", {"list": []})
        first = clients[0].get_received()[0]["args"][0]
        first["list"].append("changed")
        assert clients[1].get_received()[0]["args"] == [{"list": []}]


class TestEmit:
    @pytest.mark.parametrize(
        ("args", "answer"), [((), []), ((1,), 1), ((1, 2), [1, 2]), (([1],), [1]), ((b"x",), b"x")]
    )
    def test_callback(self, connect: Connect, args: tuple[Any, ...], answer: object) -> None:
        client = connect()
        assert client.emit("ack", *args, callback=True) == answer
        assert client.emit("ack", *args) is None
        client.connect("/chat")
        assert client.emit("ack", *args, callback=True, namespace="/chat") == answer

    def test_send_with_callback(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("message", lambda data: data * 2)
        assert connect().send(21, callback=True) == 42

    def test_handlers_have_returned(self, socketio: SocketIO, connect: Connect) -> None:
        calls: list[Any] = []
        socketio.on_event("event", calls.append)
        client = connect()
        for number in range(50):
            client.emit("event", number)
            assert calls[-1] == number

    def test_errors_are_raised(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("fail", lambda: 1 / 0)
        client = connect()
        with pytest.raises(ZeroDivisionError):
            client.emit("fail")
        assert client.emit("ack", 1, callback=True) == 1

    def test_errors_of_connect_are_raised(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("connect", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            connect()

    def test_errors_of_disconnect_are_raised(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("disconnect", lambda: 1 / 0)
        client = connect()
        with pytest.raises(ZeroDivisionError):
            client.disconnect()

    def test_options_of_a_server_are_ignored(self, connect: Connect) -> None:
        assert connect().emit("ack", 1, callback=True, broadcast=True, to="x") == 1

    def test_what_cannot_be_sent(self, connect: Connect) -> None:
        client = connect()
        with pytest.raises(TypeError):
            client.emit("echo", object())
        assert client.emit("ack", 1, callback=True) == 1

    def test_reserved_names_end_the_session(self, connect: Connect) -> None:
        client = connect()
        client.emit("disconnect")
        assert client._session is not None
        assert client._session.ended

    def test_a_session_that_has_ended_is_not_connected(self, connect: Connect) -> None:
        client = connect()
        client.emit("disconnect")
        assert not client.is_connected()


def test_clients_see_each_other(socketio: SocketIO, connect: Connect) -> None:
    @socketio.on("join")
    def join() -> None:
        join_room("room")
        emit("joined", to="room", include_self=False)

    one, two = connect(), connect()
    one.emit("join")
    two.emit("join")
    assert [item["name"] for item in one.get_received()] == ["joined"]
    assert two.get_received() == []


def test_one_client_disconnects_another(socketio: SocketIO, connect: Connect) -> None:
    reasons: list[str] = []
    sids: list[str] = []
    socketio.on_event("connect", lambda: sids.append(request.sid))
    socketio.on_event("disconnect", reasons.append)
    socketio.on_event("kick", lambda sid: disconnect(sid))
    one, two = connect(), connect()
    one.emit("kick", sids[1])
    assert one.is_connected()
    assert not two.is_connected()


def test_the_handler_of_a_client_that_another_disconnects_runs(socketio: SocketIO, connect: Connect) -> None:
    reasons: list[str] = []
    sids: list[str] = []
    socketio.on_event("connect", lambda: sids.append(request.sid))
    socketio.on_event("disconnect", reasons.append)
    socketio.on_event("kick", lambda sid: disconnect(sid))
    one, two = connect(), connect()
    one.emit("kick", sids[1])
    assert not two.is_connected()
    assert reasons == ["server disconnect"]


def test_query_string_headers_and_auth(socketio: SocketIO, connect: Connect) -> None:
    seen: list[Any] = []

    @socketio.on("connect")
    def connected(auth: Any) -> None:
        seen.append((request.args.get("a"), request.headers.get("X-Color"), auth))

    for query_string in ("a=1", "?a=1"):
        connect(query_string=query_string, headers={"X-Color": "red"}, auth={"token": "t"})
    assert seen == [("1", "red", {"token": "t"})] * 2


def test_cookies_of_the_flask_client(app: Flask, socketio: SocketIO, connect: Connect) -> None:
    socketio.on_event("cookies", lambda: dict(request.cookies))
    http = app.test_client()
    http.set_cookie("a", "1")
    client = connect(flask_test_client=http, headers={"X-Color": "red"}, query_string="q=1")
    assert client.emit("cookies", callback=True) == {"a": "1"}


def test_refusals_with_msgpack(app: Flask) -> None:
    socketio = SocketIO(app, serializer="msgpack")

    @socketio.on("connect")
    def connected() -> None:
        raise ConnectionRefusedError("go away")

    assert socketio.test_client(app).refusals == {"/": {"message": "go away"}}


def test_a_real_client_beside_it_is_not_disturbed(socketio: SocketIO, connect: Connect, url: str) -> None:
    from extension.live import SocketIOClient

    with SocketIOClient(url) as real:
        client = connect()
        client.emit("echo", 1)
        socketio.emit("event")
        assert real.receive() == '42["event"]'
        real.transport.send('421["ack",1]')
        assert real.receive() == "431[1]"
        assert [item["name"] for item in client.get_received()] == ["echoed", "event"]
