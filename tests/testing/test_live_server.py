"""The live server: real clients against the app of a test."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from acceptance import wire
from backends.script import APP, every_patch, run_script
from extension.live import SocketIOClient
from flask import Flask, session
from node_client import FOLDER, node  # noqa: F401 (a fixture)
from python_client import TRANSPORTS, WARNINGS, Client

from flask_realtime import EngineIO, SocketIO, call, emit
from flask_realtime.testing import LiveServer

pytestmark = WARNINGS


@pytest.fixture
def app() -> Flask:
    app = Flask("app")
    app.secret_key = "only for tests"
    app.add_url_rule("/hello", view_func=lambda: "hello", endpoint="hello")

    @app.get("/login/<user>")
    def login(user: str) -> str:
        session["user"] = user
        return "ok"

    return app


@pytest.fixture
def reasons() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def socketio(app: Flask, reasons: list[str]) -> SocketIO:
    socketio = SocketIO(app)
    socketio.on_event("disconnect", reasons.append)
    socketio.on_event("user", lambda: session.get("user"))
    socketio.on_event("ask", lambda n: call("question", n, timeout=5))

    @socketio.on("echo")
    def echo(*args: Any) -> Any:
        emit("echoed", args)
        return args

    return socketio


@pytest.fixture
def server(app: Flask) -> Iterator[LiveServer]:
    with LiveServer(app) as server:
        yield server


def get(server: LiveServer, path: str) -> str:
    with urllib.request.urlopen(server.url + path, timeout=wire.TIMEOUT) as response:
        return str(response.read().decode())


def connections(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_where_it_is(server: LiveServer) -> None:
    assert (server.url, server.host) == (f"http://127.0.0.1:{server.port}", "127.0.0.1")
    assert server.port > 0
    assert get(server, "/hello") == "hello"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_with_python_socketio(server: LiveServer, transport: str) -> None:
    client = Client(transport)
    client.answers["question"] = "an answer"
    client.connect(server.url)
    try:
        assert client.call("echo", 1, b"two") == (1, b"two")
        assert client.next_event() == ("/", "echoed", 1, b"two")
        assert client.call("ask", 3) == "an answer"
    finally:
        client.close()


@pytest.mark.node
@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
def test_with_the_client_of_javascript(server: LiveServer, node: str, transports: list[str]) -> None:  # noqa: F811
    script = """
    import { io } from "socket.io-client";
    const [url, transports] = [process.argv[1], JSON.parse(process.argv[2])];
    const socket = io(url, { transports, reconnection: false });
    socket.on("question", (n, answer) => answer(n + 1));
    const echoed = new Promise((resolve) => socket.on("echoed", (...args) => resolve(args)));
    socket.on("connect_error", (error) => { throw error; });
    await new Promise((resolve) => socket.on("connect", resolve));
    const ack = await socket.timeout(5000).emitWithAck("echo", 1);
    const answer = await socket.timeout(5000).emitWithAck("ask", 41);
    console.log(JSON.stringify([ack, await echoed, answer]));
    socket.disconnect();
    """
    output = subprocess.run(
        [node, "--input-type=module", "--eval", script, server.url, json.dumps(transports)],
        cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert output.returncode == 0, output.stderr
    assert json.loads(output.stdout) == [1, [1], 42]


def test_beside_test_clients(socketio: SocketIO, app: Flask, server: LiveServer) -> None:
    with socketio.test_client(app) as client, SocketIOClient(server.url) as real:
        real.emit("echo", 1)
        assert real.receive_event() == ["echoed", 1]
        socketio.emit("to all", "text")
        assert real.receive_event() == ["to all", "text"]
        assert client.wait_for("to all")["args"] == ["text"]


def test_the_cookie_of_a_login(server: LiveServer) -> None:
    with urllib.request.urlopen(f"{server.url}/login/ada", timeout=wire.TIMEOUT) as response:
        cookie = response.headers["Set-Cookie"].partition(";")[0]
    client = Client("websocket")
    client.sio.connect(server.url, headers={"Cookie": cookie}, transports=["websocket"])
    try:
        assert client.call("user") == "ada"
    finally:
        client.close()


class TestStopping:
    @pytest.mark.parametrize("transport", ["websocket", "polling"])
    def test_clients_are_told_and_handlers_waited_for(
        self, app: Flask, socketio: SocketIO, reasons: list[str], transport: str
    ) -> None:
        done: list[str] = []
        begun = threading.Event()

        @socketio.on("slow")
        def slow() -> None:
            begun.set()
            time.sleep(0.1)
            done.append("slow")

        with LiveServer(app) as server:
            client = SocketIOClient(server.url, transport)
            client.emit("slow")
            assert begun.wait(wire.TIMEOUT)
            waiting = threading.Thread(target=_until_closed, args=(client,))
            waiting.start()
        assert done == ["slow"]
        assert reasons == ["transport close"]
        assert socketio.stats()["sessions"] == 0
        waiting.join(wire.TIMEOUT)
        assert not waiting.is_alive()
        client.close()

    def test_nobody_listens_any_more(self, app: Flask) -> None:
        with LiveServer(app) as server:
            port = server.port
            assert connections(port)
        assert not connections(port)
        server.stop()  # and once more does no harm

    def test_it_can_be_started_again(self, app: Flask) -> None:
        server = LiveServer(app)
        for _ in range(2):
            server.start()
            assert get(server, "/hello") == "hello"
            with SocketIOClient(server.url) as client:
                client.emit("echo", 1)
                assert client.receive_event() == ["echoed", 1]
            server.stop()

    def test_it_takes_no_time(self, app: Flask) -> None:
        start = time.monotonic()
        for _ in range(10):
            with LiveServer(app) as server:
                assert get(server, "/hello") == "hello"
        assert time.monotonic() - start < 4  # Werkzeug alone looks twice a second whether to stop

    def test_no_thread_and_no_descriptor_is_left(self, app: Flask) -> None:
        with LiveServer(app), LiveServer(app):
            pass
        before = {thread.name for thread in threading.enumerate()}
        with LiveServer(app) as server:
            assert get(server, "/hello") == "hello"
        wire.wait_until(
            lambda: {t.name for t in threading.enumerate() if "handler" not in t.name} <= before,
            what="its threads end",
        )

    def test_when_the_test_fails(self, app: Flask) -> None:
        with pytest.raises(LookupError), LiveServer(app) as server:
            raise LookupError
        assert not connections(server.port)


def test_several_at_once(app: Flask, server: LiveServer) -> None:
    with LiveServer(app) as other:
        assert other.port != server.port
        assert get(other, "/hello") == get(server, "/hello") == "hello"


def test_starting_twice(server: LiveServer) -> None:
    with pytest.raises(RuntimeError, match=r"it serves already, on http://127\.0\.0\.1:"):
        server.start()


def test_an_app_without_the_extension() -> None:
    with pytest.raises(RuntimeError, match=r"call init_app\(app\) first"):
        LiveServer(Flask("bare"))


def test_an_app_with_the_engine_alone() -> None:
    app = Flask("engine")
    engine = EngineIO(app)
    engine.on_message(lambda session, data: session.send(data))
    with LiveServer(app) as server:
        transport = wire.open_transport("websocket", server.url, "engine.io")
        transport.send("4hello")
        assert transport.receive() == "4hello"
        transport.close()


def test_the_log_of_the_web_server_is_left_as_it_is(app: Flask) -> None:
    logger = logging.getLogger("werkzeug")
    level = logger.level
    with LiveServer(app) as server:
        get(server, "/hello")
    assert logger.level == level


@every_patch
def test_in_a_process_that_is_patched(library: str) -> None:
    script = """
    from flask_realtime.testing import LiveServer
    import urllib.request
    from extension.live import SocketIOClient

    reasons = []
    socketio.on_event("disconnect", reasons.append)
    socketio.on_event("echo", lambda n: n)
    app.add_url_rule("/hello", view_func=lambda: "hello", endpoint="hello")
    for _ in range(2):
        with LiveServer(app) as server:
            with urllib.request.urlopen(server.url + "/hello") as response:
                assert response.read() == b"hello"
            transports = ("polling", "websocket", "upgrade")
            clients = [SocketIOClient(server.url, transport) for transport in transports]
            for client in clients:
                client.transport.send('421["echo",5]')
                assert client.receive() == "431[5]"
        assert socketio.stats()["sessions"] == 0
        for client in clients:
            client.close()
    assert reasons == ["transport close"] * 6, reasons
    """
    run_script(script, library, setup=APP)


def _until_closed(client: SocketIOClient) -> None:
    try:
        while True:
            client.receive()
    except Exception:
        return
