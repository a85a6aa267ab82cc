"""Where a run takes place."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from .servers import NODE, processors

__all__ = ["machine", "versions"]

PACKAGES = (
    "flask-realtime", "flask", "werkzeug", "msgspec", "gevent", "gunicorn", "uvicorn", "uvloop", "httptools",
    "websockets", "flask-socketio", "python-socketio", "python-engineio", "simple-websocket",
    "gevent-websocket",
)  # fmt: skip


def machine() -> dict[str, str]:
    (server,), (generator,) = processors()
    apart = "one for the server, one for the load" if server != generator else "one for server and load"
    return {
        "processor": _processor(),
        "processors": f"{os.cpu_count()}; {apart}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def versions(compiled: bool) -> dict[str, str]:
    """Of everything that is measured; what is not installed is left out.

    :param compiled: the package is the compiled one.
    """
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if compiled and PACKAGES[0] in found:
        found[PACKAGES[0]] += " (compiled)"
    return found | _node_versions()


def _node_versions() -> dict[str, str]:
    manifest = NODE / "node_modules" / "socket.io" / "package.json"
    if shutil.which("node") is None or not manifest.exists():
        return {}
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return {
        "Node": node.stdout.strip().removeprefix("v"),
        "socket.io": json.loads(manifest.read_text())["version"],
    }
