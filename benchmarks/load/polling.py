"""Clients that poll: HTTP/1.1 with connections kept alive where the server keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from .faults import Fault
from .loop import Connection, Loop

__all__ = ["PollingClient", "read_response"]

SEPARATOR = b"\x1e"  # between the packets of a payload
PING = b"2"
PATH = "/socket.io/?EIO=4&transport=polling"

Receive = Callable[[bytes], object]


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    #: whether the server keeps the connection
    kept: bool


def read_response(data: bytes, ended: bool = False) -> Response | None:
    """A response, if it is complete (RFC 9112, section 6.3).

    :param ended: nothing comes after this.
    :raises Fault: it is none, or something follows it.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    connection = fields.get("connection", "").lower()
    kept = "keep-alive" in connection if version == "HTTP/1.0" else "close" not in connection
    whole = _body(fields, body, ended)
    return None if whole is None else Response(int(status), whole, kept)


def _body(fields: dict[str, str], data: bytes, ended: bool) -> bytes | None:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(data)
    if "content-length" not in fields:
        return data if ended else None
    length = int(fields["content-length"])
    if len(data) > length:
        raise Fault(f"after a response: {data[length:][:200]!r}")
    return data if len(data) == length else None


def _chunks(data: bytes) -> bytes | None:
    body = b""
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            return None
        length = int(size, 16)
        if len(rest) < length + 2:
            return None
        body += rest[:length]
        if not length:
            return body
        data = rest[length + 2 :]


class Requester:
    """Requests one after the other; connects where there is no connection."""

    def __init__(self, loop: Loop, port: int) -> None:
        self._loop = loop
        self._port = port
        self._connection: Connection | None = None
        self._buffer = b""
        self._receive: Receive | None = None

    def request(self, request: bytes, receive: Receive) -> None:
        """:param receive: gets the body of the response."""
        assert self._receive is None, "the one before is still under way"
        self._receive = receive
        if self._connection is None:
            self._connection = connection = Connection(self._loop, self._port)
            connection.on_data = self._data_received
            connection.on_end = self._connection_ended
        self._connection.send(request)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _data_received(self, data: bytes) -> None:
        if self._receive is None:
            raise Fault(f"nobody waits for {data[:200]!r}")
        self._buffer += data
        response = read_response(self._buffer)
        if response is not None:
            self._finish(response)

    def _connection_ended(self) -> None:
        self._connection = None
        if self._receive is not None:
            response = read_response(self._buffer, ended=True)
            if response is None:
                raise Fault(f"a response was cut off: {self._buffer[:200]!r}")
            self._finish(response)

    def _finish(self, response: Response) -> None:
        if response.status != 200:
            raise Fault(f"status {response.status}: {response.body[:200]!r}")
        if not response.kept:
            self.close()
        self._buffer = b""
        receive, self._receive = self._receive, None
        assert receive is not None
        receive(response.body)


class PollingClient:
    """A client as browsers are one: its next poll is under way before it sends.

    :param ready: is called when it is connected.
    """

    def __init__(self, loop: Loop, port: int, ready: Callable[[PollingClient], object]) -> None:
        self._port = port
        self._polls, self._posts = Requester(loop, port), Requester(loop, port)
        self._ready = ready
        self._path = PATH
        self._awaited: bytes | None = None
        self._posted = True
        self._answered: Callable[[], object] = _nothing
        self._polls.request(self._get(), self._opened)

    def exchange(self, request: bytes, reply: bytes, answered: Callable[[], object]) -> None:
        """Send a packet, for which another must come.

        :param answered: is called when it has come, and the request was confirmed.
        """
        self._awaited, self._posted, self._answered = reply, False, answered
        self._poll()
        self._posts.request(self._post(request), self._confirmed)

    def close(self) -> None:
        self._polls.close()
        self._posts.close()

    def _opened(self, body: bytes) -> None:
        if not body.startswith(b"0{"):
            raise Fault(f"no OPEN: {body[:200]!r}")
        self._path = f"{PATH}&sid={json.loads(body[1:])['sid']}"
        self._posts.request(self._post(b"40"), self._accepted)

    def _accepted(self, body: bytes) -> None:
        self._check_confirmation(body)
        self._await_connect()

    def _await_connect(self) -> None:
        self._polls.request(self._get(), self._connected)

    def _connected(self, body: bytes) -> None:
        packets = _packets(body)
        if not packets:
            self._await_connect()
        elif len(packets) == 1 and packets[0].startswith(b"40{"):
            self._ready(self)
        else:
            raise Fault(f"not connected: {body[:200]!r}")

    def _poll(self) -> None:
        self._polls.request(self._get(), self._polled)

    def _polled(self, body: bytes) -> None:
        for packet in _packets(body):
            if packet != self._awaited:
                raise Fault(f"{packet[:200]!r} instead of {(self._awaited or b'')[:200]!r}")
            self._awaited = None
        if self._awaited is None:
            self._step()
        else:
            self._poll()

    def _confirmed(self, body: bytes) -> None:
        self._check_confirmation(body)
        self._posted = True
        self._step()

    def _check_confirmation(self, body: bytes) -> None:
        if body.lower() != b"ok":
            raise Fault(f"{body[:200]!r} instead of ok")

    def _step(self) -> None:
        if self._posted and self._awaited is None:
            self._answered()

    def _get(self) -> bytes:
        return f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: */*\r\n\r\n".encode()

    def _post(self, packet: bytes) -> bytes:
        head = f"POST {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: */*\r\n"
        body = f"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len(packet)}\r\n\r\n"
        return (head + body).encode() + packet


def _packets(body: bytes) -> list[bytes]:
    """Those of a payload without pings, which are not answered: a load is shorter than a ping's patience."""
    return [packet for packet in body.split(SEPARATOR) if packet != PING]


def _nothing() -> None: ...
