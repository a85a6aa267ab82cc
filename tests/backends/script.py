"""Scripts in processes of their own: for what patches a process, forks it or ends it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
QUIET = 'import warnings\nwarnings.filterwarnings("ignore", "\\nEventlet is deprecated")\n'
PATCHES = {
    "": "",
    "gevent": "import gevent.monkey\ngevent.monkey.patch_all()\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
}
#: an app with an extension object
APP = """
import asyncio, os, signal, sys, threading, time
from flask import Flask, g, request
from flask_realtime import Namespace, SocketIO, call, call_async, emit
from flask_realtime.backends.patching import original
from extension.test_async_handlers import Client, until

app = Flask("app")
app.secret_key = "only for tests"
socketio = SocketIO(app, drain_timeout=0.5)
"""
every_library = pytest.mark.parametrize("library", ["gevent", "eventlet"])
every_patch = pytest.mark.parametrize("library", PATCHES)


def run_script(script: str, library: str = "", *, setup: str = "", timeout: float = 20) -> str:
    """What a script has printed. It must end with status 0, and must not complain.

    :param library: what patches its process, before anything else is imported.
    :param setup: comes before it, such as :data:`APP`.
    """
    source = QUIET + PATCHES[library] + setup + textwrap.dedent(script)
    process = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", source],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=TESTS,
        env={"PYTHONPATH": f"{TESTS.parent}:{TESTS}", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, ""), process.stdout + process.stderr
    return process.stdout


@functools.cache
def _results(parts: tuple[tuple[str, str], ...], library: str, setup: str) -> dict[str, str]:
    script = f"""
import json as _json, traceback as _traceback
_results = {{}}
for _name, _part in {parts!r}:
    try:
        exec(compile(_part, _name, "exec"), globals())
    except BaseException:
        _results[_name] = _traceback.format_exc()
print(_json.dumps(_results))
"""
    failed: dict[str, str] = json.loads(run_script(script, library, setup=setup, timeout=60).splitlines()[-1])
    return failed


def run_part(name: str, parts: dict[str, str], library: str, setup: str) -> None:
    """One of several scripts that share a process, which is what takes the time."""
    shared = tuple((key, textwrap.dedent(part)) for key, part in parts.items())
    failure = _results(shared, library, setup).get(name)
    assert failure is None, failure


def until(condition: Callable[[], Any], what: str = "it happens", seconds: float = 5.0) -> None:
    """Wait for something that other threads do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.001)
