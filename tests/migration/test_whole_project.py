"""A project of Flask-SocketIO is brought over, and then really runs; ``flask_socketio`` can't be imported."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import socketio
from acceptance.wire import TIMEOUT, wait_until
from migration.project import Project
from python_client import WARNINGS, Client
from servers import KINDS, PACKAGE_PATH, RunningServer, ServerFailed, start

pytestmark = [*WARNINGS, pytest.mark.xdist_group("migration")]

BEFORE = Path(__file__).parent / "before"
#: these are not installed, for all that the project can see
GONE = ("flask_socketio", "socketio", "engineio", "simple_websocket")
KIND = KINDS["gunicorn-gthread"]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("gone")
    for name in GONE:
        (folder / f"{name}.py").write_text(
            "raise ModuleNotFoundError(f'No module named {__name__!r}', name=__name__)\n"
        )
    return {"PYTHONPATH": os.pathsep.join([str(folder), PACKAGE_PATH])}


def _serving(project: Path, environ: dict[str, str]) -> contextlib.AbstractContextManager[RunningServer]:
    path = os.pathsep.join([str(project), environ["PYTHONPATH"]])
    return start(KIND, "wsgi", {"PYTHONPATH": path})


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, after ``--write``, from a folder that is not the current one."""
    root = tmp_path_factory.mktemp("project") / "chat"
    shutil.copytree(BEFORE, root, ignore=shutil.ignore_patterns("__pycache__"))
    Project(root).run("--write", str(root))
    return root


@pytest.fixture(scope="module")
def server(migrated: Path, environ: dict[str, str]) -> Iterator[RunningServer]:
    with _serving(migrated, environ) as server:
        yield server


@pytest.fixture(params=["polling", "websocket", "upgrade"])
def client(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Client]:
    client = Client(request.param)
    client.connect(server.url, ["/", "/rooms"], auth={"name": "ada"})
    yield client
    client.sio.disconnect()


def test_before_it_does_not_run(environ: dict[str, str]) -> None:
    with pytest.raises(ServerFailed, match="No module named 'flask_socketio'"), _serving(BEFORE, environ):
        pass


def test_what_was_changed(migrated: Path) -> None:
    names = ["chat/__init__.py", "chat/events.py", "chat/rooms.py", "check_chat.py", "requirements.txt"]
    for path in (path for path in BEFORE.rglob("*.*") if "__pycache__" not in path.parts):
        name = path.relative_to(BEFORE).as_posix()
        after = (migrated / name).read_text()
        assert ("flask_realtime" in after or "Flask-Realtime" in after) == (name in names)
        if name.endswith(".py"):
            assert after == path.read_text().replace("flask_socketio", "flask_realtime")
    assert (
        '\nFlask-Realtime >=0.1 ; python_version >= "3.8"  # live\n'
        in (migrated / "requirements.txt").read_text()
    )


def test_what_is_left_to_do(migrated: Path) -> None:
    report = Project(migrated).report(str(migrated))
    found = {(Path(f["path"]).name, f["code"], f["severity"]) for f in report["findings"]}
    assert found == {
        ("index.html", "client-version", "todo"),
        ("Dockerfile", "worker-class", "note"),
        ("__init__.py", "no-effect", "note"),
        ("__init__.py", "proxy-fix", "note"),
        ("wsgi.py", "no-effect", "note"),
        ("requirements.txt", "not-needed", "note"),
    }
    assert report["changes"] == []


def test_its_own_tests_pass(migrated: Path, environ: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "check_chat.py"],
        cwd=migrated,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout
    assert "6 passed" in result.stdout


def test_events(client: Client, server: RunningServer) -> None:
    welcome = client.next_event()
    assert welcome[:2] == ("/", "welcome")
    assert welcome[2]["name"] == "ada"
    assert client.call("add", 1, 2) == 3
    assert client.call("fail") == "ValueError in fail"
    client.sio.send("hello")
    assert client.next_event() == ("/", "message", "ada: hello")
    assert requests.get(f"{server.url}/announce/now", timeout=TIMEOUT).text == "sent"
    assert client.next_event() == ("/", "announcement", "now")
    assert client.call("later", 3) is True
    assert [client.next_event() for _ in range(3)] == [("/", "tick", number) for number in range(3)]


def test_rooms(client: Client) -> None:
    assert client.next_event()[1] == "welcome"
    assert client.call("join", "tea", namespace="/rooms") == ["tea"]
    client.emit("say", "tea", {"bytes": b"\0\1"}, namespace="/rooms")
    assert client.next_event() == ("/rooms", "said", {"bytes": b"\0\1"})
    assert client.call("leave", "tea", namespace="/rooms") is True
    client.emit("say", "tea", "nobody hears it", namespace="/rooms")
    assert client.call("join", "milk", namespace="/rooms") == ["milk"]  # nothing came before it
    assert client.events.empty()


def test_a_refusal(server: RunningServer) -> None:
    client = Client("websocket")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(server.url)
    refused = ("/", "connect_error", {"message": "a name is needed", "data": {"field": "name"}})
    assert client.next_event() == refused


def test_disconnect(client: Client) -> None:
    assert client.next_event()[1] == "welcome"
    client.emit("bye")
    wait_until(lambda: "/" not in client.sio.namespaces)
