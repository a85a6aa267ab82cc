"""Sources that emit to rooms from threads of their own, a class-based namespace, served by ``app.run()``."""

import os
import threading
import time

from flask import Flask

from flask_realtime import Namespace, SocketIO, join_room, leave_room

NAMESPACE = "/sources"
socketio = SocketIO()


class Source(threading.Thread):
    def __init__(self, name):
        super().__init__(daemon=True)
        self.source = name
        self.values = []

    def run(self):
        while True:
            self.values.append(len(self.values))
            socketio.emit(
                event="value",
                data={"source": self.source, "value": self.values[-1]},
                namespace=NAMESPACE,
                room=self.source,
            )
            time.sleep(0.05)


sources = {name: Source(name) for name in ("one", "two")}


class Sources(Namespace):
    @staticmethod
    def on_watch(name):
        join_room(name)
        return sources[name].values

    @staticmethod
    def on_unwatch(name):
        leave_room(name)


app = Flask(__name__)
socketio.init_app(app)
socketio.on_namespace(Sources(NAMESPACE))


@app.route("/")
def index():
    return "sources"


if __name__ == "__main__":
    for source in sources.values():
        source.start()
    app.run(port=int(os.environ["PORT"]))
