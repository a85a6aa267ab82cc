"""Clients that put exact bytes on the wire: HTTP, WebSocket, Engine.IO, Socket.IO.

They follow the protocols only as far as a test asks, so that a test can break any rule it likes.

A *packet* here is an Engine.IO packet: ``"4hello"`` is text, ``b"..."`` a binary message, on any transport.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import servers

Packet = str | bytes
T = TypeVar("T")

TIMEOUT = 8.0
SEPARATOR = "\x1e"
WS_VERSION = "13"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0


class Closed(Exception):
    """The server has ended the session or the connection."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        """The close code, None where the connection ended without a close frame."""
        self.reason = reason


class Refused(Exception):
    """The server answered an upgrade request with something else than 101."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


def wait_until(condition: Callable[[], T | None], timeout: float = TIMEOUT, what: str = "") -> T:
    """The first true value of ``condition()``; an AssertionError with its last value when there is none."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}; last value {value!r}")
        time.sleep(0.02)


# HTTP


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class PendingRequest:
    """A request that has been sent, one connection each; the reply is read when it is asked for."""

    def __init__(
        self,
        url: str,
        method: str = "GET",
        body: Packet | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        if parts.scheme == "https":
            context = servers.unverified_tls()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        payload = body.encode() if isinstance(body, str) else body
        with self._closing_on_error():
            self._connection.request(method, target, payload, {"Connection": "close", **(headers or {})})

    def is_answered(self, within: float = 0.0) -> bool:
        """Whether the reply has begun to arrive."""
        return bool(select.select([self.sock], [], [], within)[0])

    def reply(self, timeout: float | None = None) -> Reply:
        if timeout is not None:
            self.sock.settimeout(timeout)
        with self._closing_on_error():
            response = self._connection.getresponse()
            body = response.read()
        self._connection.close()
        return Reply(response.status, response.headers, body)

    @property
    def sock(self) -> socket.socket:
        sock: socket.socket = self._connection.sock
        return sock

    def abort(self) -> None:
        """Go away without a word, as a browser tab does."""
        self._connection.close()

    def __del__(self) -> None:
        # of a test that failed before it asked for the reply
        self._connection.close()

    @contextlib.contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._connection.close()
            raise


def request(
    url: str,
    method: str = "GET",
    body: Packet | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    return PendingRequest(url, method, body, headers, timeout).reply()


def stats(server_url: str) -> dict[str, int]:
    reply = request(server_url + "/stats")
    assert reply.status == 200, reply
    figures: dict[str, int] = reply.json()
    return figures


def connect_tcp(url: str, timeout: float = TIMEOUT, receive_buffer: int | None = None) -> socket.socket:
    """A connected socket, wrapped in TLS for an https address."""
    parts = urlsplit(url)
    sock = socket.socket()
    try:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect((parts.hostname, parts.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            return servers.unverified_tls().wrap_socket(sock, server_hostname=parts.hostname)
    except BaseException:
        sock.close()
        raise
    return sock


def read_reply(sock: socket.socket, timeout: float = TIMEOUT) -> tuple[Reply, bytes]:
    """The reply to hand-made bytes, and the bytes that follow it. ``Closed`` if there is none."""
    sock.settimeout(timeout)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive_some(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(status_line.split()[1])
    length = 0 if status == 101 else int(headers.get("content-length", "-1"))
    with contextlib.suppress(Closed):
        while length < 0 or len(body) < length:
            body += _receive_some(sock)
    return Reply(status, headers, body if length < 0 else body[:length]), b"" if length < 0 else body[length:]


def _receive_some(sock: socket.socket) -> bytes:
    try:
        data = sock.recv(65536)
    except TimeoutError:
        raise
    except OSError as error:
        raise Closed(None, str(error)) from None
    if not data:
        raise Closed(None, "end of file")
    return data


# WebSocket


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes
    fin: bool = True


def encode_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    announced_length: int | None = None,
) -> bytes:
    """A client's frame; ``announced_length`` puts a lie into the header."""
    length = len(payload) if announced_length is None else announced_length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if length < 126:
        header = struct.pack("!BB", first, mask_bit | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, length)
    if not masked:
        return header + payload
    key = os.urandom(4)
    return header + key + _mask(payload, key)


