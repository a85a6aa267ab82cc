"""The handler of our gevent server, held against gevent's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from backends.script import run_script

SCRIPT = """
import io, json, sys
from gevent.pywsgi import WSGIHandler, WSGIServer
from flask_realtime.servers.gevent_handler import ENVIRON, PromptHandler

class Socket:
    def __init__(self, data):
        self.data = data
        self.sent = []

    def makefile(self, mode, size):
        return io.BufferedReader(io.BytesIO(self.data))

    def setsockopt(self, *option):
        pass

    def sendall(self, data):
        self.sent.append(bytes(data))

    def close(self):
        pass

def app(environ, start_response):
    seen.append({k: v for k, v in environ.items() if isinstance(v, str)})
    start_response("200 OK", [("Content-Type", "text/plain"), ("Date", "today")])
    return [b"x" * size for size in SIZES]

def serve(handler_class, data):
    sock = Socket(data)
    server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None, environ={"SERVER_NAME": "x"})
    handler = handler_class(sock, ("127.0.0.1", 1), server)
    handler.handle()
    return sock.sent

sys.stderr = io.StringIO()  # tracebacks for what a client did
results = []
for data in DATA:
    for handler_class in (WSGIHandler, PromptHandler):
        seen = []
        results.append([[part.decode("latin-1") for part in serve(handler_class, data)], seen])
print(json.dumps(results))
"""


def serve(*requests: bytes, sizes: tuple[int, ...] = (5,)) -> list[Any]:
    """What each handler has sent, and the environs that its app has seen: gevent's handler, then ours."""
    results = json.loads(run_script(f"DATA = {requests!r}\nSIZES = {sizes!r}\n" + SCRIPT))
    return list(zip(results[::2], results[1::2], strict=True))


def get(*headers: bytes) -> bytes:
    return b"".join([b"GET /a?b=c HTTP/1.1\r\n", *headers, b"\r\n"])


REQUESTS = {
    "none": get(),
    "usual": get(b"Host: a:1\r\n", b"Accept: */*\r\n", b"Cookie: a=b; c\r\n", b"X-Y:z\r\n"),
    "spaces": get(b"Host: \t a \t\r\n", b"Empty:\r\n", b"Also-Empty: \r\n"),
    "repeated": get(b"Cookie: a=b\r\n", b"cookie: c=d\r\n", b"X: 1\r\n", b"X: 2\r\n"),
    "of the body": get(b"Content-Type: text/plain\r\n", b"Content-Length: 3\r\n") + b"abc",
    "chunked": get(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\n") + b"0\r\n\r\n",
    "not ASCII": get("X: äöü\r\n".encode(), b"Y: \xe4\xff\r\n", "Z: \x85\x1c\n\x0b\r\n".encode("latin-1")),
    "folded": get(b"X: a\r\n", b" b\r\n", b"Y: c\r\n"),
    "folded first": get(b" a: b\r\n", b"Y: c\r\n"),
    "line feeds": b"GET / HTTP/1.1\nHost: a\nX: y\n\n",
    "a lone carriage return": get(b"X: a\rY: b\r\n"),
    "a space before the colon": get(b"X : a\r\n", b"Y: b\r\n"),
    "underscores": get(b"X_Y: a\r\n", b"Content_Length: 5\r\n"),
    "no colon": get(b"Host: a\r\n", b"nonsense\r\n", b"X: y\r\n"),
    "no name": get(b": a\r\n", b"X: y\r\n"),
    "a mailbox": get(b"From nobody\r\n", b"X: y\r\n"),
    "many": get(*[b"X-%d: %d\r\n" % (i, i) for i in range(99)]),
    "a hundred": get(*[b"X-%d: %d\r\n" % (i, i) for i in range(100)]),
    "too many": get(*[b"X-%d: %d\r\n" % (i, i) for i in range(101)]),
    "too long": get(b"X: " + b"a" * 70_000 + b"\r\n"),
    "cut off": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "cut off in a line": b"GET / HTTP/1.1\r\nHost: a",
    "two requests": get(b"Host: a\r\n") + get(b"Host: b\r\n", b"Connection: close\r\n"),
    "HTTP/1.0": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
}


def test_requests_are_read_as_gevent_reads_them() -> None:
    for name, (theirs, ours) in zip(REQUESTS, serve(*REQUESTS.values()), strict=True):
        assert ours[1] == theirs[1], name
        assert "".join(ours[0]) == "".join(theirs[0]), name


@pytest.mark.parametrize(
    ("sizes", "pieces"), [((), 1), ((0,), 1), ((5,), 1), ((5, 6), 2), ((20_000,), 2), ((0, 5), 1)]
)
def test_a_response_is_sent_in_few_pieces(sizes: tuple[int, ...], pieces: int) -> None:
    request = get(b"Host: a\r\n", b"Connection: close\r\n")
    ((theirs, ours),) = serve(request, sizes=sizes)
    assert "".join(ours[0]) == "".join(theirs[0])
    assert len(ours[0]) == pieces
