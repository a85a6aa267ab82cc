"""The WSGI middleware: requests for the socket path go to the engine, all others to the app."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..protocol.engineio.request import ErrorCode
from ..protocol.errors import RemoteProtocolError
from ..protocol.websocket import CloseCode, PerMessageDeflate, WebSocketConnection, encode_close
from ..server.inbox import MOMENT
from ..server.message import CLOSE
from ..server.ports import Access, Backend, Event, Poll
from ..types import DisconnectReason
from .http import (
    RESPONSE_GRACE,
    AttachableTransport,
    HTTPGateway,
    PollRequested,
    PostRequested,
    Reply,
    Request,
    UpgradeRequested,
    render_response,
    request_of,
)

if TYPE_CHECKING:
    from ..server.engine import Engine
    from ..server.session import Session

__all__ = ["DRIVEN", "SocketMiddleware", "WSGIBackend"]

#: in the environ of a client that a test drives: makes its session, given what is kept of the environ,
#: and returns its id
DRIVEN = "flask_realtime.driven"

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Pause(Protocol):
    """A short wait on the server's own greenlet."""

    def wake(self) -> None:
        """End it, soon; from any thread."""
        ...

    def wait(self) -> None: ...


class WSGIBackend(Backend, Protocol):
    """A backend that can deal with the connections of WSGI servers."""

    def access(self, environ: Any) -> Access:
        """How the connection of this request can be had."""
        ...

    def hasten(self, environ: Any) -> None:
        """Have the server write the response at once."""
        ...

    def is_upgraded(self, environ: Any) -> bool:
        """The server has answered the websocket handshake itself."""
        ...

    def websocket(
        self, engine: Engine, how: Access, websocket: WebSocketConnection
    ) -> AttachableTransport: ...

    def carry_websocket(self, transport: Any, environ: Any, head: bytes) -> None: ...

    def answer(self, engine: Engine, environ: Any, response: bytes) -> None:
        """Take the connection over, answer on it and close it."""
        ...

    def leave(self, environ: Any) -> None:
        """The connection was taken, or has ended: the server has no response to write."""
        ...

    def hold_poll(
        self, engine: Engine, session: Session, poll: Poll, environ: Any, respond: Callable[[bytes], bytes]
    ) -> None: ...

    def pause(self, environ: Any) -> Pause | None:
        """What a poll waits with before it is held; None where it does not."""
        ...

    def has_left(self, environ: Any) -> bool:
        """The client of this request has gone."""
        ...

    def park_poll(self, environ: Any, ready: Event) -> None: ...