def _mask(payload: bytes, key: bytes) -> bytes:
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def upgrade_request(url: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an upgrade request; a header given as "" is left out."""
    fields = {
        "Host": urlsplit(url).netloc,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": WS_VERSION,
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **(headers or {}),
    }
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class WebSocket:
    """A WebSocket client. The server's frames are checked for what a server must not do."""

    def __init__(
        self,
        url: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        right_behind: bytes = b"",
        receive_buffer: int | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """``right_behind`` is sent in one segment with the request."""
        self.sock = connect_tcp(url, timeout, receive_buffer)
        try:
            self.sock.sendall(upgrade_request(url, target, headers) + right_behind)
            self.handshake, self._buffer = read_reply(self.sock, timeout)
            if self.handshake.status != 101:
                raise Refused(self.handshake)
        except BaseException:
            self.sock.close()
            raise

    def send(self, packet: Packet) -> None:
        if isinstance(packet, str):
            self.sock.sendall(encode_frame(TEXT, packet.encode()))
        else:
            self.sock.sendall(encode_frame(BINARY, packet))

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are; a server that has hung up meanwhile is no error."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def receive(self, timeout: float = TIMEOUT) -> Packet:
        """The next message. ``Closed`` when there is none any more."""
        opcode, parts = None, []
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive_frame(deadline - time.monotonic())
            if frame.opcode == PING:
                self.send_raw(encode_frame(PONG, frame.payload))
            elif frame.opcode == CLOSE:
                self.send_raw(encode_frame(CLOSE, frame.payload[:2]))
                raise _closed(frame)
            elif frame.opcode != PONG:
                assert (frame.opcode == CONTINUATION) == (opcode is not None), frame
                opcode = frame.opcode if opcode is None else opcode
                parts.append(frame.payload)
                if frame.fin:
                    message = b"".join(parts)
                    return message.decode() if opcode == TEXT else message

    def receive_frame(self, timeout: float = TIMEOUT) -> Frame:
        deadline = time.monotonic() + timeout
        first, second = self._take(2, deadline)
        assert not first & 0x70, f"RSV bits in {first:#x}"
        assert not second & 0x80, "a server's frame must not be masked"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2, deadline))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8, deadline))
        return Frame(first & 0x0F, self._take(length, deadline), bool(first & 0x80))

    def wait_closed(self, timeout: float = TIMEOUT) -> Closed:
        """Read on until the server closes; what else arrives is dropped."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.receive(deadline - time.monotonic())
            except Closed as closed:
                return closed

    def close(self) -> None:
        """Close the TCP connection, with no close frame before."""
        self.sock.close()

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"no frame in time; {len(self._buffer)} bytes of one")
            self.sock.settimeout(remaining)
            try:
                self._buffer += _receive_some(self.sock)
            except TimeoutError:
                raise TimeoutError(f"no frame in time; {len(self._buffer)} bytes of one") from None
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _closed(frame: Frame) -> Closed:
    if len(frame.payload) < 2:
        return Closed(1005)
    return Closed(int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode())


# Engine.IO


class Transport:
    """One Engine.IO session, seen from the client.

    ``receive`` hides the heartbeat; ``receive_packet`` shows every packet.
    """

    sid: str
    handshake: dict[str, Any]

    def send(self, packet: Packet) -> None:
        raise NotImplementedError

    def receive_packet(self, timeout: float = TIMEOUT) -> Packet:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def receive(self, timeout: float = TIMEOUT) -> Packet:
        """The next packet that is neither PING nor NOOP; PINGs are answered."""
        deadline = time.monotonic() + timeout
        while True:
            packet = self.receive_packet(deadline - time.monotonic())
            if packet == "1":
                raise Closed(None, "close packet")
            if packet == "2":
                self.send("3")
            elif packet != "6":
                return packet

    def receive_many(self, count: int, timeout: float = TIMEOUT) -> list[Packet]:
        return [self.receive(timeout) for _ in range(count)]

    def wait_closed(self, timeout: float = TIMEOUT) -> Closed:
        """Until the session is over; the heartbeat goes on meanwhile, other packets are dropped."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.receive(deadline - time.monotonic())
            except Closed as closed:
                return closed

    def assert_silent(self, seconds: float) -> None:
        """Nothing but the heartbeat arrives for so long."""
        try:
            packet = self.receive(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected packet {packet!r}")

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def target(path: str, transport: str, **query: str) -> str:
    return f"/{path}/?" + urlencode({"EIO": "4", "transport": transport, **query})


def parse_open(packet: Packet) -> dict[str, Any]:
    assert isinstance(packet, str)
    assert packet.startswith("0{"), packet
    handshake: dict[str, Any] = json.loads(packet[1:])
    return handshake


def encode_payload(*packets: Packet) -> str:
    return SEPARATOR.join(
        "b" + base64.b64encode(packet).decode() if isinstance(packet, bytes) else packet for packet in packets
    )


def decode_payload(text: str) -> list[Packet]:
    return [
        base64.b64decode(item[1:], validate=True) if item.startswith("b") else item
        for item in text.split(SEPARATOR)
    ]


class Polling(Transport):
    """HTTP long-polling."""

    def __init__(self, url: str, path: str = "socket.io", headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.path = path
        self.headers = headers or {}
        self.open_reply = request(url + target(path, "polling"), headers=self.headers)
        if self.open_reply.status != 200:
            raise Refused(self.open_reply)
        opened, *packets = decode_payload(self.open_reply.text)
        self.handshake = parse_open(opened)
        self.sid = self.handshake["sid"]
        self._received: deque[Packet] = deque(packets)
        self._pending: PendingRequest | None = None

    @property
    def address(self) -> str:
        return self.url + target(self.path, "polling", sid=self.sid)

    def get(self) -> Reply:
        return request(self.address, headers=self.headers)

    def start_get(self) -> PendingRequest:
        """A poll that was seen to wait at the server."""
        pending = PendingRequest(self.address, headers=self.headers)
        assert not pending.is_answered(within=0.05)
        return pending

    def post(self, body: Packet, headers: Mapping[str, str] | None = None) -> Reply:
        all_headers = {"Content-Type": "text/plain;charset=UTF-8", **self.headers, **(headers or {})}
        return request(self.address, "POST", body, all_headers)

    def send(self, packet: Packet) -> None:
        self.send_payload(packet)

    def send_payload(self, *packets: Packet) -> None:
        reply = self.post(encode_payload(*packets))
        if reply.status != 200:
            raise Closed(reply.status, reply.text)
        assert reply.text == "ok"

    def receive_packet(self, timeout: float = TIMEOUT) -> Packet:
        if not self._received:
            self._received.extend(self._poll(timeout))
        return self._received.popleft()

    def _poll(self, timeout: float) -> list[Packet]:
        """One answered poll. A poll that is not answered in time stays open for the next call."""
        pending, self._pending = self._pending or PendingRequest(self.address, headers=self.headers), None
        if not pending.is_answered(max(timeout, 0)):
            self._pending = pending
            raise TimeoutError("the poll was not answered in time")
        reply = pending.reply()
        if reply.status != 200:
            raise Closed(reply.status, reply.text)
        return decode_payload(reply.text)

    def close(self) -> None:
        """End the session in the orderly way, if it still exists."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.post("1")
        if self._pending:
            self._pending.abort()
            self._pending = None


class WebSocketTransport(Transport):
    """Engine.IO over a WebSocket, from the beginning or after an upgrade."""

    def __init__(self, websocket: WebSocket, sid: str | None = None) -> None:
        self.websocket = websocket
        if sid is None:
            try:
                self.handshake = parse_open(websocket.receive())
            except BaseException:
                websocket.close()
                raise
        self.sid = sid or self.handshake["sid"]

    @classmethod
    def open(
        cls, url: str, path: str = "socket.io", headers: Mapping[str, str] | None = None, **options: Any
    ) -> WebSocketTransport:
        return cls(WebSocket(url, target(path, "websocket"), headers, **options))

    def send(self, packet: Packet) -> None:
        self.websocket.send(packet)

    def receive_packet(self, timeout: float = TIMEOUT) -> Packet:
        return self.websocket.receive(timeout)

    def close(self) -> None:
        self.websocket.close()


def probe(polling: Polling) -> WebSocket:
    """A second leg for the session, up to the server's answer to the probe."""
    websocket = WebSocket(polling.url, target(polling.path, "websocket", sid=polling.sid), polling.headers)
    websocket.send("2probe")
    assert websocket.receive() == "3probe"
    return websocket


def upgrade(polling: Polling) -> WebSocketTransport:
    """The whole ladder, after which the session lives on the WebSocket."""
    websocket = probe(polling)
    reply = polling.get()
    assert (reply.status, reply.text) == (200, "6")
    websocket.send("5")
    return WebSocketTransport(websocket, polling.sid)


TRANSPORTS = ("polling", "websocket", "upgrade")


def open_transport(transport: str, url: str, path: str = "socket.io", **options: Any) -> Transport:
    """A session over ``polling``, ``websocket``, or ``upgrade``: polling first and the WebSocket then."""
    if transport == "websocket":
        return WebSocketTransport.open(url, path, **options)
    polling = Polling(url, path, **options)
    return upgrade(polling) if transport == "upgrade" else polling


# Socket.IO


@dataclass(frozen=True)
class SioPacket:
    kind: int
    namespace: str
    id: int | None
    data: Any


CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)


def take_attachments(value: Any, attachments: list[bytes]) -> Any:
    """``value`` with placeholders for its bytes, which are appended to ``attachments``."""
    if isinstance(value, bytes):
        attachments.append(value)
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, (list, tuple)):
        return [take_attachments(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: take_attachments(item, attachments) for key, item in value.items()}
    return value


def put_attachments(value: Any, attachments: list[bytes]) -> Any:
    if isinstance(value, list):
        return [put_attachments(item, attachments) for item in value]
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            return attachments[value["num"]]
        return {key: put_attachments(item, attachments) for key, item in value.items()}
    return value


def encode_sio(kind: int, namespace: str, id: int | None, data: Any) -> list[Packet]:
    """The Engine.IO packets of one Socket.IO packet."""
    attachments: list[bytes] = []
    plain = take_attachments(data, attachments)
    text = "4" + (f"{kind + 3}{len(attachments)}-" if attachments else str(kind))
    if namespace != "/":
        text += namespace + ","
    if id is not None:
        text += str(id)
    if data is not None:
        text += json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return [text, *attachments]


def decode_sio(text: Packet, receive: Callable[[], Packet]) -> SioPacket:
    """The Socket.IO packet that begins with ``text``; ``receive()`` gives its attachments."""
    assert isinstance(text, str), f"an attachment without its header: {text!r}"
    assert text.startswith("4"), text
    kind, rest, count, namespace = int(text[1]), text[2:], 0, "/"
    if kind in (BINARY_EVENT, BINARY_ACK):
        number, _, rest = rest.partition("-")
        count = int(number)
    if rest.startswith("/"):
        namespace, _, rest = rest.partition(",")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    id_text, body = rest[:digits], rest[digits:]
    attachments = []
    for _ in range(count):
        attachment = receive()
        assert isinstance(attachment, bytes), attachment
        attachments.append(attachment)
    data = put_attachments(json.loads(body), attachments) if body else None
    return SioPacket(kind - 3 if count else kind, namespace, int(id_text) if id_text else None, data)


class SocketIO:
    """A Socket.IO client on one transport, in one or more namespaces."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.sids: dict[str, str] = {}
        self._next_id = 0
        self._events: deque[SioPacket] = deque()
        """What arrived while something else was waited for."""

    @classmethod
    def connected(cls, transport: str, url: str, namespace: str = "/", **options: Any) -> SocketIO:
        """A client that is in ``namespace`` already."""
        client = cls(open_transport(transport, url, **options))
        try:
            client.connect(namespace)
        except BaseException:
            client.close()
            raise
        return client

    def connect(self, namespace: str = "/", auth: Any = None) -> str:
        """Enter a namespace: the CONNECT answer comes first, then the event ``auth``."""
        self.send(CONNECT, auth, namespace)
        packet = self.receive()
        assert packet.kind == CONNECT, packet
        assert packet.namespace == namespace
        assert set(packet.data) == {"sid"}
        self.sids[namespace] = packet.data["sid"]
        assert self.receive() == SioPacket(EVENT, namespace, None, ["auth", {} if auth is None else auth])
        sid: str = packet.data["sid"]
        return sid

    @property
    def sid(self) -> str:
        """In the first namespace."""
        return next(iter(self.sids.values()))

    def send(self, kind: int, data: Any = None, namespace: str = "/", id: int | None = None) -> None:
        packets = encode_sio(kind, namespace, id, data)
        if isinstance(self.transport, Polling):
            self.transport.send_payload(*packets)
        else:
            for packet in packets:
                self.transport.send(packet)

    def receive(self, timeout: float = TIMEOUT) -> SioPacket:
        if self._events:
            return self._events.popleft()
        return decode_sio(self.transport.receive(timeout), self.transport.receive)

    def emit(self, event: str, *arguments: Any, namespace: str = "/") -> None:
        self.send(EVENT, [event, *arguments], namespace)

    def request(self, event: str, *arguments: Any, namespace: str = "/") -> int:
        """Emit with an ack wanted; the id of it."""
        self._next_id += 1
        self.send(EVENT, [event, *arguments], namespace, self._next_id)
        return self._next_id

    def call(self, event: str, *arguments: Any, namespace: str = "/", timeout: float = TIMEOUT) -> Any:
        """Emit and wait for the ack's list of values. Events that arrive before it are kept."""
        return self.wait_ack(self.request(event, *arguments, namespace=namespace), timeout)

    def wait_ack(self, id: int, timeout: float = TIMEOUT) -> Any:
        deadline = time.monotonic() + timeout
        kept = []
        try:
            while True:
                packet = self.receive(deadline - time.monotonic())
                if packet.kind == ACK and packet.id == id:
                    return packet.data
                kept.append(packet)
        finally:
            self._events.extendleft(reversed(kept))

    def wait_event(self, event: str, timeout: float = TIMEOUT) -> list[Any]:
        """The arguments of the next event, which must be this one."""
        packet = self.receive(timeout)
        assert packet.kind == EVENT, packet
        assert packet.data[0] == event, packet
        arguments: list[Any] = packet.data[1:]
        return arguments

    def assert_nothing_waits(self, namespace: str = "/") -> None:
        """No packet is on its way to us: an ack that was asked for last is the first to arrive."""
        id = self.request("echo-ack", namespace=namespace)
        assert self.receive() == SioPacket(ACK, namespace, id, [])

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> SocketIO:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# Between client and server


class CuttingProxy:
    """A TCP relay that can drop every connection, as a network does."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._run(self._accept)

    def cut(self) -> int:
        """Drop all that is connected; the number of connections."""
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        return len(sockets) // 2

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, function: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._relay, near)

    def _relay(self, near: socket.socket) -> None:
        with near:
            try:
                far = socket.create_connection(self._target)
            except OSError:
                return
            with far:
                with self._lock:
                    self._sockets |= {near, far}
                backward = threading.Thread(target=_copy, args=(far, near), daemon=True)
                backward.start()
                _copy(near, far)
                backward.join(TIMEOUT)
                with self._lock:
                    self._sockets -= {near, far}


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends; then the sink is told so."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
