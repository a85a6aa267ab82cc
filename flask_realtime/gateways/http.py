"""What an HTTP request means for the engine, and what a reply looks like; no server in sight."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from wsgiref.util import is_hop_by_hop

import msgspec

from ..protocol.engineio.request import EngineRequest, ErrorCode, parse_request
from ..protocol.errors import RemoteProtocolError, excerpt
from ..protocol.websocket import CloseCode, Handshake, HandshakeError, check_handshake, is_upgrade
from ..server.logs import short
from ..server.ports import AnyEvent, Poll, WebSocketTransport
from .cors import CORSPolicy

if TYPE_CHECKING:
    from ..config import ServerConfig
    from ..server.engine import Engine
    from ..server.session import Session

__all__ = [
    "RESPONSE_GRACE",
    "AttachableTransport",
    "HTTPGateway",
    "PollRequested",
    "PostBody",
    "PostRequested",
    "Reply",
    "Request",
    "UpgradeRequested",
    "environ_key",
    "render_response",
    "request_of",
]

Headers = list[tuple[str, str]]
TEXT = ("Content-Type", "text/plain; charset=UTF-8")
JSON = ("Content-Type", "application/json")
READ_SIZE = 65536  # bytes of a body that are asked for at once
#: how long a GET waits for the response before it to be written
RESPONSE_GRACE = 5.0


@dataclass(slots=True)
class Request:
    """A request, as any server can describe it.

    :param header: the value of a header by its name, or None.
    :param content_length: None where the body's length isn't known beforehand.
    :param own_origin: ``scheme://host[:port]`` as the client addressed us.
    :param environ: the server's own description, for the app's functions.
    """

    method: str
    query_string: str
    header: Callable[[str], str | None]
    content_length: int | None
    chunked: bool
    own_origin: str
    environ: Any


@dataclass(slots=True)
class Reply:
    """A complete response; of a refusal, with its reason."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    reason: str = ""

    @property
    def status_line(self) -> str:
        """Such as ``"200 OK"``."""
        return _status_line(self.status)

    def end_to_end_headers(self) -> Headers:
        """The headers, with the body's length; hop-by-hop ones are left to the server (PEP 3333)."""
        headers = [(name, value) for name, value in self.headers if not is_hop_by_hop(name)]
        if self.status != 204:  # RFC 9110, section 8.6
            headers.append(("Content-Length", str(len(self.body))))
        return headers


@dataclass(slots=True)
class PollRequested:
    """A GET of the session with this id: there may have to be a wait.

    ``sid`` None asks for a new session.
    """

    sid: str | None


@dataclass(slots=True)
class PostRequested:
    """Packets of the session with this id are in the body: see :meth:`HTTPGateway.receiving_post`."""

    sid: str


@dataclass(slots=True)
class UpgradeRequested:
    """A valid websocket handshake: a new session, or the upgrade of one."""

    sid: str | None
    handshake: Handshake


class AttachableTransport(WebSocketTransport, Protocol):
    """A websocket that :meth:`HTTPGateway.attach` gives its session."""

    session: Session


def request_of(environ: dict[str, Any]) -> Request:
    """The request that a WSGI environ describes."""

    def header(name: str) -> str | None:
        value = environ.get(_known_environ_key(name))
        return None if value is None else str(value)

    length = environ.get("CONTENT_LENGTH") or None
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    return Request(
        method=environ.get("REQUEST_METHOD", "GET"),
        query_string=environ.get("QUERY_STRING", ""),
        header=header,
        content_length=_length(length),
        chunked=chunked and bool(environ.get("wsgi.input_terminated")),
        own_origin=f"{environ.get('wsgi.url_scheme', 'http')}://{_host(environ)}",
        environ=environ,
    )


