"""Apache, as docs/proxies.md configures it."""

from __future__ import annotations

import re

import pytest
from acceptance.conftest import ServerPool
from acceptance.wire import Polling, SocketIO, wait_until
from proxies.conftest import WITH_PROXY_FIX, ProxyPool
from proxies.proxy import Apache, documented
from proxies.suite import ProxyTests, reason_of
from servers import ServerKind

pytestmark = [
    pytest.mark.xdist_group("apache"),
    # python-engineio leaves closing its sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TestApache(ProxyTests):
    proxy_type = Apache

    def documented_timeouts(self) -> list[int]:
        timeouts = re.findall(r" timeout=(\d+)", documented("apache") + documented("apache several"))
        assert len(timeouts) == 3
        return [int(seconds) for seconds in timeouts]

    def documented_body_sizes(self) -> list[int]:
        return [int(size) for size in re.findall(r"LimitRequestBody (\d+)", documented("apache"))]

    def test_poll_that_is_aborted(
        self, server_pool: ServerPool, proxy_pool: ProxyPool, kind: ServerKind
    ) -> None:
        """Apache does not look at a client that waits: only the heartbeat tells."""
        heartbeat = {"APP_PING_INTERVAL": "0.3", "APP_PING_TIMEOUT": "0.2"}
        server = server_pool.get(kind, "proxied", {**WITH_PROXY_FIX, **heartbeat})
        proxy = proxy_pool.get(Apache, server)
        client = SocketIO.connected("polling", proxy.url)
        assert isinstance(client.transport, Polling)
        client.transport.start_get().abort()
        with SocketIO.connected("websocket", server.url) as observer:
            reason = wait_until(lambda: reason_of(observer, client.sid), what="a disconnect")
            assert reason == "ping timeout"
