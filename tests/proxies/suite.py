"""What must work behind any proxy. A class in ``test_<proxy>.py`` inherits it and names its proxy."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
import requests
import servers
from acceptance import wire
from acceptance.wire import PendingRequest, Polling, Refused, SocketIO, wait_until
from proxies.client import Client, new_session
from proxies.conftest import WITH_PROXY_FIX, ProxyPool
from proxies.proxy import Proxy, run
from servers import RunningServer, ServerKind, start

from flask_realtime.config import ServerConfig

GOING_AWAY = 1001
SESSION_UNKNOWN = 1
NewClient = Callable[..., Client]

#: What a client may send to make itself another.
FORGED = {
    "X-Forwarded-For": "192.0.2.7",
    "X-Forwarded-Host": "forged.example",
    "X-Forwarded-Proto": "https",
    "X-Real-Ip": "192.0.2.7",
    "Forwarded": "for=192.0.2.7;host=forged.example;proto=https",
}
FORGED_ORIGIN = "https://forged.example"


def whereabouts(url: str, **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = wire.request(url + "/whereabouts", headers=headers).json()
    return answer


def expect_refused(url: str, transport: str, headers: dict[str, str]) -> str:
    """The message of the 403 that a handshake gets."""
    with pytest.raises(Refused) as refused:
        wire.open_transport(transport, url, headers=headers).close()
    reply = refused.value.reply
    assert reply.status == 403, reply
    message: str = json.loads(reply.body)["message"]
    return message


def emit(url: str, event: str, data: str) -> None:
    """To every client of a server."""
    assert wire.request(f"{url}/emit?event={event}&data={data}").text == "ok"


class ProxyTests:
    proxy_type: ClassVar[type[Proxy]]

    # Clients

    def test_python_client(
        self, proxy: Proxy, server: RunningServer, new_client: NewClient, transport: str
    ) -> None:
        """The certificate is verified; websocket-client also sends an ``Origin``, which is checked."""
        client = new_client(proxy.url, transport)
        assert client.sio.transport() == client.expected_transport
        assert client.call("echo-ack", {"text": "ü", "data": b"\x00\xff"}) == {
            "text": "ü",
            "data": b"\x00\xff",
        }
        seen = client.call("whereabouts")
        assert (seen["origin"], seen["address"]) == (proxy.url, "127.0.0.1")
        emit(server.url, "news", "one")
        assert client.wait_event("news") == ["one"]
        assert client.history == ["connect"]

    def test_big_messages(self, proxy: Proxy, transport: str) -> None:
        """More than any proxy buffers in memory, both ways."""
        text = "0123456789" * 90_000
        with SocketIO.connected(transport, proxy.url) as client:
            digest = hashlib.sha1(text.encode()).hexdigest()
            assert client.call("describe", text) == [[{"t": "string", "len": len(text), "sha1": digest}]]
            client.emit("big", 3_000_000)
            assert client.wait_event("big-back") == ["x" * 3_000_000]

    def test_body_too_large(self, proxy: Proxy) -> None:
        """Refused by the app, unless the proxy has done it.

        The app does not read such a body, and its server hangs up: a proxy that is still sending then may
        answer with 502 instead of the 413.
        """
        polling = Polling(proxy.url)
        with contextlib.suppress(OSError):
            assert polling.post("4" + "x" * 1_500_000).status in (413, 502)
        reply = polling.get()
        assert (reply.status, reply.json()["code"]) == (400, SESSION_UNKNOWN)

    # Origins and forwarded headers

    def test_page_on_the_public_origin(self, proxy: Proxy, transport: str) -> None:
        with SocketIO.connected(transport, proxy.url, headers={"Origin": proxy.url}) as client:
            assert client.call("echo-ack", 1) == [1]

    def test_page_on_another_origin(self, proxy: Proxy, transport: str) -> None:
        message = expect_refused(proxy.url, transport, {"Origin": FORGED_ORIGIN, **FORGED})
        assert message == f"origin '{FORGED_ORIGIN}' is not allowed; expected '{proxy.url}'"

    def test_public_origin_is_foreign_without_proxy_fix(self, unaware_proxy: Proxy, transport: str) -> None:
        public = unaware_proxy.url
        message = expect_refused(public, transport, {"Origin": public})
        seen = public.replace("https:", "http:")
        assert message == f"origin '{public}' is not allowed; expected '{seen}'"

    def test_clients_own_headers_without_proxy_fix(self, unaware_proxy: Proxy, transport: str) -> None:
        seen = whereabouts(unaware_proxy.url, **FORGED)
        assert seen["address"] == "127.0.0.1"
        assert seen["origin"] == unaware_proxy.url.replace("https:", "http:")
        expect_refused(unaware_proxy.url, transport, {"Origin": FORGED_ORIGIN, **FORGED})
        expect_refused(unaware_proxy.url, transport, {"Origin": unaware_proxy.url, **FORGED})

    def test_clients_own_headers_with_proxy_fix(self, proxy: Proxy, transport: str) -> None:
        """Only what the proxy itself has added is believed."""
        seen = whereabouts(proxy.url, **FORGED)
        assert (seen["address"], seen["origin"]) == ("127.0.0.1", proxy.url)
        with SocketIO.connected(transport, proxy.url, headers=FORGED) as client:
            (seen,) = client.call("whereabouts")
        assert (seen["address"], seen["origin"]) == ("127.0.0.1", proxy.url)

    def test_address_of_a_client(self, proxy: Proxy, new_client: NewClient) -> None:
        for transport in ("polling", "websocket"):
            client = new_client(proxy.url, transport, source="127.0.0.9")
            assert client.call("whereabouts")["address"] == "127.0.0.9"

    # Connections

    def test_polls_and_requests_on_one_connection(self, proxy: Proxy, server: RunningServer) -> None:
        """A poll that waited ends its connection to the proxy; the client's own goes on."""
        with keep_alive_connection(proxy.url) as connection:
            client = KeepAlivePolling(connection)
            for i in range(5):
                answer = client.start_poll()
                emit(server.url, "tick", str(i))
                assert answer() == f'42["tick","{i}"]'
                assert client.get("/healthz") == "ok"
                assert client.post('421["echo-ack",1]') == "ok"
                assert client.start_poll()() == "431[1]"
                assert client.get("/healthz") == "ok"

    def test_waiting_clients_are_in_nobodys_way(self, proxy: Proxy, server: RunningServer) -> None:
        """Many more than the server has threads and the proxy keeps connections."""
        with contextlib.ExitStack() as stack:
            clients = []
            for transport in ("polling", "websocket") * 10:
                clients.append(stack.enter_context(SocketIO.connected(transport, proxy.url)))
            pending = [start_poll(client, stack) for client in clients[::2]]
            assert wire.request(proxy.url + "/healthz").text == "ok"
            emit(server.url, "news", "all")
            for poll in pending:
                assert poll.reply().text == '42["news","all"]'
            for client in clients[1::2]:
                assert client.wait_event("news") == ["all"]

    def test_client_that_vanishes(self, proxy: Proxy, server: RunningServer) -> None:
        with SocketIO.connected("websocket", server.url) as observer:
            client = SocketIO.connected("websocket", proxy.url)
            client.close()
            wait_until(lambda: reason_of(observer, client.sid), what="a disconnect")

    def test_poll_that_is_aborted(self, proxy: Proxy, server: RunningServer) -> None:
        with SocketIO.connected("websocket", server.url) as observer:
            client = SocketIO.connected("polling", proxy.url)
            assert isinstance(client.transport, Polling)
            client.transport.start_get().abort()
            reason = wait_until(lambda: reason_of(observer, client.sid), what="a disconnect")
            assert reason == "transport error"

    def test_timeouts_and_limits_fit_the_defaults(self) -> None:
        """What the configuration says must leave room for what the app may need."""
        defaults = ServerConfig()
        heartbeat = defaults.ping_interval + defaults.ping_timeout
        for seconds in self.documented_timeouts():
            assert seconds > heartbeat
        for size in self.documented_body_sizes():
            assert size > defaults.max_http_buffer_size

    def documented_timeouts(self) -> list[int]:
        raise NotImplementedError

    def documented_body_sizes(self) -> list[int]:
        raise NotImplementedError

    # Restarts

    def test_restart(self, kind: ServerKind) -> None:
        """Clients hear the goodbye through the proxy, and come back through it as soon as the server does."""
        with contextlib.ExitStack() as outer, contextlib.ExitStack() as stack:
            first = outer.enter_context(start(kind, "proxied", WITH_PROXY_FIX))
            proxy = stack.enter_context(run(self.proxy_type, [first.port]))
            websocket = stack.enter_context(wire.WebSocketTransport.open(proxy.url))
            upgraded = stack.enter_context(wire.open_transport("upgrade", proxy.url))
            poll = start_poll(SocketIO(Polling(proxy.url)), stack)
            client = stack.enter_context(Client(proxy.url, "websocket"))

            first.terminate()
            assert websocket.wait_closed().code == GOING_AWAY
            assert upgraded.wait_closed().code == GOING_AWAY
            assert poll.reply().text == "1"
            assert first.wait() == 0
            # whoever asks now must not keep the proxy from looking again a moment later
            assert wire.request(proxy.url + "/healthz").status in (502, 503, 504)

            outer.enter_context(start(kind, "proxied", WITH_PROXY_FIX, port=first.port))
            client.wait_reconnected(3)
            assert client.call("echo-ack", 1) == 1

    # Several processes

    def test_clients_stay_with_their_process(
        self,
        proxy_pool: ProxyPool,
        two_servers: Sequence[RunningServer],
        new_client: NewClient,
    ) -> None:
        proxy = proxy_pool.get(self.proxy_type, *two_servers)
        with contextlib.ExitStack() as stack:
            clients = []
            for pid, source, session in self.spread(proxy, two_servers, stack):
                for transport in ("polling", "websocket", "upgrade"):
                    client = new_client(proxy.url, transport, source=source, session=session)
                    clients.append((pid, client))
            for i in range(3):
                for pid, client in clients:
                    assert client.call("echo-ack", i) == i
                    assert client.call("whereabouts")["pid"] == pid
            for server in two_servers:
                emit(server.url, "news", "all")
            for _, client in clients:
                assert client.wait_event("news") == ["all"]
                assert client.history == ["connect"]

    def spread(
        self, proxy: Proxy, both: Sequence[RunningServer], stack: contextlib.ExitStack
    ) -> Iterator[tuple[int, str, requests.Session]]:
        """Two clients of each process: its id, and the address and session of a client."""
        wanted = {whereabouts(server.url)["pid"]: 2 for server in both}
        for i in range(1, 60):
            source = f"127.0.0.{i}"
            session = stack.enter_context(new_session(source))
            pid = session.get(proxy.url + "/whereabouts").json()["pid"]
            if wanted[pid]:
                wanted[pid] -= 1
                yield pid, source, session
            if not any(wanted.values()):
                return
        raise AssertionError(f"60 addresses are not on two processes; missing: {wanted}")

    def test_a_process_that_goes(self, kind: ServerKind) -> None:
        """Its clients move to the other process, also while its port is dead."""
        with contextlib.ExitStack() as stack:
            both = [stack.enter_context(start(kind, "proxied", WITH_PROXY_FIX)) for _ in range(2)]
            by_pid = {whereabouts(server.url)["pid"]: server for server in both}
            proxy = stack.enter_context(run(self.proxy_type, [server.port for server in both]))
            client = stack.enter_context(Client(proxy.url, "upgrade"))
            by_pid.pop(client.call("whereabouts")["pid"]).stop()
            (rest,) = by_pid

            client.wait_reconnected()
            assert client.call("whereabouts")["pid"] == rest
            for transport in ("polling", "websocket", "upgrade"):
                newcomer = stack.enter_context(Client(proxy.url, transport))
                assert newcomer.call("whereabouts")["pid"] == rest
            assert client.history == ["connect", "disconnect", "connect"]