def environ_key(name: str) -> str:
    """What a WSGI environ calls a header."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"


#: for the few that are asked for
_known_environ_key = cache(environ_key)


@cache
def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"


def _length(value: str | None) -> int | None:
    if value is None:
        return None
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else -1


def _host(environ: dict[str, Any]) -> str:
    host = environ.get("HTTP_HOST")
    if host:
        return str(host)
    return f"{environ.get('SERVER_NAME', 'localhost')}:{environ.get('SERVER_PORT', '80')}"


def render_response(reply: Reply) -> bytes:
    """The bytes of a response on a connection that ends with it.

    :raises ValueError: a header holds a line break.
    """
    lines = [f"HTTP/1.1 {reply.status_line}"]
    for name, value in [*reply.headers, ("Content-Length", str(len(reply.body))), ("Connection", "close")]:
        if any(c in name + value for c in "\r\n\0"):
            raise ValueError(f"line break in header {name!r}")
        lines.append(f"{name}: {value}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body


class PostBody:
    """The body of a POST as it is read: never more of it than is allowed.

    :raises RemoteProtocolError: its length is missing or wrong (411, 400), or too large (413).
    """

    def __init__(self, request: Request, limit: int) -> None:
        length = request.content_length
        if length is None and not request.chunked:
            raise RemoteProtocolError("a POST needs a Content-Length", code=ErrorCode.BAD_REQUEST, status=411)
        if length is not None and length < 0:
            raise RemoteProtocolError("bad Content-Length", code=ErrorCode.BAD_REQUEST)
        if length is not None and length > limit:
            raise RemoteProtocolError(
                f"a body of {length} bytes; at most {limit}", code=ErrorCode.BAD_REQUEST, status=413
            )
        self._limit = limit
        self._length = length
        self._missing = limit + 1 if length is None else length
        self._parts: list[bytes] = []
        #: False where the session was closing, and took no more messages
        self.accepted = True

    @property
    def wanted(self) -> int:
        """How many bytes to read next; 0 when there are enough."""
        return min(self._missing, READ_SIZE)

    def feed(self, data: bytes) -> None:
        """Bytes that were read; none at the end of the body.

        :raises RemoteProtocolError: there are more than allowed (413).
        """
        self._missing = self._missing - len(data) if data else 0
        self._parts.append(data)
        if self._missing < 0 or (self._length is None and data and not self._missing):
            raise RemoteProtocolError(
                f"a body of more than {self._limit} bytes", code=ErrorCode.BAD_REQUEST, status=413
            )

    def fail(self, error: Exception) -> RemoteProtocolError:
        """What to raise where reading has failed."""
        return RemoteProtocolError(
            f"the body could not be read: {excerpt(str(error))}", code=ErrorCode.BAD_REQUEST
        )

    def complete(self) -> bytes:
        """The whole body.

        :raises RemoteProtocolError: it is shorter than was said.
        """
        body = b"".join(self._parts)
        if self._length is not None and len(body) != self._length:
            raise RemoteProtocolError(
                f"a body of {len(body)} bytes instead of {self._length}", code=ErrorCode.BAD_REQUEST
            )
        return body


class HTTPGateway:
    """Checks requests and words replies."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.config: ServerConfig = engine.config
        self._cors = CORSPolicy(self.config.cors_allowed_origins, self.config.cors_credentials)

    def understand(self, request: Request) -> Reply | PollRequested | PostRequested | UpgradeRequested:
        """What is to be done for a request; refusals are replies too."""
        try:
            return self._understand(request)
        except RemoteProtocolError as error:
            return self.refusal(request, error)

    def _understand(self, request: Request) -> Reply | PollRequested | PostRequested | UpgradeRequested:
        self.check_origin(request)
        if request.method == "OPTIONS":
            return Reply(
                204,
                self.headers(request)
                + self._cors.preflight_headers(request.header("Access-Control-Request-Headers")),
            )
        asked = parse_request(request.method, request.query_string, transports=self.config.transports)
        if asked.transport == "websocket":
            return self._understand_upgrade(request, asked)
        if is_upgrade(request.header):
            raise RemoteProtocolError(
                "a websocket handshake with transport=polling", code=ErrorCode.BAD_REQUEST
            )
        if asked.sid is not None and request.method == "POST":
            return PostRequested(asked.sid)
        return PollRequested(asked.sid)

    def check_origin(self, request: Request) -> None:
        """
        :raises RemoteProtocolError: pages of its origin may not connect (403).
        """
        self._cors.check(request.header("Origin"), request.own_origin, request.environ)

    def _understand_upgrade(self, request: Request, asked: EngineRequest) -> UpgradeRequested:
        if not is_upgrade(request.header):
            raise RemoteProtocolError(
                "transport=websocket without a websocket handshake", code=ErrorCode.BAD_REQUEST
            )
        if asked.sid is not None and not self.config.allow_upgrades:
            raise RemoteProtocolError("upgrades are switched off", code=ErrorCode.BAD_REQUEST)
        handshake = check_handshake(request.method, request.header, deflate=self.config.permessage_deflate)
        return UpgradeRequested(asked.sid, handshake)

    # POST

    @contextmanager
    def receiving_post(self, request: Request, sid: str) -> Iterator[PostBody]:
        """A ``with`` block in which the body is read; its packets are received at the end of it.

        :raises RemoteProtocolError: a rule is broken; the session is over, unless it was unknown.
        """
        engine = self.engine
        with engine.lock:
            session = engine.session(sid)
            session.begin_post()
        try:
            body = PostBody(request, self.config.max_http_buffer_size)
            yield body
            with engine.lock:
                body.accepted = session.receive_payload(body.complete())
        except BaseException:  # also where the reader is cancelled: what it has read is lost
            with engine.lock:
                session.fail()
            raise
        finally:
            with engine.lock:
                session.end_post()

    def post_reply(self, request: Request, body: PostBody) -> Reply:
        """The body of a POST has been received.

        :raises RemoteProtocolError: we are closing the session, and its messages came too late.
        """
        if not body.accepted:
            raise RemoteProtocolError("the session is closing", code=ErrorCode.SESSION_UNKNOWN)
        return Reply(200, [*self.headers(request), TEXT], b"ok")

    # Sessions

    def begin_poll(
        self, session: Session, poll: Poll, event: Callable[[], AnyEvent] | None
    ) -> AnyEvent | None:
        """A GET of the session begins.

        :param event: makes one to wait for; None for the first GET, which waits for nothing.
        :returns: what to wait for, :data:`.MOMENT` at most, before the answer is asked for: what the client
            has sent before is just being handled, and one response can bring all answers to it.
        :raises RemoteProtocolError: see :meth:`.Session.begin_poll`.
        """
        with self.engine.lock:
            session.check_living()
            session.begin_poll(poll)
            return None if event is None else session.application.when_idle(event)

    def answer_poll(self, session: Session, poll: Poll) -> bytes | None:
        """The answer to a GET, where there is one already."""
        with self.engine.lock:
            return session.answer_poll(poll)

    def attach(self, transport: AttachableTransport, sid: str | None, prepare: Callable[[], Any]) -> Headers:
        """Give a websocket its session: a new one, or that of ``sid`` to be upgraded.

        :param prepare: makes what is kept of a handshake's request.
        :returns: headers for the handshake's response.
        :raises RemoteProtocolError: the session is unknown, or the server drains.
        """
        engine = self.engine
        if sid is None:
            session = transport.session = engine.open(transport, prepare())
            return self._cookie(session.sid)
        with engine.lock:
            session = transport.session = engine.session(sid)
            try:
                session.begin_upgrade(transport)
            except RemoteProtocolError as error:
                # Answered on the websocket: a browser shows its close code, but nothing of a handshake.
                engine.refusals("upgrade refused", "session %s: %s", short(session.sid), error.message)
                transport.abort(CloseCode.POLICY_VIOLATION)
        return []

    def _cookie(self, sid: str) -> Headers:
        cookie = self.config.cookie
        return [] if cookie is None else [("Set-Cookie", cookie.header(sid))]

    # Replies

    def headers(self, request: Request) -> Headers:
        """What every reply carries."""
        return [("Cache-Control", "no-store"), *self._cors.headers(request.header("Origin"))]

    def refusal(self, request: Request, error: RemoteProtocolError) -> Reply:
        """The reply to a request that broke a rule: counted, logged, explained."""
        self.engine.refusals("request refused", "%d: %s", error.status, error.message)
        headers: Headers = [("Cache-Control", "no-store"), JSON]
        # A page of another origin may read why it was refused only if it is allowed at all.
        if error.status != 403:
            headers += self._cors.headers(request.header("Origin"))
        elif not self._cors.any:
            headers.append(("Vary", "Origin"))
        if isinstance(error, HandshakeError):
            headers += error.headers
        body = msgspec.json.encode({"code": int(error.code), "message": error.message})
        return Reply(error.status, headers, body, reason=error.message)

    def driven_reply(self, request: Request, sid: str) -> Reply:
        """The handshake of a client that a test drives has made a session."""
        return Reply(200, [*self.headers(request), *self._cookie(sid)])

    def payload_reply(self, request: Request, payload: bytes, sid: str | None = None) -> Reply:
        """A polling payload; compressed where the client and the options want it.

        :param sid: of a new session, for its cookie.
        """
        headers = [*self.headers(request), TEXT]
        if sid is not None:
            headers += self._cookie(sid)
        if self.config.http_compression and len(payload) >= self.config.compression_threshold:
            payload = _compress(payload, request.header("Accept-Encoding") or "", headers)
        return Reply(200, headers, payload)


def _compress(payload: bytes, accepted: str, headers: Headers) -> bytes:
    """The payload as the client accepts it; adds the header that says how."""
    headers.append(("Vary", "Accept-Encoding"))
    encodings = _accepted_encodings(accepted.split(","))
    if "gzip" in encodings:
        headers.append(("Content-Encoding", "gzip"))
        return gzip.compress(payload, compresslevel=6, mtime=0)
    if "deflate" in encodings:
        headers.append(("Content-Encoding", "deflate"))
        return zlib.compress(payload, 6)
    return payload


def _accepted_encodings(items: Iterable[str]) -> set[str]:
    accepted = set()
    for item in items:
        name, _, quality = item.strip().lower().partition(";")
        if quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            accepted.add(name.strip())
    return accepted
