"""Servers for the acceptance tests: one process per kind and settings, started when first asked for.

``ACCEPTANCE_KINDS`` chooses the kinds of server, by name with commas between them, or ``all``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from server_pool import ServerPool, add_markers, chosen_kinds, report_logs, wanted_kinds

__all__ = ["ServerPool"]

DEFAULT_KINDS = "werkzeug,gunicorn-sync,gunicorn-gthread"


def pytest_configure(config: pytest.Config) -> None:
    add_markers(config)
    report_logs(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``kind`` runs on every chosen kind of server that it asks for."""
    if "kind" not in metafunc.fixturenames:
        return
    kinds = wanted_kinds(metafunc, chosen_kinds("ACCEPTANCE_KINDS", DEFAULT_KINDS))
    module = metafunc.module.__name__.rpartition(".")[2]
    parameters = [
        pytest.param(kind, id=kind.name, marks=pytest.mark.xdist_group(f"{module}-{kind}")) for kind in kinds
    ]
    metafunc.parametrize("kind", parameters, scope="session")


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    with ServerPool() as servers:
        yield servers
