"""What a handler sees as its own, while handlers of other clients and of the other kind run."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from acceptance.wire import TRANSPORTS, SocketIO
from servers import RunningServer, ServerKind

pytestmark = pytest.mark.kinds(tls=False)
CLIENTS = 20
EVENTS = 5
NAMESPACES = ("/", "/async")


def test_context(patient_server: RunningServer, kind: ServerKind) -> None:
    """Handlers wait between setting ``g.value`` and reading it, in both namespaces of all clients at once."""
    transports = TRANSPORTS if kind.websocket else ("polling",)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(CLIENTS):
            client = SocketIO.connected(transports[number % len(transports)], patient_server.url)
            stack.callback(client.close)
            clients.append(client)
            client.connect("/async", {"name": f"client {number}"})

        for event in range(EVENTS):
            requests = [
                (number, namespace, client.request("context", [number, event], namespace=namespace))
                for number, client in enumerate(clients)
                for namespace in NAMESPACES
            ]
            for number, namespace, id in requests:
                client = clients[number]
                # the namespaces of a client share its session
                expected = [
                    client.sids[namespace],
                    namespace,
                    [number, event],
                    "contract",
                    f"client {number}",
                ]
                assert answer(client, id) == expected


def answer(client: SocketIO, id: int) -> Any:
    (value,) = client.wait_ack(id)
    return value