def start_poll(client: SocketIO, stack: contextlib.ExitStack) -> PendingRequest:
    """A poll that waits, given up at the end at the latest."""
    assert isinstance(client.transport, Polling)
    pending = client.transport.start_get()
    stack.callback(pending.abort)
    return pending


def reason_of(observer: SocketIO, sid: str) -> str | None:
    (entries,) = observer.call("last-disconnects")
    return next((entry["reason"] for entry in entries if entry["sid"] == sid), None)


@contextlib.contextmanager
def keep_alive_connection(url: str) -> Iterator[http.client.HTTPSConnection]:
    parts = urlsplit(url)
    assert parts.hostname
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port, timeout=wire.TIMEOUT, context=servers.unverified_tls()
    )
    with contextlib.closing(connection):
        yield connection


class KeepAlivePolling:
    """A Socket.IO client whose requests, one after the other, are all on the same connection."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection
        self._sock: socket.socket | None = None
        self._path = wire.target("socket.io", "polling")
        self._path += "&sid=" + wire.parse_open(self.get(self._path))["sid"]
        assert self.post("40") == "ok"
        received = ""
        while '42["auth"' not in received:
            received += self.start_poll()()

    def get(self, path: str) -> str:
        return self._send("GET", path)()

    def post(self, body: str) -> str:
        return self._send("POST", self._path, body)()

    def start_poll(self) -> Callable[[], str]:
        """A function that waits for the answer."""
        return self._send("GET", self._path)

    def _send(self, method: str, path: str, body: str | None = None) -> Callable[[], str]:
        self._connection.request(method, path, body)
        self._sock = self._sock or self._connection.sock
        return self._receive

    def _receive(self) -> str:
        response = self._connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        assert not response.will_close
        assert self._connection.sock is self._sock
        return text
