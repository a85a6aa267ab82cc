"""Flask-Limiter: its storage and strategies count events too."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from integrations.conftest import Connect, RealClient, Style, documented

from flask_realtime import SocketIO
from flask_realtime.guards import Guard

Limit = Callable[..., Guard]
#: No window ends while a test runs.
TWO = "2/hour"
REFUSED = {"error": {"message": "Too many events", "data": {"limit": TWO}}}


@pytest.fixture(params=["memory", "redis"])
def limiter(request: pytest.FixtureRequest, app: Flask) -> Limiter:
    if request.param == "memory":
        return Limiter(get_remote_address, app=app, storage_uri="memory://")
    return Limiter(
        get_remote_address,
        app=app,
        storage_uri=request.getfixturevalue("redis_url"),
        storage_options={"key_prefix": uuid.uuid4().hex},
        strategy="moving-window",
    )


@pytest.fixture
def limit(limiter: Limiter) -> Limit:
    recipe: Limit = documented("limiter", limiter=limiter)["limit"]
    return recipe


def answers(client: Any, event: str, count: int) -> list[Any]:
    return [client.emit(event, callback=True) for _ in range(count)]


def test_by_address(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    for event in ("say", "whisper"):
        socketio.on_event(event, limit(TWO)(style(lambda: "said")))
    one, two = connect(), connect()
    assert answers(one, "say", 3) == ["said", "said", REFUSED]
    assert answers(two, "say", 1) == [REFUSED], "the same address"
    assert answers(two, "whisper", 1) == ["said"], "another event"


def test_by_client(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    by_sid = limit(TWO, lambda: request.sid)  # type: ignore[attr-defined]
    socketio.on_event("say", by_sid(style(lambda: "said")))
    for client in (connect(), connect()):
        assert answers(client, "say", 3) == ["said", "said", REFUSED]


def test_by_user(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    @socketio.on("connect")
    @style
    def connected(auth: dict[str, str]) -> None:
        session["user"] = auth["user"]

    socketio.on_event("say", limit(TWO, lambda: session["user"])(style(lambda: "said")))
    one, two, other = (connect(auth={"user": user}) for user in ("ada", "ada", "bob"))
    assert answers(one, "say", 2) == ["said", "said"]
    assert answers(two, "say", 1) == [REFUSED]
    assert answers(other, "say", 1) == ["said"]


def test_several_limits(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    socketio.on_event("say", limit("100/hour;1/day")(style(lambda: "said")))
    assert [isinstance(answer, str) for answer in answers(connect(), "say", 2)] == [True, False]


def test_of_all_events(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    socketio.before_event(limit(TWO).check)
    for event in ("say", "whisper"):
        socketio.on_event(event, style(lambda: "said"))
    client = connect()
    assert answers(client, "say", 3) == ["said", "said", REFUSED]
    assert answers(client, "whisper", 1) == ["said"]


def test_connections(socketio: SocketIO, connect: Connect, limit: Limit, style: Style) -> None:
    socketio.on_event("connect", limit(TWO)(style(lambda: None)))
    assert [connect().is_connected() for _ in range(3)] == [True, True, False]


def test_real_clients_at_once(socketio: SocketIO, limit: Limit, style: Style, url: str) -> None:
    """Not one more than allowed."""
    socketio.on_event("say", limit("20/hour")(style(lambda: "said")))

    def talk(number: int) -> int:
        with RealClient(url) as client:
            return sum(client.call("say") == "said" for _ in range(10))

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(talk, range(5))) == 20


def test_their_decorator_does_not_count_events(
    socketio: SocketIO, connect: Connect, limiter: Limiter, style: Style
) -> None:
    """It counts for endpoints, and an event has none: why the recipe is there."""
    socketio.on_event("say", limiter.limit(TWO)(style(lambda: "said")))
    assert answers(connect(), "say", 3) == ["said"] * 3


def test_requests_are_counted_as_before(app: Flask, socketio: SocketIO, limiter: Limiter) -> None:
    app.add_url_rule("/", "index", limiter.limit(TWO)(lambda: "fine"))
    http = app.test_client()
    assert [http.get("/").status_code for _ in range(3)] == [200, 200, 429]
