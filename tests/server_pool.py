"""What test suites that run on several kinds of server share: the servers, and the logs of failed tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping

import pytest
from servers import KINDS, RunningServer, ServerFailed, ServerKind, start


def chosen_kinds(variable: str, default: str) -> list[ServerKind]:
    """Those that the environment variable names, with commas between them, or ``all``."""
    names = os.environ.get(variable, default)
    return list(KINDS.values()) if names == "all" else [KINDS[name] for name in names.split(",")]


def wanted_kinds(metafunc: pytest.Metafunc, kinds: list[ServerKind]) -> list[ServerKind]:
    """Those that the test asks for: ``@pytest.mark.kinds(websocket=True)``."""
    wanted = [marker.kwargs for marker in metafunc.definition.iter_markers("kinds")]
    return [
        kind
        for kind in kinds
        if all(getattr(kind, name) == value for attributes in wanted for name, value in attributes.items())
    ]


def add_markers(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "kinds(**attributes): only on kinds of server with these attributes, as in kinds(websocket=True)",
    )


def check_available(kind: ServerKind, require: Callable[[str, object], None]) -> None:
    """Skip where it can't be had, or fail where nothing may be missing."""
    if kind.lacking:
        pytest.skip(kind.lacking)  # not missing: there is nothing to install
    require(", ".join(kind.missing), not kind.missing)


class ServerPool:
    """Running servers, to be shared by tests that leave them as they found them.

    A context manager, at whose end all stop at the same time.
    """

    def __init__(self) -> None:
        self._exit_stack = contextlib.ExitStack()
        self._servers: dict[tuple[object, ...], RunningServer] = {}
        self._failures: dict[tuple[object, ...], str] = {}

    def get(self, kind: ServerKind, app: str, settings: Mapping[str, str]) -> RunningServer:
        """:raises ServerFailed: it did not start; it is not tried again for each test."""
        key = (kind.name, app, *sorted(settings.items()))
        if key in self._failures:
            raise ServerFailed(self._failures[key])
        server = self._servers.get(key)
        if server is None or not server.alive:
            try:
                server = self._exit_stack.enter_context(start(kind, app, settings))
            except ServerFailed as failure:
                self._failures[key] = str(failure)
                raise
            self._servers[key] = server
        return server

    def __enter__(self) -> ServerPool:
        return self

    def __exit__(self, *error: object) -> None:
        with self._exit_stack:
            for server in self._servers.values():
                if server.alive:
                    server.terminate()
            for server in self._servers.values():
                with contextlib.suppress(ServerFailed):
                    server.wait()


LOG_STARTS = pytest.StashKey[dict[RunningServer, int]]()


class LogReporter:
    """A pytest plugin: a failed test shows what its servers logged meanwhile."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        item.stash[LOG_STARTS] = {server: server.log_size() for server in _servers_of(item)}
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        if report.when == "call" and report.failed:
            for server, since in item.stash.get(LOG_STARTS, {}).items():
                with contextlib.suppress(OSError):  # a server of the test's own is gone, and its log with it
                    report.sections.append((f"log of {server!r}", server.log_text(since)[-6000:]))
        return report


def report_logs(config: pytest.Config) -> None:
    """Once, whichever suites are run together."""
    if not config.pluginmanager.has_plugin("server-logs"):
        config.pluginmanager.register(LogReporter(), "server-logs")


def _servers_of(item: pytest.Item) -> list[RunningServer]:
    return [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, RunningServer)]
