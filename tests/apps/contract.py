"""The Socket.IO app that the acceptance tests and foreign suites talk to.

``python contract.py --port N``, ``flask --app contract run`` or ``gunicorn contract:app``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from typing import Any

from app_options import command_line, configure_logging, process_figures, socketio_options
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from flask_realtime import (
    ConnectionRefusedError,
    SocketIO,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
)

FULL_NAMESPACES = ("/", "/a", "/b", "/auth")
CONNECT_ONLY_NAMESPACES = ("/custom",)


def describe(value: Any) -> dict[str, Any]:
    """What arrived, in a form in which a client can check text and binary without getting it back."""
    match value:
        case None:
            return {"t": "null"}
        case bool():
            return {"t": "bool", "v": value}
        case int() | float():
            return {"t": "number", "v": value}
        case str():
            utf16_units = len(value.encode("utf-16-le")) // 2
            return {"t": "string", "len": utf16_units, "sha1": hashlib.sha1(value.encode()).hexdigest()}
        case bytes() | bytearray():
            return {"t": "binary", "len": len(value), "sha1": hashlib.sha1(value).hexdigest()}
        case list() | tuple():
            return {"t": "array", "v": value}
        case dict():
            return {"t": "object", "v": value}
    raise TypeError(f"no descriptor for {type(value).__name__}")


class DisconnectLog:
    """The last 200 disconnects, and each as a line of a file when ``APP_DISCONNECT_LOG`` names one."""

    def __init__(self) -> None:
        self.entries: deque[dict[str, str]] = deque(maxlen=200)
        self.path = os.environ.get("APP_DISCONNECT_LOG")

    def add(self, entry: dict[str, str]) -> None:
        self.entries.append(entry)
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")


def register_lifecycle(socketio: SocketIO, namespace: str, log: DisconnectLog) -> None:
    @socketio.on("connect", namespace=namespace)
    def connect(auth=None):
        if namespace == "/auth" and auth != {"token": "secret"}:
            raise ConnectionRefusedError("not authorized", {"code": 42})
        emit("auth", {} if auth is None else auth)

    @socketio.on("disconnect", namespace=namespace)
    def disconnected(reason):
        log.add({"sid": request.sid, "nsp": namespace, "reason": reason})


def register_echoes(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("message", namespace=namespace)
    def message(*args):
        emit("message-back", args)

    @socketio.on("echo", namespace=namespace)
    def echo(*args):
        emit("echo-back", args)

    @socketio.on("message-with-ack", namespace=namespace)
    @socketio.on("echo-ack", namespace=namespace)
    def acknowledge(*args):
        return args

    @socketio.on("describe", namespace=namespace)
    def describe_all(*args):
        return [describe(value) for value in args]

    @socketio.on("ack-delay", namespace=namespace)
    def acknowledge_late(milliseconds, value):
        socketio.sleep(milliseconds / 1000)
        return value


def register_sources(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("make-binary", namespace=namespace)
    def make_binary(size):
        data = bytes(i % 256 for i in range(size))
        emit("binary", {"a": data, "b": [data, {"c": data}], "n": size})

    @socketio.on("big", namespace=namespace)
    def big(size):
        emit("big-back", "x" * size)

    @socketio.on("big-binary", namespace=namespace)
    def big_binary(size):
        emit("big-back", b"\x07" * size)

    @socketio.on("burst", namespace=namespace)
    def burst(count):
        for i in range(count):
            emit("burst-item", i)

    @socketio.on("call-me", namespace=namespace)
    def call_me(value):
        sid = request.sid

        def answered(*args):
            socketio.emit("call-result", args, to=sid, namespace=namespace)

        emit("request", value, callback=answered)


def register_rooms(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("join", namespace=namespace)
    def join(room):
        join_room(room)
        return "ok"

    @socketio.on("leave", namespace=namespace)
    def leave(room):
        leave_room(room)
        return "ok"

    @socketio.on("close-room", namespace=namespace)
    def close(room):
        close_room(room)
        return "ok"

    @socketio.on("to-room", namespace=namespace)
    def to_room(room, value):
        emit("room-msg", value, to=room)

    @socketio.on("to-room-others", namespace=namespace)
    def to_others_in_room(room, value):
        emit("room-msg", value, to=room, include_self=False)

    @socketio.on("broadcast", namespace=namespace)
    def broadcast(value):
        emit("broadcast-msg", value, broadcast=True)


def register_connection(socketio: SocketIO, namespace: str, log: DisconnectLog) -> None:
    @socketio.on("whoami", namespace=namespace)
    def whoami():
        return {"sid": request.sid, "nsp": request.namespace}

    @socketio.on("disconnect-me", namespace=namespace)
    def disconnect_me():
        disconnect()

    @socketio.on("raise", namespace=namespace)
    def fail(*args):
        raise RuntimeError("raised on purpose", *args)

    @socketio.on("last-disconnects", namespace=namespace)
    def last_disconnects():
        return list(log.entries)


def register_routes(app: Flask, socketio: SocketIO) -> None:
    @app.route("/healthz")
    def healthz() -> ResponseReturnValue:
        return "ok"

    @app.route("/emit")
    def emit_from_http() -> ResponseReturnValue:
        socketio.emit(request.args["event"], request.args["data"])
        return "ok"

    @app.route("/stats")
    def stats() -> ResponseReturnValue:
        return jsonify(socketio.stats() | process_figures())


def create_app() -> Flask:
    configure_logging()
    app = Flask("contract")
    socketio = SocketIO(app, **socketio_options())
    log = DisconnectLog()
    extra = [f"/extra{i}" for i in range(int(os.environ.get("APP_EXTRA_NAMESPACES", "0")))]
    for namespace in (*FULL_NAMESPACES, *CONNECT_ONLY_NAMESPACES, *extra):
        register_lifecycle(socketio, namespace, log)
    for namespace in FULL_NAMESPACES:
        register_echoes(socketio, namespace)
        register_sources(socketio, namespace)
        register_rooms(socketio, namespace)
        register_connection(socketio, namespace, log)
    register_routes(app, socketio)
    return app


app = create_app()

if __name__ == "__main__":
    port, options = command_line()
    app.extensions["socketio"].run(app, host="127.0.0.1", port=port, allow_unsafe_werkzeug=True, **options)
