"""Servers and proxies, started when first asked for and shared by the tests of a session.

A server is described by its settings; a test that stops one starts its own.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Callable, Iterator, Sequence

import pytest
import servers
from acceptance.conftest import ServerPool
from proxies.client import TRANSPORTS, Client
from proxies.proxy import Proxy, run
from requiring import Require
from servers import APPS, KINDS, PACKAGE_PATH, ROOT, RunningServer, ServerKind

pytest.register_assert_rewrite("proxies.suite")

#: The servers behind the proxies: names of ``servers.KINDS`` that find the app by its module's name.
BEHIND = ("gunicorn-gthread",)

_PYTHONPATH = os.pathsep.join([PACKAGE_PATH, str(APPS), str(ROOT / "tests" / "proxies")])
#: The app "proxied", as docs/proxies.md wants it.
WITH_PROXY_FIX = {"PYTHONPATH": _PYTHONPATH, "APP_PROXY_FIX": "1"}
#: gunicorn believes a proxy on its own machine; here it is told that ours is on another one.
WITHOUT_PROXY_FIX = {"PYTHONPATH": _PYTHONPATH, "FORWARDED_ALLOW_IPS": "192.0.2.1"}


class ProxyPool:
    """Running proxies, by their kind and what is behind them."""

    def __init__(self, exit_stack: contextlib.ExitStack) -> None:
        self._exit_stack = exit_stack
        self._proxies: dict[tuple[object, ...], Proxy] = {}

    def get(self, proxy_type: type[Proxy], *servers: RunningServer) -> Proxy:
        ports = [server.port for server in servers]
        key = (proxy_type, *ports)
        if key not in self._proxies:
            self._proxies[key] = self._exit_stack.enter_context(run(proxy_type, ports))
        return self._proxies[key]

    def logs(self) -> dict[str, str]:
        return {repr(proxy): proxy.log_text() for proxy in self._proxies.values()}


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Each would read the system's certificates again, which takes longer than most of the tests here."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(servers, "unverified_tls", functools.cache(servers.unverified_tls))
        yield


@pytest.fixture(scope="session", params=BEHIND)
def kind(request: pytest.FixtureRequest) -> ServerKind:
    return KINDS[request.param]


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    with ServerPool() as servers:
        yield servers


@pytest.fixture(scope="class")
def proxy_pool() -> Iterator[ProxyPool]:
    with contextlib.ExitStack() as exit_stack:
        yield ProxyPool(exit_stack)


@pytest.fixture(autouse=True, scope="class")
def proxy_type(request: pytest.FixtureRequest, require: Require) -> type[Proxy]:
    """The class under test says which proxy it is about; without its executable the tests are skipped."""
    chosen: type[Proxy] = request.cls.proxy_type
    require(chosen.name, chosen.executable())
    return chosen


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    return server_pool.get(kind, "proxied", WITH_PROXY_FIX)


@pytest.fixture
def proxy(proxy_pool: ProxyPool, proxy_type: type[Proxy], server: RunningServer) -> Proxy:
    """In front of ``server``."""
    return proxy_pool.get(proxy_type, server)


@pytest.fixture
def unaware_proxy(
    server_pool: ServerPool, proxy_pool: ProxyPool, proxy_type: type[Proxy], kind: ServerKind
) -> Proxy:
    """In front of an app without ``ProxyFix``."""
    return proxy_pool.get(proxy_type, server_pool.get(kind, "proxied", WITHOUT_PROXY_FIX))


@pytest.fixture
def two_servers(server_pool: ServerPool, server: RunningServer, kind: ServerKind) -> Sequence[RunningServer]:
    # what tells it from the first one in the pool means nothing to the app
    return server, server_pool.get(kind, "proxied", {**WITH_PROXY_FIX, "APP_NUMBER": "2"})


@pytest.fixture
def new_client() -> Iterator[Callable[..., Client]]:
    """Makes ``Client``s that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(*arguments: object, **options: object) -> Client:
            client = Client(*arguments, **options)  # type: ignore[arg-type]
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="class", autouse=True)
def collect_sockets() -> Iterator[None]:
    """python-engineio leaves closing its sockets to the garbage collector: here, not in a later test."""
    yield
    gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test shows what its proxies logged."""
    report = yield
    pool = getattr(item, "funcargs", {}).get("proxy_pool")
    if report.failed and isinstance(pool, ProxyPool):
        for name, log in pool.logs().items():
            report.sections.append((f"log of {name}", log[-6000:]))
    return report
