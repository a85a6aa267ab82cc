"""The same tests on every server and backend: one row of the matrix is one kind of server.

``MATRIX_KINDS`` chooses the rows, by name with commas between them; without it, all are run. A row's servers
are stopped when the next row begins. With ``-n 2 --dist loadgroup`` a row stays on one worker.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import pytest
from acceptance import settings
from server_pool import ServerPool, add_markers, check_available, chosen_kinds, report_logs, wanted_kinds
from servers import RunningServer, ServerKind

TRANSPORTS = ("polling", "websocket", "upgrade")
#: With the heartbeat of the client suites, 2 s and 2 s.
CLIENTS: settings.Settings = {**settings.CLIENTS, "APP_ASYNC_HANDLERS_NAMESPACE": "1"}
#: Without a heartbeat that would end a session before what the test is about.
PATIENT: settings.Settings = {**CLIENTS, "APP_PING_INTERVAL": "25", "APP_PING_TIMEOUT": "20"}


def pytest_configure(config: pytest.Config) -> None:
    add_markers(config)
    report_logs(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument ``kind`` runs on every chosen row that it asks for."""
    if "kind" not in metafunc.fixturenames:
        return
    parameters = [
        pytest.param(kind, id=kind.name, marks=pytest.mark.xdist_group(f"matrix-{kind}"))
        for kind in wanted_kinds(metafunc, chosen_kinds("MATRIX_KINDS", "all"))
    ]
    metafunc.parametrize("kind", parameters, scope="session")


@pytest.fixture(scope="session")
def available_kind(kind: ServerKind, require: Callable[[str, object], None]) -> ServerKind:
    """The row, which can be had here."""
    check_available(kind, require)
    return kind


@pytest.fixture(scope="session")
def server_pool(available_kind: ServerKind) -> Iterator[ServerPool]:
    """Of one row: stopped when the next begins."""
    with ServerPool() as servers:
        yield servers


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, kind: ServerKind) -> str:
    if request.param == "websocket" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    name: str = request.param
    return name


@pytest.fixture
def raw_transport(transport: str, kind: ServerKind) -> str:
    """One that ``wire.open_transport`` can have here: a raw client does not fall back to polling."""
    if transport == "upgrade" and not kind.websocket:
        pytest.skip(f"no WebSocket with {kind}")
    return transport


@pytest.fixture
def server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """The contract app, for the client libraries."""
    return server_pool.get(kind, "contract", CLIENTS)


@pytest.fixture
def patient_server(server_pool: ServerPool, kind: ServerKind) -> RunningServer:
    """The contract app, for raw clients."""
    return server_pool.get(kind, "contract", PATIENT)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Enough for all clients, here and in the servers that are started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"at most {hard} open files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
