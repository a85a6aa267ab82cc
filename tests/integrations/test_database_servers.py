"""The database under real servers: after many events of many clients, every connection is in the pool."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from acceptance import wire
from integrations.conftest import RealClient
from server_pool import check_available
from servers import KINDS, start

CLIENTS = 10
ROUNDS = 5
EVENTS = ("read", "write", "fail", "ask")


def talk(url: str) -> int:
    """A client that is refused, and one that is not; how many events of that are answered."""
    with RealClient(url, auth={"welcome": False}) as refused:
        assert refused.refusal == {"message": "not welcome"}
    answered = 0
    with RealClient(url, auth={"welcome": True}) as client:
        for event in EVENTS * ROUNDS:
            answered += client.call(event) is True
            if event == "ask":
                question = client.client.receive()
                client.client.send(wire.ACK, ["the answer"], id=question.id)
    return answered


@pytest.mark.parametrize(
    "name", ["werkzeug", "gunicorn-gthread", "gevent-patched", "gunicorn-gevent", "uvicorn"]
)
def test_every_connection_is_given_back(
    name: str, database_url: str, require: Callable[[str, object], None]
) -> None:
    kind = KINDS[name]
    check_available(kind, require)
    with (
        start(kind, "database_app", {"APP_DATABASE": database_url}) as server,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        answered = list(threads.map(talk, [server.url] * CLIENTS))
        assert answered == [len(EVENTS) * ROUNDS] * CLIENTS, server.log_text()

        def nothing_in_use() -> bool:
            return requests.get(server.url + "/pool").json() == {"checkedout": 0, "sessions": 0}

        wire.wait_until(nothing_in_use, what="every connection is in the pool")
        assert requests.get(server.url + "/notes").json() == CLIENTS * ROUNDS
        assert "Traceback" not in server.log_text()
