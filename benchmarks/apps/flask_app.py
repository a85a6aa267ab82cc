"""The Flask app, on Flask-Realtime or Flask-SocketIO: ``python -m benchmarks.apps.flask_app PORT``.

For gunicorn it is ``benchmarks.apps.flask_app:app``, for uvicorn ``benchmarks.apps.flask_app:asgi_app()``.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from flask import Flask

from . import computing, settings

extension: Any = importlib.import_module(settings.EXTENSION)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(__name__)
app.config["SECRET_KEY"] = "benchmarks"
mode = {} if settings.MODE == "asgi" else {"async_mode": settings.MODE}
socketio = extension.SocketIO(app, **mode, **settings.options())
emit = extension.emit


@app.get("/")
def index() -> str:
    return "ready"


def echo(data: Any) -> None:
    emit("echo", data)


def ack(data: Any) -> Any:
    return data


def broadcast(data: Any) -> None:
    emit("broadcast", data, broadcast=True)


def room(name: str, data: Any) -> None:
    emit("room", data, to=name)


def join(name: str) -> str:
    extension.join_room(name)
    return name


def leave(name: str) -> str:
    extension.leave_room(name)
    return name


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


def compute(seconds: float) -> str:
    computing.compute(seconds)
    return "done"


async def sleep_async(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def as_coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def handler(*arguments: Any) -> Any:
        return function(*arguments)

    return handler


for handler in (echo, ack, broadcast, room, join, leave):
    on_loop = settings.HANDLERS == "async"
    socketio.on_event(handler.__name__, as_coroutine(handler) if on_loop else handler)
socketio.on_event("sleep", sleep_async if settings.HANDLERS == "async" else sleep)
# A coroutine that computes would hold up all others. So what computes is a plain function always.
socketio.on_event("compute", compute)


def asgi_app() -> Any:
    """A factory: ``uvicorn --factory``."""
    return socketio.asgi_app(app)


def main(port: int) -> None:
    arguments = {"allow_unsafe_werkzeug": True} if settings.MODE == "threading" else {}
    socketio.run(app, host="127.0.0.1", port=port, **arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]))
