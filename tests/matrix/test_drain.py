"""SIGTERM in the middle of the traffic: everybody is told, and nothing that was accepted is missing.

Three lists of each client have to be equal at the end, without a gap and with no number twice: what the app
has handled, and the events and the acks that have arrived before the close. A number that was not handled by
then was not acked either, and may be dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from matrix.exchange import Recording, recording, terminate_in_traffic
from servers import ServerKind

pytestmark = pytest.mark.kinds(tls=False, drains=True)

WEBSOCKETS, POLLING = 100, 5


@pytest.fixture
def recorded(available_kind: ServerKind, tmp_path: Path) -> Iterator[Recording]:
    with recording(available_kind, tmp_path) as recorded:
        yield recorded


def test_sigterm_in_the_middle_of_the_traffic(recorded: Recording) -> None:
    websockets = WEBSOCKETS if recorded.server.kind.websocket else 0
    terminate_in_traffic(recorded, websockets, POLLING)
