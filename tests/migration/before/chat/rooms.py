from flask_socketio.namespace import Namespace
from flask_socketio import close_room, emit, join_room, leave_room, rooms

from chat import socketio


class Rooms(Namespace):
    def on_connect(self):
        pass

    def on_join(self, room):
        join_room(room)
        emit("joined", room, to=room, include_self=False)
        return sorted(set(rooms()) & {room})

    def on_say(self, room, data):
        emit("said", data, room=room)

    def on_leave(self, room):
        leave_room(room)
        return True

    def on_close(self, room):
        close_room(room)
        return True


socketio.on_namespace(Rooms("/rooms"))
