"""python-socketio's client as it comes from its package, with what a test behind a proxy needs."""

from __future__ import annotations

import functools
import queue
import socket
from typing import Any
from urllib.parse import urlsplit

import requests
import socketio
from acceptance.wire import TIMEOUT, wait_until
from locked_tls import LockedTLSContext, LockedTLSSocket
from requests.adapters import HTTPAdapter
from servers import self_signed_certificate

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}


class _SourceAdapter(HTTPAdapter):
    """Requests that come from an address of their own."""

    def __init__(self, source: str) -> None:
        self._source = source
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._source, 0), **kwargs)


def new_session(source: str | None = None) -> requests.Session:
    """Cookies, and connections from the address ``source`` that trust the tests' certificate."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(self_signed_certificate()[0])
    if source is not None:
        session.mount("https://", _SourceAdapter(source))
    return session


def _tls_socket(url: str, source: str) -> LockedTLSSocket:
    parts = urlsplit(url)
    assert parts.hostname
    sock = socket.create_connection((parts.hostname, parts.port), TIMEOUT, source_address=(source, 0))
    return LockedTLSContext().wrap_socket(sock, parts.hostname)


class Client:
    """A connected ``socketio.Client``. With a ``source`` it can connect once only."""

    def __init__(
        self, url: str, transport: str, *, session: requests.Session | None = None, source: str | None = None
    ) -> None:
        options: dict[str, Any] = {}
        if transport != "polling":
            options = (
                {"socket": _tls_socket(url, source)}
                if source
                else {"sslopt": {"context": LockedTLSContext()}}
            )
        self.transport = transport
        self.session = session or new_session(source)
        self.sio = socketio.Client(
            http_session=self.session,
            handle_sigint=False,
            reconnection=source is None,
            reconnection_delay=0.1,
            reconnection_delay_max=0.3,
            websocket_extra_options=options,
        )
        self.events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.sio.on("*", lambda event, *args: self.events.put((event, *args)))
        for event in ("connect", "disconnect"):
            self.sio.on(event, functools.partial(self._happened, event))
        self.history: list[str] = []
        try:
            self.sio.connect(url, transports=TRANSPORTS[transport], wait_timeout=TIMEOUT)
        except BaseException:
            self.close()
            raise

    def _happened(self, event: str, *args: Any) -> None:
        self.history.append(event)

    @property
    def expected_transport(self) -> str:
        return "polling" if self.transport == "polling" else "websocket"

    def wait_event(self, name: str) -> list[Any]:
        """The arguments of the next event of this name."""
        while True:
            try:
                event, *arguments = self.events.get(timeout=TIMEOUT)
            except queue.Empty:
                raise AssertionError(f"no event {name!r} arrived") from None
            if event == name:
                return arguments

    def wait_reconnected(self, timeout: float = TIMEOUT) -> None:
        """Until the first connection is over and the second one open."""
        wait_until(
            lambda: self.history.count("connect") >= 2 and self.sio.connected,
            timeout,
            f"reconnected; {self.history}",
        )

    def call(self, event: str, *args: Any) -> Any:
        return self.sio.call(event, args, timeout=TIMEOUT)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.sio.shutdown()
        self.session.close()
