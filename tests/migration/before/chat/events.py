from flask import request, session
from flask_socketio import (
    ConnectionRefusedError,  # of the extension, not Python's
    disconnect,
    emit,
    send,
)
import flask_socketio as fs

from chat import socketio


@socketio.on("connect")
def connect(auth):
    if not auth or "name" not in auth:
        raise ConnectionRefusedError("a name is needed", {"field": "name"})
    session["name"] = auth["name"]
    emit("welcome", {"name": auth["name"], "sid": request.sid})


@socketio.on("disconnect")
def leave(reason):
    socketio.emit("left", (session["name"], reason))


@socketio.on("message")
def message(text):
    send(f"{session['name']}: {text}", broadcast=True)


@socketio.event
def add(a, b):
    return a + b


@socketio.event
def bye():
    disconnect()


@socketio.on("fail")
def fail():
    raise ValueError("on purpose")


@socketio.on_error_default
def error(exception):
    return f"{type(exception).__name__} in {request.event['message']}"


@socketio.on("later")
def later(count):
    def work(sid):
        for number in range(count):
            socketio.sleep(0.01)
            socketio.emit("tick", number, room=sid)

    socketio.start_background_task(work, request.sid)
    return fs.rooms() == [request.sid]
