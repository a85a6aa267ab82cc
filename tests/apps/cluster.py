"""One of several servers behind a message queue, whose clients can have it do anything to anybody's.

``python cluster.py --port N``, ``gunicorn cluster:app`` or ``uvicorn cluster:asgi_app``.
"""

from __future__ import annotations

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
import importlib.util
import multiprocessing
import os
from typing import Any

from app_options import command_line, configure_logging, process_figures, socketio_options
from flask import Flask, jsonify, request

from flask_realtime import (
    SocketIO,
    call,
    call_async,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
)

configure_logging()
app = Flask("cluster")
socketio = SocketIO(app, **socketio_options())
asgi_app = socketio.asgi_app(app) if importlib.util.find_spec("a2wsgi") else None


@socketio.on("join")
def on_join(room: Any, sid: str | None = None) -> str:
    join_room(room, sid)
    return "ok"


@socketio.on("leave")
def on_leave(room: Any, sid: str | None = None) -> str:
    leave_room(room, sid)
    return "ok"


@socketio.on("close")
def on_close(room: Any) -> str:
    close_room(room)
    return "ok"


@socketio.on("emit")
def on_emit(event: str, value: Any, options: dict[str, Any]) -> str:
    emit(event, value, **options)
    return "ok"


@socketio.on("emit-async")
async def on_emit_async(event: str, value: Any, options: dict[str, Any]) -> str:
    emit(event, value, **options)
    return "ok"


@socketio.on("call-async")
async def on_call_async(event: str, value: Any, sid: str) -> Any:
    return await call_async(event, value, to=sid, timeout=10)


@socketio.on("numbers")
def on_numbers(count: int, room: str) -> str:
    for number in range(count):
        emit("number", number, to=room)
    return "ok"


@socketio.on("call")
def on_call(event: str, value: Any, sid: str) -> Any:
    return call(event, value, to=sid, timeout=10)


@socketio.on("ask")
def on_ask(event: str, value: Any, target: str) -> str:
    asker = request.sid  # type: ignore[attr-defined]

    def answered(*values: Any) -> None:
        socketio.emit("answered", [request.sid == asker, *values], to=asker)  # type: ignore[attr-defined]

    emit(event, value, to=target, callback=answered)
    return "ok"


@socketio.on("fork")
def on_fork(event: str) -> str:
    sid = request.sid  # type: ignore[attr-defined]

    def work() -> None:
        socketio.emit(event, "to all")
        socketio.emit(event, "to one", to=sid)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
    return "ok"


@socketio.on("disconnect-other")
def on_disconnect_other(sid: str) -> str:
    disconnect(sid)
    return "ok"


@socketio.on("disconnect")
def on_disconnect(reason: str) -> None:
    socketio.emit("gone", [request.sid, reason])  # type: ignore[attr-defined]


@app.route("/healthz")
def healthz() -> str:
    return "ok"


@app.route("/emit")
def emit_from_http() -> str:
    socketio.emit(request.args["event"], request.args["data"])
    return "ok"


@app.route("/stats")
def stats() -> Any:
    return jsonify(socketio.stats() | process_figures() | {"pid": os.getpid()})


@app.route("/refusals")
def refusals() -> Any:
    return jsonify(socketio.refusals())


if __name__ == "__main__":
    port, options = command_line()
    socketio.run(app, host="127.0.0.1", port=port, **options)
