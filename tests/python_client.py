"""python-socketio's client, as it comes from its package, for the suites that use it."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import socketio
from acceptance.wire import TIMEOUT

#: For modules that use the client; python-engineio leaves closing its sockets to the garbage collector.
WARNINGS = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
KNOWN_REASONS = {
    "client disconnect",
    "server disconnect",
    "ping timeout",
    "transport close",
    "transport error",
}


class Client:
    """A ``socketio.Client`` that keeps what it is told, in order."""

    def __init__(self, transport: str, **options: Any) -> None:
        self.transport = transport
        defaults = {"handle_sigint": False, "reconnection_delay": 0.1, "ssl_verify": False}
        self.sio = socketio.Client(**{**defaults, **options})
        self.events: queue.Queue[tuple[str, ...]] = queue.Queue()
        self.answers: dict[str, Any] = {}
        """What the client acks, by event."""
        self._worker = ThreadPoolExecutor(1)
        self._deliver_in_order()
        self.sio.on("*", self._received, namespace="*")
        for event in ("disconnect", "connect_error"):
            self.sio.on(event, functools.partial(self._received, event), namespace="*")

    def _deliver_in_order(self) -> None:
        """python-engineio starts a thread per message; threads may overtake one another."""
        start_anything = self.sio.eio.start_background_task

        def start_task(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if target == self.sio.eio.handlers.get("message"):
                return self._worker.submit(target, *args, **kwargs)
            return start_anything(target, *args, **kwargs)

        self.sio.eio.start_background_task = start_task

    def _received(self, event: str, namespace: str, *args: Any) -> Any:
        self.events.put((namespace, event, *args))
        return self.answers.get(event)

    def connect(
        self, url: str, namespaces: list[str] | None = None, auth: Any = None, **options: Any
    ) -> None:
        self.sio.connect(
            url,
            auth=auth,
            transports=TRANSPORTS[self.transport],
            namespaces=namespaces or ["/"],
            wait_timeout=TIMEOUT,
            **options,
        )

    def next_event(self, timeout: float = TIMEOUT) -> tuple[Any, ...]:
        try:
            return self.events.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError("no event arrived") from None

    def emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        self.sio.emit(event, args, namespace=namespace)

    def call(self, event: str, *args: Any, namespace: str = "/") -> Any:
        return self.sio.call(event, args, namespace=namespace, timeout=TIMEOUT)

    def sid(self, namespace: str = "/") -> str:
        sid: str = self.sio.get_sid(namespace)
        return sid

    def close(self) -> None:
        self.sio.shutdown()
        self._worker.shutdown()
        if self.sio.eio.http:
            self.sio.eio.http.close()
