"""What the test client sends and receives, with every serializer: text, binary data, refusals."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import flask
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime import ConnectionRefusedError, SocketIO, SocketIOTestClient, call, emit, send
from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio import EncodedPacket, Packet, PacketType
from flask_realtime.protocol.socketio.rules import check_packet


class TextSerializer:
    """One an app has written: a line of JSON that looks like no other, bytes in hexadecimal."""

    def encoder(self) -> TextSerializer:
        return self

    def decoder(self) -> TextSerializer:
        return TextSerializer()

    def encode(self, packet: Packet) -> EncodedPacket:
        fields = [int(packet.type), packet.namespace, packet.data, packet.id]
        return EncodedPacket(b"#" + json.dumps(fields, default=self._hexadecimal).encode())

    @staticmethod
    def _hexadecimal(value: object) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"hex": bytes(value).hex()}
        raise TypeError(f"{value!r} can't be sent")

    pending_attachments = 0

    def reset(self) -> None: ...

    def receive_text(self, text: str) -> Packet | None:
        kind, namespace, data, ack_id = json.loads(text[1:], object_hook=self._bytes)
        packet = Packet(PacketType(kind), namespace, data, ack_id)
        check_packet(packet)
        return packet

    @staticmethod
    def _bytes(value: dict[str, Any]) -> Any:
        return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value

    def receive_binary(self, data: bytes) -> Packet | None:
        raise RemoteProtocolError("only text here")


class BinarySerializer(TextSerializer):
    """The same in binary messages."""

    def decoder(self) -> BinarySerializer:
        return BinarySerializer()

    def encode(self, packet: Packet) -> EncodedPacket:
        text = super().encode(packet).text
        assert text is not None
        return EncodedPacket(None, (text,))

    def receive_text(self, text: str) -> Packet | None:
        raise RemoteProtocolError("only binary here")

    def receive_binary(self, data: bytes) -> Packet | None:
        return super().receive_text(data.decode())


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "json": {"json": json},
    "flask.json": {"json": flask.json},
    "msgpack": {"serializer": "msgpack"},
    "custom text": {"serializer": TextSerializer()},
    "custom binary": {"serializer": BinarySerializer()},
}


def make_app(options: dict[str, Any]) -> tuple[Flask, SocketIO]:
    app = Flask("app")
    app.secret_key = "only for tests"
    socketio = SocketIO(app, **options)
    for namespace in ("/", "/chat"):
        socketio.on_event("connect", lambda: None, namespace)
        socketio.on_event("echo", lambda *args: emit("echoed", args), namespace)
        socketio.on_event("ack", lambda *args: args, namespace)
        socketio.on_event("ask", lambda *args: call("question", *args, timeout=5), namespace)
        socketio.on_event("message", send, namespace)

    @socketio.on("connect", namespace="/guarded")
    def connect(auth: Any) -> None:
        raise ConnectionRefusedError("go away", {"auth": auth})

    return app, socketio


@pytest.fixture(params=OPTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def socketio(app: Flask, name: str) -> SocketIO:
    return app.extensions["socketio"]  # type: ignore[no-any-return]


@pytest.fixture
def app(name: str) -> Flask:
    return make_app(OPTIONS[name])[0]


@pytest.fixture
def client(app: Flask, socketio: SocketIO) -> SocketIOTestClient:
    client = socketio.test_client(app)
    client.connect("/chat")
    return client


BINARY = [
    (b"one",),
    (b"", b"\x00\xff" * 500),
    ({"a": b"one", "b": [b"two", {"c": b"three"}], "n": 1}, "text", None),
    ([[[b"deep"]]],),
    tuple(b"%d" % n for n in range(10)),
]
PLAIN: list[tuple[Any, ...]] = [
    (),
    (None,),
    (1, 2.5, "zwei", True, False, None),
    ({"a": {"b": [1, {"c": "ä\u2028\U0001f600"}]}},),
    ([],),
    ({},),
]


@pytest.mark.parametrize("namespace", ["/", "/chat"])
@pytest.mark.parametrize("args", [*PLAIN, *BINARY])
class TestData:
    def test_in_events(self, client: SocketIOTestClient, namespace: str, args: tuple[Any, ...]) -> None:
        client.emit("echo", *args, namespace=namespace)
        expected = {"name": "echoed", "args": list(args), "namespace": namespace}
        assert client.get_received(namespace) == [expected]

    def test_in_acks(self, client: SocketIOTestClient, namespace: str, args: tuple[Any, ...]) -> None:
        answer = client.emit("ack", *args, callback=True, namespace=namespace)
        assert answer == (args[0] if len(args) == 1 else list(args))

    def test_in_answers(self, client: SocketIOTestClient, namespace: str, args: tuple[Any, ...]) -> None:
        client.answer("question", args, namespace=namespace)
        answer = client.emit("ask", *args, callback=True, namespace=namespace)
        assert answer == (
            args[0] if len(args) == 1 and args[0] is not None else [] if args == (None,) else list(args)
        )
        assert client.wait_for("question", namespace)["args"] == list(args)


def test_bare_messages(client: SocketIOTestClient) -> None:
    client.send({"a": b"bytes"})
    client.send("text")
    assert [item["args"] for item in client.get_received()] == [{"a": b"bytes"}, "text"]


def test_other_kinds_of_binary(client: SocketIOTestClient) -> None:
    client.emit("echo", bytearray(b"one"), memoryview(b"two"))
    assert client.wait_for("echoed")["args"] == [b"one", b"two"]


def test_what_cannot_be_sent(client: SocketIOTestClient) -> None:
    with pytest.raises(TypeError):
        client.emit("echo", object())
    assert client.emit("ack", 1, callback=True) == 1


def test_refusals(name: str, app: Flask, socketio: SocketIO) -> None:
    client = socketio.test_client(app, "/guarded", auth={"token": "t"})
    assert not client.is_connected("/guarded")
    message = client.refusals["/guarded"]["message"]
    if name.startswith("custom"):  # its decoder is a server's: what only servers send, it can't read
        assert message.startswith("refused; the serializer's decoder can't read why: ")
    else:
        assert client.refusals["/guarded"] == {"message": "go away", "data": {"auth": {"token": "t"}}}


def test_the_limits_for_clients_are_not_those_for_the_server() -> None:
    """A server may send more than it takes."""
    for serializer in ("default", "msgpack"):
        app, socketio = make_app(
            {"serializer": serializer, "max_attachments": 2, "max_http_buffer_size": 1000}
        )
        client = socketio.test_client(app)
        large = [b"x" * 2000 for _ in range(20)]
        socketio.emit("large", large)
        assert client.wait_for("large")["args"] == [large]


def test_what_it_cannot_read_is_told_to_the_test() -> None:
    """And not to whoever has emitted it: no real server could know."""
    app, socketio = make_app({})
    client = socketio.test_client(app)
    socketio.emit("connect")  # a name that is reserved
    with pytest.raises(RemoteProtocolError, match="reserved event 'connect'"):
        client.get_received()
    assert client.emit("ack", 1, callback=True) == 1


def test_dates_arrive_as_in_a_browser() -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    for serializer, expected in (("default", "Wed, 01 May 2024 12:00:00 GMT"), ("msgpack", moment)):
        app, socketio = make_app({"serializer": serializer})
        client = socketio.test_client(app)
        socketio.emit("date", moment)
        assert client.wait_for("date")["args"] == [expected]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
).filter(lambda value: "_placeholder" not in repr(value))


@pytest.mark.parametrize("serializer", ["default", "msgpack"])
def test_any_data_comes_back(serializer: str) -> None:
    app, socketio = make_app({"serializer": serializer})
    client = socketio.test_client(app)

    @given(st.lists(JSON_VALUES, max_size=3))
    def check(args: list[Any]) -> None:
        client.emit("echo", *args)
        assert client.wait_for("echoed", timeout=0)["args"] == args
        answer = client.emit("ack", *args, callback=True)
        assert answer == (args[0] if len(args) == 1 else args)

    check()
