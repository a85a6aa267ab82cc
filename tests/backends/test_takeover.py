"""Taking a connection over from the web server."""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from flask_realtime.backends import sockets
from flask_realtime.backends.takeover import access, borrow, client_has_left, leave_behind, take_over
from flask_realtime.server.ports import Access

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The client's end and the server's."""
    client, server = socket.socketpair()
    client.settimeout(2)
    server.settimeout(2)
    yield client, server
    client.close()
    server.close()


def environ_of(server: socket.socket, stream: Any = None) -> dict[str, Any]:
    return {"werkzeug.socket": server, "wsgi.input": stream or server.makefile("rb")}


class TestWhetherTheClientHasLeft:
    @pytest.fixture(params=["poll", "peek"])
    def way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
        way: str = request.param
        if way == "peek":
            monkeypatch.setattr(sockets, "_poll_for_the_end", lambda: (None, 0))
        elif not hasattr(select, "POLLRDHUP"):
            pytest.skip("only Linux can tell so")
        return way

    def test_while_it_waits_and_when_it_has_gone(self, pair: Pair, way: str) -> None:
        client, server = pair
        with server.makefile("rb") as stream:
            environ = environ_of(server, stream)
            assert not client_has_left(environ)
            client.sendall(b"x")
            assert not client_has_left(environ)
            assert server.recv(2) == b"x", "nothing was read"
            client.close()
            assert client_has_left(environ)
            assert server.fileno() >= 0

    def test_it_only_sends_no_more(self, pair: Pair, way: str) -> None:
        client, server = pair
        client.shutdown(socket.SHUT_WR)
        with server.makefile("rb") as stream:
            assert client_has_left(environ_of(server, stream))

    def test_it_has_sent_something_before(self, pair: Pair) -> None:
        if not hasattr(select, "POLLRDHUP"):
            pytest.skip("only Linux can tell so")
        client, server = pair
        client.sendall(b"x")
        client.close()
        with server.makefile("rb") as stream:
            assert client_has_left(environ_of(server, stream))


class TestTakeOver:
    def test_the_connection_is_ours(self, pair: Pair) -> None:
        client, server = pair
        with environ_of(server)["wsgi.input"] as stream:
            sock, early = take_over(environ_of(server, stream))
        with sock:
            assert early == b""
            sock.sendall(b"hello")
            assert client.recv(100) == b"hello"
            client.sendall(b"world")
            assert sock.recv(100) == b"world"

    def test_the_server_is_left_with_a_dead_end(self, pair: Pair) -> None:
        client, server = pair
        with server.makefile("rb") as stream:
            sock, _ = take_over(environ_of(server, stream))
            with sock:
                assert stream.read() == b""
                assert server.recv(100) == b""
                with pytest.raises(OSError):
                    server.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 10)
                # Whatever it does at the end does not touch the client.
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
                server.close()
                sock.sendall(b"still here")
                assert client.recv(100) == b"still here"
            assert client.recv(100) == b""

    def test_the_descriptor_keeps_its_number_and_is_not_inherited(self, pair: Pair) -> None:
        _, server = pair
        number = server.fileno()
        with server.makefile("rb") as stream:
            sock, _ = take_over(environ_of(server, stream))
        with sock:
            assert server.fileno() == number != sock.fileno()
            assert not server.get_inheritable()
            assert not sock.get_inheritable()

    def test_bytes_that_the_server_had_read_already(self, pair: Pair) -> None:
        client, server = pair
        client.sendall(b"GET\r\nearly bytes")
        with server.makefile("rb") as stream:
            assert stream.readline() == b"GET\r\n"
            client.sendall(b", later bytes")
            sock, early = take_over(environ_of(server, stream))
        with sock:
            assert early == b"early bytes"
            assert sock.recv(100) == b", later bytes"

    def test_a_stream_that_cannot_be_looked_into(self, pair: Pair) -> None:
        _, server = pair
        sock, early = take_over(environ_of(server, io.BytesIO(b"not ours")))
        with sock:
            assert early == b""

    def test_gunicorn(self, pair: Pair) -> None:
        client, server = pair

        class Unreader:
            buf = io.BytesIO(b"early")

        class Reader:
            unreader = Unreader()

        class Body:
            reader = Reader()

        environ = {"gunicorn.socket": server, "wsgi.input": Body()}
        assert access(environ) is Access.TAKE
        sock, early = take_over(environ)
        with sock:
            assert early == b"early"
            sock.sendall(b"x")
            assert client.recv(1) == b"x"

    def test_a_connection_that_is_closed(self, pair: Pair) -> None:
        _, server = pair
        environ = environ_of(server, io.BytesIO())
        server.close()
        with pytest.raises(OSError):
            take_over(environ)


class TestAccess:
    def test_a_server_that_shows_no_socket(self) -> None:
        assert access({"wsgi.input": io.BytesIO()}) is Access.NONE

    def test_werkzeug(self, pair: Pair) -> None:
        assert access({"werkzeug.socket": pair[1]}) is Access.TAKE

    def test_http_2_shares_its_socket_with_other_requests(self, pair: Pair) -> None:
        assert access({"gunicorn.socket": pair[1], "HTTP_VERSION": "2"}) is Access.NONE

    def test_tls_in_the_process(self, pair: Pair) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with context.wrap_socket(pair[1], server_side=True, do_handshake_on_connect=False) as wrapped:
            environ = {"werkzeug.socket": wrapped, "wsgi.multithread": True}
            assert access(environ) is Access.BORROW
            # The only thread of a server can't be parked.
            assert access(environ | {"wsgi.multithread": False}) is Access.NONE


class TestBorrow:
    def test_early_bytes_without_waiting(self, pair: Pair) -> None:
        client, server = pair
        client.sendall(b"GET\r\nearly")
        with server.makefile("rb") as stream:
            stream.readline()
            sock, early = borrow(environ_of(server, stream))
        assert sock is server
        assert early == b"early"

    def test_nothing_was_read_ahead(self, pair: Pair) -> None:
        _, server = pair
        with server.makefile("rb") as stream:
            assert borrow(environ_of(server, stream)) == (server, b"")

    def test_giving_it_back(self, pair: Pair) -> None:
        client, server = pair
        leave_behind(server)
        assert client.recv(100) == b""
        assert server.recv(100) == b""
