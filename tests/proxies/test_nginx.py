"""nginx, as docs/proxies.md configures it, and what happens without each part of that."""

from __future__ import annotations

import functools
import json
import re

import pytest
from acceptance.wire import Polling, Refused, WebSocketTransport
from proxies.proxy import Edit, Nginx, Proxy, documented, replace, run
from proxies.suite import (
    SESSION_UNKNOWN,
    KeepAlivePolling,
    ProxyTests,
    emit,
    expect_refused,
    keep_alive_connection,
    whereabouts,
)
from servers import RunningServer

pytestmark = [
    pytest.mark.xdist_group("nginx"),
    # python-engineio leaves closing its sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TestNginx(ProxyTests):
    proxy_type = Nginx

    def documented_timeouts(self) -> list[int]:
        timeouts = re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", documented("nginx"))
        assert len(timeouts) == 2
        return [int(seconds) for seconds in timeouts]

    def documented_body_sizes(self) -> list[int]:
        return [int(size) << 20 for size in re.findall(r"client_max_body_size (\d+)m;", documented("nginx"))]

    def test_body_too_large(self, proxy: Proxy) -> None:
        """nginx refuses it, and the session goes on."""
        polling = Polling(proxy.url)
        reply = polling.post("4" + "x" * 1_500_000)
        assert reply.status == 413
        assert reply.text.startswith("<html>")
        assert polling.post("40").status == 200

    def test_upstream_connections_are_kept(self, proxy: Proxy, server: RunningServer) -> None:
        """``keepalive 16``: requests share a connection, except with a poll, which takes its own along."""
        first = whereabouts(proxy.url)["peer_port"]
        assert whereabouts(proxy.url)["peer_port"] == first
        with keep_alive_connection(proxy.url) as connection:
            client = KeepAlivePolling(connection)
            for i in range(3):
                answer = client.start_poll()
                emit(server.url, "tick", str(i))
                assert answer() == f'42["tick","{i}"]'
                kept = whereabouts(proxy.url)["peer_port"]
                assert whereabouts(proxy.url)["peer_port"] == kept


def changed(old: str, new: str = "") -> Edit:
    return functools.partial(replace, old=old, new=new)


class TestNginxMisconfigured:
    """The symptoms that docs/proxies.md names."""

    proxy_type = Nginx

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("Upgrade $http_upgrade", "transport=websocket without a websocket handshake"),
            ("Connection $connection_upgrade", "Connection must be Upgrade, not 'close'"),
        ],
    )
    def test_websockets_without(self, server: RunningServer, line: str, message: str) -> None:
        with run(Nginx, [server.port], changed(f"proxy_set_header {line};")) as proxy:
            with pytest.raises(Refused) as refused:
                WebSocketTransport.open(proxy.url)
            reply = refused.value.reply
            assert (reply.status, json.loads(reply.body)["message"]) == (400, message)
            Polling(proxy.url).close()

    def test_upstream_connections_without_http_1_1(self, server: RunningServer) -> None:
        with run(Nginx, [server.port], changed("proxy_http_version 1.1;")) as proxy:
            assert whereabouts(proxy.url)["peer_port"] != whereabouts(proxy.url)["peer_port"]

    def test_origins_without_host(self, server: RunningServer) -> None:
        with run(Nginx, [server.port], changed("proxy_set_header Host $http_host;")) as proxy:
            message = expect_refused(proxy.url, "polling", {"Origin": proxy.url})
            assert message == f"origin '{proxy.url}' is not allowed; expected 'https://chat'"

    def test_origins_with_the_host_but_not_its_port(self, server: RunningServer) -> None:
        with run(Nginx, [server.port], changed("Host $http_host;", "Host $host;")) as proxy:
            message = expect_refused(proxy.url, "polling", {"Origin": proxy.url})
            assert message == f"origin '{proxy.url}' is not allowed; expected 'https://127.0.0.1'"

    def test_origins_without_scheme(self, server: RunningServer) -> None:
        with run(Nginx, [server.port], changed("proxy_set_header X-Forwarded-Proto $scheme;")) as proxy:
            message = expect_refused(proxy.url, "polling", {"Origin": proxy.url})
            assert message.endswith(f"expected '{proxy.url.replace('https', 'http')}'")

    def test_scheme_of_the_client_when_none_is_set(self, server: RunningServer) -> None:
        """Why a header that the app believes must be set by the proxy: otherwise anybody can."""
        with run(Nginx, [server.port], changed("proxy_set_header X-Forwarded-Proto $scheme;")) as proxy:
            assert whereabouts(proxy.url, **{"X-Forwarded-Proto": "forged"})["origin"].startswith("forged:")

    def test_read_timeout_that_is_too_short(self, server: RunningServer) -> None:
        with run(
            Nginx, [server.port], changed("proxy_read_timeout 60s;", "proxy_read_timeout 200ms;")
        ) as proxy:
            assert Polling(proxy.url).get().status == 504
            with WebSocketTransport.open(proxy.url) as websocket:
                assert websocket.wait_closed().code is None  # no close frame

    def test_several_processes_without_hash(self, two_servers: tuple[RunningServer, RunningServer]) -> None:
        ports = [server.port for server in two_servers]
        with run(Nginx, ports, changed("hash $remote_addr consistent;")) as proxy:
            replies = [Polling(proxy.url).post("40") for _ in range(4)]
            assert any(reply.status == 400 and reply.json()["code"] == SESSION_UNKNOWN for reply in replies)
