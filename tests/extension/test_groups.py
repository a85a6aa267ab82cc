"""Handlers that come to an app with a blueprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, request

from flask_realtime import ConnectionRefusedError, EventGroup, Namespace, SocketIO

Order = Callable[[Flask, Blueprint], SocketIO]


def socketio_first(app: Flask, blueprint: Blueprint) -> SocketIO:
    socketio = SocketIO(app)
    app.register_blueprint(blueprint)
    return socketio


def blueprint_first(app: Flask, blueprint: Blueprint) -> SocketIO:
    app.register_blueprint(blueprint)
    return SocketIO(app)


def factory(app: Flask, blueprint: Blueprint) -> SocketIO:
    socketio = SocketIO()
    parent = Blueprint("parent", "parent")
    parent.register_blueprint(blueprint)
    app.register_blueprint(parent)
    socketio.init_app(app)
    return socketio


@pytest.fixture(params=[socketio_first, blueprint_first, factory])
def set_up(request: pytest.FixtureRequest) -> Order:
    order: Order = request.param
    return order


@pytest.fixture
def blueprint() -> Blueprint:
    return Blueprint("chat", "chat")


def test_handlers_come_with_the_blueprint(app: Flask, blueprint: Blueprint, set_up: Order) -> None:
    events = EventGroup(blueprint, namespace="/chat")

    @events.on("say")
    def say(text: str) -> str:
        return f"{request.namespace} {text}"

    @events.event
    def shout(text: str) -> str:
        return text.upper()

    @events.on("say", namespace="/other")
    def say_other(text: str) -> str:
        return f"other {text}"

    events.on_event("*", lambda event, *args: event)
    socketio = set_up(app, blueprint)
    client = socketio.test_client(app, "/chat")
    client.connect("/other")
    assert client.emit("say", "hi", callback=True, namespace="/chat") == "/chat hi"
    assert client.emit("shout", "hi", callback=True, namespace="/chat") == "HI"
    assert client.emit("anything", callback=True, namespace="/chat") == "anything"
    assert client.emit("say", "hi", callback=True, namespace="/other") == "other hi"


def test_handlers_may_come_later_than_the_blueprint(app: Flask, blueprint: Blueprint, set_up: Order) -> None:
    events = EventGroup(blueprint)
    socketio = set_up(app, blueprint)
    events.on("late")(lambda: "in time")
    assert socketio.test_client(app).emit("late", callback=True) == "in time"


def test_without_a_blueprint(app: Flask) -> None:
    events = EventGroup()
    events.on("event")(lambda: "here")
    socketio = SocketIO(app)
    events.init_app(app)
    events.init_app(app)
    assert socketio.test_client(app).emit("event", callback=True) == "here"


def test_a_group_is_only_in_the_apps_that_have_it(blueprint: Blueprint) -> None:
    EventGroup(blueprint).on("event")(lambda: "here")
    socketio = SocketIO()
    socketio.on("common")(lambda: "common")
    with_it, without = Flask("with"), Flask("without")
    with_it.register_blueprint(blueprint)
    for app in (with_it, without):
        socketio.init_app(app)
    assert socketio.test_client(with_it).emit("event", callback=True) == "here"
    assert socketio.test_client(without).emit("event", callback=True) is None
    for app in (with_it, without):
        assert socketio.test_client(app).emit("common", callback=True) == "common"


def test_one_blueprint_in_two_apps(blueprint: Blueprint) -> None:
    EventGroup(blueprint).on("event")(lambda: "here")
    for name in ("one", "two"):
        app = Flask(name)
        socketio = socketio_first(app, blueprint)
        assert socketio.test_client(app).emit("event", callback=True) == "here"


def test_exact_handlers_go_before_catch_alls_whoever_has_registered_them(
    app: Flask, blueprint: Blueprint, set_up: Order
) -> None:
    events = EventGroup(blueprint)
    events.on("exact")(lambda: "group")
    events.on("*")(lambda event: "group *")
    socketio = set_up(app, blueprint)
    socketio.on("other")(lambda: "app")
    client = socketio.test_client(app)
    assert [client.emit(event, callback=True) for event in ("exact", "other", "more")] == [
        "group",
        "app",
        "group *",
    ]


def test_hooks_are_for_the_group_s_handlers_and_inside_the_app_s(
    app: Flask, blueprint: Blueprint, set_up: Order
) -> None:
    log: list[Any] = []
    events = EventGroup(blueprint)

    def hook(name: str) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            log.append(name)
            return args[0] if args else None

        return hook

    events.before_event(hook("group before"))
    events.before_event(namespace="/elsewhere")(hook("not here"))
    events.after_event(hook("group after"))
    events.teardown_event(hook("group teardown"))
    events.on("in group")(lambda: log.append("handler"))
    socketio = set_up(app, blueprint)
    socketio.before_event(hook("app before"))
    socketio.after_event(hook("app after"))
    socketio.teardown_event(hook("app teardown"))
    socketio.on("in app")(lambda: log.append("handler"))
    client = socketio.test_client(app)
    log.clear()
    client.emit("in group")
    assert log == [
        "app before",
        "group before",
        "handler",
        "group after",
        "app after",
        "group teardown",
        "app teardown",
    ]
    log.clear()
    client.emit("in app")
    assert log == ["app before", "handler", "app after", "app teardown"]


def test_errors_go_to_the_group_s_handler_first(app: Flask, blueprint: Blueprint, set_up: Order) -> None:
    events = EventGroup(blueprint)
    events.on("fail")(lambda: 1 // 0)
    socketio = set_up(app, blueprint)
    socketio.on_error_default(lambda error: "app")
    socketio.on("fail in app")(lambda: 1 // 0)
    client = socketio.test_client(app)
    assert client.emit("fail", callback=True) == "app"
    events.on_error(lambda error: f"group: {type(error).__name__}")
    assert client.emit("fail", callback=True) == "group: ZeroDivisionError"
    assert client.emit("fail in app", callback=True) == "app"
    with pytest.raises(TypeError):
        events.on_error("no function")


def test_before_connect_is_for_the_group_s_namespace(app: Flask, blueprint: Blueprint, set_up: Order) -> None:
    events = EventGroup(blueprint, namespace="/members")
    events.on("event")(lambda: "in")

    @events.before_connect
    def check(auth: Any) -> None:
        if not auth:
            raise ConnectionRefusedError("members only")

    socketio = set_up(app, blueprint)
    assert socketio.test_client(app).is_connected()
    assert socketio.test_client(app, "/members").refusals == {"/members": {"message": "members only"}}
    assert socketio.test_client(app, "/members", auth={"token": 1}).is_connected("/members")


def test_namespace_objects_in_a_group(app: Flask, blueprint: Blueprint, set_up: Order) -> None:
    class Chat(Namespace):
        def on_say(self, text: str) -> str:
            self.emit("said", text)
            return text

    events = EventGroup(blueprint)
    events.on_namespace(Chat("/chat"))
    events.after_event(lambda result: result and result + "!")
    socketio = set_up(app, blueprint)
    client = socketio.test_client(app, "/chat")
    assert client.emit("say", "hi", callback=True, namespace="/chat") == "hi!"
    assert client.get_received("/chat") == [{"name": "said", "args": ["hi"], "namespace": "/chat"}]


def test_a_blueprint_that_is_registered_takes_no_more_groups(app: Flask, blueprint: Blueprint) -> None:
    app.register_blueprint(blueprint)
    with pytest.raises(AssertionError):
        EventGroup(blueprint)
