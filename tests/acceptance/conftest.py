"""Servers for the acceptance tests: one process per kind and settings, started when first asked for.

``ACCEPTANCE_KINDS`` chooses the kinds of server, by name with commas between them, or ``all``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from servers import KINDS, RunningServer, ServerKind, start

DEFAULT_KINDS = "werkzeug,gunicorn-sync,gunicorn-gthread"


def chosen_kinds() -> list[ServerKind]:
    names = os.environ.get("ACCEPTANCE_KINDS", DEFAULT_KINDS)
    return list(KINDS.values()) if names == "all" else [KINDS[name] for name in names.split(",")]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kinds(**attributes): only on kinds of server with these attributes, as in kinds(websocket=True)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``kind`` runs on every chosen kind of server that it asks for."""
    if "kind" not in metafunc.fixturenames:
        return
    wanted = [marker.kwargs for marker in metafunc.definition.iter_markers("kinds")]
    kinds = [
        kind
        for kind in chosen_kinds()
        if all(getattr(kind, name) == value for attributes in wanted for name, value in attributes.items())
    ]
    module = metafunc.module.__name__.rpartition(".")[2]
    parameters = [
        pytest.param(kind, id=kind.name, marks=pytest.mark.xdist_group(f"{module}-{kind}")) for kind in kinds
    ]
    metafunc.parametrize("kind", parameters, scope="session")


class ServerPool:
    """Running servers, to be shared by tests that leave them as they found them."""

    def __init__(self, exit_stack: contextlib.ExitStack) -> None:
        self._exit_stack = exit_stack
        self._servers: dict[tuple[object, ...], RunningServer] = {}

    def get(self, kind: ServerKind, app: str, settings: dict[str, str]) -> RunningServer:
        key = (kind.name, app, *sorted(settings.items()))
        server = self._servers.get(key)
        if server is None or not server.alive:
            server = self._exit_stack.enter_context(start(kind, app, settings))
            self._servers[key] = server
        return server


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    with contextlib.ExitStack() as exit_stack:
        yield ServerPool(exit_stack)


LOG_STARTS = pytest.StashKey[dict[RunningServer, int]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    item.stash[LOG_STARTS] = {server: server.log_size() for server in _servers_of(item)}
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failed test shows what its servers logged meanwhile."""
    report = yield
    if report.when == "call" and report.failed:
        for server, since in item.stash.get(LOG_STARTS, {}).items():
            with contextlib.suppress(OSError):  # a server of the test's own is gone, and its log with it
                report.sections.append((f"log of {server!r}", server.log_text(since)[-6000:]))
    return report


def _servers_of(item: pytest.Item) -> list[RunningServer]:
    return [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, RunningServer)]
