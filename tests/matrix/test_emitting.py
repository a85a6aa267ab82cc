"""``emit()`` may be called from anywhere in the process; what one place emits arrives in its order."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from acceptance import wire
from acceptance.wire import EVENT, TIMEOUT, SocketIO
from servers import RunningServer, ServerKind

pytestmark = pytest.mark.kinds(tls=False)
COUNT = 100
#: See ``tests/apps/emitting.py``.
SOURCES = ("here", "thread", "native-thread", "background-task", "asyncio", "scheduler")
IN_COROUTINES = ("coroutine", "task")


@pytest.fixture
def sources(kind: ServerKind, require: Callable[[str, object], None]) -> list[str]:
    require("apscheduler", importlib.util.find_spec("apscheduler"))
    return [*SOURCES, *([kind.green] if kind.green else [])]


def test_from_handlers(patient_server: RunningServer, raw_transport: str, sources: list[str]) -> None:
    """Handlers have it done in all places at once."""
    with SocketIO.connected(raw_transport, patient_server.url) as client:
        for source in sources:
            client.emit("emit-from", source, COUNT)
        assert_numbers_arrive(client, sources)


def test_from_coroutine_functions(
    patient_server: RunningServer, raw_transport: str, sources: list[str]
) -> None:
    with SocketIO.connected(raw_transport, patient_server.url, "/async") as client:
        for source in (*IN_COROUTINES, *sources):
            client.emit("emit-from", source, COUNT, namespace="/async")
        assert_numbers_arrive(client, [*IN_COROUTINES, *sources])


def test_from_views(patient_server: RunningServer, kind: ServerKind, sources: list[str]) -> None:
    with (
        SocketIO.connected("websocket" if kind.websocket else "polling", patient_server.url) as client,
        ThreadPoolExecutor(len(sources)) as pool,
    ):
        addresses = [
            f"{patient_server.url}/emit-numbered?source={source}&count={COUNT}&to={client.sid}"
            for source in sources
        ]
        replies = pool.map(wire.request, addresses)
        assert_numbers_arrive(client, sources)
        assert [reply.text for reply in replies] == ["ok"] * len(sources)


def assert_numbers_arrive(client: SocketIO, sources: list[str]) -> None:
    """From each of the sources all, in order; how they are mixed does not matter."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for _ in range(COUNT * len(sources)):
        try:
            packet = client.receive(TIMEOUT)
        except TimeoutError:
            missing = {source: COUNT - len(numbers[source]) for source in sources}
            raise AssertionError(f"did not arrive: {missing}") from None
        assert packet.kind == EVENT, packet
        event, data = packet.data
        assert event == "numbered"
        numbers[data["source"]].append(data["i"])
    assert numbers == {source: list(range(COUNT)) for source in sources}
