"""What Flask itself offers, in handlers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from flask import Flask, current_app, g, request, session, url_for
from integrations.conftest import Connect, RealClient, Style
from jinja2 import FileSystemLoader
from werkzeug.local import LocalProxy

from flask_realtime import SocketIO, emit

SIGNALS = (
    flask.request_started,
    flask.request_finished,
    flask.request_tearing_down,
    flask.appcontext_pushed,
    flask.appcontext_popped,
    flask.appcontext_tearing_down,
    flask.got_request_exception,
    flask.template_rendered,
)


def test_urls(app: Flask, socketio: SocketIO, connect: Connect, style: Style) -> None:
    app.add_url_rule("/users/<name>", "user", lambda name: name)

    @socketio.on("urls")
    @style
    def urls() -> list[str]:
        return [url_for("user", name="ada"), url_for("user", name="ada", _external=True), request.base_url]

    expected = ["/users/ada", "http://localhost/users/ada", "http://localhost/socket.io/"]
    assert connect().emit("urls", callback=True) == expected


def test_urls_of_a_real_client(app: Flask, socketio: SocketIO, style: Style, url: str) -> None:
    app.add_url_rule("/users/<name>", "user", lambda name: name)
    socketio.on_event("url", style(lambda: url_for("user", name="ada", _external=True)))
    with RealClient(url) as client:
        assert client.call("url") == f"{url}/users/ada"


def test_templates(app: Flask, socketio: SocketIO, connect: Connect, style: Style, tmp_path: Any) -> None:
    (tmp_path / "hello.html").write_text(
        "{{ request.sid }}|{{ session.color }}|{{ g.value }}|{{ added }}|{{ config.COLOR }}|{{ name }}"
    )
    app.jinja_loader = FileSystemLoader(tmp_path)  # type: ignore[misc]
    app.config["COLOR"] = "red"
    app.context_processor(lambda: {"added": "by a context processor"})

    @socketio.on("render")
    @style
    def render(name: str) -> list[str]:
        g.value, session["color"] = "g's", "session's"
        return [request.sid, flask.render_template("hello.html", name=name)]

    sid, text = connect().emit("render", "<ada>", callback=True)
    assert text == f"{sid}|session&#39;s|g&#39;s|by a context processor|red|&lt;ada&gt;"


def test_flash(socketio: SocketIO, connect: Connect, style: Style) -> None:
    """Within an event, and from one to the next of the same client."""

    @socketio.on("flash")
    @style
    def flash(text: str) -> None:
        flask.flash(text, "warning")

    @socketio.on("flashed")
    @style
    def flashed() -> list[Any]:
        return [flask.get_flashed_messages(with_categories=True) for _ in range(2)]

    client = connect()
    client.emit("flash", "careful")
    assert client.emit("flashed", callback=True) == [[["warning", "careful"]]] * 2
    assert client.emit("flashed", callback=True) == [[], []]


def test_after_this_request_is_never_called(socketio: SocketIO, connect: Connect, style: Style) -> None:
    """There is no response that it could change; nor does one of a later request get it."""
    called: list[Any] = []

    @socketio.on("event")
    @style
    def handler() -> str:
        @flask.after_this_request
        def after(response: flask.Response) -> flask.Response:
            called.append(response)
            return response

        return "fine"

    client = connect()
    assert [client.emit("event", callback=True) for _ in range(2)] == ["fine", "fine"]
    assert called == []


def test_copy_current_request_context(socketio: SocketIO, connect: Connect, style: Style) -> None:
    @socketio.on("event")
    @style
    def handler() -> list[Any]:
        g.value, session["color"] = "the handler's", "red"
        seen: list[Any] = []

        @flask.copy_current_request_context
        def elsewhere() -> None:
            seen.extend([request.sid == sid, session["color"], g.get("value"), current_app.name])

        sid = request.sid
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return seen

    assert connect().emit("event", callback=True) == [True, "red", None, "app"]


def test_copy_current_request_context_outlives_the_event(socketio: SocketIO, style: Style, url: str) -> None:
    """A thread that goes on may emit to the client."""
    returned = threading.Event()
    threads: list[threading.Thread] = []

    @socketio.on("event")
    @style
    def handler() -> str:
        @flask.copy_current_request_context
        def later() -> None:
            returned.wait(10)
            emit("later", request.sid)

        threads.append(threading.Thread(target=later))
        threads[0].start()
        return request.sid

    with RealClient(url) as client:
        sid = client.call("event")
        returned.set()
        assert client.client.wait_event("later") == [sid]
    threads[0].join()


def test_asyncio_to_thread(socketio: SocketIO, connect: Connect) -> None:
    """It takes the context along: for what blocks."""

    @socketio.on("event")
    async def handler() -> list[Any]:
        g.value = "the handler's"

        def blocking() -> list[Any]:
            return [request.sid, g.value, current_app.name]

        sid, *others = await asyncio.to_thread(blocking)
        return [sid == request.sid, *others]

    assert connect().emit("event", callback=True) == [True, "the handler's", "app"]


def test_tasks_of_a_coroutine(socketio: SocketIO, connect: Connect) -> None:
    """They have the event's context, each other's too."""

    @socketio.on("event")
    async def handler() -> list[Any]:
        g.values = []

        async def add(value: int) -> str:
            await asyncio.sleep(0)
            g.values.append(value)
            return request.sid

        sids = await asyncio.gather(*(add(value) for value in range(3)))
        return [set(sids) == {request.sid}, sorted(g.values)]

    assert connect().emit("event", callback=True) == [True, [0, 1, 2]]


def test_stream_with_context(socketio: SocketIO, connect: Connect, style: Style) -> None:
    @socketio.on("event")
    @style
    def handler() -> list[Any]:
        g.value = "kept"
        stream = flask.stream_with_context(iter_context())
        return [*stream, g.value]

    def iter_context() -> Any:
        yield request.event["message"]  # type: ignore[attr-defined]
        yield g.value

    assert connect().emit("event", callback=True) == ["event", "kept", "kept"]


def test_signals(app: Flask, socketio: SocketIO, connect: Connect, style: Style) -> None:
    """Those of contexts are sent, those of requests are not: an event is none."""
    sent: list[str] = []
    receivers = []
    for signal in SIGNALS:

        def receive(sender: Any, name: str = signal.name, **extra: Any) -> None:
            sent.append(name)

        receivers.append(receive)  # blinker holds it weakly
        signal.connect(receive, app)

    @socketio.on("event")
    @style
    def handler() -> None:
        sent.append("handler")
        flask.render_template_string("")

    connect().emit("event")
    assert sent == [
        "appcontext-pushed",
        "handler",
        "template-rendered",
        "request-tearing-down",
        "appcontext-tearing-down",
        "appcontext-popped",
    ]


def test_what_is_run_for_requests_only(
    app: Flask, socketio: SocketIO, connect: Connect, style: Style
) -> None:
    ran: list[str] = []
    app.before_request(lambda: ran.append("before_request"))
    app.after_request(lambda response: ran.append("after_request") or response)
    app.url_value_preprocessor(lambda endpoint, values: ran.append("url_value_preprocessor"))
    app.errorhandler(LookupError)(lambda error: ran.append("errorhandler") or "")
    app.teardown_request(lambda error: ran.append(f"teardown_request {error!r}"))

    @socketio.on("event")
    @style
    def handler() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        connect().emit("event")
    assert ran == ["teardown_request LookupError()"]


def test_g_of_events_that_run_at_once(socketio: SocketIO, style: Style, url: str) -> None:
    """Ten clients, whose handlers wait for one another between writing and reading."""
    together = threading.Barrier(10)

    @socketio.on("event")
    def handler(value: int) -> list[int]:
        g.value = value
        session["value"] = value
        together.wait(10)
        return [g.value, session["value"]]

    @socketio.on("async event")
    async def async_handler(value: int) -> list[int]:
        g.value = value
        session["value"] = value
        await asyncio.sleep(0.01)
        return [g.value, session["value"]]

    def talk(number: int) -> list[Any]:
        with RealClient(url) as client:
            return [client.call("event", number), client.call("async event", number)]

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(talk, range(10))) == [[[number, number]] * 2 for number in range(10)]


def test_ensure_sync(app: Flask, socketio: SocketIO, connect: Connect) -> None:
    """A decorator made for views calls what it has wrapped through it."""

    async def coroutine(value: int) -> list[Any]:
        await asyncio.sleep(0)
        return [value, request.event["message"], g.value]  # type: ignore[attr-defined]

    @socketio.on("event")
    def handler(value: int) -> Any:
        g.value = "kept"
        return current_app.ensure_sync(coroutine)(value)

    assert connect().emit("event", 1, callback=True) == [1, "event", "kept"]


def test_local_proxies(socketio: SocketIO, connect: Connect, style: Style) -> None:
    current_color: Any = LocalProxy(lambda: g.color)

    @socketio.on("event")
    @style
    def handler(color: str) -> list[Any]:
        g.color = color
        return [str(current_color), current_color == color, len(current_color)]

    client = connect()
    assert client.emit("event", "red", callback=True) == ["red", True, 3]
    assert client.emit("event", "blue", callback=True) == ["blue", True, 4]


def test_an_app_context_inside(app: Flask, socketio: SocketIO, connect: Connect, style: Style) -> None:
    """Its ``g`` is its own; the event's is as before when it has ended, and nothing of it has ended yet."""
    ended: list[Any] = []
    app.teardown_appcontext(lambda error: ended.append(g.get("value")))
    other = Flask("other")

    @socketio.on("event")
    @style
    def handler() -> list[Any]:
        g.value = "outer"
        with app.app_context():
            g.value = "inner"
            inner = [g.value, current_app.name]
        with other.app_context():
            inner.append(current_app.name)
        return [*inner, g.value, current_app.name, list(ended), request.sid is not None]

    answer = connect().emit("event", callback=True)
    assert answer == ["inner", "app", "other", "outer", "app", ["inner"], True]
    assert ended == ["inner", "outer"]


