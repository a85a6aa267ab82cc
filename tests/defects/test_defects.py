"""What goes wrong in other servers of this protocol, and must not here.

Each test is named by what is right; its docstring says what happens elsewhere.
"""

from __future__ import annotations

import gc
import json
import logging
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask, request

from flask_realtime import SocketIO, emit, join_room

CONNECTED = '40{"sid":'
GARBAGE = [
    "",
    "9",
    "x",
    "4",
    "4x",
    "42",
    "42{}",
    '42["unclosed"',
    '49["event"]',
    "b!!!",
    "b",
    "\x1e",
    '42["a"]\x1e',
    "\ud800".encode("utf-8", "surrogatepass"),
    b"\xff\xfe",
]


@pytest.fixture
def app() -> Flask:
    return Flask("app")


@pytest.fixture
def socketio(app: Flask) -> SocketIO:
    return SocketIO(app)


@pytest.fixture
def url(app: Flask, socketio: SocketIO) -> Iterator[str]:
    with serve(app) as url:
        yield url


def serving(socketio: SocketIO, url: str, transport: str = "websocket") -> bool:
    """Whether a new client is served as if nothing had happened."""
    socketio.on_event("alive?", lambda: "yes")
    with SocketIOClient(url, transport) as client:
        client.transport.send('429["alive?"]')
        return bool(client.receive() == '439["yes"]')


def test_binary_broadcast_to_both_transports(socketio: SocketIO, url: str) -> None:
    """Polling clients get an error 500, or websocket clients base64 text: the first to be served decides."""
    with (
        SocketIOClient(url, "polling") as polling,
        SocketIOClient(url, "websocket") as websocket,
        SocketIOClient(url, "upgrade") as upgraded,
    ):
        for _ in range(2):
            socketio.emit("file", {"name": "f", "data": b"\x00\xff"})
            for client in (polling, websocket, upgraded):
                header = '451-["file",{"name":"f","data":{"_placeholder":true,"num":0}}]'
                assert client.receive() == header
                assert client.receive() == b"\x00\xff"


def test_catch_all_event_of_all_namespaces_runs(app: Flask) -> None:
    """A handler of every event in every namespace is registered, and never called."""
    socketio = SocketIO(app, namespaces="*")

    @socketio.on("*", namespace="*")
    def anything(event: str, *args: Any) -> list[Any]:
        return [event, list(args), request.namespace]

    client = socketio.test_client(app, "/anywhere")
    assert client.emit("event", 1, 2, callback=True, namespace="/anywhere") == ["event", [1, 2], "/anywhere"]


def test_second_init_app_keeps_handlers_and_options() -> None:
    """Later handlers reach only the last app, and the path and channel are the defaults again."""
    socketio = SocketIO(path="sio")
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        socketio.init_app(app)
    socketio.on_event("late", lambda: "here")
    for app in apps:
        assert socketio.test_client(app).emit("late", callback=True) == "here"
        assert app.test_client().get("/sio/?EIO=4&transport=polling").status_code == 200
        assert app.test_client().get("/socket.io/?EIO=4&transport=polling").status_code == 404


