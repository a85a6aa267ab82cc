"""Functions around events: before, after, at the end, and before a client connects."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from extension.conftest import Connect
from flask import Flask, g, redirect, request, session

from flask_realtime import ConnectionRefusedError, EventRefusedError, Namespace, SocketIO

Log = list[Any]
FINE, FALSE, REFUSED = {"token": "fine"}, {"token": "false"}, {"token": "refused"}


def record(log: Log, what: str, is_async: bool, answer: Any = None) -> Callable[..., Any]:
    """A hook, plain or a coroutine function, that writes itself down and returns ``answer(*args)``."""

    def hook(*args: Any) -> Any:
        log.append((what, *args))
        return answer(*args) if callable(answer) else answer

    async def hook_async(*args: Any) -> Any:
        await asyncio.sleep(0)
        return hook(*args)

    return hook_async if is_async else hook


@pytest.fixture(params=[False, True], ids=["plain-hooks", "async-hooks"])
def hooks_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["plain-handler", "async-handler"])
def handler_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class TestOrder:
    def test_as_in_flask(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        client = connect()
        log: Log = []

        def hook(what: str, answer: Any = None) -> Callable[..., Any]:
            return record(log, what, hooks_async, answer)

        socketio.before_event(namespace="/")(hook("before here"))
        socketio.before_event(hook("before 1"))
        socketio.before_event(hook("before 2"))
        socketio.after_event(hook("after 1", lambda result: [*result, 1]))
        socketio.after_event(hook("after 2", lambda result: [*result, 2]))
        socketio.after_event(namespace="/")(hook("after here", lambda result: [*result, "here"]))
        socketio.teardown_event(hook("teardown 1"))
        socketio.teardown_event(hook("teardown 2"))
        socketio.on("event")(record(log, "handler", handler_async, lambda value: [value]))

        assert client.emit("event", "x", callback=True) == ["x", "here", 2, 1]
        assert log == [
            ("before 1",),
            ("before 2",),
            ("before here",),
            ("handler", "x"),
            ("after here", ["x"]),
            ("after 2", ["x", "here"]),
            ("after 1", ["x", "here", 2]),
            ("teardown 2", None),
            ("teardown 1", None),
        ]

    def test_a_namespace_s_hooks_are_its_own(self, socketio: SocketIO, connect: Connect) -> None:
        log: Log = []
        socketio.before_event(namespace="/a")(record(log, "before", False))
        socketio.on("event", namespace="/a")(lambda: request.namespace)
        socketio.on("event", namespace="/b")(lambda: request.namespace)
        client = connect("/a")
        client.connect("/b")
        log.clear()
        assert client.emit("event", callback=True, namespace="/b") == "/b"
        assert log == []
        assert client.emit("event", callback=True, namespace="/a") == "/a"
        assert log == [("before",)]

    def test_they_are_there_for_apps_that_come_later(self) -> None:
        log: Log = []
        socketio = SocketIO()
        socketio.before_event(record(log, "early", False))
        for name in ("one", "two"):
            socketio.init_app(Flask(name))
        socketio.before_event(record(log, "late", False))
        for app in [Flask("three")]:
            socketio.init_app(app)
            socketio.test_client(app)
        assert log == [("early",), ("late",)]

    def test_what_cannot_be_called_is_refused(self, socketio: SocketIO) -> None:
        for register in (
            socketio.before_event,
            socketio.after_event,
            socketio.teardown_event,
            socketio.before_connect,
        ):
            with pytest.raises(TypeError, match="callable"):
                register(namespace="/")("no function")


class TestContext:
    def test_hooks_share_the_context_of_the_handler(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        seen: Log = []

        def load() -> None:
            g.user = f"{request.sid} {request.event['message']} {session.get('name')}"

        async def load_async() -> None:
            load()

        def close(error: BaseException | None) -> None:
            seen.append(g.user)

        async def close_async(error: BaseException | None) -> None:
            close(error)

        socketio.before_event(load_async if hooks_async else load)
        socketio.teardown_event(close_async if hooks_async else close)

        def who() -> str:
            session["name"] = "Ada"
            return str(g.user)

        async def who_async() -> str:
            return who()

        socketio.on("who")(who_async if handler_async else who)
        client = connect()
        first = client.emit("who", callback=True)
        second = client.emit("who", callback=True)
        assert first.endswith(" who None")
        assert second.endswith(" who Ada")
        assert seen[1:] == [first, second]

    def test_a_plain_hook_does_not_stop_the_event_loop(self, socketio: SocketIO, connect: Connect) -> None:
        threads: list[int] = []
        socketio.before_event(lambda: threads.append(threading.get_ident()))

        @socketio.on("where")
        async def where() -> None:
            threads.append(threading.get_ident())

        client = connect()
        threads.clear()
        client.emit("where")
        hook, handler = threads
        assert hook != handler

    def test_an_event_that_nobody_handles_has_no_hooks(self, socketio: SocketIO, connect: Connect) -> None:
        log: Log = []
        client = connect()
        socketio.before_event(record(log, "before", False))
        client.emit("nobody handles this")
        assert log == []


class TestAnswers:
    def test_what_a_before_hook_returns_is_the_answer(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        client = connect()
        log: Log = []
        socketio.before_event(record(log, "first", hooks_async, answer="not today"))
        socketio.before_event(record(log, "second", hooks_async))
        socketio.after_event(record(log, "after", hooks_async, lambda result: result.upper()))
        socketio.on("event")(record(log, "handler", handler_async))
        assert client.emit("event", callback=True) == "NOT TODAY"
        assert log == [("first",), ("after", "not today")]

    def test_nothing_keeps_a_disconnect_handler_from_running(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        log: Log = []
        client = connect()
        socketio.before_event(record(log, "before", False, answer="no"))
        socketio.on("disconnect")(record(log, "disconnect", False))
        client.disconnect()
        assert log == [("before",), ("disconnect", "client disconnect")]


class TestErrors:
    def test_an_error_goes_to_the_error_handler_and_its_answer_through_after(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        client = connect()
        log: Log = []
        socketio.after_event(record(log, "after", hooks_async, lambda result: result))
        socketio.teardown_event(record(log, "teardown", hooks_async))
        socketio.on_error_default(lambda error: f"handled {error}")

        def fail() -> None:
            raise LookupError("lost")

        async def fail_async() -> None:
            fail()

        socketio.on("fail")(fail_async if handler_async else fail)
        assert client.emit("fail", callback=True) == "handled lost"
        assert log == [("after", "handled lost"), ("teardown", None)]

    def test_teardown_gets_the_error_that_nobody_handles(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool
    ) -> None:
        client = connect()
        log: Log = []
        error = LookupError("lost")
        socketio.after_event(record(log, "after", hooks_async))
        socketio.teardown_event(record(log, "teardown", hooks_async))

        @socketio.on("fail")
        def fail() -> None:
            raise error

        with pytest.raises(LookupError):
            client.emit("fail")
        assert log == [("teardown", error)]

    def test_an_error_in_a_before_hook_is_the_event_s(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.on("event")(lambda: "not reached")
        socketio.on_error()(lambda error: f"handled {error!r}")

        @socketio.before_event
        def fail() -> None:
            raise LookupError

        assert client.emit("event", callback=True) == "handled LookupError()"

    def test_a_teardown_that_fails_is_logged_and_the_others_run(
        self, socketio: SocketIO, connect: Connect, caplog: pytest.LogCaptureFixture, hooks_async: bool
    ) -> None:
        client = connect()
        log: Log = []

        def fail(error: BaseException | None) -> None:
            raise LookupError("in teardown")

        async def fail_async(error: BaseException | None) -> None:
            fail(error)

        socketio.teardown_event(record(log, "teardown", hooks_async))
        socketio.teardown_event(fail_async if hooks_async else fail)
        socketio.on("event")(lambda: "fine")
        with caplog.at_level(logging.ERROR):
            assert client.emit("event", callback=True) == "fine"
        assert log == [("teardown", None)]
        assert "a teardown_event function failed" in caplog.text
        assert "in teardown" in caplog.text

    def test_an_event_can_be_refused(
        self,
        socketio: SocketIO,
        connect: Connect,
        caplog: pytest.LogCaptureFixture,
        hooks_async: bool,
        handler_async: bool,
    ) -> None:
        client = connect()
        log: Log = []
        socketio.on_error_default(record(log, "error handler", False))
        socketio.on("event")(record(log, "handler", handler_async))

        def refuse() -> None:
            raise EventRefusedError("too fast", {"retry": 3})

        async def refuse_async() -> None:
            refuse()

        socketio.before_event(refuse_async if hooks_async else refuse)
        answer = client.emit("event", callback=True)
        assert answer == {"error": {"message": "too fast", "data": {"retry": 3}}}
        assert client.emit("event") is None
        assert log == []
        assert socketio.refusals()["event refused"] == 2
        assert "Traceback" not in caplog.text


class TestConnecting:
    def test_a_middleware_gets_auth_and_may_refuse(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        log: Log = []

        def answer(auth: Any) -> Any:
            if auth == REFUSED:
                raise ConnectionRefusedError("no", {"code": 1})
            return auth != FALSE

        socketio.before_connect(record(log, "first", hooks_async, answer))
        socketio.before_connect(namespace="/")(record(log, "second", hooks_async))
        socketio.on("connect")(record(log, "connect", handler_async))
        assert connect(auth=FINE).is_connected()
        assert log == [("first", FINE), ("second", FINE), ("connect", FINE)]
        log.clear()
        client = connect(auth=REFUSED)
        assert client.refusals == {"/": {"message": "no", "data": {"code": 1}}}
        assert connect(auth=FALSE).refusals == {"/": {"message": "Connection rejected by server"}}
        assert log == [("first", REFUSED), ("first", FALSE)]

    @pytest.mark.parametrize("namespace_object", [False, True])
    @pytest.mark.parametrize("event", ["/known", "/other"])
    def test_it_is_asked_where_nobody_handles_connect(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, event: str, namespace_object: bool
    ) -> None:
        class Empty(Namespace):
            async def on_something(self) -> None: ...

        if namespace_object:
            socketio.on_namespace(Empty(event))
        else:
            socketio.on("something", namespace=event)(print)

        def refuse() -> bool:
            return False

        async def refuse_async() -> bool:
            return False

        socketio.before_connect(namespace="/known")(refuse_async if hooks_async else refuse)
        assert connect(event).is_connected(event) is (event == "/other")

    def test_it_is_not_asked_of_a_namespace_that_does_not_exist(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        log: Log = []
        socketio.before_connect(namespace="/nowhere")(record(log, "asked", False))
        assert connect("/nowhere").refusals["/nowhere"] == {"message": "Invalid namespace"}
        assert log == []

    def test_hooks_run_around_connect_and_disconnect_without_handlers(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        log: Log = []
        socketio.before_event(lambda: log.append((request.event["message"], *request.event["args"])))
        connect(auth=FINE).disconnect()
        assert log == [("connect", FINE), ("disconnect", "client disconnect")]

    def test_an_event_that_is_refused_on_connect_refuses_the_client(
        self, socketio: SocketIO, connect: Connect
    ) -> None:
        @socketio.before_event
        def refuse() -> None:
            raise EventRefusedError("members only")

        assert connect().refusals == {"/": {"message": "members only"}}


class TestNamespaceObjects:
    def test_hooks_run_around_their_methods(
        self, socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
    ) -> None:
        log: Log = []

        class Plain(Namespace):
            def on_connect(self) -> None:
                log.append("connect")

            def on_event(self, value: int) -> int:
                return value + int(g.one)

        class Async(Namespace):
            async def on_connect(self) -> None:
                log.append("connect")

            async def on_event(self, value: int) -> int:
                return value + int(g.one)

        def load() -> None:
            g.one = 1

        async def load_async() -> None:
            load()

        socketio.before_event(namespace="/n")(load_async if hooks_async else load)
        socketio.before_connect(namespace="/n")(record(log, "middleware", hooks_async))
        socketio.after_event(lambda result: result and [result])
        socketio.on_namespace(Async("/n") if handler_async else Plain("/n"))
        client = connect("/n", auth=FINE)
        assert log == [("middleware", FINE), "connect"]
        assert client.emit("event", 1, callback=True, namespace="/n") == [2]


def _refuse() -> bool:
    return False


def _fail() -> None:
    raise LookupError("on purpose")


class _WithErrorMethod(Namespace):
    def on_connect(self) -> None: ...

    def error(self, error: Exception) -> None: ...


class _OwnDispatch(Namespace):
    def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
        return getattr(self, "on_" + event)(*args)

    def on_connect(self, auth: Any) -> None: ...


class _OwnAsyncDispatch(Namespace):
    async def trigger_event(self, event: str, *args: Any) -> Any:
        return None


class _OwnNames(Namespace):
    def trigger_event(self, event: str, sid: str, *args: Any) -> Any:
        return super().trigger_event("my_" + event, sid, *args)

    def on_my_connect(self, auth: Any) -> None: ...


class TestNobodyGetsAround:
    """Where a hook refuses a client, or could not be asked, the client is not let in."""

    @pytest.mark.parametrize("check", [_refuse, _fail, lambda: redirect("/login")])
    @pytest.mark.parametrize(
        "kind", [None, _WithErrorMethod, _OwnDispatch, _OwnAsyncDispatch, _OwnNames], ids=str
    )
    def test_whatever_takes_the_event(
        self, socketio: SocketIO, connect: Connect, kind: type[Namespace] | None, check: Callable[[], Any]
    ) -> None:
        if kind is None:
            socketio.on("connect", namespace="/chat")(lambda: True)
        else:
            socketio.on_namespace(kind("/chat"))
        socketio.before_connect(check)
        try:
            assert not connect("/chat").is_connected("/chat")
        except LookupError:
            assert check is _fail  # the test client raises it

    def test_not_by_an_error_handler(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_error_default(lambda error: None)
        socketio.on_event("connect", lambda: True)
        socketio.before_connect(_fail)
        assert not connect().is_connected()

    def test_not_by_an_answer(self, socketio: SocketIO, connect: Connect, hooks_async: bool) -> None:
        socketio.on_event("connect", lambda: True)
        socketio.before_event(record([], "before", hooks_async, {"error": "too fast"}))
        assert not connect().is_connected(), "the handler that could have let it in did not run"

    @pytest.mark.parametrize("answer", [lambda auth: False, lambda auth: redirect("/login")])
    def test_not_by_what_changes_the_result(
        self, socketio: SocketIO, connect: Connect, answer: Callable[[Any], Any], handler_async: bool
    ) -> None:
        socketio.on_event("connect", record([], "connect", handler_async, answer))
        socketio.after_event(lambda result: {"value": result})
        assert not connect().is_connected()

    def test_the_star_means_all_namespaces(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on("event", namespace="/chat")(lambda: "answer")
        socketio.before_event(namespace="*")(lambda: "before" if request.event["args"] == () else None)
        assert connect("/chat").emit("event", callback=True, namespace="/chat") == "before"
        socketio.before_connect(namespace="*")(_refuse)
        assert not connect("/chat").is_connected("/chat")


def test_a_refusal_does_not_keep_disconnect_from_its_handler(
    socketio: SocketIO, connect: Connect, hooks_async: bool, handler_async: bool
) -> None:
    log: Log = []
    client = connect()

    def refuse() -> None:
        raise EventRefusedError("no")

    socketio.before_event(record(log, "before", hooks_async, refuse))
    socketio.on("disconnect")(record(log, "handler", handler_async))
    client.disconnect()
    assert log == [("before",), ("handler", "client disconnect")]
