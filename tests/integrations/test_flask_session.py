"""Flask-Session: sessions on the server, which events and requests share with ``manage_session=False``."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from cachelib import FileSystemCache
from extension.live import serve
from flask import Flask, copy_current_request_context, session
from flask.testing import FlaskClient
from flask_session import Session
from integrations.conftest import Connect, RealClient, Style, cookies_of

from flask_realtime import SocketIO


@pytest.fixture(params=["redis", "cachelib"])
def store(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[None]:
    """The app keeps its sessions there."""
    app.config["SESSION_TYPE"] = request.param
    app.config["SESSION_KEY_PREFIX"] = f"{uuid.uuid4().hex}:"
    if request.param == "cachelib":
        app.config["SESSION_CACHELIB"] = FileSystemCache(str(tmp_path / "sessions"))
        Session(app)
        yield
        return
    with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
        app.config["SESSION_REDIS"] = client
        Session(app)
        yield


@pytest.fixture
def socketio(app: Flask, store: None, style: Style) -> SocketIO:
    socketio = SocketIO(app, manage_session=False)

    @socketio.on("set")
    @style
    def set_value(key: str, value: Any) -> None:
        session[key] = value

    @socketio.on("append")
    @style
    def append(value: Any) -> None:
        session.setdefault("list", []).append(value)
        session.modified = True

    @socketio.on("get")
    @style
    def whole_session() -> dict[str, Any]:
        return dict(session)

    @socketio.on("clear")
    @style
    def clear() -> None:
        session.clear()

    return socketio


@pytest.fixture
def http(app: Flask, socketio: SocketIO) -> FlaskClient:
    @app.route("/set/<key>/<value>")
    def set_value(key: str, value: str) -> str:
        session[key] = value
        return ""

    @app.route("/session")
    def whole_session() -> dict[str, Any]:
        return {key: value for key, value in session.items() if not key.startswith("_")}

    client = app.test_client()
    client.get("/set/color/red")
    return client


def public(values: dict[str, Any]) -> dict[str, Any]:
    """Without what Flask itself keeps there (``_permanent``)."""
    return {key: value for key, value in values.items() if not key.startswith("_")}


def test_events_and_requests_see_each_others_changes(http: FlaskClient, connect: Connect) -> None:
    client = connect(flask_test_client=http)
    assert public(client.emit("get", callback=True)) == {"color": "red"}
    client.emit("set", "color", "blue")
    assert http.get("/session").json == {"color": "blue"}
    http.get("/set/size/3")
    assert public(client.emit("get", callback=True)) == {"color": "blue", "size": "3"}


def test_all_clients_of_a_browser_see_it(http: FlaskClient, connect: Connect) -> None:
    one, two = connect(flask_test_client=http), connect(flask_test_client=http)
    one.emit("set", "color", "blue")
    assert public(two.emit("get", callback=True)) == {"color": "blue"}


def test_what_it_holds_may_be_changed_in_place(http: FlaskClient, connect: Connect) -> None:
    client = connect(flask_test_client=http)
    for number in range(3):
        client.emit("append", number)
    assert http.get("/session").json == {"color": "red", "list": [0, 1, 2]}


def test_connect_and_disconnect_handlers_may_change_it(
    socketio: SocketIO, http: FlaskClient, connect: Connect, style: Style
) -> None:
    socketio.on_event("connect", style(lambda auth: session.update(online=True)))
    socketio.on_event("disconnect", style(lambda reason: session.update(online=False, reason=reason)))
    client = connect(flask_test_client=http)
    assert http.get("/session").json == {"color": "red", "online": True}
    client.disconnect()
    assert http.get("/session").json == {"color": "red", "online": False, "reason": "client disconnect"}


def test_of_a_shared_session_nothing_is_said(
    http: FlaskClient, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(flask_test_client=http)
    client.emit("set", "color", "blue")
    client.emit("clear")
    assert http.get("/session").json == {}
    assert caplog.text == ""


def test_a_session_begun_by_an_event_is_lost(
    connect: Connect, http: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Its id would have to reach the browser: it has no cookie yet."""
    client = connect()
    client.emit("set", "color", "blue")
    assert public(client.emit("get", callback=True)) == {}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "begun by a request before the client connects" in record.getMessage()


def test_nobody_asks_nothing_is_loaded(
    app: Flask, socketio: SocketIO, http: FlaskClient, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    retrieve = app.session_interface._retrieve_session_data  # type: ignore[attr-defined]
    monkeypatch.setattr(
        app.session_interface, "_retrieve_session_data", lambda key: loads.append(key) or retrieve(key)
    )
    socketio.on_event("event", lambda: None)
    client = connect(flask_test_client=http)
    client.emit("event")
    assert loads == []
    client.emit("get")
    assert len(loads) == 1
    client.emit("set", "color", "blue")
    assert len(loads) == 2, "that it was saved where the browser finds it need not be proven"


def test_a_copy_of_the_context_has_the_same(
    socketio: SocketIO, http: FlaskClient, connect: Connect, style: Style
) -> None:
    """What a thread changes before the event ends is saved with it."""

    @socketio.on("event")
    @style
    def handler() -> None:
        @copy_current_request_context
        def elsewhere() -> None:
            session["size"] = 3

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    connect(flask_test_client=http).emit("event")
    assert http.get("/session").json == {"color": "red", "size": 3}


def test_real_clients_and_requests_at_once(app: Flask, http: FlaskClient) -> None:
    """Each browser has a session of its own; its events and requests take turns, all browsers at once."""

    def browse(number: int) -> list[dict[str, Any]]:
        browser = app.test_client()
        browser.get("/set/color/red")
        seen = []
        with RealClient(url, cookies_of(browser)) as client:
            for turn in range(5):
                client.call("set", "event", [number, turn])
                browser.get(f"/set/request/{number}-{turn}")
                seen += [browser.get("/session").json, public(client.call("get"))]
        return seen

    with serve(app) as url, ThreadPoolExecutor(8) as threads:
        for number, seen in enumerate(threads.map(browse, range(8))):
            expected = [
                {"color": "red", "event": [number, turn], "request": f"{number}-{turn}"} for turn in range(5)
            ]
            assert seen == [state for state in expected for _ in range(2)]


def test_managed_it_is_a_copy(app: Flask, socketio: SocketIO, http: FlaskClient, connect: Connect) -> None:
    socketio.manage_session = True
    client = connect(flask_test_client=http)
    client.emit("set", "color", "blue")
    assert public(client.emit("get", callback=True)) == {"color": "blue"}
    assert http.get("/session").json == {"color": "red"}
