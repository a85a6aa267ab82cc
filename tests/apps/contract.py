"""The Socket.IO app that the acceptance tests and foreign suites talk to.

``python contract.py --port N``, ``flask --app contract run``, ``gunicorn contract:app`` or
``uvicorn contract:asgi_app``.
"""

from __future__ import annotations

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
import hashlib
import importlib.util
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from app_options import command_line, configure_logging, process_figures, socketio_options, switched_on
from emitting import NumberedEmitter
from flask import Flask, Response, current_app, g, jsonify, request, session
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


class Log:
    """The last 200 entries, and each as a line of the file that an environment variable names, if it does."""

    def __init__(self, variable: str) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=200)
        self.path = os.environ.get(variable)

    def add(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")


def register_lifecycle(socketio: SocketIO, namespace: str, log: Log) -> None:
    @socketio.on("connect", namespace=namespace)
    def connect(auth=None):
        if namespace == "/auth" and auth != {"token": "secret"}:
            raise ConnectionRefusedError("not authorized", {"code": 42})
        if isinstance(auth, dict) and "name" in auth:
            session["name"] = auth["name"]
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

    @socketio.on("block", namespace=namespace)
    def block(milliseconds, value):
        time.sleep(milliseconds / 1000)
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


def register_numbers(socketio: SocketIO, namespace: str, log: Log) -> None:
    @socketio.on("record", namespace=namespace)
    def record(number):
        log.add({"sid": request.sid, "number": number})
        emit("recorded", number)
        return number

    @socketio.on("emit-from", namespace=namespace)
    def emit_from(source, count):
        NumberedEmitter(socketio, source, count, request.sid, namespace).start()


def register_connection(socketio: SocketIO, namespace: str, log: Log) -> None:
    @socketio.on("whoami", namespace=namespace)
    def whoami():
        return {"sid": request.sid, "nsp": request.namespace}

    @socketio.on("context", namespace=namespace)
    def context(value):
        g.value = value
        socketio.sleep(0.05)
        return [request.sid, request.namespace, g.value, current_app.name, session.get("name")]

    @socketio.on("disconnect-me", namespace=namespace)
    def disconnect_me():
        disconnect()

    @socketio.on("close-me", namespace=namespace)
    def close_me(seconds):
        """Say goodbye after a while, and close the connection."""
        socketio.sleep(seconds)
        emit("goodbye")
        socketio.server.eio.disconnect(socketio.server.manager.eio_sid_from_sid(request.sid, namespace))

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

    @app.route("/emit-numbered")
    def emit_numbered_from_http() -> ResponseReturnValue:
        source, count, sid = request.args["source"], int(request.args["count"]), request.args["to"]
        NumberedEmitter(socketio, source, count, sid, "/").start()
        return "ok"

    @app.route("/stats")
    def stats() -> ResponseReturnValue:
        return jsonify(socketio.stats() | process_figures())


def register_views(app: Flask) -> None:
    """What has nothing to do with Socket.IO, to be served beside it."""

    @app.route("/body", methods=["POST"])
    def body() -> ResponseReturnValue:
        return Response(request.get_data(), mimetype="application/octet-stream")

    @app.route("/stream")
    def stream() -> ResponseReturnValue:
        count = int(request.args["count"])

        def chunks() -> Iterator[str]:
            for number in range(count):
                yield f"chunk {number}\n"

        return Response(chunks(), mimetype="text/plain")

    @app.route("/cookie")
    def cookie() -> ResponseReturnValue:
        """Gives back the cookie that came, and sets the one that is asked for."""
        response = Response(request.cookies.get("taste", ""))
        response.set_cookie("taste", request.args["taste"])
        return response


def create_app() -> Flask:
    configure_logging()
    app = Flask("contract")
    app.secret_key = "for tests only"
    socketio = SocketIO(app, **socketio_options())
    log = Log("APP_DISCONNECT_LOG")
    received = Log("APP_RECEIVED_LOG")
    extra = [f"/extra{i}" for i in range(int(os.environ.get("APP_EXTRA_NAMESPACES", "0")))]
    for namespace in (*FULL_NAMESPACES, *CONNECT_ONLY_NAMESPACES, *extra):
        register_lifecycle(socketio, namespace, log)
    for namespace in FULL_NAMESPACES:
        register_echoes(socketio, namespace)
        register_sources(socketio, namespace)
        register_rooms(socketio, namespace)
        register_numbers(socketio, namespace, received)
        register_connection(socketio, namespace, log)
    if switched_on("APP_ASYNC_HANDLERS_NAMESPACE"):
        import async_namespace  # Flask-SocketIO could not even import it

        async_namespace.register(socketio, "/async", log)
    register_routes(app, socketio)
    register_views(app)
    return app


app = create_app()
socketio: SocketIO = app.extensions["socketio"]
asgi_app = socketio.asgi_app(app) if importlib.util.find_spec("a2wsgi") else None

if __name__ == "__main__":
    port, options = command_line()
    socketio.run(app, host="127.0.0.1", port=port, **options)
