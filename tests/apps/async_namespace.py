"""The contract app's handlers once more, as coroutine functions."""

from __future__ import annotations

import asyncio
from typing import Any

from emitting import NumberedEmitter
from flask import current_app, g, request, session

from flask_realtime import (
    SocketIO,
    call_async,
    close_room,
    disconnect,
    emit,
    join_room,
    leave_room,
)

#: asyncio itself keeps only weak references to tasks.
_tasks: set[asyncio.Task[None]] = set()


def register(socketio: SocketIO, namespace: str, log: Any) -> None:
    """:param log: the contract app's log of disconnects."""
    _register_lifecycle(socketio, namespace, log)
    _register_echoes(socketio, namespace)
    _register_sources(socketio, namespace)
    _register_rooms(socketio, namespace)
    _register_connection(socketio, namespace, log)


def _register_lifecycle(socketio: SocketIO, namespace: str, log: Any) -> None:
    @socketio.on("connect", namespace=namespace)
    async def connect(auth=None):
        await asyncio.sleep(0)
        if isinstance(auth, dict) and "name" in auth:
            session["name"] = auth["name"]
        emit("auth", {} if auth is None else auth)

    @socketio.on("disconnect", namespace=namespace)
    async def disconnected(reason):
        await asyncio.sleep(0)
        log.add({"sid": request.sid, "nsp": namespace, "reason": reason})


def _register_echoes(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("message", namespace=namespace)
    async def message(*args):
        emit("message-back", args)

    @socketio.on("echo", namespace=namespace)
    async def echo(*args):
        await asyncio.sleep(0)
        emit("echo-back", args)

    @socketio.on("message-with-ack", namespace=namespace)
    @socketio.on("echo-ack", namespace=namespace)
    async def acknowledge(*args):
        await asyncio.sleep(0)
        return args

    @socketio.on("ack-delay", namespace=namespace)
    async def acknowledge_late(milliseconds, value):
        await asyncio.sleep(milliseconds / 1000)
        return value


def _register_sources(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("burst", namespace=namespace)
    async def burst(count):
        for i in range(count):
            emit("burst-item", i)

    @socketio.on("call-me", namespace=namespace)
    async def call_me(value):
        answer = await call_async("request", value)
        emit("call-result", () if answer is None else answer)

    @socketio.on("emit-from", namespace=namespace)
    async def emit_from(source, count):
        emitter = NumberedEmitter(socketio, source, count, request.sid, namespace)
        if source == "coroutine":
            await _emit_with_pauses(emitter)
        elif source == "task":
            task = asyncio.create_task(_emit_with_pauses(emitter))
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
        else:
            emitter.start()


async def _emit_with_pauses(emitter: NumberedEmitter) -> None:
    for number in range(emitter.count):
        emitter.emit(number)
        await asyncio.sleep(0)


def _register_rooms(socketio: SocketIO, namespace: str) -> None:
    @socketio.on("join", namespace=namespace)
    async def join(room):
        await asyncio.sleep(0)
        join_room(room)
        return "ok"

    @socketio.on("leave", namespace=namespace)
    async def leave(room):
        leave_room(room)
        return "ok"

    @socketio.on("close-room", namespace=namespace)
    async def close(room):
        close_room(room)
        return "ok"

    @socketio.on("to-room", namespace=namespace)
    async def to_room(room, value):
        await asyncio.sleep(0)
        emit("room-msg", value, to=room)

    @socketio.on("to-room-others", namespace=namespace)
    async def to_others_in_room(room, value):
        emit("room-msg", value, to=room, include_self=False)

    @socketio.on("broadcast", namespace=namespace)
    async def broadcast(value):
        emit("broadcast-msg", value, broadcast=True)


def _register_connection(socketio: SocketIO, namespace: str, log: Any) -> None:
    @socketio.on("whoami", namespace=namespace)
    async def whoami():
        await asyncio.sleep(0)
        return {"sid": request.sid, "nsp": request.namespace}

    @socketio.on("context", namespace=namespace)
    async def context(value):
        g.value = value
        await asyncio.sleep(0.05)
        return [request.sid, request.namespace, g.value, current_app.name, session.get("name")]

    @socketio.on("disconnect-me", namespace=namespace)
    async def disconnect_me():
        disconnect()

    @socketio.on("raise", namespace=namespace)
    async def fail(*args):
        await asyncio.sleep(0)
        raise RuntimeError("raised on purpose", *args)

    @socketio.on("last-disconnects", namespace=namespace)
    async def last_disconnects():
        return list(log.entries)
