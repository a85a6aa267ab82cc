"""Caddy, as docs/proxies.md configures it."""

from __future__ import annotations

import re

import pytest
from proxies.proxy import Caddy, documented
from proxies.suite import ProxyTests

pytestmark = [
    pytest.mark.xdist_group("caddy"),
    # python-engineio leaves closing its sockets to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class TestCaddy(ProxyTests):
    proxy_type = Caddy

    def documented_timeouts(self) -> list[int]:
        """Caddy's proxy has none unless one is given."""
        assert "timeout" not in documented("caddy") + documented("caddy several")
        return []

    def documented_body_sizes(self) -> list[int]:
        return [int(size) * 1_000_000 for size in re.findall(r"max_size (\d+)MB", documented("caddy"))]
