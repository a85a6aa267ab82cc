"""Whole apps, started in their own ways."""

from __future__ import annotations

import http.cookiejar
import urllib.request

import pytest
from acceptance import wire
from compat.conftest import MODES, Connect, Start, wait_for
from python_client import WARNINGS

pytestmark = WARNINGS


@pytest.mark.parametrize("mode", MODES)
def test_a_dashboard(start: Start, connect: Connect, mode: str) -> None:
    app = start("monitor.py", mode=mode)
    assert app.get() == mode
    one = connect(app.url)
    assert wait_for(one, "status") == ({"clients": 1},)
    two = connect(app.url, transport="polling")
    assert wait_for(two, "status") == ({"clients": 2},)
    # One task serves both, however many have connected.
    (first,) = wait_for(one, "reading")
    (second,) = wait_for(one, "reading")
    assert second["count"] == first["count"] + 1  # type: ignore[index]
    wait_for(two, "reading")
    for client in (one, one, two):
        client.emit("visit")
    assert [wait_for(one, "visits"), wait_for(one, "visits"), wait_for(two, "visits")] == [(1,), (2,), (1,)]
    sid = one.sid()
    one.emit("leave")
    assert wait_for(one, "disconnect")
    for line in (f"gone {sid}", f"client {sid} left namespace '/': server disconnect"):
        wire.wait_until(lambda line=line: line in app.log, what=line)
    assert "GET /socket.io/" in app.log


@pytest.mark.parametrize("mode", MODES)
def test_a_terminal(start: Start, connect: Connect, mode: str) -> None:
    app = start("terminal.py", mode=mode)
    clients = [connect(app.url, "/pty"), connect(app.url, "/pty")]
    clients[0].emit("input", {"input": "echo $((6*7))-answer\n"}, namespace="/pty")
    for client in clients:
        said = ""
        while "42-answer" not in said:
            said += wait_for(client, "output")[0]["output"]  # type: ignore[index]
    clients[1].emit("input", {"input": "exit\n"}, namespace="/pty")


def test_sources_in_threads(start: Start, connect: Connect) -> None:
    app = start("telemetry.py")
    client = connect(app.url, "/sources")
    history = client.call("watch", "one", namespace="/sources")
    assert history == list(range(len(history)))
    values = [wait_for(client, "value")[0] for _ in range(3)]
    assert [value["source"] for value in values] == ["one"] * 3  # type: ignore[index]
    client.call("unwatch", "one", namespace="/sources")
    client.call("watch", "two", namespace="/sources")
    while wait_for(client, "value")[0]["source"] != "two":  # type: ignore[index]
        pass
    assert wait_for(client, "value")[0]["source"] == "two"  # type: ignore[index]


def test_a_factory_with_blueprints(start: Start, connect: Connect) -> None:
    app = start("-m", "flask", "--app", "factory", "run", "--port", "{port}")
    clients = []
    for name in ("ada", "bob"):
        cookies = http.cookiejar.CookieJar()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        opener.open(f"{app.url}/login?name={name}&room=den", timeout=wire.TIMEOUT).close()
        header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
        client = connect(app.url, "/chat", headers={"Cookie": header}, socketio_path="live")
        client.emit("joined", {}, namespace="/chat")
        assert wait_for(client, "status") == ({"msg": f"{name} has entered the room."},)
        clients.append(client)
    ada, bob = clients
    assert wait_for(ada, "status") == ({"msg": "bob has entered the room."},)
    assert ada.sio.transport() == "polling", "upgrades are switched off"
    bob.emit("text", {"msg": "hello"}, namespace="/chat")
    assert wait_for(ada, "message") == wait_for(bob, "message") == ({"msg": "bob: hello"},)
    ada.emit("left", {}, namespace="/chat")
    assert wait_for(bob, "status") == ({"msg": "ada has left the room."},)
    assert ada.call("fail", "on purpose", namespace="/chat") == "fail: on purpose"
    nobody = connect(app.url, "/chat", socketio_path="live")
    nobody.emit("text", {"msg": "hello"}, namespace="/chat")
    assert wait_for(nobody, "disconnect")
