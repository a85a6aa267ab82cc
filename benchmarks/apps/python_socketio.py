"""python-socketio without Flask: ``uvicorn benchmarks.apps.python_socketio:app``."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio

from . import computing, settings

server: Any = socketio.AsyncServer(async_mode="asgi", **settings.options())


async def ready(scope: Any, receive: Any, send: Any) -> None:
    """What is not Socket.IO's."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ready"})


app: Any = socketio.ASGIApp(server, ready)


async def echo(sid: str, data: Any) -> None:
    await server.emit("echo", data, to=sid)


async def ack(sid: str, data: Any) -> Any:
    return data


async def broadcast(sid: str, data: Any) -> None:
    await server.emit("broadcast", data)


async def room(sid: str, name: str, data: Any) -> None:
    await server.emit("room", data, room=name)


async def join(sid: str, name: str) -> str:
    await server.enter_room(sid, name)
    return name


async def leave(sid: str, name: str) -> str:
    await server.leave_room(sid, name)
    return name


async def sleep(sid: str, seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def compute(sid: str, seconds: float) -> str:
    computing.compute(seconds)
    return "done"


for handler in (echo, ack, broadcast, room, join, leave, sleep, compute):
    server.on(handler.__name__, handler)
