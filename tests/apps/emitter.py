"""A process without an app: it emits what its arguments say, through the queue, and ends.

``python emitter.py URL CHANNEL COUNT [MODE]``; MODE is ``fork`` for a child of multiprocessing.
"""

from __future__ import annotations

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
import multiprocessing
import sys

from app_options import configure_logging

from flask_realtime import SocketIO


def emit_numbers(socketio: SocketIO, count: int, source: str) -> None:
    for number in range(count):
        socketio.emit("number", [source, number])


if __name__ == "__main__":
    configure_logging()
    url, channel, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    socketio = SocketIO(message_queue=url, channel=channel)
    emit_numbers(socketio, count, "parent")
    if sys.argv[4:] == ["fork"]:
        child = multiprocessing.get_context("fork").Process(
            target=emit_numbers, args=(socketio, count, "child")
        )
        child.start()
        child.join()
        sys.exit(child.exitcode)