@pytest.mark.parametrize("event", ["connect", "disconnect", "event"])
def test_type_error_inside_a_handler_is_an_error(
    app: Flask, socketio: SocketIO, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is taken for a wrong signature: the error is hidden, and the handler runs a second time."""
    runs: list[tuple[Any, ...]] = []

    @socketio.on(event)
    def handler(*args: Any) -> None:
        runs.append(args)
        raise TypeError("inside the handler")

    with caplog.at_level(logging.ERROR):
        try:
            client = socketio.test_client(app)
            client.emit("event")
            client.disconnect()
        except (TypeError, RuntimeError) as error:
            logging.getLogger("seen").error("%s", error)
    assert len(runs) == 1
    assert "inside the handler" in caplog.text


def test_threads_do_not_grow_with_clients(app: Flask) -> None:
    """Each client has a sleeping thread for its pings and one for its writes; each event starts another."""
    socketio = SocketIO(app, handler_threads=2)
    socketio.on_event("event", lambda: "done")
    with serve(app) as url, ExitStack() as stack:
        first = stack.enter_context(SocketIOClient(url))
        first.transport.send('421["event"]')
        first.receive()
        before = threading.active_count()
        clients = [stack.enter_context(SocketIOClient(url)) for _ in range(30)]
        for _ in range(3):
            for client in clients:
                client.transport.send('421["event"]')
            for client in clients:
                assert client.receive() == '431["done"]'
        # The threads of the handshakes end; one more for handlers may have come.
        wire.wait_until(lambda: threading.active_count() <= before + 1)


def test_fractions_of_a_second_are_announced(app: Flask) -> None:
    """A ping interval of half a second is announced as zero."""
    SocketIO(app, ping_interval=0.5, ping_timeout=0.25)
    opened = json.loads(app.test_client().get("/socket.io/?EIO=4&transport=polling").text[1:])
    assert (opened["pingInterval"], opened["pingTimeout"]) == (500, 250)


def test_json_of_one_server_is_its_own() -> None:
    """The JSON module that one server was given is used by all servers and clients of the process."""

    class Shouting:
        @staticmethod
        def dumps(value: Any, **options: Any) -> str:
            return json.dumps(value, **options).upper()

        loads = staticmethod(json.loads)

    apps = [Flask("plain"), Flask("shouting"), Flask("plain too")]
    socketios = [SocketIO(apps[0]), SocketIO(apps[1], json=Shouting), SocketIO(apps[2])]
    clients = [socketio.test_client(app) for socketio, app in zip(socketios, apps, strict=True)]
    for socketio in socketios:
        socketio.emit("event", "text")
    received = [client.get_received()[0] for client in clients]
    assert [(item["name"], item["args"]) for item in received] == [
        ("event", ["text"]),
        ("EVENT", ["TEXT"]),
        ("event", ["text"]),
    ]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_queue_of_a_client_that_does_not_read_is_bounded(app: Flask, transport: str) -> None:
    """It grows until the server has no memory left."""
    socketio = SocketIO(app, max_queued_bytes=1_000_000)
    reasons: list[str] = []
    socketio.on_event("disconnect", reasons.append)
    with serve(app) as url, SocketIOClient(url) as reader, SocketIOClient(url, transport):
        largest = 0
        for number in range(1_000):
            socketio.emit("event", (number, "x" * 50_000))
            assert reader.receive_event()[1] == number
            largest = max(largest, socketio.stats()["queued_bytes"])
            if reasons:
                break
        wire.wait_until(lambda: reasons, what="the client is sent away")
        assert reasons == ["transport error"]
        assert largest < 1_200_000
        assert socketio.refusals()["slow reader"] == 1


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_connection_without_namespace_ends(app: Flask, transport: str) -> None:
    """A client that never enters a namespace may stay for ever."""
    socketio = SocketIO(app, connect_timeout=0.2)
    with serve(app) as url, wire.open_transport(transport, url) as client:
        assert socketio.stats()["sessions"] == 1
        client.wait_closed()
        wire.wait_until(lambda: socketio.stats()["sessions"] == 0)
        assert socketio.refusals() == {"connect timeout": 1}


def test_upgrade_that_stops_half_way_ends(app: Flask) -> None:
    """A websocket that was opened for an upgrade may stay silent for ever."""
    socketio = SocketIO(app, upgrade_timeout=0.2)
    with serve(app) as url, SocketIOClient(url, "polling") as client:
        polling: Any = client.transport
        with wire.probe(polling) as websocket:
            websocket.wait_closed()
        socketio.emit("still there")
        assert client.receive() == '42["still there"]'


@pytest.mark.parametrize("probe", ["close", "2wrong", "4x", "5", b"binary"])
def test_broken_upgrade_leaves_polling_as_it_was(socketio: SocketIO, url: str, probe: Any) -> None:
    """Every poll is answered with a NOOP from then on; messages are queued and never sent."""
    with SocketIOClient(url, "polling") as client:
        polling: Any = client.transport
        poll = polling.start_get()
        target = wire.target(polling.path, "websocket", sid=polling.sid)
        with wire.WebSocket(url, target) as websocket:
            if probe == "close":
                websocket.send("2probe")
                assert websocket.receive() == "3probe"
            else:
                websocket.send(probe)
                websocket.wait_closed()
        if probe == "close":
            assert poll.reply().text == "6"
            poll = None
        session = socketio.current_server.engine.sessions[polling.sid]
        wire.wait_until(lambda: session.candidate is None, what="the server has given the upgrade up")
        socketio.emit("event")
        if poll is not None:
            assert poll.reply().text == '42["event"]'
        else:
            assert client.receive() == '42["event"]'
        with wire.probe(polling) as websocket:
            websocket.send("5")
            socketio.emit("after another upgrade")
            assert websocket.receive() == '42["after another upgrade"]'


@pytest.mark.parametrize("name", ["connect", "disconnect"])
@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_client_cannot_run_the_lifecycle_handlers(
    socketio: SocketIO, url: str, transport: str, name: str
) -> None:
    """An event of that name runs the app's handler of that name, with data of the client's choice."""
    calls: list[Any] = []
    socketio.on_event("connect", lambda auth: calls.append(("connect", auth)))
    socketio.on_event("disconnect", lambda reason: calls.append(("disconnect", reason)))
    with SocketIOClient(url, transport) as client:
        with suppress(wire.Closed):  # the POST may be refused
            client.emit(name, {"admin": True})
        client.transport.wait_closed()
    wire.wait_until(lambda: len(calls) == 2)
    assert calls == [("connect", None), ("disconnect", "transport error")]


@pytest.mark.parametrize("stray", ["430[]", '430["x"]', "431[]", "43999[]", f"43{2**53}[1]"])
def test_unexpected_acknowledgements_break_nothing(socketio: SocketIO, url: str, stray: str) -> None:
    """One of id 0 uses up the counter of the ids: every later callback is a KeyError."""
    answers: list[Any] = []
    socketio.on_event("sync", lambda: "done")
    with SocketIOClient(url) as client:

        def ask(number: int) -> None:
            socketio.emit("question", number, callback=answers.append)
            packet = str(client.receive())
            ack_id = packet[2 : packet.index("[")]
            client.transport.send(f"43{ack_id}[{number}]")
            wire.wait_until(lambda: number in answers)

        ask(0)
        client.transport.send(stray)
        client.transport.send('425["sync"]')
        assert client.receive() == '435["done"]'
        ask(1)
        ask(2)
        assert answers == [0, 1, 2]


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_binary_event_without_attachments_is_an_event(socketio: SocketIO, url: str, transport: str) -> None:
    """The session waits for attachments that never come, and takes the next event for one."""
    socketio.on_event("event", lambda value: value)
    with SocketIOClient(url, transport) as client:
        client.transport.send('450-1["event","no attachments"]')
        assert client.receive() == '431["no attachments"]'
        client.transport.send('422["event","next"]')
        assert client.receive() == '432["next"]'


def test_close_while_connect_runs_leaves_no_ghost(socketio: SocketIO, url: str) -> None:
    """The client stays in its rooms for ever, and its disconnect handler is never called."""
    entered, go = threading.Event(), threading.Event()
    calls: list[str] = []

    @socketio.on("connect")
    def connected() -> None:
        entered.set()
        assert go.wait(wire.TIMEOUT)
        join_room("room")
        calls.append("connect")

    socketio.on_event("disconnect", lambda reason: calls.append(reason))
    polling = wire.Polling(url)
    polling.send("40")
    assert entered.wait(wire.TIMEOUT)
    polling.send("1")
    go.set()
    wire.wait_until(lambda: len(calls) == 2)
    assert calls == ["connect", "client disconnect"]
    wire.wait_until(lambda: not any(socketio.stats().values()), what=str(socketio.stats()))
    polling.close()


def test_aborted_poll_ends_the_session(socketio: SocketIO, url: str) -> None:
    """The next message is written to the connection that has gone, and lost; the session lives on."""
    reasons: list[str] = []
    socketio.on_event("disconnect", reasons.append)
    client = SocketIOClient(url, "polling")
    polling: Any = client.transport
    polling.start_get().abort()
    wire.wait_until(lambda: reasons)
    assert reasons == ["transport error"]
    assert polling.get().status == 400


def test_second_poll_is_refused(socketio: SocketIO, url: str) -> None:
    """Both are served, so that messages arrive in any order."""
    with SocketIOClient(url, "polling") as client:
        polling: Any = client.transport
        first = polling.start_get()
        second = polling.get()
        assert second.status == 400
        assert "second GET" in second.json()["message"]
        assert first.reply().text == "1"
        assert polling.get().status == 400


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_lacks_are_not_passed_on(socketio: SocketIO, url: str, number: str) -> None:
    """They are accepted from one client and sent to all, where JavaScript can't parse them."""
    socketio.on_event("share", lambda value: emit("shared", value, broadcast=True))
    with SocketIOClient(url) as bad, SocketIOClient(url) as good:
        bad.transport.send(f'42["share",{number}]')
        bad.transport.wait_closed()
        socketio.emit("next")
        assert good.receive() == '42["next"]'


def test_numbers_that_json_lacks_are_not_sent(socketio: SocketIO, url: str) -> None:
    """They are sent as they are, where JavaScript can't parse them."""
    with SocketIOClient(url) as client:
        socketio.emit("event", (float("nan"), float("inf")))
        assert client.receive() == '42["event",null,null]'


@pytest.mark.parametrize("body", GARBAGE, ids=repr)
def test_garbage_is_refused_with_an_explanation(socketio: SocketIO, url: str, body: Any) -> None:
    """Nearly all of it is answered 200; one body gets no answer at all and holds a thread for ever."""
    with SocketIOClient(url, "polling") as client:
        polling: Any = client.transport
        reply = polling.post(body)
        assert reply.status == 400
        assert set(reply.json()) == {"code", "message"}
        assert reply.json()["message"]
    wire.wait_until(lambda: socketio.stats()["sessions"] == 0)
    assert serving(socketio, url)


def test_compressed_messages_are_inflated_within_the_limit(app: Flask) -> None:
    """A few kilobytes become gigabytes before their size is looked at."""
    socketio = SocketIO(app, permessage_deflate=True, max_http_buffer_size=100_000)
    socketio.on_event("size", lambda text: len(text))
    with serve(app) as url:
        extension = {"Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover"}
        with wire.WebSocket(url, wire.target("socket.io", "websocket"), extension) as websocket:
            assert "permessage-deflate" in websocket.handshake.headers["sec-websocket-extensions"]
            bomb = _deflated(b'42["size","' + b"x" * 50_000_000 + b'"]')
            assert len(bomb) < 100_000
            # RSV1 says that the message is compressed.
            websocket.send_raw(wire.encode_frame(wire.TEXT, bomb, rsv=4))
            assert _close_code(websocket) == 1009
        assert serving(socketio, url)


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _close_code(websocket: wire.WebSocket) -> int | None:
    """Of the close frame; the frames before it may be compressed, which ``receive_frame`` does not take."""
    data = websocket._buffer
    while part := websocket.sock.recv(65536):
        data += part
    while data:
        assert data[1] < 126, "no long frames here"
        frame, data = data[: 2 + data[1]], data[2 + data[1] :]
        if frame[0] & 0x0F == wire.CLOSE:
            return int.from_bytes(frame[2:4], "big")
    return None


def test_large_messages_reach_a_slow_reader_whole(app: Flask) -> None:
    """What the socket's buffer doesn't take at once is left out, and the stream is corrupt."""
    socketio = SocketIO(app)
    with serve(app) as url:
        target = wire.target("socket.io", "websocket")
        with wire.WebSocket(url, target, receive_buffer=4096) as websocket:
            transport = wire.WebSocketTransport(websocket)
            transport.send("40")
            assert str(transport.receive()).startswith(CONNECTED)
            letters = "abc"
            for letter in letters:
                socketio.emit("big", (letter * 600_000, letter.encode() * 600_000))
            for letter in letters:
                time.sleep(0.02)
                header = f'451-["big","{letter * 600_000}",{{"_placeholder":true,"num":0}}]'
                assert transport.receive() == header
                assert transport.receive() == letter.encode() * 600_000


def test_a_payload_may_have_hundreds_of_packets(socketio: SocketIO, url: str) -> None:
    """More than sixteen in one POST are an error that loses them all."""
    received: list[int] = []
    socketio.on_event("event", received.append)
    with SocketIOClient(url, "polling") as client:
        polling: Any = client.transport
        polling.send_payload(*(f'42["event",{number}]' for number in range(500)))
        wire.wait_until(lambda: len(received) == 500)
        assert received == list(range(500))


def test_several_arguments_need_no_tuple(app: Flask, socketio: SocketIO) -> None:
    """The function says that it got several values for its argument 'to'."""

    @socketio.on("event")
    def handler() -> None:
        emit("reply", 1, 2)
        socketio.emit("to all", 1, 2)

    client = socketio.test_client(app)
    client.emit("event")
    assert [(item["name"], item["args"]) for item in client.get_received()] == [
        ("reply", [1, 2]),
        ("to all", [1, 2]),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_nothing_is_left_of_clients_that_have_gone(socketio: SocketIO, url: str) -> None:
    """Threads, descriptors and rooms of clients that vanished add up."""
    import os

    socketio.on_event("connect", lambda: join_room("room"))
    assert serving(socketio, url)
    wire.wait_until(lambda: not any(socketio.stats().values()))
    before = len(os.listdir("/proc/self/fd"))
    for transport in wire.TRANSPORTS:
        for _ in range(5):
            client = SocketIOClient(url, transport)
            if transport == "polling":
                client.transport.start_get().abort()  # type: ignore[attr-defined]
            else:
                client.transport.websocket.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
                client.transport.websocket.close()  # type: ignore[attr-defined]
    wire.wait_until(lambda: not any(socketio.stats().values()))
    gc.collect()
    wire.wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
