"""``serializer=`` with packet classes, against python-socketio's client with the same class."""

from __future__ import annotations

import contextlib
import datetime
import gc
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import flask.json
import msgpack
import pytest
import socketio as python_socketio
from acceptance import wire
from extension.live import serve
from flask import Flask
from python_client import WARNINGS, Client
from socketio.msgpack_packet import MsgPackPacket
from socketio.packet import Packet

from flask_realtime import ConnectionRefusedError, SocketIO, emit, join_room

pytestmark = WARNINGS
DATA = bytes(range(256))
VALUES: list[tuple[Any, ...]] = [
    (),
    ("héllo 😀",),
    (1, "2", {"3": [True, None]}),
    ([1, [2, []]],),
    (DATA, b""),
    ({"a": DATA, "b": [{"c": DATA}]}, "text", DATA),
]
NewClient = Callable[..., Client]


class Compressed(MsgPackPacket):
    """What a user may do: the same packets, compressed."""

    def encode(self) -> bytes:
        return zlib.compress(super().encode())

    def decode(self, encoded_packet: bytes) -> None:
        super().decode(zlib.decompress(encoded_packet))


class Dates(Packet):
    """JSON of one's own: dates as objects, in both directions."""

    class json:
        @staticmethod
        def dumps(value: Any, **options: Any) -> str:
            return json.dumps(value, default=lambda date: {"$date": date.isoformat()}, **options)

        @staticmethod
        def loads(text: str, **options: Any) -> Any:
            return json.loads(text, object_hook=_read_date, **options)


def _read_date(value: dict[str, Any]) -> Any:
    return datetime.date.fromisoformat(value["$date"]) if "$date" in value else value


CLASSES = {
    "text": Packet,
    "msgpack": MsgPackPacket,
    "compressed": Compressed,
    "dates": Dates,
    "the name, against the class": "msgpack",
}


