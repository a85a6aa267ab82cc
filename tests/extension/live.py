"""A real server in a thread of the test's process, for what can't be seen without sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acceptance import wire
from flask import Flask
from werkzeug.serving import make_server

from flask_realtime.backends.memory import MemoryTransport
from flask_realtime.types import DisconnectReason


@contextmanager
def serve(app: Flask) -> Iterator[str]:
    """Serve an app with Werkzeug's server until the block ends; the value is its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        _hang_up(app)
        server.shutdown()
        thread.join(wire.TIMEOUT)
        server.server_close()


def _hang_up(app: Flask) -> None:
    """End what a test has left open, so that nothing of it is left at the end of the process."""
    for name in ("realtime", "engineio"):
        state = app.extensions.get(name)
        if state is not None:
            engine = state.server.engine
            with engine.lock:
                for session in list(engine.sessions.values()):
                    if not isinstance(
                        session.transport, MemoryTransport
                    ):  # a test client runs its own handlers
                        session.end(DisconnectReason.TRANSPORT_CLOSE)
            wire.wait_until(lambda engine=engine: not engine.work_pending, what="the last handlers return")


class SocketIOClient:
    """A Socket.IO client of raw packets, on one transport."""

    def __init__(
        self, url: str, transport: str = "websocket", namespace: str = "/", auth: Any = None
    ) -> None:
        self.transport = wire.open_transport(transport, url)
        self.prefix = "" if namespace == "/" else namespace + ","
        self.transport.send(f"40{self.prefix}" + ("" if auth is None else json.dumps(auth)))
        answer = str(self.transport.receive())
        assert answer.startswith(f"40{self.prefix}{{"), answer
        self.sid: str = json.loads(answer[2 + len(self.prefix) :])["sid"]

    def emit(self, *data: Any) -> None:
        self.transport.send(f"42{self.prefix}{json.dumps(data)}")

    def receive(self) -> Any:
        """The next packet as it is, without heartbeats."""
        return self.transport.receive()

    def receive_event(self) -> list[Any]:
        """The name and arguments of the next packet, which must be an event."""
        packet = str(self.receive())
        assert packet.startswith(f"42{self.prefix}["), packet
        event: list[Any] = json.loads(packet[2 + len(self.prefix) :])
        return event

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> SocketIOClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
