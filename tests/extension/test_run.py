"""``socketio.run()``, as a process of its own."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from acceptance import wire
from extension.live import SocketIOClient

HERE = Path(__file__).parent


#: how to have each server: its environment, and an option that only it has
MODES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "werkzeug": ({"APP_ASYNC_MODE": "threading"}, {"threaded": True}),
    "gunicorn": ({"APP_ASYNC_MODE": "threading"}, {}),
    "gevent": ({"APP_ASYNC_MODE": "gevent"}, {}),
    "gevent-patched": ({"APP_PATCH": "gevent"}, {}),
    "eventlet": ({"APP_ASYNC_MODE": "eventlet"}, {}),
    "eventlet-patched": ({"APP_PATCH": "eventlet"}, {}),
}
every_mode = pytest.mark.parametrize("mode", MODES, indirect=True)


class Process:
    """``run_app.py`` with these arguments of ``run()``."""

    def __init__(self, folder: Path, port: int | str, env: dict[str, str], options: dict[str, Any]) -> None:
        self.port = port
        self.url = f"{'https' if {'ssl_context', 'certfile'} & set(options) else 'http'}://127.0.0.1:{port}"
        self.script = folder / "run_app.py"
        shutil.copy(HERE / "run_app.py", self.script)
        self._log = folder / f"log-{port}"
        with self._log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, str(self.script), json.dumps(options)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": servers.PACKAGE_PATH, "PYTHONUNBUFFERED": "1", **env},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def serving_pid(self) -> int | None:
        """The process that answers, if one does."""
        try:
            return int(wire.request(self.url + "/pid").text)
        except (OSError, ValueError, http.client.HTTPException):  # it may end in the middle of its answer
            return None

    def wait_ready(self) -> int:
        def answer() -> int | None:
            assert self.popen.poll() is None, self.log
            return self.serving_pid()

        pid = wire.wait_until(answer, timeout=20, what="the server answers")
        assert pid is not None
        return pid

    def wait_exit(self) -> int:
        try:
            return self.popen.wait(10)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it runs on\n{self.log}") from None

    def kill(self) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)  # with the reloader's child; it leads its own group
            self.popen.wait()


Run = Callable[..., Process]


@pytest.fixture
def mode(request: pytest.FixtureRequest, require: Callable[[str, object], None]) -> str:
    """One of ``MODES``."""
    name: str = getattr(request, "param", "werkzeug")
    package = name.partition("-")[0]
    require(package, importlib.util.find_spec(package))
    return name


@pytest.fixture
def run(tmp_path: Path, mode: str) -> Iterator[Run]:
    """``run(debug=True)``: a process that does not answer yet."""
    started: list[Process] = []
    mode_env, mode_options = MODES[mode]

    def run(
        env: dict[str, str] | None = None, port: int | str | None = None, given: bool = True, **options: Any
    ) -> Process:
        port = servers.free_port() if port is None else port
        if given:
            options["port"] = port
        options.setdefault("allow_unsafe_werkzeug", True)
        started.append(Process(tmp_path, port, mode_env | (env or {}), mode_options | options))
        return started[-1]

    yield run
    for process in started:
        process.kill()


def echo(client: SocketIOClient) -> None:
    client.transport.send('427["echo",1,"two"]')
    assert client.receive() == '437[1,"two"]'


class TestAddress:
    @every_mode
    def test_port(self, run: Run) -> None:
        process = run()
        assert process.wait_ready() == process.popen.pid
        for transport in wire.TRANSPORTS:
            with SocketIOClient(process.url, transport) as client:
                echo(client)

    def test_port_as_text(self, run: Run) -> None:
        run(port=str(servers.free_port())).wait_ready()

    def test_port_of_server_name(self, run: Run) -> None:
        port = servers.free_port()
        process = run(env={"APP_SERVER_NAME": f"127.0.0.1:{port}"}, port=port, given=False)
        process.wait_ready()

    def test_host(self, run: Run) -> None:
        process = run(host="127.0.0.2")
        process.url = f"http://127.0.0.2:{process.port}"
        process.wait_ready()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", process.port)).close()

    def test_port_in_use(self, run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            process = run(port=taken.getsockname()[1])
            assert process.wait_exit() != 0
        assert f"can't listen on 127.0.0.1:{process.port}: Address already in use" in process.log
        assert "Traceback" not in process.log

    @every_mode
    def test_a_unix_socket(self, run: Run, mode: str, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        process = run(host=f"unix://{path}", given=False)
        wire.wait_until(lambda: path.exists() and "Serving on unix://" in process.log, what="it listens")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(str(process.popen.pid).encode()), answer
        # A later server on the same path finds the old socket, and takes its place.
        process.kill()
        run(host=f"unix://{path}", given=False)

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                except OSError:
                    return False
                return True

        wire.wait_until(answers, what="the second server listens")

    @every_mode
    def test_unknown_options(self, run: Run) -> None:
        process = run(hots="127.0.0.1")
        assert process.wait_exit() == 1
        assert "TypeError: run(): unknown option 'hots' for " in process.log


class TestOutput:
    def test_a_hint_about_production(self, run: Run) -> None:
        process = run(allow_unsafe_werkzeug=False)
        process.wait_ready()
        assert "gunicorn" in process.log

    @every_mode
    def test_one_line_says_which_server_and_why(self, run: Run, mode: str) -> None:
        process = run()
        process.wait_ready()
        package = mode.partition("-")[0]
        (line,) = [line for line in process.log.splitlines() if "Serving on" in line]
        how = rf"{package} [0-9.]+(, threads)?: .+; polling and websocket"
        assert re.fullmatch(rf" \* Serving on {process.url} \({how}\)", line)

    def test_quiet_by_default(self, run: Run) -> None:
        process = run()
        process.wait_ready()
        assert "GET /pid" not in process.log
        assert "gunicorn" not in process.log

    @every_mode
    def test_log_output(self, run: Run) -> None:
        process = run(log_output=True)
        process.wait_ready()
        wire.wait_until(lambda: "GET /pid" in process.log)


class TestDebug:
    @every_mode
    def test_reloader(self, run: Run) -> None:
        process = run(debug=True, reloader_options={"interval": 0.1, "reloader_type": "stat"})
        first = process.wait_ready()
        assert first != process.popen.pid
        with SocketIOClient(process.url) as client:
            echo(client)
            process.script.write_text(process.script.read_text() + "\n# changed\n")
            # The listening socket outlives the restart: there is no moment of refused connections.
            second = wire.wait_until(
                lambda: (pid := process.serving_pid()) != first and pid, timeout=20, what="a new process"
            )
            client.transport.wait_closed()
        assert second not in (None, first, process.popen.pid)
        with SocketIOClient(process.url) as client:
            echo(client)
        assert process.popen.poll() is None

    def test_extra_files(self, run: Run, tmp_path: Path) -> None:
        watched = tmp_path / "watched.txt"
        watched.write_text("one")
        process = run(
            use_reloader=True,
            extra_files=[str(watched)],
            reloader_options={"interval": 0.1, "reloader_type": "stat"},
        )
        first = process.wait_ready()
        watched.write_text("two")
        wire.wait_until(lambda: process.serving_pid() not in (None, first), timeout=20)

    def test_extra_files_in_the_reloaders_options(self, run: Run, tmp_path: Path) -> None:
        run(use_reloader=True, reloader_options={"extra_files": [str(tmp_path / "watched")]}).wait_ready()

    @every_mode
    def test_debugger_shows_a_views_error_and_websockets_still_work(self, run: Run) -> None:
        process = run(debug=True, use_reloader=False)
        assert process.wait_ready() == process.popen.pid
        reply = wire.request(process.url + "/fail")
        assert reply.status == 500
        assert "LookupError: on purpose" in reply.text
        assert "__debugger__" in reply.text
        for transport in wire.TRANSPORTS:
            with SocketIOClient(process.url, transport) as client:
                echo(client)

    def test_no_debugger_without_debug(self, run: Run) -> None:
        process = run()
        process.wait_ready()
        reply = wire.request(process.url + "/fail")
        assert reply.status == 500
        assert "on purpose" not in reply.text


@every_mode
class TestStop:
    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_from_a_handler(self, run: Run, transport: str) -> None:
        process = run()
        process.wait_ready()
        with SocketIOClient(process.url, transport) as client:
            client.transport.send('421["stop"]')
            assert client.receive() == '431["stopping"]'
            client.transport.wait_closed()
        assert process.wait_exit() == 0
        assert "disconnected: transport close" in process.log
        assert "run() has returned, None" in process.log

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_signals(self, run: Run, number: signal.Signals, transport: str) -> None:
        process = run()
        process.wait_ready()
        with SocketIOClient(process.url, transport) as client:
            if transport == "websocket":
                process.popen.send_signal(number)
                assert client.transport.wait_closed().code == 1001
            else:
                poll = client.transport.start_get()  # type: ignore[attr-defined]
                process.popen.send_signal(number)
                assert poll.reply().text == "1"
        assert process.wait_exit() == 0
        assert "disconnected: transport close" in process.log
        assert "Traceback" not in process.log

    def test_running_handlers_finish(self, run: Run) -> None:
        process = run()
        process.wait_ready()
        with SocketIOClient(process.url) as client:
            client.transport.send('421["slow"]')
            assert client.receive() == '42["started"]'
            process.popen.send_signal(signal.SIGTERM)
            assert client.receive() == '431["finished"]'
            assert client.transport.wait_closed().code == 1001
        assert process.wait_exit() == 0

    def test_a_signal_under_the_reloader_ends_both_processes(self, run: Run) -> None:
        process = run(debug=True, reloader_options={"interval": 0.1, "reloader_type": "stat"})
        child = process.wait_ready()
        process.popen.send_signal(signal.SIGTERM)
        process.wait_exit()
        wire.wait_until(lambda: not Path(f"/proc/{child}").exists(), what="the reloader's child ends")


@every_mode
class TestTLS:
    @pytest.fixture(params=["ssl_context", "certfile"])
    def process(self, run: Run, request: pytest.FixtureRequest) -> Process:
        certificate, key = map(str, servers.self_signed_certificate())
        if request.param == "ssl_context":
            process = run(ssl_context=(certificate, key))
        else:
            process = run(certfile=certificate, keyfile=key)
        process.wait_ready()
        return process

    @pytest.mark.parametrize("transport", wire.TRANSPORTS)
    def test_every_transport(self, process: Process, transport: str) -> None:
        with SocketIOClient(process.url, transport) as client:
            echo(client)
            client.transport.send('428["echo","' + "x" * 100_000 + '"]')
            assert len(str(client.receive())) > 100_000

    def test_plain_http_is_no_way_in(self, process: Process) -> None:
        with pytest.raises(Exception):  # noqa: B017 (how it fails is up to OpenSSL)
            wire.request(process.url.replace("https", "http") + "/pid")
        assert process.serving_pid() == process.popen.pid