def test_a_request_inside(app: Flask, socketio: SocketIO, connect: Connect, style: Style) -> None:
    """A handler may ask the app itself, as a client of it."""
    app.add_url_rule("/page", "page", lambda: f"{request.path} {g.get('value')}")

    @socketio.on("event")
    @style
    def handler() -> list[Any]:
        g.value = "the event's"
        text = current_app.test_client().get("/page").text
        return [text, g.value, request.path]

    assert connect().emit("event", callback=True)[1:] == ["the event's", "/socket.io/"]


def test_emitting_from_a_test_request_context(app: Flask, socketio: SocketIO, connect: Connect) -> None:
    client = connect()
    with app.test_request_context("/somewhere"):
        socketio.emit("news", 1)
        emit("news", 2, namespace="/", broadcast=True)
        with pytest.raises(RuntimeError, match="only while an event is handled"):
            emit("news", 3)
    with app.app_context():
        socketio.emit("news", 4)
    assert [item["args"] for item in client.get_received()] == [[1], [2], [4]]


def test_cookies_and_headers(socketio: SocketIO, connect: Connect, style: Style) -> None:
    @socketio.on("event")
    @style
    def handler() -> list[Any]:
        return [
            request.cookies.to_dict(),
            request.headers.get("User-Agent"),
            request.authorization and request.authorization.username,
            request.accept_languages.best,
            request.args.getlist("a"),
            request.values.get("b"),
            request.get_json(silent=True),
            request.get_data(as_text=True),
            request.form.to_dict(),
            request.endpoint,
            request.view_args,
            request.blueprint,
            request.is_secure,
        ]

    client = connect(
        query_string="a=1&a=2&b=3",
        headers={
            "Cookie": "x=1; y=2",
            "User-Agent": "test",
            "Accept-Language": "de, en;q=0.5",
            "Authorization": "Basic YWRhOnNlY3JldA==",
        },
    )
    expected = [
        {"x": "1", "y": "2"},
        "test",
        "ada",
        "de",
        ["1", "2"],
        "3",
        None,
        "",
        {},
        None,
        None,
        None,
        False,
    ]
    assert [client.emit("event", callback=True) for _ in range(2)] == [expected, expected]


class TestAsyncTeardown:
    """Teardown functions may be coroutine functions, as Flask allows it."""

    @pytest.fixture
    def log(self, app: Flask) -> list[Any]:
        log: list[Any] = []

        async def torn_down(error: Any) -> None:
            await asyncio.sleep(0)
            log.append((error, g.value, request.event["message"]))  # type: ignore[attr-defined]

        app.teardown_request(torn_down)
        app.teardown_appcontext(torn_down)
        return log

    def test_after_a_handler(
        self, socketio: SocketIO, connect: Connect, style: Style, log: list[Any]
    ) -> None:
        @socketio.on("event")
        @style
        def handler() -> str:
            g.value = 1
            return "fine"

        assert connect().emit("event", callback=True) == "fine"
        assert log == [(None, 1, "event")] * 2

    def test_after_one_that_raises(
        self, socketio: SocketIO, connect: Connect, style: Style, log: list[Any]
    ) -> None:
        failure = LookupError()

        @socketio.on("event")
        @style
        def handler() -> None:
            g.value = 1
            raise failure

        with pytest.raises(LookupError):
            connect().emit("event")
        assert log == [(failure, 1, "event")] * 2
        assert not flask.has_app_context()
