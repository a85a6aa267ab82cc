"""``EngineIO``: messages without Socket.IO."""

from __future__ import annotations

from typing import Any

import pytest
from acceptance import wire
from acceptance.wire import TRANSPORTS, Transport, open_transport
from extension.live import serve
from flask import Flask

from flask_realtime import EngineIO, SocketIO

PATH = "engine.io"


@pytest.fixture
def engine(app: Flask) -> EngineIO:
    return EngineIO(app)


@pytest.fixture
def log(engine: EngineIO) -> list[Any]:
    log: list[Any] = []
    engine.on_connect(lambda session: log.append(("connect", session.transport)))
    engine.on_message(lambda session, data: session.send(data))
    engine.on_disconnect(lambda session, reason: log.append(("disconnect", reason)))
    return log


@pytest.fixture
def url(app: Flask, engine: EngineIO, log: list[Any]) -> Any:
    with serve(app) as url:
        yield url


@pytest.fixture(params=TRANSPORTS)
def client(url: str, request: pytest.FixtureRequest) -> Any:
    with open_transport(request.param, url, PATH) as client:
        yield client


def test_messages_come_back(client: Transport) -> None:
    for packet in ("4text", "4", "4ä€😀", b"binary", b"", b"\x00" * 100_000, "4" + "x" * 100_000):
        client.send(packet)
        assert client.receive() == packet


def test_order(client: Transport) -> None:
    for number in range(50):
        client.send(f"4{number}")
    assert client.receive_many(50) == [f"4{number}" for number in range(50)]


def test_life(url: str, log: list[Any], client: Transport) -> None:
    wire.wait_until(lambda: log)
    client.close()
    wire.wait_until(lambda: len(log) == 2)
    assert log[0][0] == "connect"
    assert log[1] in (("disconnect", "client disconnect"), ("disconnect", "transport close"))


def test_the_session_object(app: Flask) -> None:
    engine = EngineIO(app, path="/raw/")
    seen: list[Any] = []

    @engine.on_connect
    def connected(session: Any) -> None:
        session.data["count"] = 0

    @engine.on_message
    def received(session: Any, data: Any) -> None:
        session.data["count"] += 1
        seen.append(
            (session.sid, session.transport, session.environ["REMOTE_ADDR"], session.data["count"], data)
        )

    with serve(app) as url, open_transport("upgrade", url, "raw") as client:
        client.send("4one")
        client.send(b"two")
        wire.wait_until(lambda: len(seen) == 2)
        assert seen == [
            (client.sid, "websocket", "127.0.0.1", 1, "one"),
            (client.sid, "websocket", "127.0.0.1", 2, b"two"),
        ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_closing(app: Flask, engine: EngineIO, transport: str) -> None:
    reasons: list[str] = []

    @engine.on_message
    def received(session: Any, data: Any) -> None:
        session.send("last words")
        session.close()
        session.send("too late")

    engine.on_disconnect(lambda session, reason: reasons.append(reason))
    with serve(app) as url, open_transport(transport, url, PATH) as client:
        client.send("4go")
        assert client.receive() == "4last words"
        client.wait_closed()
        wire.wait_until(lambda: reasons)
        assert reasons == ["server disconnect"]


def test_sending_what_is_no_message(app: Flask, engine: EngineIO) -> None:
    errors: list[Exception] = []

    @engine.on_message
    def received(session: Any, data: Any) -> None:
        try:
            session.send({"no": "JSON here"})
        except TypeError as error:
            errors.append(error)
        session.send(memoryview(b"bytes"))
        session.send(bytearray(b"more"))

    with serve(app) as url, open_transport("websocket", url, PATH) as client:
        client.send("4go")
        assert client.receive_many(2) == [b"bytes", b"more"]
    assert "dict" in str(errors[0])


def test_disconnect_handler_without_reason(app: Flask, engine: EngineIO) -> None:
    gone: list[str] = []
    engine.on_disconnect(lambda session: gone.append(session.sid))
    with serve(app) as url:
        with open_transport("websocket", url, PATH) as client:
            pass
        wire.wait_until(lambda: gone)
        assert gone == [client.sid]


def test_an_error_in_a_handler_is_logged(
    app: Flask, engine: EngineIO, caplog: pytest.LogCaptureFixture
) -> None:
    @engine.on_message
    def received(session: Any, data: str) -> None:
        if data == "fail":
            raise LookupError("on purpose")
        session.send(data)

    with serve(app) as url, open_transport("websocket", url, PATH) as client:
        client.send("4fail")
        client.send("4next")
        assert client.receive() == "4next"
    assert "received failed" in caplog.text
    assert "LookupError: on purpose" in caplog.text


def test_handlers_before_init_app(app: Flask) -> None:
    engine = EngineIO()
    with pytest.raises(RuntimeError, match="init_app"):
        engine.stats()

    @engine.on_message
    def echo(session: Any, data: Any) -> None:
        session.send(data)

    engine.init_app(app)
    with serve(app) as url, open_transport("websocket", url, PATH) as client:
        client.send("4text")
        assert client.receive() == "4text"
        assert engine.stats()["sessions"] == 1
        assert set(engine.stats()) == set(SocketIO(Flask("other")).stats())


def test_options(app: Flask) -> None:
    with pytest.raises(TypeError, match="did you mean 'ping_interval'"):
        EngineIO(ping_intervall=1)
    EngineIO(app, ping_interval=(0.5, 1), ping_timeout=0.25, transports="polling", max_http_buffer_size=99)
    with serve(app) as url, wire.Polling(url, PATH) as client:
        handshake = dict(client.handshake)
        assert handshake.pop("sid")
        assert handshake == {"upgrades": [], "pingInterval": 500, "pingTimeout": 250, "maxPayload": 99}


def test_ping(app: Flask) -> None:
    reasons: list[str] = []
    engine = EngineIO(app, ping_interval=0.1, ping_timeout=0.1)
    engine.on_disconnect(lambda session, reason: reasons.append(reason))
    with serve(app) as url, open_transport("websocket", url, PATH) as client:
        for _ in range(2):
            assert client.receive_packet() == "2"
            client.send("3")
        client.receive_packet()
        wire.wait_until(lambda: reasons)
        assert reasons == ["ping timeout"]


def test_beside_socketio(app: Flask) -> None:
    engine, socketio = EngineIO(app), SocketIO(app)
    engine.on_message(lambda session, data: session.send(data))
    socketio.on_event("event", lambda: "here")
    assert socketio.test_client(app).emit("event", callback=True) == "here"
    with serve(app) as url:
        with open_transport("websocket", url, PATH) as client:
            client.send("4text")
            assert client.receive() == "4text"
        with open_transport("websocket", url) as client:
            client.send("40")
            assert str(client.receive()).startswith("40{")


def test_several_apps() -> None:
    engine = EngineIO()
    apps = [Flask("one"), Flask("two")]
    for app in apps:
        engine.init_app(app)
    engine.on_message(lambda session, data: session.send(data))
    for app in apps:
        with serve(app) as url, open_transport("websocket", url, PATH) as client:
            client.send("4text")
            assert client.receive(0.3) == "4text"
