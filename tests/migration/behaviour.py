"""What ``docs/migrating.md`` says of both extensions, tried with the one that is named: prints JSON.

::

    python behaviour.py flask_socketio
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import importlib
import json
import logging
import math
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from flask import Flask, abort, redirect, request, session

extension: Any = importlib.import_module(sys.argv[1])
outcomes: dict[str, Any] = {}


def outcome(function: Callable[[], Any]) -> None:
    """Keep what a function returns, or the name of the exception that it raises."""
    try:
        outcomes[function.__name__] = function()
    except Exception as error:
        outcomes[function.__name__] = type(error).__name__


def make(**options: Any) -> tuple[Flask, Any]:
    app = Flask("app")
    app.config["SECRET_KEY"] = "not a secret"
    return app, extension.SocketIO(app, async_mode="threading", **options)


def arguments_of(*args: Any, **kwargs: Any) -> Any:
    """What a client gets from an emit; None where nothing arrives."""
    app, socketio = make()
    client = socketio.test_client(app)
    socketio.emit("event", *args, **kwargs)
    received = client.get_received()
    return received[0]["args"] if received else None


def get(app: Flask, query: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(f"/socket.io/?EIO=4&transport=polling{query}", headers=named)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


class Poller:
    """A client with long polling, connected."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()
        opened = self.client.get("/socket.io/?EIO=4&transport=polling").get_data(as_text=True)
        self.handshake = json.loads(opened[1:])
        self.url = f"/socket.io/?EIO=4&transport=polling&sid={self.handshake['sid']}"
        self.post("40")
        self.poll()

    def post(self, *packets: str) -> int:
        return self.client.post(self.url, data="\x1e".join(packets), content_type="text/plain").status_code

    def poll(self) -> str:
        return self.client.get(self.url).get_data(as_text=True)


@outcome
def emit_none() -> Any:
    return arguments_of(None)


@outcome
def emit_nothing() -> Any:
    return arguments_of()


@outcome
def emit_to_nobody() -> Any:
    return arguments_of("secret", to=[])


@outcome
def emit_several_in_a_handler() -> Any:
    app, socketio = make()
    socketio.on("ask")(lambda: extension.emit("event", 1, 2))
    client = socketio.test_client(app)
    client.emit("ask")
    return client.get_received()[0]["args"]


@outcome
def emit_none_of_a_namespace() -> Any:
    app, socketio = make()
    namespace = type("Chat", (extension.Namespace,), {"on_ask": lambda self: self.emit("event", None)})
    socketio.on_namespace(namespace("/chat"))
    client = socketio.test_client(app, "/chat")
    client.emit("ask", namespace="/chat")
    return client.get_received("/chat")[0]["args"]


@outcome
def redirect_in_connect() -> bool:
    app, socketio = make()
    socketio.on("connect")(lambda: redirect("/login"))
    return bool(socketio.test_client(app).is_connected())


@outcome
def abort_in_a_handler() -> Any:
    app, socketio = make()
    socketio.on("event")(lambda: abort(403, "not for you"))
    return socketio.test_client(app).emit("event", callback=True)


@outcome
def lost_session() -> int:
    """How often it is said."""
    app, socketio = make(manage_session=False)
    socketio.on("event")(lambda: session.update(key="value"))
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    client = socketio.test_client(app)
    client.emit("event")
    client.emit("event")
    logging.getLogger().removeHandler(handler)
    return len(said)


@outcome
def emit_nan() -> Any:
    [value] = arguments_of(math.nan)
    return value


for value in (
    datetime.date(2020, 1, 1),
    decimal.Decimal("1.5"),
    uuid.UUID(int=1),
    {1},
    dataclasses.make_dataclass("Point", ["x"])(1),
):
    try:
        outcomes[f"emit_{type(value).__name__.lower()}"] = bool(arguments_of(value))
    except TypeError:
        outcomes[f"emit_{type(value).__name__.lower()}"] = False


@outcome
def unknown_option() -> Any:
    return bool(make(ping_intervall=5))


@outcome
def option_in_the_config() -> Any:
    app = Flask("app")
    app.config["SOCKETIO_PING_TIMEOUT"] = 7
    extension.SocketIO(app, async_mode="threading")
    return Poller(app).handshake["pingTimeout"]


@outcome
def half_a_second() -> Any:
    return Poller(make(ping_interval=0.5)[0]).handshake["pingInterval"]


@outcome
def type_error_in_disconnect() -> Any:
    app, socketio = make()

    @socketio.on("disconnect")
    def disconnect(reason: str) -> None:
        raise TypeError("the handler's own")

    client = socketio.test_client(app)
    try:
        client.disconnect()
    except TypeError as error:
        return str(error)


@outcome
def forwarded_scheme() -> Any:
    headers = {"Host": "chat.example", "Origin": "https://chat.example", "X_Forwarded_Proto": "https"}
    return get(make()[0], **headers).status_code


@outcome
def another_origin() -> Any:
    return get(make()[0], Host="chat.example", Origin="https://other.example").status_code


@outcome
def credentials_for_any_origin() -> Any:
    response = get(make(cors_allowed_origins="*")[0], Origin="https://other.example")
    return response.headers.get("Access-Control-Allow-Credentials")


@outcome
def jsonp() -> Any:
    return get(make()[0], "&j=0").status_code


@outcome
def twenty_packets() -> Any:
    app, socketio = make(async_handlers=False)
    calls: list[str] = []
    socketio.on("event")(lambda: calls.append("event"))
    socketio.on("after")(lambda: calls.append("after"))
    poller = Poller(app)
    poller.post(*['42["event"]'] * 20)
    poller.post('42["after"]')
    wait_for(lambda: "after" in calls)
    return len(calls)


@outcome
def unknown_namespace() -> Any:
    poller = Poller(make()[0])
    poller.post("40/nope,")
    return poller.poll()


@outcome
def event_named_connect() -> Any:
    app, socketio = make(async_handlers=False)
    calls = []
    socketio.on("connect")(lambda auth=None: calls.append("connect"))
    socketio.on("after")(lambda: calls.append("after"))
    poller = Poller(app)
    poller.post('42["connect"]')
    if poller.post('42["after"]') == 200:  # the session lives
        wait_for(lambda: "after" in calls)
    return calls


@outcome
def length_of_sid() -> Any:
    app, socketio = make()
    sids = []
    socketio.on("connect")(lambda auth=None: sids.append(request.sid))  # type: ignore[attr-defined]
    socketio.test_client(app)
    return len(sids[0])


@outcome
def json_of_another_server() -> Any:
    # The last one: with Flask-SocketIO, it changes all servers of the process.
    class Shouting:
        loads = staticmethod(json.loads)

        @staticmethod
        def dumps(data: Any, **kwargs: Any) -> str:
            return json.dumps(data, **kwargs).upper()

    app, _ = make()
    make(json=Shouting)
    return get(app).get_data(as_text=True)[:7]


print(json.dumps(outcomes))