@pytest.fixture(scope="module", autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here and not in the middle of another module's test."""
    yield
    gc.collect()


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """``new_client(url, transport, packet_class)``, connected to ``/`` and ``/a``."""
    with contextlib.ExitStack() as stack:

        def make(url: str, transport: str, serializer: Any) -> Client:
            client = Client(transport, serializer=serializer)
            stack.callback(client.close)
            client.connect(url, ["/", "/a"])
            return client

        yield make


def register(socketio: SocketIO) -> None:
    for namespace in ("/", "/a"):
        socketio.on_event("echo", lambda *args: emit("back", args), namespace)
        socketio.on_event("ack", lambda *args: args, namespace)
        socketio.on_event("join", lambda room: join_room(room), namespace)

    @socketio.on("ask")
    def ask(value: Any) -> None:
        emit("question", value, callback=lambda *answer: socketio.emit("answer", answer))

    @socketio.on("connect", namespace="/closed")
    def refuse() -> None:
        raise ConnectionRefusedError("closed", {"code": 42})


@pytest.mark.parametrize("transport", ["polling", "websocket", "upgrade"])
@pytest.mark.parametrize("packet_class", CLASSES.values(), ids=CLASSES)
def test_client(app: Flask, new_client: NewClient, packet_class: Any, transport: str) -> None:
    socketio = SocketIO(app, serializer=packet_class, ping_interval=0.5)
    register(socketio)
    with serve(app) as url:
        theirs = MsgPackPacket if packet_class == "msgpack" else packet_class
        client, other = new_client(url, transport, theirs), new_client(url, "polling", theirs)
        for namespace in ("/", "/a"):
            for args in VALUES:
                client.emit("echo", *args, namespace=namespace)
                assert client.next_event() == (namespace, "back", *args)
                expected = args if len(args) > 1 else args[0] if args else None
                assert client.call("ack", *args, namespace=namespace) == expected
            client.call("join", "room", namespace=namespace)
        other.call("join", "room")
        socketio.emit("to room", {"data": DATA}, to="room")
        assert client.next_event() == other.next_event() == ("/", "to room", {"data": DATA})

        client.answers["question"] = (DATA, 1)
        client.emit("ask", DATA)
        assert client.next_event() == ("/", "question", DATA)
        assert client.next_event() == ("/", "answer", DATA, 1)

        with pytest.raises(TypeError, match=r"event 'e', args\[0\]"):
            socketio.emit("e", {object(): 1})
        client.sio.disconnect()
        assert {client.next_event()[:2] for _ in range(2)} == {("/", "disconnect"), ("/a", "disconnect")}


@pytest.mark.parametrize("packet_class", [Packet, MsgPackPacket, Compressed])
def test_refusal(app: Flask, packet_class: Any) -> None:
    register(SocketIO(app, serializer=packet_class, ping_interval=0.5))
    with serve(app) as url:
        client = Client("polling", serializer=packet_class)
        with pytest.raises(python_socketio.exceptions.ConnectionError, match="/closed"):
            client.connect(url, ["/closed"])
        event = ("/closed", "connect_error", {"message": "closed", "data": {"code": 42}})
        assert client.next_event() == event
        client.close()


def test_the_class_reads_and_writes(app: Flask, new_client: NewClient) -> None:
    socketio = SocketIO(app, serializer=Dates, namespaces="*")
    got: list[Any] = []
    socketio.on_event("date", lambda value: got.append(value))
    day = datetime.date(2020, 1, 2)
    with serve(app) as url:
        client = new_client(url, "websocket", Dates)
        client.call("date", {"at": day, "data": DATA})
        assert got == [{"at": day, "data": DATA}]
        socketio.emit("date", [day])
        assert client.next_event() == ("/", "date", [day])


def test_json_for_a_class(app: Flask, new_client: NewClient) -> None:
    """``json=`` goes to the class of this server alone."""
    theirs = Packet.json
    socketio = SocketIO(app, serializer=Packet, json=flask.json, namespaces="*")
    with serve(app) as url:
        client = new_client(url, "websocket", Packet)
        socketio.emit("date", datetime.date(2020, 1, 2), b"x")
        assert client.next_event() == ("/", "date", "Thu, 02 Jan 2020 00:00:00 GMT", b"x")
    assert Packet.json is theirs


def test_a_client_of_another_class_is_sent_away(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    SocketIO(app, serializer=MsgPackPacket)
    with serve(app) as url:
        transport = wire.open_transport("websocket", url)
        transport.send("40")
        with pytest.raises(wire.Closed):
            transport.receive()
    assert "Not a Socket.IO packet (" in caplog.text


def _read_extension(code: int, data: bytes) -> Any:
    """What our documentation gives to Python's clients."""
    if code == 0 and len(data) == 8:
        milliseconds = struct.unpack(">q", data)[0]
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return msgpack.ExtType(code, data)


def _write_extension(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return msgpack.ExtType(0, struct.pack(">q", round(value.timestamp() * 1000)))
    raise TypeError(f"{type(value).__name__} can't be sent")


def test_dates_of_a_python_client(app: Flask, new_client: NewClient) -> None:
    socketio = SocketIO(app, serializer="msgpack")
    register(socketio)
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.timezone.utc)
    with serve(app) as url:
        plain = new_client(url, "websocket", "msgpack")
        socketio.emit("date", moment)
        assert plain.next_event() == ("/", "date", _write_extension(moment))
        knowing = new_client(url, "websocket", MsgPackPacket.configure(_write_extension, _read_extension))
        assert knowing.call("ack", {"at": [moment]}) == {"at": [moment]}


@pytest.mark.parametrize("serializer", ["pickle", 1, json, Packet(), int])
def test_what_is_no_serializer(serializer: Any) -> None:
    with pytest.raises(ValueError, match="serializer must be 'default', 'msgpack', a packet class"):
        SocketIO(Flask("app"), serializer=serializer)
