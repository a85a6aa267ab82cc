"""The app that ``test_run.py`` starts.

``python run_app.py '{"port": 5000, ...}'``: the arguments of ``run()``.
"""

from __future__ import annotations

import json
import os
import sys

if os.environ.get("APP_PATCH") == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif os.environ.get("APP_PATCH") == "eventlet":
    import eventlet

    eventlet.monkey_patch()

from typing import Any

from flask import Flask

from flask_realtime import SocketIO, emit

app = Flask("run_app")
app.config["SERVER_NAME"] = os.environ.get("APP_SERVER_NAME")
app.config["SOCKETIO_ASYNC_MODE"] = os.environ.get("APP_ASYNC_MODE")
socketio = SocketIO(app)


def say(line: str) -> None:
    """Write a line in one piece, whatever is logged meanwhile."""
    os.write(1, f"{line}\n".encode())


@app.route("/pid")
def pid() -> str:
    return str(os.getpid())


@app.route("/fail")
def fail() -> str:
    raise LookupError("on purpose")


@socketio.on("echo")
def echo(*args: Any) -> Any:
    return args


@socketio.on("slow")
def slow() -> str:
    emit("started")
    socketio.sleep(0.5)
    return "finished"


@socketio.on("stop")
def stop() -> str:
    assert socketio.wsgi_server is not None
    socketio.stop()
    return "stopping"


@socketio.on("disconnect")
def disconnected(reason: str) -> None:
    say(f"disconnected: {reason}")


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    if "ssl_context" in options:
        options["ssl_context"] = tuple(options["ssl_context"])
    try:
        socketio.run(app, **options)
    except KeyboardInterrupt:
        say("interrupted")
        raise
    say(f"run() has returned, {socketio.wsgi_server}")
