"""What monkey-patching has missed, in processes of their own: the real ``flask`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import servers

from flask_realtime.servers.choice import is_installed

PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all({})",
    "eventlet": "import eventlet; eventlet.monkey_patch({})",
}
APP = """
from flask import Flask
from flask_realtime import SocketIO

app = Flask(__name__)
app.secret_key = "not empty"
socketio = SocketIO(app)
"""
libraries = pytest.mark.parametrize("library", PATCH)
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, require: Callable[[str, object], None]) -> Run:
    """The report on an app that begins with these lines."""

    def run(*lines: str, **modules: str) -> dict[str, Any]:
        for library in PATCH:
            if any(f"import {library}" in line or f"from {library}" in line for line in lines):
                require(library, is_installed(library))
        (tmp_path / "app.py").write_text("\n".join(lines) + APP)
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "flask", "realtime", "doctor", "--json", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), servers.PACKAGE_PATH))},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.stdout, result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        report["found"] = {finding["code"]: finding for finding in report["findings"]}
        report["found"].pop("eventlet", None)
        assert result.returncode == any(f["severity"] == "error" for f in report["findings"])
        return report

    return run


def patch(library: str, arguments: str = "") -> str:
    return PATCH[library].format(arguments)


@libraries
def test_patched_first(run: Run, library: str) -> None:
    imports = "import requests, socketio, websocket, apscheduler.schedulers.background"
    report = run(patch(library), imports)
    assert report["patched_by"] == report["run"]["server"] == library
    assert report["endpoints"][0]["handlers"] == f"greenlets of {library}"
    assert not report["found"]


@libraries
def test_patched_after_requests(run: Run, library: str) -> None:
    finding = run("import requests", patch(library))["found"]["late-patching"]
    assert finding["severity"] == "error"
    assert "urllib3.util.ssl_: ssl.SSLContext" in finding["what"]
    assert "RecursionError" in finding["consequence"]


@libraries
@pytest.mark.parametrize(
    ("held", "name"),
    [
        ("from socket import socket", "socket.socket"),
        ("from socket import create_connection as connect", "socket.create_connection"),
        ("from time import sleep", "time.sleep"),
        ("from select import select", "select.select"),
        ("from subprocess import Popen", "subprocess.Popen"),
        ("from queue import SimpleQueue", "queue.SimpleQueue"),
        ("from threading import Lock", "threading.Lock"),
        ("import threading; lock = threading.Lock()", "a threading.Lock made before"),
        ("import threading; mine = threading.local()", "a threading.local made before"),
        ("import threading\nclass Mine(threading.local): pass", "a subclass of threading.local"),
        ("import socket\nclass Mine(socket.socket): pass", "a subclass of socket.socket"),
    ],
)
def test_what_a_module_holds(run: Run, library: str, held: str, name: str) -> None:
    finding = run("import mine", patch(library), mine=held)["found"]["late-patching"]
    assert finding["severity"] == "warning"
    assert f"mine: {name}" in finding["what"]


def test_events_are_replaced_by_gevent_only(run: Run) -> None:
    held = "from threading import Event"
    assert (
        "mine: threading.Event"
        in run("import mine", patch("gevent"), mine=held)["found"]["late-patching"]["what"]
    )
    assert not run("import mine", patch("eventlet"), mine=held)["found"]  # its locks are enough


@libraries
def test_the_same_after_patching(run: Run, library: str) -> None:
    held = """
        import threading
        from queue import SimpleQueue
        from select import select
        from socket import create_connection, socket
        from ssl import SSLContext
        from subprocess import Popen
        from threading import Event, Lock, RLock, local
        from time import sleep

        lock, rlock, mine = Lock(), RLock(), local()

        class Mine(local):
            pass
    """
    assert not run(patch(library), "import mine", mine=held)["found"]


def test_modules_that_hold_what_is_not_replaced(run: Run) -> None:
    held = "import socket, threading\nfrom time import monotonic\ndef f(): return socket.socket()"
    assert not run("import mine", patch("gevent"), mine=held)["found"]


@pytest.mark.parametrize(
    ("library", "arguments", "missing"),
    [
        ("gevent", "thread=False", "threads"),
        ("gevent", "socket=False", "socket"),
        ("gevent", "ssl=False", "ssl"),
        ("gevent", "time=False", "time"),
        ("eventlet", "socket=True, select=True", "threads and time"),
        ("eventlet", "thread=False", "threads"),
    ],
)
def test_partially(run: Run, library: str, arguments: str, missing: str) -> None:
    found = run(patch(library, arguments))["found"]
    assert found["partial-patching"]["what"].endswith(f"but not {missing}")


def test_both(run: Run) -> None:
    assert (
        run(patch("gevent", "thread=False"), patch("eventlet", "socket=True"))["found"]["two-patchers"][
            "severity"
        ]
        == "error"
    )


def test_a_library_that_is_only_imported(run: Run) -> None:
    report = run("import gevent.monkey, gevent.socket, eventlet.patcher", "import requests")
    assert report["patched_by"] is None
    assert set(report["found"]) == {"blocking-driver"}
    assert "requests" in report["found"]["blocking-driver"]["what"]


@pytest.mark.parametrize(("callback", "shown"), [("None", True), ("print", False)])
def test_psycopg2(run: Run, callback: str, shown: bool) -> None:
    drivers = f"""
        import sys
        from types import ModuleType
        sys.modules["psycopg2"] = ModuleType("psycopg2")
        sys.modules["psycopg2.extensions"] = extensions = ModuleType("psycopg2.extensions")
        extensions.get_wait_callback = lambda: {callback}
    """
    found = run(patch("gevent"), "import drivers", drivers=drivers)["found"]
    assert ("native-driver" in found) is shown
    assert "blocking-driver" not in found


@pytest.mark.parametrize("lines", [("import MySQLdb",), (patch("gevent"), "import MySQLdb")])
def test_mysqldb(run: Run, lines: tuple[str, ...]) -> None:
    found = run(*lines, MySQLdb="")["found"]
    assert set(found) == {"native-driver" if len(lines) > 1 else "blocking-driver"}
