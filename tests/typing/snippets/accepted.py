"""What a typed app may write. It is read by type checkers, and not run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

import flask
from flask import Blueprint, Flask
from flask.json.provider import DefaultJSONProvider
from typing_extensions import assert_type

from flask_realtime import (
    ConnectionRefusedError,
    EngineIO,
    EventGroup,
    EventRequest,
    Namespace,
    SocketIO,
    SocketIOTestClient,
    call,
    call_async,
    close_room,
    disconnect,
    emit,
    guard,
    join_room,
    leave_room,
    login_required,
    request,
    role_required,
    rooms,
    send,
)
from flask_realtime.globals import EventInfo
from flask_realtime.options import SocketIOOptions
from flask_realtime.protocol.socketio import JSONSerializer, MsgpackSerializer, MsgspecJSON
from flask_realtime.server.raw import RawSession

app = Flask(__name__)
socketio = SocketIO(app)

# Decorated functions keep their own types.


@socketio.on("say")
@socketio.on("whisper", namespace="/chat")
def say(text: str, times: int = 1) -> list[str]:
    return [text] * times


@socketio.event
def bare(text: str) -> int:
    return len(text)


@socketio.event()
def with_parentheses(text: str) -> int:
    return len(text)


@socketio.event("/chat")
def in_namespace(text: str) -> int:
    return len(text)


@socketio.event(namespace="/chat")
async def asynchronous(text: str) -> bytes:
    assert_type(await call_async("question"), Any)
    return text.encode()


@socketio.on_error()
@socketio.on_error("/chat")
@socketio.on_error_default
def on_error(error: Exception) -> dict[str, str]:
    return {"error": str(error)}


@socketio.before_event
def before() -> None: ...


@socketio.before_event(namespace="/chat")
async def before_async() -> str | None:
    return None


@socketio.after_event
def after(result: Any) -> Any:
    return result


@socketio.teardown_event()
def teardown(error: BaseException | None) -> None: ...


@socketio.before_connect
def may_connect(auth: Any) -> bool:
    if auth is None:
        raise ConnectionRefusedError("no", {"code": 1})
    return True


@socketio.on("publish")
@guard(lambda: True, "no")
@login_required
@role_required("editor")
def publish(article: dict[str, Any]) -> float:
    return len(article) / 2


assert_type(say("x", times=2), list[str])
assert_type(bare("x"), int)
assert_type(with_parentheses("x"), int)
assert_type(in_namespace("x"), int)
assert_type(on_error(ValueError()), dict[str, str])
assert_type(before(), None)
assert_type(may_connect(1), bool)
assert_type(publish({}), float)


async def use_asynchronous() -> None:
    assert_type(await asynchronous("x"), bytes)
    assert_type(await before_async(), "str | None")
    assert_type(await socketio.call_async("question", 1, to="sid"), Any)


socketio.on_event("late", lambda *args: args, namespace="*")
chat = EventGroup(Blueprint("chat", __name__), namespace="/chat")


@chat.on("say")
def say_in_group(text: str) -> None: ...


@chat.on_error
def group_error(error: Exception) -> int:
    return 1


assert_type(group_error(ValueError()), int)


class Room(Namespace):
    def on_connect(self, auth: dict[str, Any] | None = None) -> None:
        self.enter_room(request.sid, "lobby")
        assert_type(self.rooms(request.sid), list[Hashable])
        self.emit("hello", {"a": 1}, to=["lobby", 1], include_self=False, callback=print)

    async def on_say(self, text: str) -> str:
        assert_type(await self.call_async("question", text, to=request.sid), Any)
        with self.session(request.sid) as session:
            assert_type(session, dict[str, Any])
        return text

    def trigger_event(self, event: str, *args: Any) -> Any:
        return super().trigger_event(event, *args)


socketio.on_namespace(Room("/room"))

# The request of an event.


class AppRequest(flask.Request):
    user: str


class AppEventRequest(AppRequest, EventRequest):
    pass


def of_the_request() -> None:
    assert_type(request.sid, str)
    assert_type(request.namespace, str)
    assert_type(request.event, EventInfo)
    assert_type(request.event["message"], "str | None")
    assert_type(request.event["args"], tuple[Any, ...])
    assert_type(request.args.get("token"), "str | None")
    assert_type(cast("AppEventRequest", flask.request).sid, str)
    assert_type(cast("AppEventRequest", flask.request).user, str)


# The functions for handlers.


def in_a_handler() -> None:
    emit("event")
    emit("event", 1, "two", namespace="/a", to="room", broadcast=True, include_self=False, volatile=True)
    emit("event", ("one", 2), room=["a", 1], skip_sid=["sid"], callback=lambda answer: None)
    send({"a": 1}, json=True, to=("a", "b"), callback=print)
    assert_type(call("question", 1, to="sid", timeout=None), Any)
    join_room(("chat", 1))
    leave_room("room", sid="sid", namespace="/a")
    close_room("room")
    assert_type(rooms(), list[Hashable])
    disconnect("sid", namespace="/a", silent=True)


def anywhere() -> None:
    socketio.emit("event", {"a": [b"binary"]}, to="room", skip_sid="sid")
    socketio.send("text", namespace="/a")
    assert_type(socketio.call("question", to="sid", timeout=0.5), Any)
    assert_type(socketio.stats(), dict[str, int])
    socketio.start_background_task(say, "x", times=2).join()
    socketio.sleep(0.5)
    client = socketio.test_client(app, "/chat", auth={"token": 1})
    assert_type(client, SocketIOTestClient)
    assert_type(client.emit("say", "x", callback=True), Any)
    socketio.run(app, "127.0.0.1", 5000, debug=True, keyfile="key.pem", threaded=True)


# Options.


def allowed(origin: str) -> bool:
    return origin.endswith(".example")


def allowed_here(origin: str, environ: Mapping[str, Any]) -> bool:
    return environ["HTTP_HOST"] in origin


class PacketClass:
    def encode(self) -> str:
        return "2"


SocketIO(ping_interval=(25, 5), ping_timeout=0.5, transports=["websocket"], async_mode=None, path="sio")
SocketIO(app, cors_allowed_origins=allowed, cookie={"name": "io", "max-age": lambda: 1}, namespaces="*")
SocketIO(app, cors_allowed_origins=allowed_here, cookie="io", namespaces={"/a"}, logger=logging.getLogger())
SocketIO(app, json=flask.json, serializer="default")
SocketIO(app, json=json)
SocketIO(app, json=DefaultJSONProvider(app))
SocketIO(app, serializer=PacketClass)
SocketIO(app, serializer=JSONSerializer(MsgspecJSON(default=str)))
SocketIO(app, serializer=MsgpackSerializer())
options: SocketIOOptions = {"async_mode": "gevent", "max_queued_bytes": 1}
SocketIO(app, **options)
settings: dict[str, Any] = {"manage_session": False}
SocketIO(app, **settings)
socketio.init_app(app, resource="sio", engineio_logger=True)

# The engine by itself.

engine = EngineIO(app, "eio", max_http_buffer_size=1, cors_allowed_origins=["https://a.example"])


@engine.on_message
def echo(session: RawSession, data: str | bytes) -> int:
    session.send(data)
    return len(data)


@engine.on_disconnect
async def gone(session: RawSession, reason: str) -> None:
    assert_type(session.sid, str)


as_callable: Callable[[RawSession, str], int] = echo
engine.init_app(app, path="eio2", ping_interval=1)
