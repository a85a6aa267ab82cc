"""A dashboard: one background task for all clients, started by the first of them."""

import os
from threading import Lock

from flask import Flask, copy_current_request_context, request, session

from flask_realtime import SocketIO, disconnect, emit

app = Flask(__name__)
app.config["SECRET_KEY"] = "secret!"
socketio = SocketIO(
    app,
    async_mode=os.environ["ASYNC_MODE"],
    cors_allowed_origins="*",
    logger=True,
    engineio_logger=True,
    ping_timeout=60,
    ping_interval=25,
)
thread = None
thread_lock = Lock()


def measure():
    count = 0
    while True:
        socketio.sleep(0.05)
        count += 1
        socketio.emit("reading", {"count": count})


@app.route("/")
def index():
    return socketio.async_mode


@socketio.event
def connect():
    global thread
    with thread_lock:
        if thread is None or not thread.is_alive():
            thread = socketio.start_background_task(measure)
    emit("status", {"clients": len(socketio.server.eio.sockets)})


@socketio.event
def visit():
    session["visits"] = session.get("visits", 0) + 1
    emit("visits", session["visits"])


@socketio.event
def leave():
    @copy_current_request_context
    def goodbye():
        disconnect()

    emit("status", {"data": "goodbye"}, callback=goodbye)


@socketio.on("disconnect")
def gone():
    print(f"gone {request.sid}\n", end="")  # in one piece: the log goes to the same place


if __name__ == "__main__":
    socketio.run(
        app,
        host="127.0.0.1",
        port=os.environ["PORT"],
        debug=True,
        log_output=True,
        allow_unsafe_werkzeug=True,
    )
