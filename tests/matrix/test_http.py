"""The app's other views, beside a crowd of WebSockets where there are any."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from acceptance import wire
from matrix.crowd import Crowd
from servers import RunningServer, ServerKind

pytestmark = pytest.mark.kinds(tls=False)
WEBSOCKETS = 100


@pytest.fixture
def url(patient_server: RunningServer, kind: ServerKind) -> Iterator[str]:
    """Of a server that 100 clients are connected to."""
    with contextlib.ExitStack() as stack:
        if kind.websocket:
            crowd = stack.enter_context(Crowd(patient_server.url))
            crowd.run(crowd.add(WEBSOCKETS))
            assert wire.stats(patient_server.url)["sessions"] >= WEBSOCKETS
            yield patient_server.url
            assert crowd.run(crowd.call("echo-ack", "still here")) == [["still here"]] * WEBSOCKETS
        else:
            yield patient_server.url


def test_views(url: str) -> None:
    """Several at a time, each as it is without Socket.IO."""
    body = os.urandom(200_000)

    def walk(number: int) -> None:
        assert wire.request(url + "/healthz").text == "ok"

        reply = wire.request(url + "/body", "POST", body)
        assert reply.body == body
        reply = wire.request(url + "/stream?count=500")
        assert reply.text == "".join(f"chunk {i}\n" for i in range(500))

        reply = wire.request(f"{url}/cookie?taste=new{number}", headers={"Cookie": f"taste=old{number}"})
        assert reply.text == f"old{number}"
        assert reply.headers["Set-Cookie"].startswith(f"taste=new{number};")
        assert wire.request(url + "/no-such-view").status == 404

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(walk, range(12)))
