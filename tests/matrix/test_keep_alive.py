"""Where greenlets are cheap, a poll that is answered soon leaves its client the connection."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from acceptance import wire
from acceptance.wire import Polling, SocketIO
from servers import RunningServer

pytestmark = pytest.mark.kinds(keeps_polls=True)


@pytest.fixture
def client(patient_server: RunningServer) -> Iterator[SocketIO]:
    with SocketIO.connected("polling", patient_server.url) as client:
        yield client


@pytest.fixture
def polling(client: SocketIO) -> Polling:
    assert isinstance(client.transport, Polling)
    return client.transport


@pytest.fixture
def connection(polling: Polling) -> Iterator[http.client.HTTPConnection]:
    """One for the polls, as browsers keep it."""
    address = urlsplit(polling.address)
    assert address.hostname
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=wire.TIMEOUT)) as opened:
        yield opened


def start_poll(polling: Polling, connection: http.client.HTTPConnection) -> None:
    address = urlsplit(polling.address)
    connection.request("GET", f"{address.path}?{address.query}")


def test_polls_follow_each_other_on_one_connection(
    client: SocketIO, polling: Polling, connection: http.client.HTTPConnection
) -> None:
    start_poll(polling, connection)
    sock = connection.sock
    for number in range(5):
        client.emit("echo", number)
        response = connection.getresponse()
        assert response.read().decode() == f'42["echo-back",{number}]'
        assert not response.will_close
        start_poll(polling, connection)
        assert connection.sock is sock


def test_what_a_client_sends_behind_its_poll_is_kept(
    client: SocketIO, polling: Polling, connection: http.client.HTTPConnection
) -> None:
    """The next request has come when the poll is answered."""
    start_poll(polling, connection)
    connection.sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    client.emit("echo", 1)
    answers = b"".join(iter(lambda: connection.sock.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answers.index(b'42["echo-back",1]') < answers.index(b"\r\n\r\nok")


def test_a_message_for_a_client_that_has_just_gone_is_not_taken_for_delivered(
    patient_server: RunningServer, client: SocketIO, polling: Polling
) -> None:
    with SocketIO.connected("websocket", patient_server.url) as observer:
        polling.start_get().abort()
        observer.emit("broadcast", "too late")

        def reason() -> str | None:
            (entries,) = observer.call("last-disconnects")
            return next((entry["reason"] for entry in entries if entry["sid"] == client.sid), None)

        assert wire.wait_until(reason, what="the disconnect is noticed") == "transport error"
    assert polling.get().status == 400
