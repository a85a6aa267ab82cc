"""Raw Engine.IO: whatever a client sends comes back unchanged.

``python engine_echo.py --port N``, ``flask --app engine_echo run``, ``gunicorn engine_echo:app`` or
``uvicorn engine_echo:asgi_app``.
"""

from __future__ import annotations

import importlib.util
import time

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
from collections import deque

from app_options import command_line, configure_logging, engine_options, process_figures
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from flask_realtime import EngineIO


def create_app() -> Flask:
    configure_logging()
    app = Flask("engine_echo")
    engine = EngineIO(app, path="engine.io", **engine_options())
    app.extensions["engine_echo"] = engine
    sessions = {}
    disconnects: deque[dict[str, str]] = deque(maxlen=200)

    @engine.on_connect
    def connected(session):
        sessions[session.sid] = session

    @engine.on_message
    def echo(session, data):
        session.send(data)

    @engine.on_disconnect
    def disconnected(session, reason):
        sessions.pop(session.sid, None)
        disconnects.append({"sid": session.sid, "reason": reason})

    @app.route("/healthz")
    def healthz() -> ResponseReturnValue:
        return "ok"

    @app.route("/stats")
    def stats() -> ResponseReturnValue:
        return jsonify(engine.stats() | process_figures())

    @app.route("/disconnects")
    def last_disconnects() -> ResponseReturnValue:
        return jsonify(list(disconnects))

    @app.route("/close/<sid>", methods=["POST"])
    def close(sid: str) -> ResponseReturnValue:
        deadline = time.monotonic() + 2
        while sid not in sessions and time.monotonic() < deadline:
            time.sleep(0.01)  # its connect handler is about to run
        sessions[sid].close()
        return "ok"

    return app


app = create_app()
engine: EngineIO = app.extensions["engine_echo"]
asgi_app = engine.asgi_app(app) if importlib.util.find_spec("a2wsgi") else None

if __name__ == "__main__":
    port, options = command_line()
    engine.run(app, host="127.0.0.1", port=port, **options)
