"""A server in memory, and clients that drive it through its WSGI middleware.

Time is virtual and nothing runs by itself: :meth:`World.settle` turns the loop,
runs the handlers and lets the clients read until nothing is left to do at this
moment, :meth:`World.advance` moves the clock. Connections are real sockets, so
the take-over, the polls that wait and the websockets are those of production.
Frames and masks of the client are made by wsproto, which shares no code with us.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from flask_realtime.adapters import MemoryAdapter
from flask_realtime.backends.memory import MemoryBackend
from flask_realtime.config import ServerConfig
from flask_realtime.gateways.wsgi import SocketMiddleware
from flask_realtime.protocol.socketio import JSONSerializer, Serializer
from flask_realtime.server.dispatcher import Dispatcher
from flask_realtime.server.drain import drain
from flask_realtime.server.ports import Link
from flask_realtime.server.raw import RawHandlers, RawServer
from flask_realtime.server.server import Server

HOST = "server.example"
WEBSOCKET_HEADERS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": b64encode(b"0123456789abcdef").decode(),
}
LOGGER = logging.getLogger("flask_realtime")
#: counts of a server on which nobody is left
NOTHING = {
    "sessions": 0,
    "sockets": 0,
    "rooms": 0,
    "queued_packets": 0,
    "queued_bytes": 0,
    "pending_acks": 0,
    "pending_attachments": 0,
    "handlers_running": 0,
}


@dataclass
class Reply:
    """A response as the client has read it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header; of several, joined by commas."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def packets(self) -> list[str | bytes]:
        """The packets of a payload: texts with their type, binary ones as bytes."""
        return [
            b64decode(part[1:]) if part.startswith("b") else part for part in self.body.decode().split("\x1e")
        ]


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def environ_of(
    method: str, query: str, headers: dict[str, str], body: bytes = b"", **more: Any
) -> dict[str, Any]:
    """A WSGI environ, as Werkzeug's server makes it, without the connection."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/socket.io/",
        "QUERY_STRING": query,
        "SERVER_NAME": HOST,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": HOST,
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.input": BytesIO(body),
    }
    if body or method == "POST":
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"] = value
    return environ | more


class World:
    """One server, its virtual time and all its clients.

    :param raw: the engine by itself, instead of Socket.IO.
    :param backend: instead of a fresh :class:`.MemoryBackend`.
    :param link: the way to other servers, if there are any.
    :param serializer: instead of the default one.
    :param options: of the server.
    """

    def __init__(
        self,
        *,
        raw: bool = False,
        backend: MemoryBackend | None = None,
        link: Link | None = None,
        serializer: Serializer | None = None,
        **options: Any,
    ) -> None:
        self.backend = MemoryBackend() if backend is None else backend
        self.config = ServerConfig.from_options(options)
        self.dispatcher = Dispatcher()
        self.server: Any = self._raw() if raw else self._socketio(link, serializer)
        self.engine = self.server.engine
        self.middleware = SocketMiddleware(
            self.engine,
            _not_found,
            self.config.path,
            lambda environ: {"from": "a handshake"},
            lambda current: current,
        )
        self.clients: list[EngineClient] = []
        #: every run of a handler that :meth:`record` has registered
        self.calls: list[tuple[Any, ...]] = []
        self._sockets: list[Any] = []
        self._open: list[Exchange] = []
        self._sent = 0
        self._records = _Records()
        self._level = LOGGER.level
        LOGGER.setLevel(logging.DEBUG)
        LOGGER.addHandler(self._records)

    def _raw(self) -> RawServer:
        return RawServer(self.config, self.backend, RawHandlers(), LOGGER)

    def _socketio(self, link: Link | None, serializer: Serializer | None) -> Server:
        serializer = serializer or JSONSerializer(
            max_attachments=self.config.max_attachments,
            max_attachment_bytes=self.config.max_http_buffer_size,
        )
        return Server(
            self.config, self.backend, MemoryAdapter(), serializer, self.dispatcher, self, LOGGER, link
        )

    # A Runner

    def run(
        self,
        sock: Any,
        function: Callable[..., Any],
        message: str | None,
        args: list[Any],
        group: Any = None,
    ) -> Any:
        self._sockets.append(sock)
        try:
            return function(*args)
        finally:
            self._sockets.pop()

    async def run_async(
        self,
        sock: Any,
        function: Callable[..., Any],
        message: str | None,
        args: list[Any],
        group: Any = None,
    ) -> Any:
        return await function(*args)

    def attends(self, namespace: str) -> bool:
        return False

    def has_admitted(self, sock: Any) -> bool:
        return True

    # Handlers

    @property
    def sid(self) -> str:
        """Inside a handler: whose event it is."""
        return self._sockets[-1].sid

    @property
    def namespace(self) -> str:
        """Inside a handler: the namespace of its event."""
        return self._sockets[-1].namespace

    def on(self, event: str, handler: Callable[..., Any], namespace: str = "/") -> None:
        """Register a handler."""
        self.dispatcher.register(namespace, event, handler)

    def record(self, *events: str, namespace: str = "/") -> None:
        """Register handlers that append ``(event, sid, *args)`` to :attr:`calls`."""
        for event in events:
            self.on(event, self._recorder(event), namespace)

    def _recorder(self, event: str) -> Callable[..., None]:
        def handler(*args: Any) -> None:
            self.calls.append((event, self.sid, *args))

        return handler

    def called(self, event: str) -> list[tuple[Any, ...]]:
        """The arguments of the recorded runs of one event."""
        return [call[2:] for call in self.calls if call[0] == event]

    # Time

    def settle(self) -> None:
        """Let everybody do what can be done at this moment."""
        for _ in range(5_000):
            rounds, self._sent = 1 + self._sent // 65536, 0
            for _ in range(rounds):
                self.backend.settle()
            progress = False
            for client in list(self.clients):
                progress |= client.pump()
            if not progress and not self._sent:
                return
        raise AssertionError("server and clients go on for ever")

    def advance(self, seconds: float, step: float | None = None) -> None:
        """Move the clock, the clients reading and answering at every step (0.5 s unless told)."""
        step = step or 0.5
        end = self.backend.time + seconds
        self.settle()
        while self.backend.time < end - 1e-9:
            self.backend.advance(min(step, end - self.backend.time))
            self.settle()

    def sent(self, size: int) -> None:
        """A client has written so many bytes."""
        self._sent += size

    # Requests

    def request(self, method: str = "GET", query: str = "EIO=4&transport=polling", **kwargs: Any) -> Exchange:
        """A request that the web server has read but not answered; see :class:`Exchange`."""
        return Exchange(self, method, query, **kwargs)

    def fetch(self, method: str = "GET", query: str = "EIO=4&transport=polling", **kwargs: Any) -> Reply:
        """A request and its whole answer."""
        exchange = self.request(method, query, **kwargs)
        exchange.serve()
        self.settle()
        exchange.pump()
        reply = exchange.reply
        assert reply is not None, "no answer yet"
        exchange.close()
        return reply

    def opened(self, exchange: Exchange) -> None:
        """A connection exists."""
        self._open.append(exchange)

    @property
    def last_opened(self) -> Exchange:
        """The connection whose request the server has read last."""
        return self._open[-1]

    # What is seen from outside

    @property
    def logs(self) -> list[str]:
        """All messages logged so far."""
        return [record.getMessage() for record in self._records.records]

    def logged(self, part: str) -> list[str]:
        """The messages that contain ``part``."""
        return [message for message in self.logs if part in message]

    @property
    def tracebacks(self) -> list[str]:
        """The messages that came with a traceback."""
        return [record.getMessage() for record in self._records.records if record.exc_info]

    @property
    def stats(self) -> dict[str, int]:
        return self.server.stats()

    @property
    def refusals(self) -> dict[str, int]:
        return dict(self.engine.refusals.counts)

    def drain(self, serving: bool = True, meanwhile: Callable[[], None] | None = None) -> None:
        """Drain the engine, the clients reading meanwhile; ``meanwhile`` is called at every step of it."""
        lend = self.backend.lend

        def lend_and_read(seconds: float) -> None:
            lend(seconds)
            self.settle()
            if meanwhile is not None:
                meanwhile()

        self.backend.lend = lend_and_read  # type: ignore[method-assign]
        try:
            drain([self.engine], serving)
        finally:
            del self.backend.lend  # type: ignore[method-assign]

    def close(self) -> None:
        """Let go of all descriptors; the loop must never have seen an exception."""
        try:
            for exchange in self._open:
                exchange.close()
            for session in list(self.engine.sessions.values()):
                with self.engine.lock:
                    session.fail()
            with contextlib.suppress(Exception):
                self.backend.settle()
            self.backend.advance(5)
        finally:
            LOGGER.removeHandler(self._records)
            LOGGER.setLevel(self._level)
            self.backend.close()
        assert self.logged("error in the loop") == []


class Exchange:
    """One HTTP request, from both of its ends.

    The web server has read the request and calls the middleware at once;
    :meth:`serve` has it write the answer, :meth:`give_up` has it fail to.

    :param early: bytes that the client has sent right behind the request.
    :param read_ahead: the server has them in its buffer already.
    :param take: the server hands its socket out.
    :param environ: more for the environ, over everything else.
    :param peer_gone: the server has lost the connection while it read the request.
    :param buffer_size: of the server's end, in bytes.
    :param tcp: over TCP, where a connection can be reset.
    """

    def __init__(
        self,
        world: World,
        method: str,
        query: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        early: bytes = b"",
        read_ahead: bool = False,
        take: bool = True,
        environ: dict[str, Any] | None = None,
        peer_gone: bool = False,
        buffer_size: int | None = None,
        tcp: bool = False,
    ) -> None:
        self.world = world
        self.sock, self._server = tcp_pair() if tcp else socket.socketpair()
        if buffer_size is not None:
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_size)
        self.sock.setblocking(False)
        self.buffer = bytearray()
        self.eof = False
        self._status_line = ""
        self._headers: list[tuple[str, str]] = []
        self._reader = self._server.makefile("rb")
        if early:
            self.send(early)
            if read_ahead:
                self._reader.peek()
        full = environ_of(method, query, headers or {}, body)
        if take:
            full["werkzeug.socket"] = self._server
            if method == "GET":
                full["wsgi.input"] = self._reader
        full |= environ or {}
        if peer_gone:
            self._reader.close()
            self._server.close()
        world.opened(self)
        self._answer: Iterator[bytes] | None = None
        self._body = world.middleware(full, self._start_response)

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self._status_line, self._headers = status, headers

    # The web server

    def begin(self) -> None:
        """The web server writes the first chunk."""
        self._answer = iter(self._body)
        self._write(next(self._answer, b""))

    def serve(self) -> None:
        """The web server writes the answer and lets go of the connection."""
        with contextlib.suppress(OSError):
            if self._answer is None:
                self.begin()
            assert self._answer is not None
            for chunk in self._answer:
                self._send_as_server(chunk)
        self.give_up()

    def give_up(self) -> None:
        """The web server stops where it is."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
        self._reader.close()
        self._server.close()

    def _write(self, chunk: bytes) -> None:
        if any(c in name + value for name, value in self._headers for c in "\r\n"):
            raise AssertionError(f"a line break in a header: {self._headers!r}")
        head = "".join(f"{name}: {value}\r\n" for name, value in self._headers)
        self._send_as_server(f"HTTP/1.1 {self._status_line}\r\n{head}\r\n".encode("latin-1") + chunk)

    def _send_as_server(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._server.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self.pump()

    # The client

    def send(self, data: bytes) -> int:
        """Write to the connection; the bytes that it took."""
        try:
            size = self.sock.send(data)
        except BlockingIOError:
            return 0
        self.world.sent(size)
        return size

    def pump(self) -> bool:
        """Read what there is; whether there was anything."""
        progress = False
        while not self.eof and self.sock.fileno() >= 0:
            try:
                data = self.sock.recv(1 << 20)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            progress = True
            self.buffer += data
            self.eof = not data
        return progress

    @property
    def reply(self) -> Reply | None:
        """The response, once it is complete."""
        head, found, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        if not found:
            return None
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        reply = Reply(int(status_line.split()[1]), headers, rest)
        length = reply.header("Content-Length")
        if length is not None and len(rest) < int(length):
            return None
        return reply

    def close(self) -> None:
        """The client closes the connection."""
        self.sock.close()
        self._reader.close()
        self._server.close()


class WebSocket:
    """The client's end of a websocket."""

    def __init__(self, world: World, query: str, *, early: Iterable[str] = (), **kwargs: Any) -> None:
        self._frames = FrameProtocol(client=True, extensions=[])
        kwargs["headers"] = WEBSOCKET_HEADERS | kwargs.get("headers", {})
        first = b"".join([self.frame(message) for message in early])
        self.exchange = Exchange(world, "GET", query, early=first, **kwargs)
        self.exchange.serve()
        self._pending = b""
        #: the response to the handshake
        self.reply: Reply | None = None
        self.received: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        #: a client that does not read
        self.stalled = False
        self._parts: list[Any] = []

    @property
    def eof(self) -> bool:
        """The server has ended the connection."""
        return self.exchange.eof

    def frame(self, message: str | bytes) -> bytes:
        """The masked frame of a message."""
        return self._frames.send_data(message, fin=True)

    def send(self, *messages: str | bytes) -> None:
        """Send messages."""
        self.send_raw(b"".join([self.frame(message) for message in messages]))

    def send_raw(self, data: bytes) -> None:
        """Send bytes; what the socket does not take is sent later."""
        self._pending += data
        self._push()

    def _push(self) -> bool:
        if not self._pending or self.exchange.sock.fileno() < 0:
            return False
        try:
            size = self.exchange.send(self._pending)
        except OSError:
            self._pending = b""
            return False
        self._pending = self._pending[size:]
        return size > 0

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping of the websocket protocol."""
        self.send_raw(self._frames.ping(payload))

    def close(self, code: int = 1000) -> None:
        """Begin or answer the closing handshake."""
        self.send_raw(self._frames.close(code))

    def abort(self, reset: bool = False) -> None:
        """Drop the connection.

        :param reset: as a client that has crashed (over TCP only).
        """
        if reset:
            self.exchange.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.exchange.sock.close()

    def pump(self) -> bool:
        """Write what waits and read what there is."""
        progress = self._push()
        if self.stalled or not self.exchange.pump():
            return progress
        buffer = self.exchange.buffer
        if self.reply is None:
            self.reply = self.exchange.reply
            if self.reply is None or self.reply.status != 101:
                return True
            del buffer[: buffer.index(b"\r\n\r\n") + 4]
        if self.reply.status == 101:
            data = bytes(buffer)
            buffer.clear()
            self._frames.receive_bytes(data)
            for frame in self._frames.received_frames():
                self._take(frame)
        return True

    def _take(self, frame: Any) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.close_code = int(frame.payload[0])
        elif frame.opcode is Opcode.PONG:
            self.pongs.append(bytes(frame.payload))
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION):
            self._parts.append(frame.payload)
            if frame.message_finished:
                first = self._parts[0]
                whole = "".join(self._parts) if isinstance(first, str) else b"".join(self._parts)
                self._parts = []
                self.received.append(whole)


class EngineClient:
    """An Engine.IO client, with the helpers of a Socket.IO client on top.

    It polls again when a poll has ended, and answers pings; both can be switched off.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.sid = ""
        self.handshake: dict[str, Any] = {}
        #: packets of all transports in order, without OPEN and pings
        self.received: list[str | bytes] = []
        self.pings = 0
        self.answer_pings = True
        self.keep_polling = True
        #: the session is over, as far as this client knows
        self.closed = False
        self.poll: Exchange | None = None
        #: the transport, or the candidate while it is not complete
        self.ws: WebSocket | None = None
        self.candidate: WebSocket | None = None
        #: the last refusal of a request
        self.refusal: Reply | None = None
        world.clients.append(self)

    @classmethod
    def polling(cls, world: World, **kwargs: Any) -> EngineClient:
        """A new session on polling."""
        client = cls(world)
        reply = world.fetch(**kwargs)
        if reply.status != 200:
            client.refusal, client.closed = reply, True
            return client
        for packet in reply.packets:
            client.receive(packet)
        world.settle()
        return client

    @classmethod
    def websocket(cls, world: World, query: str = "EIO=4&transport=websocket", **kwargs: Any) -> EngineClient:
        """A new session on a websocket."""
        client = cls(world)
        client.keep_polling = False
        client.ws = WebSocket(world, query, **kwargs)
        world.settle()
        if client.ws.reply is not None and client.ws.reply.status != 101:
            client.refusal, client.closed = client.ws.reply, True
        return client

    @property
    def query(self) -> str:
        """The query string of its polling requests."""
        return f"EIO=4&transport=polling&sid={self.sid}"

    @property
    def session(self) -> Any:
        """The server's side, while it is there."""
        return self.world.engine.sessions.get(self.sid)

    # Packets

    def receive(self, packet: str | bytes) -> None:
        """Take a packet that has arrived."""
        if packet == "2":
            self.pings += 1
            if self.answer_pings:
                self.send("3")
        elif packet == "1":
            self.closed = True
            self.received.append(packet)
        elif isinstance(packet, str) and packet.startswith("0"):
            self.handshake = json.loads(packet[1:])
            self.sid = self.handshake["sid"]
        else:
            self.received.append(packet)

    def send(self, *packets: str | bytes) -> None:
        """Send packets on the current transport."""
        if self.ws is not None:
            self.ws.send(*packets)
        else:
            self.post(*packets)

    def post(self, *packets: str | bytes) -> Reply:
        """POST a payload."""
        exchange = self.world.request("POST", self.query, body=payload(*packets))
        exchange.serve()
        exchange.pump()
        reply = exchange.reply
        assert reply is not None
        if reply.status != 200:
            self.refusal, self.closed = reply, True
        exchange.close()
        return reply

    # Transports

    def start_poll(self, **kwargs: Any) -> Exchange:
        """Send a GET."""
        self.poll = self.world.request("GET", self.query, **kwargs)
        self.poll.serve()
        return self.poll

    def pump(self) -> bool:
        """Read from all transports, and poll again where that is due."""
        progress = False
        for ws in (self.ws, self.candidate):
            progress |= ws is not None and ws.pump()
        if self.ws is not None:
            progress |= self._read_websocket(self.ws)
        if self.poll is not None:
            progress |= self._read_poll(self.poll)
        elif self.keep_polling and self.ws is None and self.sid and not self.closed:
            self.start_poll()
            progress = True
        return progress

    def _read_websocket(self, ws: WebSocket) -> bool:
        messages, ws.received = ws.received, []
        for message in messages:
            self.receive(message)
        if ws.close_code is not None or ws.eof:
            self.closed = True
        return bool(messages)

    def _read_poll(self, poll: Exchange) -> bool:
        poll.pump()
        reply = poll.reply
        if reply is None:
            return False
        poll.close()
        self.poll = None
        if reply.status != 200:
            self.refusal, self.closed = reply, True
            return True
        for packet in reply.packets:
            # A NOOP says that the upgrade goes on: a client stops polling then.
            if packet == "6":
                self.keep_polling = self.keep_polling and self.candidate is None
            else:
                self.receive(packet)
        return True

    def connect_candidate(self, **kwargs: Any) -> WebSocket:
        """The first rung of the upgrade: a websocket for this session."""
        self.candidate = WebSocket(self.world, f"EIO=4&transport=websocket&sid={self.sid}", **kwargs)
        return self.candidate

    def upgrade(self) -> WebSocket:
        """The whole ladder."""
        candidate = self.connect_candidate()
        self.world.settle()
        candidate.send("2probe")
        self.world.settle()
        assert candidate.received == ["3probe"]
        candidate.received.clear()
        self.complete_upgrade()
        self.world.settle()
        return candidate

    def complete_upgrade(self) -> None:
        """The last rung."""
        assert self.candidate is not None
        self.candidate.send("5")
        self.ws, self.candidate = self.candidate, None

    def abort(self) -> None:
        """All its connections break."""
        self.closed = True
        for ws in (self.ws, self.candidate):
            if ws is not None:
                ws.abort()
        if self.poll is not None:
            self.poll.close()
            self.poll = None

    # Socket.IO

    def connect(self, namespace: str = "/", auth: Any = None) -> EngineClient:
        """Send a CONNECT."""
        data = "" if auth is None else json.dumps(auth)
        self.send("40" + ("" if namespace == "/" else namespace + ",") + data)
        self.world.settle()
        return self

    def emit(self, event: str, *args: Any, namespace: str = "/", ack: int | None = None) -> None:
        """Send an event."""
        self.send(event_packet(event, *args, namespace=namespace, ack=ack))

    def public_sid(self, namespace: str = "/") -> str:
        """Its ``request.sid``, from the CONNECT that it got."""
        prefix = "40" if namespace == "/" else f"40{namespace},"
        for packet in self.received:
            if isinstance(packet, str) and packet.startswith(prefix + "{"):
                return str(json.loads(packet[len(prefix) :])["sid"])
        raise AssertionError(f"not connected to {namespace}: {self.received!r}")

    def events(self, namespace: str = "/") -> list[list[Any]]:
        """The events received, each as ``[name, *args]``."""
        prefix = "42" if namespace == "/" else f"42{namespace},"
        found = []
        for packet in self.received:
            if isinstance(packet, str) and packet.startswith(prefix):
                found.append(json.loads(packet[len(prefix) :].lstrip("0123456789")))
        return found


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def event_packet(event: str, *args: Any, namespace: str = "/", ack: int | None = None) -> str:
    """The text of an EVENT."""
    where = "" if namespace == "/" else namespace + ","
    return f"42{where}{'' if ack is None else ack}" + json.dumps([event, *args], separators=(",", ":"))


def payload(*packets: str | bytes) -> bytes:
    """The body of a POST."""
    parts = [p.encode() if isinstance(p, str) else b"b" + b64encode(p) for p in packets]
    return b"\x1e".join(parts)


def _not_found(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """Makes worlds; at the end their loops must have seen no exception."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        world = World(**options)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A server with the default options, which records connects, disconnects and messages."""
    world = make_world()
    world.record("connect", "disconnect", "message")
    return world
