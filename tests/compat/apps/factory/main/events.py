import functools

from flask import request, session

from flask_realtime import disconnect, emit, join_room, leave_room

from .. import socketio


def named_only(f):
    @functools.wraps(f)
    def wrapped(*args, **kwargs):
        if "name" not in session:
            disconnect()
            return None
        return f(*args, **kwargs)

    return wrapped


@socketio.on("joined", namespace="/chat")
@named_only
def joined(message):
    join_room(session["room"])
    emit("status", {"msg": f"{session['name']} has entered the room."}, to=session["room"])


@socketio.on("text", namespace="/chat")
@named_only
def text(message):
    emit("message", {"msg": f"{session['name']}: {message['msg']}"}, room=session.get("room"))


@socketio.on("left", namespace="/chat")
@named_only
def left(message):
    leave_room(session["room"])
    emit("status", {"msg": f"{session['name']} has left the room."}, room=session["room"])


@socketio.on("fail", namespace="/chat")
def fail(message):
    raise LookupError(message)


@socketio.on_error("/chat")
def chat_error(error):
    return f"{request.event['message']}: {error}"
