"""Workers go at SIGTERM, at a reload by SIGHUP, after ``--max-requests``: no accepted message is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acceptance import settings, wire
from acceptance.wire import ACK, Polling, SocketIO, decode_payload, decode_sio
from matrix.exchange import GOING_AWAY, recording, terminate_in_traffic
from matrix.traffic import PATIENCE, Traffic
from servers import KINDS, RunningServer, ServerKind, start

WEBSOCKETS, POLLING = 20, 3


def workers_of(server: RunningServer) -> set[int]:
    """The processes that the arbiter has started."""
    tasks = Path(f"/proc/{server.pid}/task").glob("*/children")
    return {int(pid) for children in tasks for pid in children.read_text().split()}


def test_sigterm_with_preload(worker_kind: ServerKind, tmp_path: Path) -> None:
    with recording(worker_kind, tmp_path, ["--preload"]) as recorded:
        terminate_in_traffic(recorded, WEBSOCKETS, POLLING)


def test_a_parked_thread_is_told_at_once(require: Callable[[str, object], None]) -> None:
    """With TLS in the process the worker waits for the threads of its websockets, and they for the drain."""
    kind = KINDS["gunicorn-gthread-tls"]
    require("gunicorn", not kind.missing)
    with (
        start(kind, "contract", settings.CALM, ["--preload"]) as server,
        SocketIO.connected("websocket", server.url) as client,
    ):
        server.terminate()
        terminated = time.monotonic()
        assert client.transport.wait_closed().code == GOING_AWAY
        assert time.monotonic() - terminated < 5, "its --graceful-timeout is 10 s"
        assert server.wait() == 0, server.log_text()[-3000:]


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["load", "preload"])
def test_reload(worker_kind: ServerKind, tmp_path: Path, options: tuple[str, ...]) -> None:
    with (
        recording(worker_kind, tmp_path, options) as recorded,
        Traffic(recorded, WEBSOCKETS, POLLING) as traffic,
    ):
        server = recorded.server
        traffic.wait_at_work()
        old = workers_of(server)

        os.kill(server.pid, signal.SIGHUP)
        traffic.wait_at_work(sessions_each=2)
        wire.wait_until(lambda: not old & workers_of(server), PATIENCE, "the old worker ends")
        assert server.alive
        assert len(workers_of(server)) == 1

        traffic.end()
        traffic.check()


def test_max_requests(worker_kind: ServerKind, tmp_path: Path) -> None:
    """Some workers one after another, each with requests of clients that poll and that come back."""
    if worker_kind.name == "gunicorn-gevent-websocket":
        pytest.skip("gevent's own server, which this worker runs, does not count requests")
    options = ["--max-requests", "50", "--max-requests-jitter", "0"]
    with recording(worker_kind, tmp_path, options) as recorded, Traffic(recorded, 5, POLLING) as traffic:
        seen: set[int] = set()

        def replaced_twice() -> bool:
            seen.update(workers_of(recorded.server))
            return len(seen) > 2

        wire.wait_until(replaced_twice, PATIENCE, "two more workers")
        traffic.wait_at_work(sessions_each=2)
        traffic.end()
        traffic.check()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_slow_handler_at_sigterm(worker_kind: ServerKind, transport: str) -> None:
    with (
        start(worker_kind, "contract", settings.CALM) as server,
        SocketIO.connected(transport, server.url) as client,
    ):
        poll = client.transport.start_get() if isinstance(client.transport, Polling) else None
        id = client.request("ack-delay", 1000, "done")
        wire.wait_until(lambda: wire.stats(server.url)["handlers_running"] == 1)
        server.terminate()
        terminated = time.monotonic()

        if poll is None:
            assert client.wait_ack(id) == ["done"]
            assert client.transport.wait_closed().code == GOING_AWAY
        else:
            packets = [decode_sio(packet, lambda: "") for packet in decode_payload(poll.reply().text)[:1]]
            assert [(packet.kind, packet.id, packet.data) for packet in packets] == [(ACK, id, ["done"])]
        assert server.wait() == 0, server.log_text()[-3000:]
        assert time.monotonic() - terminated < 8