class SocketMiddleware:
    """Wraps ``app.wsgi_app``.

    :param engine: gets what is for ``path``.
    :param wsgi_app: gets the rest.
    :param path: such as ``"socket.io"``.
    :param prepare: makes what is kept of a handshake's environ.
    :param choose: the backend for this process, given the present one: asked before the first request.
    """

    def __init__(
        self,
        engine: Engine,
        wsgi_app: WSGIApp,
        path: str,
        prepare: Callable[[dict[str, Any]], Any],
        choose: Callable[[WSGIBackend], WSGIBackend],
    ) -> None:
        self.engine = engine
        self.wsgi_app = wsgi_app
        self._path = "/" + path.strip("/")
        self._gateway = HTTPGateway(engine)
        self._prepare = prepare
        self._choose = choose
        self._serving = 0  # the process whose backend was chosen

    @property
    def backend(self) -> WSGIBackend:
        """The engine's, which is one for WSGI servers."""
        return self.engine.backend  # type: ignore[return-value]

    def is_ours(self, path: str) -> bool:
        """Whether requests for this path are for the engine."""
        return path == self._path or path.startswith(self._path + "/")

    def _begin_serving(self) -> None:
        self._serving = os.getpid()
        chosen = self._choose(self.backend)
        if chosen is not self.backend:
            self.engine.use(chosen)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not self.is_ours(environ.get("PATH_INFO", "")):
            return self.wsgi_app(environ, start_response)
        if self._serving != os.getpid():
            self._begin_serving()
        open_session = environ.pop(DRIVEN, None)
        if open_session is not None:
            return self._open_driven(open_session, environ, start_response)
        self.backend.hasten(environ)
        request = request_of(environ)
        asked = self._gateway.understand(request)
        try:
            if isinstance(asked, PollRequested):
                return self._poll(asked, request, environ, start_response)
            if isinstance(asked, UpgradeRequested):
                return self._upgrade(asked, request, environ, start_response)
            if isinstance(asked, PostRequested):
                asked = self._post(asked.sid, request, environ["wsgi.input"])
        except RemoteProtocolError as error:
            asked = self._gateway.refusal(request, error)
        if _ends_connection(asked, request) and self.backend.access(environ) is Access.TAKE:
            with contextlib.suppress(OSError):
                late = self.backend.is_upgraded(environ)
                answer = _refusal_frame(asked) if late else render_response(asked)
                self.backend.answer(self.engine, environ, answer)
                return self._taken(environ, start_response, asked.status_line)
        _start(asked, request, start_response)
        # A server need not cut the body of an answer to HEAD.
        return [b"" if request.method == "HEAD" else asked.body]

    def _open_driven(
        self,
        open_session: Callable[[Any], str],
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """A handshake without a connection; what stands before us in the app has had it in its hands."""
        request = request_of(environ)
        try:
            self._gateway.check_origin(request)
            reply = self._gateway.driven_reply(request, open_session(self._prepare(environ)))
        except RemoteProtocolError as error:
            reply = self._gateway.refusal(request, error)
        _start(reply, request, start_response)
        return [reply.body]

    def _post(self, sid: str, request: Request, stream: Any) -> Reply:
        with self._gateway.receiving_post(request, sid) as body:
            while body.wanted:
                try:
                    data = bytes(stream.read(body.wanted))
                except (OSError, ValueError) as error:
                    raise body.fail(error) from error
                body.feed(data)
        return self._gateway.post_reply(request, body)

    # Long-polling

    def _poll(
        self, asked: PollRequested, request: Request, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        how = self.backend.access(environ)
        if asked.sid is None:
            session = self.engine.open(None, self._prepare(environ), can_upgrade=how is not Access.NONE)
            return self._answer_now(session, Poll(_nothing), request, start_response, session.sid)
        session = self._session_of_poll(asked.sid)
        if how is Access.TAKE:
            pause = self.backend.pause(environ)
            poll = Poll(_nothing if pause is None else pause.wake)
            answer = self._begin_poll(session, poll)
            if answer is None and pause is not None:
                answer = self._answer_after(pause, session, poll, environ)
            if answer is None:
                self._hold_poll(session, poll, request, environ)
                return self._taken(environ, start_response, "200 OK")
        else:
            ready = self.backend.event()
            poll = Poll(ready.set)
            answer = self._begin_poll(session, poll)
            if answer is None:
                self.backend.park_poll(environ, ready)
                answer = self._answer_parked(session, poll)
        return self._respond(session, poll, answer, request, start_response)

    def _begin_poll(self, session: Session, poll: Poll) -> bytes | None:
        """The answer of a poll, where there is one already."""
        handled = self._gateway.begin_poll(session, poll, self.backend.event)
        if handled is not None:
            self._wait(partial(handled.wait, MOMENT), session, poll)
        return self._gateway.answer_poll(session, poll)

    def _wait(self, wait: Callable[[], object], session: Session, poll: Poll) -> None:
        try:
            wait()
        except BaseException:  # the greenlet is killed
            with self.engine.lock:
                session.poll_failed(poll)
            raise

    def _answer_after(
        self, pause: Pause, session: Session, poll: Poll, environ: dict[str, Any]
    ) -> bytes | None:
        """The answer of a poll, if it comes soon."""
        self._wait(pause.wait, session, poll)
        gone = self.backend.has_left(environ)
        with self.engine.lock:
            if gone:
                session.poll_failed(poll)
                return CLOSE.payload_part  # for one that only sends no more
            return session.answer_poll(poll)

    def _hold_poll(self, session: Session, poll: Poll, request: Request, environ: dict[str, Any]) -> None:
        def respond(payload: bytes) -> bytes:
            return render_response(self._gateway.payload_reply(request, payload))

        try:
            self.backend.hold_poll(self.engine, session, poll, environ, respond)
        except OSError as error:
            with self.engine.lock:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    # Nothing was written, and the connection is still the server's: the client may ask again.
                    session.withdraw_poll(poll)
                else:
                    session.poll_failed(poll)
            raise _not_taken(error) from error

    def _session_of_poll(self, sid: str) -> Session:
        with self.engine.lock:
            session = self.engine.session(sid)
            poll = session.poll
            if poll is None or not poll.answering:
                return session
            if poll.finished is None:
                poll.finished = self.backend.event()
        # The client has its response, but the server's thread that wrote it has not yet come to say so.
        poll.finished.wait(RESPONSE_GRACE)
        return session

    def _answer_parked(self, session: Session, poll: Poll) -> bytes:
        with self.engine.lock:
            answer = session.answer_poll(poll)
            if answer is None:
                # Nothing has come: let the client ask again, so that the thread is free for others.
                answer = session.release_poll(poll)
            return answer

    def _answer_now(
        self,
        session: Session,
        poll: Poll,
        request: Request,
        start_response: StartResponse,
        sid: str,
    ) -> Iterable[bytes]:
        self._gateway.begin_poll(session, poll, None)
        answer = self._gateway.answer_poll(session, poll)
        assert answer is not None  # the OPEN packet
        return self._respond(session, poll, answer, request, start_response, sid)

    def _respond(
        self,
        session: Session,
        poll: Poll,
        answer: bytes,
        request: Request,
        start_response: StartResponse,
        sid: str | None = None,
    ) -> Iterable[bytes]:
        reply = self._gateway.payload_reply(request, answer, sid)
        _start(reply, request, start_response)
        return _CommittedBody(reply.body, self.engine, session, poll)

    # WebSocket

    def _upgrade(
        self,
        asked: UpgradeRequested,
        request: Request,
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        engine = self.engine
        how = self.backend.access(environ)
        if how is Access.NONE:
            raise RemoteProtocolError(
                "this web server gives no access to its sockets; use polling", code=ErrorCode.BAD_REQUEST
            )
        upgraded = self.backend.is_upgraded(environ)
        deflate = None if upgraded else asked.handshake.deflate
        transport = self.backend.websocket(
            engine,
            how,
            WebSocketConnection(
                max_message_size=engine.config.max_http_buffer_size,
                max_fragments=engine.config.max_fragments,
                deflate=None if deflate is None else PerMessageDeflate(deflate),
            ),
        )
        headers = self._gateway.attach(transport, asked.sid, partial(self._prepare, environ))
        try:
            head = b"" if upgraded else asked.handshake.response(headers)
            self.backend.carry_websocket(transport, environ, head)
        except OSError as error:
            transport.session.transport_closed(transport, DisconnectReason.TRANSPORT_ERROR)
            raise _not_taken(error) from error
        return self._taken(environ, start_response, "101 Switching Protocols")

    def _taken(self, environ: dict[str, Any], start_response: StartResponse, status: str) -> Iterable[bytes]:
        """Leave the call; whatever the server still writes goes to a dead end."""
        self.backend.leave(environ)
        # The status is for the server's access log.
        start_response(status, [] if status.startswith("1") else [("Content-Length", "0")])
        return [b""]


class _CommittedBody:
    """A response of one chunk that tells the session whether the server has written it.

    A server asks for the next chunk when it has written the one before; one
    that fails to write calls ``close()`` without asking.
    """

    def __init__(self, body: bytes, engine: Engine, session: Session, poll: Poll) -> None:
        self._chunks = iter((body,))
        self._engine = engine
        self._session = session
        self._poll: Poll | None = poll

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        self._end(written=True)
        raise StopIteration

    def close(self) -> None:
        """The server has finished, or given up (PEP 3333)."""
        self._end(written=False)

    def _end(self, written: bool) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            with self._engine.lock:
                if written:
                    self._session.poll_written(poll)
                else:
                    self._session.poll_failed(poll)


def _refusal_frame(refusal: Reply) -> bytes:
    """A refusal where the server has already said that the handshake succeeded."""
    return encode_close(CloseCode.POLICY_VIOLATION, refusal.reason)


def _not_taken(error: OSError) -> RemoteProtocolError:
    """The client has gone, or the process has no more descriptors."""
    return RemoteProtocolError(f"the connection could not be taken over: {error}", status=503)


def _nothing() -> None:
    """The wake-up of a poll that is answered at once."""


def _ends_connection(reply: Reply, request: Request) -> bool:
    """The connection has to end with this reply, in a way that a WSGI server would not let us have."""
    if request.header("Upgrade") is not None:
        return True  # it was refused
    # With a body that nobody has read, the server's close would take the answer with it.
    unread = (400, 411, 413) if _by_uwsgi(request) else (411, 413)
    return request.method == "POST" and reply.status in unread


def _by_uwsgi(request: Request) -> bool:
    return "uwsgi.version" in request.environ


def _start(reply: Reply, request: Request, start_response: StartResponse) -> None:
    headers = reply.end_to_end_headers()
    if _by_uwsgi(request):
        # It closes and does not say so: a client would send its next request on this connection, and lose it.
        headers.append(("Connection", "close"))
    start_response(reply.status_line, headers)
