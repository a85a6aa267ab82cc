"""Waiting clients cost no workers, slow handlers cost nobody else, and a server leaves in good order."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from acceptance import settings, wire
from acceptance.conftest import ServerPool
from acceptance.wire import TEXT, Closed, PendingRequest, Polling, SocketIO, WebSocketTransport
from acceptance.wire import encode_frame as frame
from servers import KINDS, RunningServer, ServerKind, start

pytestmark = pytest.mark.kinds(takes_over=True)

REASONS = {"client disconnect", "server disconnect", "ping timeout", "transport close", "transport error"}
GOING_AWAY = 1001


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    return server_pool.get(kind, "contract", settings.CALM)


@pytest.fixture
def observer(server: RunningServer) -> Iterator[SocketIO]:
    with SocketIO.connected("websocket", server.url) as observer:
        yield observer


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Enough for all clients, here and in the servers that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def reason_of(observer: SocketIO, sid: str) -> str | None:
    (entries,) = observer.call("last-disconnects")
    reasons = [entry["reason"] for entry in entries if entry["sid"] == sid]
    assert len(reasons) <= 1, reasons
    return reasons[0] if reasons else None


class Crowd:
    """Clients that wait, on one server: each in ``/``, each with nothing to read."""

    def __init__(self, url: str, stack: contextlib.ExitStack) -> None:
        self.url = url
        self._stack = stack
        self.websockets: list[SocketIO] = []
        self.polls: list[PendingRequest] = []

    def add(self, websockets: int, polls: int) -> None:
        for _ in range(websockets):
            client = SocketIO.connected("websocket", self.url)
            self._stack.callback(client.close)
            self.websockets.append(client)
        for _ in range(polls):
            client = SocketIO.connected("polling", self.url)
            assert isinstance(client.transport, Polling)
            poll = PendingRequest(client.transport.address)
            self._stack.callback(poll.abort)
            self.polls.append(poll)


@pytest.mark.parametrize(
    ("websockets", "polls"), [(60, 30), pytest.param(500, 200, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_waiting_clients_leave_the_worker_free(
    kind: ServerKind, many_descriptors: None, websockets: int, polls: int
) -> None:
    with start(kind, "contract", settings.CALM) as server, contextlib.ExitStack() as stack:
        crowd = Crowd(server.url, stack)
        crowd.add(websockets=8, polls=4)
        threads_with_few = server.thread_count()
        crowd.add(websockets=websockets - 8, polls=polls - 4)

        for _ in range(20):
            started = time.monotonic()
            assert wire.request(server.url + "/healthz", timeout=5).text == "ok"
            assert time.monotonic() - started < 2
        assert wire.stats(server.url)["sessions"] == websockets + polls
        assert not any(poll.is_answered() for poll in crowd.polls)
        # what serves /healthz just now may come on top
        wire.wait_until(lambda: server.thread_count() <= threads_with_few + 3, what="threads stay few")

        crowd.websockets[0].emit("broadcast", {"to": "all"})
        for client in crowd.websockets:
            assert client.wait_event("broadcast-msg") == [{"to": "all"}]
        for poll in crowd.polls:
            assert poll.reply().text == '42["broadcast-msg",{"to":"all"}]'

        stack.close()
        # a WebSocket that has gone is noticed at once; a session that polls has the time of its heartbeat
        wire.wait_until(lambda: wire.stats(server.url)["sessions"] <= polls, what="the crowd is forgotten")


class TestSlowHandlers:
    @pytest.fixture
    def impatient_server(self, server_pool: ServerPool, kind: ServerKind) -> RunningServer:
        """A PING every second, and one second to answer it."""
        impatient = {**settings.CLIENTS, "APP_PING_INTERVAL": "1", "APP_PING_TIMEOUT": "1"}
        return server_pool.get(kind, "contract", impatient)

    def test_a_handler_that_sleeps_disconnects_nobody(self, impatient_server: RunningServer) -> None:
        """Longer than interval and timeout together, on every transport at once."""
        url = impatient_server.url
        with contextlib.ExitStack() as stack:
            sleepers = [
                stack.enter_context(SocketIO.connected(transport, url))
                for transport in wire.TRANSPORTS
                for _ in range(3)
            ]
            observer = stack.enter_context(SocketIO.connected("websocket", url))
            pool = stack.enter_context(ThreadPoolExecutor(len(sleepers)))
            answers = [pool.submit(client.call, "ack-delay", 5000, "slept") for client in sleepers]

            slowest = 0.0
            while not all(answer.done() for answer in answers):
                started = time.monotonic()
                assert observer.call("echo-ack", 1) == [1]
                slowest = max(slowest, time.monotonic() - started)
                time.sleep(0.05)
            assert [answer.result() for answer in answers] == [["slept"]] * len(sleepers)
            assert slowest < 2

            (entries,) = observer.call("last-disconnects")
            assert {entry["sid"] for entry in entries}.isdisjoint({client.sid for client in sleepers})
            for client in sleepers:
                assert client.call("echo-ack", "still here") == ["still here"]

    def test_the_app_answers_requests_meanwhile(self, server: RunningServer) -> None:
        with contextlib.ExitStack() as stack:
            sleepers = [stack.enter_context(SocketIO.connected("websocket", server.url)) for _ in range(10)]
            ids = [client.request("ack-delay", 1500, i) for i, client in enumerate(sleepers)]
            started = time.monotonic()
            for _ in range(5):
                assert wire.request(server.url + "/healthz").text == "ok"
            assert time.monotonic() - started < 1.4, "answered while the handlers slept"
            for i, (client, id) in enumerate(zip(sleepers, ids, strict=True)):
                assert client.wait_ack(id) == [i]


@pytest.mark.kinds(reads_ahead=True)
class TestBytesBehindTheRequest:
    """What follows the upgrade request in its segment has been read by the WSGI server already."""

    def test_packets(self, server: RunningServer) -> None:
        behind = frame(TEXT, b"40") + frame(TEXT, b'42["echo",1]') + frame(TEXT, b'427["echo-ack",2]')
        with WebSocketTransport.open(server.url, right_behind=behind) as transport:
            assert str(transport.receive()).startswith('40{"sid":"')
            assert transport.receive_many(3) == ['42["auth",{}]', '42["echo-back",1]', "437[2]"]

    @pytest.mark.parametrize("kept_back", [1, 3, 10])
    def test_a_frame_that_is_cut_in_two(self, server: RunningServer, kept_back: int) -> None:
        behind = frame(TEXT, b"40") + frame(TEXT, b'42["echo","in two parts"]')
        first, second = behind[:-kept_back], behind[-kept_back:]
        with WebSocketTransport.open(server.url, right_behind=first) as transport:
            assert str(transport.receive()).startswith('40{"sid":"')
            assert transport.receive() == '42["auth",{}]'
            transport.websocket.send_raw(second)
            assert transport.receive() == '42["echo-back","in two parts"]'

    @pytest.mark.parametrize("size", [100, 4_000, 9_000, 70_000])
    def test_more_than_fits_a_buffer(self, server: RunningServer, size: int) -> None:
        events = [f'42["echo",{i},"{"x" * size}"]' for i in range(20)]
        behind = frame(TEXT, b"40") + b"".join(frame(TEXT, event.encode()) for event in events)
        with WebSocketTransport.open(server.url, right_behind=behind) as transport:
            assert str(transport.receive()).startswith('40{"sid":"')
            assert transport.receive() == '42["auth",{}]'
            assert transport.receive_many(20) == [event.replace("echo", "echo-back") for event in events]


def hang_up(sock: socket.socket) -> None:
    sock.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("leave", [hang_up, reset])
class TestClientsThatGo:
    def test_in_the_middle_of_a_poll(
        self, server: RunningServer, observer: SocketIO, leave: Callable[[socket.socket], None]
    ) -> None:
        client = SocketIO.connected("polling", server.url)
        assert isinstance(client.transport, Polling)
        room = f"room-{client.sid}"
        assert client.call("join", room) == ["ok"]
        poll = client.transport.start_get()
        leave(poll.sock)
        poll.abort()

        reason = wire.wait_until(lambda: reason_of(observer, client.sid), what="the disconnect is noticed")
        assert reason == "transport error"
        assert client.transport.get().status == 400

    def test_from_a_websocket(
        self, server: RunningServer, observer: SocketIO, leave: Callable[[socket.socket], None]
    ) -> None:
        client = SocketIO.connected("websocket", server.url)
        assert isinstance(client.transport, WebSocketTransport)
        leave(client.transport.websocket.sock)

        reason = wire.wait_until(lambda: reason_of(observer, client.sid), what="the disconnect is noticed")
        assert reason in {"transport close", "transport error"}

    def test_while_a_handler_runs(
        self, server: RunningServer, observer: SocketIO, leave: Callable[[socket.socket], None]
    ) -> None:
        client = SocketIO.connected("websocket", server.url)
        assert isinstance(client.transport, WebSocketTransport)
        client.request("ack-delay", 500, "nobody waits for it")
        leave(client.transport.websocket.sock)

        reason = wire.wait_until(lambda: reason_of(observer, client.sid), what="the disconnect is noticed")
        assert reason in {"transport close", "transport error"}
        wire.wait_until(lambda: wire.stats(server.url)["handlers_running"] == 0)
        assert observer.call("echo-ack", 1) == [1]


class Drain:
    """A server of the test's own, which writes its disconnects to a file."""

    def __init__(self, server: RunningServer, log: Path) -> None:
        self.server = server
        self.log = log

    def disconnects(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def drain(kind: ServerKind, tmp_path: Path) -> Iterator[Drain]:
    log = tmp_path / "disconnects"
    with start(kind, "contract", {**settings.CALM, "APP_DISCONNECT_LOG": str(log)}) as server:
        yield Drain(server, log)


class TestSigterm:
    def test_everybody_is_told(self, drain: Drain) -> None:
        url = drain.server.url
        with (
            SocketIO.connected("websocket", url) as idle,
            SocketIO.connected("upgrade", url) as upgraded,
            SocketIO.connected("polling", url) as polling,
            SocketIO.connected("websocket", url) as busy,
        ):
            assert isinstance(polling.transport, Polling)
            poll = polling.transport.start_get()
            busy_id = busy.request("ack-delay", 1000, "finished")
            wire.wait_until(lambda: wire.stats(url)["handlers_running"] == 1)
            sids = sorted(client.sid for client in (idle, upgraded, polling, busy))

            drain.server.terminate()

            assert idle.transport.wait_closed().code == GOING_AWAY
            assert upgraded.transport.wait_closed().code == GOING_AWAY
            reply = poll.reply()
            assert (reply.status, reply.text) == (200, "1")
            assert busy.wait_ack(busy_id) == ["finished"], "a handler that runs may finish"
            assert busy.transport.wait_closed().code == GOING_AWAY
            assert drain.server.wait() == 0

        entries = drain.disconnects()
        assert sorted(entry["sid"] for entry in entries) == sids, "each disconnect handler ran once"
        assert {entry["reason"] for entry in entries} <= REASONS

    def test_what_was_emitted_arrives_before_the_close(self, drain: Drain) -> None:
        with SocketIO.connected("websocket", drain.server.url) as client:
            client.emit("burst", 3000)
            assert client.wait_event("burst-item") == [0]
            drain.server.terminate()

            assert [client.wait_event("burst-item") for _ in range(2999)] == [[i] for i in range(1, 3000)]
            assert client.transport.wait_closed().code == GOING_AWAY
            assert drain.server.wait() == 0

    def test_nobody_new_is_let_in(self, drain: Drain) -> None:
        url = drain.server.url
        with (
            SocketIO.connected("polling", url) as polling,
            SocketIO.connected("websocket", url) as busy,
        ):
            assert isinstance(polling.transport, Polling)
            poll = polling.transport.start_get()
            busy.request("ack-delay", 1500, "x")
            wire.wait_until(lambda: wire.stats(url)["handlers_running"] == 1)
            drain.server.terminate()
            assert poll.reply().text == "1"  # the drain has begun

            with contextlib.suppress(OSError):  # nobody listens any more
                reply = wire.request(url + wire.target("socket.io", "polling"))
                assert reply.status == 503
                assert set(reply.json()) == {"code", "message"}
            with contextlib.suppress(OSError, Closed):
                with pytest.raises(wire.Refused) as refused, WebSocketTransport.open(url):
                    pass
                assert refused.value.reply.status == 503
            assert drain.server.wait() == 0

    def test_an_idle_server_stops_at_once(self, drain: Drain) -> None:
        with SocketIO.connected("websocket", drain.server.url) as client:
            assert client.call("echo-ack", 1) == [1]
        started = time.monotonic()
        drain.server.terminate()

        assert drain.server.wait() == 0
        assert time.monotonic() - started < 5


def test_a_second_signal_is_immediate() -> None:
    with (
        start(KINDS["werkzeug"], "contract", settings.CALM) as server,
        SocketIO.connected("websocket", server.url) as client,
    ):
        client.request("ack-delay", 60_000, "never")
        wire.wait_until(lambda: wire.stats(server.url)["handlers_running"] == 1)
        server.terminate()
        time.sleep(0.5)
        assert server.alive, "the handler has its grace time"

        server.terminate()
        started = time.monotonic()
        server.wait()
        assert time.monotonic() - started < 3


def test_an_app_that_was_loaded_before_the_fork() -> None:
    """Nothing of the engine runs before the process that serves."""
    with start(KINDS["gunicorn-gthread"], "contract", settings.CALM, ["--preload"]) as server:
        for transport in wire.TRANSPORTS:
            with SocketIO.connected(transport, server.url) as client:
                assert client.call("echo-ack", transport) == [transport]
