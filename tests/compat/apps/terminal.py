"""A shell in the browser: connect forks a process on a pseudo terminal, and a task forwards what it says."""

import os
import pty
import select

from flask import Flask

from flask_realtime import SocketIO

app = Flask(__name__)
app.config["SECRET_KEY"] = "secret!"
app.config["fd"] = None
app.config["child_pid"] = None
socketio = SocketIO(app, async_mode=os.environ["ASYNC_MODE"])


def forward():
    while True:
        socketio.sleep(0.01)
        ready, _, _ = select.select([app.config["fd"]], [], [], 0)
        if ready:
            try:
                output = os.read(app.config["fd"], 20_000).decode(errors="ignore")
            except OSError:
                return
            socketio.emit("output", {"output": output}, namespace="/pty")


@app.route("/")
def index():
    return "a terminal"


@socketio.on("connect", namespace="/pty")
def connect():
    if app.config["child_pid"]:
        return
    child_pid, fd = pty.fork()
    if child_pid == 0:
        os.execvp("sh", ["sh"])
    app.config["fd"] = fd
    app.config["child_pid"] = child_pid
    socketio.start_background_task(target=forward)


@socketio.on("input", namespace="/pty")
def write(data):
    os.write(app.config["fd"], data["input"].encode())


if __name__ == "__main__":
    socketio.run(app, debug=False, port=int(os.environ["PORT"]), host="127.0.0.1")
