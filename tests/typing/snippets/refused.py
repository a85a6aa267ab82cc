"""What a type checker must refuse: every line that ends with ``# error``, and no other."""

from __future__ import annotations

from flask import Flask

from flask_realtime import EngineIO, Namespace, SocketIO, call, emit, join_room, request, send
from flask_realtime.options import SocketIOOptions

app = Flask(__name__)
socketio = SocketIO(app)
engine = EngineIO(app)


@socketio.on("say")
def say(text: str) -> int:
    return len(text)


@socketio.event(namespace="/chat")
async def slow(text: str) -> int:
    return len(text)


# Functions that were decorated, as they were before.
say(1)  # error
say("x", "y")  # error
number: str = say("x")  # error
slow_number: int = slow("x")  # error

# Decorators.
socketio.on()  # error
socketio.on(say)  # error
socketio.on(1)  # error
socketio.event(1)  # error
socketio.event(name="say")  # error
socketio.on_event("say")  # error
socketio.on_event("say", "not a function")  # error
socketio.on_error_default("not a function")  # error
socketio.on_namespace(Namespace)  # error
socketio.on_namespace("/chat")  # error
engine.on_message("not a function")  # error

# Emitting.
emit()  # error
emit(1)  # error
emit("event", nmaespace="/chat")  # error
emit("event", callback="not a function")  # error
send()  # error
call(timeout=1)  # error
call("question", timeout="1")  # error
join_room()  # error
join_room(["not", "hashable"])  # error
socketio.emit()  # error
socketio.emit("event", include_slef=False)  # error
socketio.call("question", to=["one", "two"])  # error
socketio.sleep("1")  # error

# Options.
SocketIO(app, unknwon_option=1)  # error
SocketIO(app, ping_interval="25")  # error
SocketIO(app, ping_interval=(1, 2, 3))  # error
SocketIO(app, async_mode="tornado")  # error
SocketIO(app, transports=["carrier pigeon"])  # error
SocketIO(app, cors_allowed_origins=1)  # error
SocketIO(app, serializer="pickle")  # error
SocketIO(app, json=object())  # error
SocketIO(app, logger="INFO")  # error
SocketIO("app")  # error
EngineIO(app, serializer="msgpack")  # error
EngineIO(app, namespaces="*")  # error
socketio.init_app()  # error
socketio.init_app(app, pth="sio")  # error
engine.init_app(app, manage_session=False)  # error
misspelt: SocketIOOptions = {"ping_intervall": 1}  # error

# The request.
print(request.sdi)  # error
print(request.event["arguments"])  # error
request.sid = 1  # error
