"""What is made up for in daphne, with objects that behave like its own."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from asgi_driver import eventually, played

from flask_realtime.backends.asgi_server import abort_connection
from flask_realtime.backends.daphne_server import DaphneConnection, daphne_sender


class Server:
    """Of daphne: it never waits."""

    async def handle_reply(self, protocol: Protocol, event: dict[str, Any]) -> None:
        protocol.said.append(event)


class Protocol:
    """A websocket, or a request, with Twisted's transport."""

    STATE_OPEN = 3

    def __init__(self) -> None:
        self.state = self.STATE_OPEN
        self.said: list[Any] = []
        self.producer: Any = "the HTTP channel"
        self.transport = self.channel = self
        self.reading = True
        self.aborted = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def sendMessage(self, payload: bytes, binary: bool) -> None:
        self.said.append((payload, binary))

    def sendCloseFrame(self, code: int) -> None:
        self.said.append(code)

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True

    def abortConnection(self) -> None:
        self.aborted = True


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Protocol:
    monkeypatch.setitem(sys.modules, "daphne.server", SimpleNamespace(Server=Server))
    return Protocol()


def sender(protocol: Protocol) -> Any:
    return daphne_sender(partial(Server().handle_reply, protocol))


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": data}


def body(data: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_other_servers(protocol: Protocol) -> None:
    async def send(event: dict[str, Any]) -> None: ...

    assert daphne_sender(send) is send
    assert daphne_sender(other := partial(send, {})) is other


@played
async def test_what_daphne_would_not_say(protocol: Protocol) -> None:
    send = sender(protocol)
    await send({"type": "websocket.send", "bytes": b""})
    await send({"type": "websocket.send", "bytes": b"x"})
    await send({"type": "websocket.close", "code": 1001})
    assert protocol.said == [(b"", True), {"type": "websocket.send", "bytes": b"x"}, 1001]


@played
async def test_a_refused_handshake_is_daphnes_own_doing(protocol: Protocol) -> None:
    protocol.state = 1
    await sender(protocol)({"type": "websocket.close", "code": 1008})
    assert protocol.said == [{"type": "websocket.close", "code": 1008}]


@played
async def test_a_websocket_whose_client_does_not_read(protocol: Protocol) -> None:
    send = sender(protocol)
    await send(text("1"))
    protocol.producer.pauseProducing()
    waiting = asyncio.ensure_future(send(text("2")))
    await asyncio.sleep(0.01)
    assert protocol.said == [text("1")]
    protocol.producer.resumeProducing()
    await waiting
    assert protocol.said == [text("1"), text("2")]
    abort_connection(send)
    assert protocol.aborted


@played
async def test_a_connection_that_is_lost_holds_nobody(protocol: Protocol) -> None:
    send = sender(protocol)
    await send(text("1"))
    protocol.producer.pauseProducing()
    waiting = asyncio.ensure_future(send(text("2")))
    await asyncio.sleep(0)
    protocol.producer.stopProducing()
    await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("lost", [False, True])
@played
async def test_a_response(protocol: Protocol, lost: bool) -> None:
    protocol.producer = None
    send = sender(protocol)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    assert protocol.producer is None
    await send(body(b"1", True))
    producer = protocol.producer
    producer.pauseProducing()
    waiting = asyncio.ensure_future(send(body(b"", True)))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    if lost:
        protocol.channel = None
        producer.stopProducing()
    else:
        producer.resumeProducing()
    await waiting
    await send(body(b"2", False))
    assert [event.get("body") for event in protocol.said] == [None, b"1", b"", b"2"]
    assert lost or protocol.producer is None


@played
async def test_reading_is_paused(protocol: Protocol) -> None:
    connection = sender(protocol).__self__
    assert isinstance(connection, DaphneConnection)
    connection.pause_reading()
    assert not protocol.reading
    connection.resume_reading()
    await eventually(lambda: protocol.reading)
