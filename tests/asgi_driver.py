"""An ASGI server in memory: it plays ``receive`` and ``send`` for one request or websocket at a time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

TIMEOUT = 5.0

Event = dict[str, Any]
P = ParamSpec("P")


def play(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine of a test in a loop of its own."""
    asyncio.run(asyncio.wait_for(test(), 30))


def played(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine function."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        play(functools.partial(test, *args, **kwargs))

    return run


async def eventually(condition: Callable[[], Any], timeout: float = TIMEOUT) -> Any:
    """The first true value of ``condition()``."""
    for _ in range(int(timeout / 0.005)):
        value = condition()
        if value:
            return value
        await asyncio.sleep(0.005)
    raise AssertionError("it does not happen")


class Call:
    """One call of the application.

    :param headers: names in lower case, as servers give them.
    :param scope: replaces parts of the scope.
    """

    type = "http"

    def __init__(
        self, app: Any, query: str = "", headers: dict[str, str] | None = None, **scope: Any
    ) -> None:
        named = {"host": "server.example", **(headers or {})}
        self.scope: dict[str, Any] = {
            "type": self.type,
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "path": "/engine.io/",
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": ("192.0.2.1", 1234),
            "server": ("127.0.0.1", 80),
            "extensions": {},
            **scope,
        }
        self.incoming: asyncio.Queue[Event] = asyncio.Queue()
        self.sent: list[Event] = []
        #: while this is not set, the client does not read, and ``send`` waits
        self.reads = asyncio.Event()
        self.reads.set()
        self.lost: Exception | None = None
        self.refused_code = 0
        self.task = asyncio.get_running_loop().create_task(self._call(app))

    async def _call(self, app: Any) -> None:
        await app(self.scope, self.incoming.get, self._send)

    async def _send(self, event: Event) -> None:
        if self.lost is not None:
            raise self.lost
        await self.reads.wait()
        if event.get("code") == self.refused_code != 0:
            raise ValueError("a server need not say every code")
        self.sent.append(event)

    async def done(self) -> None:
        """Until the application has returned."""
        await asyncio.wait_for(asyncio.shield(self.task), TIMEOUT)


class Request(Call):
    """An HTTP request."""

    def __init__(
        self,
        app: Any,
        method: str = "GET",
        query: str = "EIO=4&transport=polling",
        headers: dict[str, str] | None = None,
        body: bytes | None = b"",
        **scope: Any,
    ) -> None:
        headers = dict(headers or {})
        if body:
            headers.setdefault("content-length", str(len(body)))
        super().__init__(app, query, headers, method=method, **scope)
        if body is not None:
            self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})

    def leave(self) -> None:
        """The client goes."""
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def reply(self) -> Request:
        """Until all is answered."""
        await self.done()
        assert self.sent[-1].get("more_body", False) is False
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(event.get("body", b"") for event in self.sent[1:])

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        values = [value.decode() for key, value in self.sent[0]["headers"] if key.decode() == name]
        return ", ".join(values) if values else None


class WebSocket(Call):
    """A websocket; under HTTP/2 a server tells nothing of the handshake's headers."""

    type = "websocket"

    def __init__(self, app: Any, query: str = "EIO=4&transport=websocket", **more: Any) -> None:
        super().__init__(app, query, **{"scheme": "ws", **more})
        self._read = 0
        self.incoming.put_nowait({"type": "websocket.connect"})

    def send(self, *messages: str | bytes) -> None:
        """Messages of the client."""
        for message in messages:
            kind = "text" if isinstance(message, str) else "bytes"
            self.incoming.put_nowait({"type": "websocket.receive", kind: message})

    def leave(self, code: int = 1000) -> None:
        """The client goes."""
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    async def next_event(self) -> Event:
        """The next thing that the application has sent."""
        await eventually(lambda: len(self.sent) > self._read)
        self._read += 1
        return self.sent[self._read - 1]

    async def receive(self) -> str | bytes:
        """The next message."""
        event = await self.next_event()
        assert event["type"] == "websocket.send", event
        message: str | bytes = event["text"] if "text" in event else event["bytes"]
        return message

    async def closed(self) -> int:
        """The code of the Close, messages before it left out; the client answers."""
        while (event := await self.next_event())["type"] != "websocket.close":
            pass
        self.leave(event["code"])
        return int(event["code"])
