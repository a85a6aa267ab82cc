"""``asgi_app``: a Flask app with its sockets as one ASGI application."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from asgi_driver import Call, Request, WebSocket, eventually, play, played
from flask import Flask, request, session, url_for
from requiring import found_or_skip

from flask_realtime import EngineIO, SocketIO, emit
from flask_realtime.server import pace

SOCKETIO = {"path": "/socket.io/"}


def make_app(**options: Any) -> tuple[Flask, SocketIO]:
    app = Flask("asgi")
    app.secret_key = "for tests"
    return app, SocketIO(app, **options)


async def connect(asgi: Any, query: str = "", **more: Any) -> WebSocket:
    websocket = WebSocket(asgi, f"EIO=4&transport=websocket{query}", **{**SOCKETIO, **more})
    assert (await websocket.next_event())["type"] == "websocket.accept"
    assert str(await websocket.receive()).startswith("0{")
    websocket.send("40")
    assert str(await websocket.receive()).startswith("40{")
    return websocket


@played
async def test_handlers_in_threads_and_in_the_loop() -> None:
    app, socketio = make_app()
    loops: list[Any] = []

    @socketio.on("plain")
    def plain(value):
        emit("plain-back", value)

    @socketio.on("native")
    async def native(value):
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        emit("native-back", value)

    websocket = await connect(socketio.asgi_app(app))
    websocket.send('42["plain",1]', '42["native",2]')
    assert await websocket.receive() == '42["plain-back",1]'
    assert await websocket.receive() == '42["native-back",2]'
    assert loops == [asyncio.get_running_loop()]


@pytest.fixture
def always_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a handler that has run once is known to be quick."""
    monkeypatch.setattr(pace, "LONG", 10.0)


@pytest.mark.usefixtures("always_quick")
@played
async def test_an_event_that_comes_with_the_connect() -> None:
    app, socketio = make_app()
    socketio.on("connect")(lambda: None)
    socketio.on("echo")(lambda value: emit("back", value))
    asgi = socketio.asgi_app(app)
    for value in range(3):  # at the latest for the second client both handlers are known to be quick
        websocket = WebSocket(asgi, **SOCKETIO)
        await websocket.next_event()
        await websocket.receive()
        websocket.send("40", f'42["echo",{value}]')
        assert str(await websocket.receive()).startswith("40{")
        assert await websocket.receive() == f'42["back",{value}]'


@pytest.mark.usefixtures("always_quick")
@played
async def test_coroutines_between_what_is_quick() -> None:
    app, socketio = make_app()

    @socketio.on("plain")
    def plain(value):
        emit("back", value)

    @socketio.on("native")
    async def native(value):
        emit("back", value)

    websocket = await connect(socketio.asgi_app(app))
    websocket.send('42["nobody handles this"]', '42["plain",0]')
    assert await websocket.receive() == '42["back",0]'
    websocket.send(*(f'42["{name}",{i}]' for i in range(1, 4) for name in ("plain", "native")))
    for i in range(1, 4):
        assert await websocket.receive() == await websocket.receive() == f'42["back",{i}]'


@played
async def test_the_request_of_the_handshake() -> None:
    app, socketio = make_app()

    @app.route("/login")
    def login() -> str:
        session["name"] = "Ada"
        return "ok"

    @socketio.on("ask")
    def ask():
        return [
            request.args["room"],
            request.headers["X-Test"],
            request.remote_addr,
            request.host,
            session.get("name"),
            url_for("login"),
        ]

    asgi = socketio.asgi_app(app)
    reply = await Request(asgi, query="", path="/root/login", root_path="/root").reply()
    cookie = str(reply.header("set-cookie")).partition(";")[0]
    headers = {"cookie": cookie, "x-test": "yes"}
    websocket = await connect(asgi, "&room=7", headers=headers, path="/root/socket.io/", root_path="/root")
    websocket.send('421["ask"]')
    answer = json.loads(str(await websocket.receive())[3:])
    assert answer == [["7", "yes", "192.0.2.1", "server.example", "Ada", "/root/login"]]


@played
async def test_a_view_emits() -> None:
    app, socketio = make_app()

    @app.route("/tell")
    def tell() -> str:
        socketio.emit("news", 1)
        return "told"

    asgi = socketio.asgi_app(app)
    websocket = await connect(asgi)
    assert (await Request(asgi, query="", path="/tell").reply()).text == "told"
    assert await websocket.receive() == '42["news",1]'


