"""The ASGI application: requests for the socket path go to the engine, all others to the next application.

Nothing here waits for a client with a thread: see :mod:`..backends.asgi_server`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from ..protocol.engineio.request import ErrorCode
from ..protocol.errors import RemoteProtocolError
from ..protocol.websocket import CloseCode
from ..server.inbox import MOMENT
from ..server.ports import Backend, Event, Poll
from .http import (
    RESPONSE_GRACE,
    AttachableTransport,
    HTTPGateway,
    PollRequested,
    PostBody,
    PostRequested,
    Reply,
    Request,
    UpgradeRequested,
    environ_key,
    request_of,
)

if TYPE_CHECKING:
    from ..server.asgi_types import ASGIApp, Receive, Scope, Send
    from ..server.engine import Engine
    from ..server.session import Session

__all__ = ["ASGIBackend", "SocketASGI", "refuse_websocket"]

Environ = dict[str, Any]
ASGIHeaders = list[tuple[bytes, bytes]]

T = TypeVar("T")

#: bytes of a payload from which on rendering is left to a thread, and the server's buffers are waited for
LARGE = 16384
SLOWEST = 32768  # bytes per second: nobody sees how much of a response is written
#: how long, and how much of it, a body is read that nobody wants
DISCARD_SECONDS = 2.0
DISCARD_IDLE = 0.5  # seconds in which nothing comes
DISCARD_BODIES = 16  # as large as allowed
DISCARD_AT_LEAST = 4_000_000  # bytes
#: what a server has checked, and under HTTP/2 does not tell (RFC 8441 has no such headers)
HANDSHAKE = {
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "AAAAAAAAAAAAAAAAAAAAAA==",
}
LONGEST_KNOWN = 40  # characters of a header's name that is worth remembering
SCHEMES = {"ws": "http", "wss": "https"}


class ASGITransport(AttachableTransport, Protocol):
    """A websocket of an ASGI server."""

    async def carry(self, headers: ASGIHeaders) -> None:
        """Accept it, with these headers in the response, and carry the session until it is over."""
        ...


class HeldPoll(Protocol):
    """A poll that its coroutine waits with; what it has started ends with its ``with`` block."""

    poll: Poll
    #: the client has gone
    gone: bool

    async def write(self, response: Awaitable[None], seconds: float) -> bool:
        """Write the response; False where the client has gone, or has not read it within ``seconds``."""
        ...

    async def wait(self) -> bool:
        """Until there is an answer; False where the client has gone before."""
        ...

    def __enter__(self) -> HeldPoll: ...

    def __exit__(self, *error: Any) -> None: ...


class ASGIBackend(Backend, Protocol):
    """A backend that can deal with the connections of ASGI servers."""

    def catch_up(self) -> None:
        """Do what is due, before a request finds a session that is overdue."""
        ...

    async def in_thread(self, function: Callable[..., T], *args: Any) -> T:
        """The result of some short work that would hold up the loop."""
        ...

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """The result of ``work``.

        :raises TimeoutError: it took longer.
        """
        ...

    def sender(self, send: Send) -> Send:
        """What to send with: the server's own function, unless that lacks something."""
        ...

    def hold_poll(self, receive: Receive, send: Send) -> HeldPoll: ...

    def websocket(self, engine: Engine, receive: Receive, send: Send) -> ASGITransport: ...


