"""The app that is measured: ``python -m benchmarks.app PORT``, or ``gunicorn benchmarks.app:app``.

The same handlers for both extensions: ``BENCHMARK_EXTENSION`` names the module to build them on.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from flask import Flask

from .procfs import allow_descriptors

allow_descriptors()
extension: Any = importlib.import_module(os.environ.get("BENCHMARK_EXTENSION", "flask_realtime"))
app = Flask(__name__)
socketio = extension.SocketIO(app, async_mode="threading")


@app.get("/")
def index() -> str:
    return "ready"


def echo(data: Any) -> None:
    extension.emit("echo", data)


def ack(data: Any) -> Any:
    return data


def broadcast(data: Any) -> None:
    extension.emit("broadcast", data, broadcast=True)


for handler in (echo, ack, broadcast):
    socketio.on_event(handler.__name__, handler)

if __name__ == "__main__":
    socketio.run(app, host="127.0.0.1", port=int(sys.argv[1]), allow_unsafe_werkzeug=True)