def test_loops_one_after_another() -> None:
    app, socketio = make_app()
    socketio.on("echo")(lambda value: emit("back", value))
    reasons: list[str] = []
    socketio.on("disconnect")(lambda reason: reasons.append(str(reason)))
    asgi = socketio.asgi_app(app)

    async def test() -> None:
        websocket = await connect(asgi)
        websocket.send('42["echo",1]')
        assert await websocket.receive() == '42["back",1]'
        assert socketio.stats()["sessions"] == 1

    play(test)
    play(test)


@played
async def test_both_extensions_in_one_app() -> None:
    app, socketio = make_app()
    engineio = EngineIO(app)
    engineio.on_message(lambda client, data: client.send(data))
    for asgi in (socketio.asgi_app(app), engineio.asgi_app(app)):
        await connect(asgi)
        websocket = WebSocket(asgi)
        await websocket.next_event()
        await websocket.receive()
        websocket.send("4x")
        assert await websocket.receive() == "4x"


def test_without_an_app() -> None:
    with pytest.raises(RuntimeError, match="init_app"):
        SocketIO().asgi_app(Flask("none"))
    with pytest.raises(RuntimeError, match="init_app"):
        EngineIO().asgi_app(Flask("none"))


def test_without_a2wsgi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    app, socketio = make_app()
    with pytest.raises(ImportError, match=r"flask-realtime\[asgi\]"):
        socketio.asgi_app(app)


class Lifespan(Call):
    type = "lifespan"

    async def say(self, event: str) -> None:
        self.incoming.put_nowait({"type": f"lifespan.{event}"})
        await eventually(lambda: self.sent and self.sent[-1]["type"] == f"lifespan.{event}.complete")


def test_a_server_that_stops_and_starts_again() -> None:
    app, socketio = make_app()
    reasons: list[str] = []
    socketio.on("disconnect")(lambda reason: reasons.append(str(reason)))
    asgi = socketio.asgi_app(app)

    async def test() -> None:
        lifespan = Lifespan(asgi)
        await lifespan.say("startup")
        websocket = await connect(asgi)
        closed = asyncio.ensure_future(websocket.closed())
        await lifespan.say("shutdown")
        assert await closed == 1001
        await lifespan.done()
        late = WebSocket(asgi, **SOCKETIO, extensions={"websocket.http.response": {}})
        await late.done()
        assert late.sent[0]["status"] == 503

    play(test)
    play(test)
    assert reasons == ["transport close"] * 2


SERVE = """
import asyncio, os, signal, sys, threading, time
from flask import Flask
from flask_realtime import SocketIO
from asgi_driver import WebSocket, eventually
from flask_realtime.backends import lifecycle

told = []
how = sys.argv[1]
app = Flask("a")
socketio = SocketIO(app)
asgi = socketio.asgi_app(app)
stop = None

class Watched(WebSocket):
    async def _send(self, event):
        if event["type"] == "websocket.close":
            # Here: where nobody handles the signal, the end of the drain is that of the process.
            print(event["code"], stop.is_set(), flush=True)
        await super()._send(event)

async def main():
    global stop
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if how == "loop":
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGUSR1, told.append, "other signal")
    elif how == "signal":
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop.set))
    websocket = Watched(asgi, path="/socket.io/")
    await websocket.next_event(); await websocket.receive()
    if how == "loop":
        os.kill(os.getpid(), signal.SIGUSR1)
        await eventually(lambda: told)
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)  # a service manager, and the server's parent
    await websocket.closed()
    await asyncio.wait_for(stop.wait(), 10)
    print("stopped", told, flush=True)

async def start():
    events = asyncio.Queue()
    started = asyncio.Event()
    async def send(event):
        started.set()
    await events.put({"type": "lifespan.startup"})
    living.append(asyncio.ensure_future(asgi({"type": "lifespan"}, events.get, send)))
    await started.wait()

living = []
if how == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: stop.set())  # as granian does it, before it runs
    loop.run_until_complete(start())
    loop.run_until_complete(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("loop", "stopped ['other signal']\n"),
        ("signal", "stopped []\n"),
        ("default", ""),
        ("uvloop", "stopped []\n"),
    ],
)
def test_a_signal_begins_a_drain_before_the_server_gets_it(how: str, told: str) -> None:
    if how == "uvloop":
        found_or_skip("uvloop", find_spec("uvloop"))
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", SERVE, how],
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": f"{root}:{root / 'tests'}", "PATH": ""},
    )
    assert result.stdout == "1001 False\n" + told
    assert result.returncode == 0, result.stderr
    assert signal.SIGTERM not in (result.returncode, -result.returncode)