class SocketASGI:
    """An ASGI application that takes what is for the socket path.

    :param engine: gets what is for ``path``.
    :param other_app: gets the rest.
    :param path: such as ``"socket.io"``.
    :param prepare: makes what is kept of a handshake's environ.
    :param proxied: the environ as the app's trusted proxies tell it.
    :param backend: gives the one of the running event loop.
    """

    def __init__(
        self,
        engine: Engine,
        other_app: ASGIApp,
        path: str,
        prepare: Callable[[Environ], Any],
        proxied: Callable[[Environ], Environ],
        backend: Callable[[], ASGIBackend],
    ) -> None:
        self.engine = engine
        self.other_app = other_app
        self._path = "/" + path.strip("/")
        self._gateway = HTTPGateway(engine)
        self._prepare = prepare
        self._proxied = proxied
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = split_path(scope)[1] if scope["type"] in ("http", "websocket") else ""
        if path != self._path and not path.startswith(self._path + "/"):
            await self.other_app(scope, receive, send)
            return
        backend = self._backend()
        backend.catch_up()
        send = backend.sender(send)
        environ = self._proxied(environ_of(scope))
        request = request_of(environ)
        if scope["type"] == "websocket":
            await self._serve_websocket(backend, request, scope, receive, send)
            return
        # The end of a body is part of HTTP/2's framing.
        request.chunked = request.chunked or scope.get("http_version", "1.1")[0] in "23"
        body = _Incoming(receive)
        reply = await self._serve_http(backend, request, body, send)
        if reply is None:
            return
        # A small body has come with the request. With Expect, the client waits for our word to send any.
        is_large = request.chunked if request.content_length is None else request.content_length > LARGE
        if is_large and not body.ended and not request.header("Expect"):
            await self._refuse_body(backend, reply, request, body, send)
        else:
            await _respond(reply, request, send)

    async def _refuse_body(
        self, backend: ASGIBackend, reply: Reply, request: Request, body: _Incoming, send: Send
    ) -> None:
        """Answer while the client may still be sending: a server that stops reading resets the connection,
        and the client does not see the answer. Some stop with the last byte of ours."""
        limit = max(DISCARD_BODIES * self.engine.config.max_http_buffer_size, DISCARD_AT_LEAST)
        content = b"" if request.method == "HEAD" else reply.body
        await _start_response(reply, content[:-1], send, more=True)
        with contextlib.suppress(TimeoutError):
            await backend.within(DISCARD_SECONDS, body.discard(backend, limit))
        await send({"type": "http.response.body", "body": content[-1:]})

    # HTTP

    async def _serve_http(
        self, backend: ASGIBackend, request: Request, receive: Receive, send: Send
    ) -> Reply | None:
        """The reply, or None where it has been sent."""
        asked = self._gateway.understand(request)
        try:
            if isinstance(asked, PollRequested):
                return await self._poll(backend, asked, request, receive, send)
            if isinstance(asked, PostRequested):
                return await self._post(asked.sid, request, receive)
            if isinstance(asked, UpgradeRequested):
                raise RemoteProtocolError("this web server carries no websockets", code=ErrorCode.BAD_REQUEST)
        except RemoteProtocolError as error:
            return self._gateway.refusal(request, error)
        return asked

    async def _post(self, sid: str, request: Request, receive: Receive) -> Reply:
        with self._gateway.receiving_post(request, sid) as body:
            while body.wanted:
                await _read_chunk(body, receive)
        return self._gateway.post_reply(request, body)

    async def _poll(
        self, backend: ASGIBackend, asked: PollRequested, request: Request, receive: Receive, send: Send
    ) -> Reply | None:
        if asked.sid is None:
            session = self.engine.open(None, self._prepare(request.environ))
        else:
            session = await self._session_of_poll(backend, asked.sid)
        with backend.hold_poll(receive, send) as held:
            poll = held.poll
            event = None if asked.sid is None else backend.async_event
            handled = self._gateway.begin_poll(session, poll, event)
            written = False
            try:
                if handled is not None:
                    await handled.wait(MOMENT)
                answer = self._gateway.answer_poll(session, poll)
                # Woken for nothing where an upgrade has failed, say.
                while answer is None and await held.wait():
                    answer = self._gateway.answer_poll(session, poll)
                if answer is not None:
                    sid = session.sid if asked.sid is None else None
                    written = await self._answer(backend, held, answer, request, send, sid)
            finally:
                with self.engine.lock:
                    if written:
                        session.poll_written(poll)
                    else:
                        session.poll_failed(poll)
        return None

    async def _session_of_poll(self, backend: ASGIBackend, sid: str) -> Session:
        with self.engine.lock:
            session = self.engine.session(sid)
            poll = session.poll
            if poll is None or not poll.answering:
                return session
            # The client has its response, but the coroutine that wrote it has not yet come to say so.
            written = backend.async_event()
            poll.finished = cast(Event, written)  # polls of one session all wait in coroutines
        await written.wait(RESPONSE_GRACE)
        return session

    async def _answer(
        self,
        backend: ASGIBackend,
        held: HeldPoll,
        payload: bytes,
        request: Request,
        send: Send,
        sid: str | None,
    ) -> bool:
        """Write the response; False where the client has gone before it was written."""
        if len(payload) < LARGE:
            reply = self._gateway.payload_reply(request, payload, sid)
        else:
            reply = await backend.in_thread(self._gateway.payload_reply, request, payload, sid)
        try:
            if len(reply.body) < LARGE:
                await _respond(reply, request, send)
                return True
            seconds = self.engine.config.write_timeout + len(reply.body) / SLOWEST
            if not await held.write(_write_large(reply, send), seconds):
                return False
            # From here on a server may report that the client has gone because all is said.
            await send({"type": "http.response.body", "body": reply.body[-1:]})
            return True
        except OSError:
            return False

    # WebSocket

    async def _serve_websocket(
        self, backend: ASGIBackend, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if (await receive())["type"] != "websocket.connect":
            return  # the client has gone
        asked = self._gateway.understand(request)
        if isinstance(asked, UpgradeRequested):
            try:
                transport = backend.websocket(self.engine, receive, send)
                headers = self._gateway.attach(transport, asked.sid, partial(self._prepare, request.environ))
                await transport.carry(_encoded(headers))
                return
            except RemoteProtocolError as error:
                asked = self._gateway.refusal(request, error)
        assert isinstance(asked, Reply)
        await refuse_websocket(asked, scope, send)


async def refuse_websocket(reply: Reply, scope: Scope, send: Send) -> None:
    """Answer a handshake with a response, where the server is able to say it, else with its own 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        headers = _encoded(reply.end_to_end_headers())
        if scope.get("http_version", "1.1").startswith("1"):
            # What follows on the connection may be frames.
            headers.append((b"connection", b"close"))
        await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reply.body})
    else:
        await send(
            {"type": "websocket.close", "code": int(CloseCode.POLICY_VIOLATION), "reason": reply.reason}
        )


class _Incoming:
    """The events of a request (a ``receive``), and whether the body is among those that have come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def __call__(self) -> dict[str, Any]:
        event = await self._receive()
        self.ended = self.ended or event["type"] != "http.request" or not event.get("more_body", False)
        return event

    async def discard(self, backend: ASGIBackend, limit: int) -> None:
        """Read to the end of the body, until ``limit`` bytes have come, or nothing comes for a while."""
        while not self.ended and limit > 0:
            event = await backend.within(DISCARD_IDLE, self())
            limit -= len(event.get("body", b""))


async def _respond(reply: Reply, request: Request, send: Send) -> None:
    body = b"" if request.method == "HEAD" else reply.body
    await _start_response(reply, body, send, more=False)


async def _start_response(reply: Reply, body: bytes, send: Send, more: bool) -> None:
    """The response with this much of its body; where there is ``more``, the end has to follow."""
    headers = _encoded(reply.end_to_end_headers())
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _write_large(reply: Reply, send: Send) -> None:
    """All but the last byte of a response; returns when the server's buffers are nearly empty.

    With the last byte a server may take the response for complete, and nothing more.
    """
    await _start_response(reply, reply.body[:-1], send, more=True)
    await send({"type": "http.response.body", "body": b"", "more_body": True})


async def _read_chunk(body: PostBody, receive: Receive) -> None:
    event = await receive()
    if event["type"] == "http.disconnect":
        raise body.fail(ConnectionError("the client has gone"))
    data = event.get("body", b"")
    if data:
        body.feed(data)
    if not event.get("more_body", False) and body.wanted:
        body.feed(b"")


def _encoded(headers: list[tuple[str, str]]) -> ASGIHeaders:
    """
    :raises ValueError: a header holds a line break.
    """
    for name, value in headers:
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"line break in header {name!r}")
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def split_path(scope: Scope) -> tuple[str, str]:
    """The path that an application is mounted at, and the path within it.

    By the specification ``path`` begins with ``root_path``; some servers leave it out.
    """
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    if root and (path == root or path.startswith(root + "/")):
        return root, path[len(root) :]
    return root, path


def environ_of(scope: Scope) -> Environ:
    """What a WSGI server would say of the request: the text of it, and no objects of the server's."""
    root, path = split_path(scope)
    host, port = scope.get("server") or ("localhost", 80)
    scheme = scope.get("scheme") or ("ws" if scope["type"] == "websocket" else "http")
    environ: Environ = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": SCHEMES.get(scheme, scheme),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    client = scope.get("client")
    if client:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(client[0]), str(client[1])
    for name, value in scope["headers"]:
        key = _known_key_of(name) if len(name) <= LONGEST_KNOWN else _key_of(name)
        if key is not None:
            text = value.decode("latin-1")
            if key in environ:
                # HTTP/2 splits cookies, and they are joined in their own way.
                text = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
            environ[key] = text
    if scope["type"] == "websocket":
        return {**HANDSHAKE, **environ}
    return environ


def _key_of(name: bytes) -> str | None:
    """What the environ calls a header."""
    if b"_" in name:
        return None  # it would pass for the header with a hyphen, which a proxy may have checked
    return environ_key(name.decode("latin-1"))


_known_key_of = lru_cache(maxsize=256)(_key_of)
