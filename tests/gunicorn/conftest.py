"""Each of gunicorn's worker classes, as far as the installed version has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from server_pool import add_markers, check_available, report_logs, wanted_kinds
from servers import KINDS, ServerKind

WORKERS = ("sync", "gthread", "gevent", "gevent-websocket", "eventlet", "asgi")


def pytest_configure(config: pytest.Config) -> None:
    add_markers(config)
    report_logs(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``kind`` runs with every worker class."""
    if "kind" in metafunc.fixturenames:
        kinds = wanted_kinds(metafunc, [KINDS[f"gunicorn-{worker}"] for worker in WORKERS])
        metafunc.parametrize("kind", kinds, ids=str, scope="session")


@pytest.fixture(scope="session")
def worker_kind(kind: ServerKind, require: Callable[[str, object], None]) -> ServerKind:
    """One that can be had here."""
    check_available(kind, require)
    return kind
