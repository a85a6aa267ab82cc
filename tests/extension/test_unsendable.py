"""What can't be sent: it raises where it was emitted, says what it was and where, and changes nothing."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import flask.json
import numpy
import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask

import flask_realtime as realtime
from flask_realtime import ConnectionRefusedError, SocketIO, SocketIOTestClient, emit

Connect = Callable[..., SocketIOTestClient]


class Image:
    def __repr__(self) -> str:
        return "<Image 3x3>"


@dataclasses.dataclass
class User:
    name: str
    avatar: Any = None


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle_of_lists() -> Any:
    cycle: list[Any] = [1]
    cycle.append({"again": cycle})
    return cycle


def cycle_of_records() -> Any:
    user = User("ada")
    user.avatar = [user]
    return user


TYPE_ERRORS: dict[str, tuple[Any, str]] = {
    "an object": (Image(), "Image"),
    "a generator": ((i for i in range(3)), "generator"),
    "a range": (range(3), "range"),
    "a deque": (collections.deque([1]), "deque"),
    "a view of a dict": ({"a": 1}.keys(), "dict_keys"),
    "a chain map": (collections.ChainMap({"a": 1}), "ChainMap"),
    "a complex number": (1j, "complex"),
    "a function": (nested, "function"),
    "a class": (User, "type"),
    "a module": (flask, "module"),
    "an exception": (ValueError("x"), "ValueError"),
    "a NumPy array": (numpy.zeros(3), "ndarray"),
    "a NumPy integer": (numpy.int64(3), "int64"),
    "bytes as a key": ({b"a": 1}, "bytes"),
    "a tuple as a key": ({(1, 2): 3}, "tuple"),
    "an object as a key": ({Image(): 3}, "Image"),
    "an object in a set": ({Image()}, "Image"),
}
VALUE_ERRORS: dict[str, tuple[Any, str]] = {
    "a list in itself": (cycle_of_lists(), "refers to itself"),
    "a record in itself": (cycle_of_records(), "refers to itself"),
    "what is nested too deeply": (nested(100_000), "nested too deeply"),
    "half a character": ("\ud800", "surrogates"),
    "half a character as a key": ({"\udfff": 1}, "surrogates"),
}


@pytest.mark.parametrize("beside", [(), (b"binary",)], ids=["text", "binary"])
@pytest.mark.parametrize("options", [{}, {"serializer": "msgpack"}], ids=["json", "msgpack"])
class TestKinds:
    @pytest.fixture(autouse=True)
    def _use(self, app: Flask, options: dict[str, Any], beside: tuple[Any, ...]) -> None:
        self.socketio = SocketIO(app, **options)
        self.client = self.socketio.test_client(app)
        self.beside = beside

    def _raises(self, kind: type[Exception], value: Any, match: str) -> str:
        with pytest.raises(kind, match=match) as caught:
            self.socketio.emit("news", *self.beside, {"deep": [value]})
        message = str(caught.value)
        assert message.startswith(f"event 'news', args[{len(self.beside)}]['deep'][0]")
        assert len(message) < 500
        self.socketio.emit("later", *self.beside)
        assert [item["name"] for item in self.client.get_received()] == ["later"]
        return message

    @pytest.mark.parametrize(("value", "match"), TYPE_ERRORS.values(), ids=TYPE_ERRORS)
    def test_no_form(self, value: Any, match: str) -> None:
        self._raises(TypeError, value, match)

    @pytest.mark.parametrize(("value", "match"), VALUE_ERRORS.values(), ids=VALUE_ERRORS)
    def test_no_valid_form(self, value: Any, match: str) -> None:
        if match == "nested too deeply":
            with pytest.raises(ValueError, match=match) as caught:
                self.socketio.emit("news", *self.beside, value)
            assert len(str(caught.value)) < 500
        else:
            self._raises(ValueError, value, match)

    def test_huge_integers(self, options: dict[str, Any]) -> None:
        """JSON has them, though browsers round. MessagePack ends at 64 bits, Python at 4,300 digits."""
        if options:
            self._raises(ValueError, 2**64, "int")
        else:
            self.socketio.emit("huge", 2**64)
            assert self.client.get_received()[0]["args"] == [2**64]
        self._raises(ValueError, 10**5000, "int")

    def test_numpys_float_is_a_float(self) -> None:
        self.socketio.emit("event", numpy.float64(1.5))
        assert self.client.get_received()[0]["args"] == [1.5]


class TestMessages:
    """They lead to the value, however deep in the data it is."""

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            ([Image()], "event 'e', args[0]: "),
            ([1, {"a": [0, (1, Image())]}], "event 'e', args[1]['a'][1][1]: "),
            ([User("ada", {"b": Image()})], "event 'e', args[0].avatar['b']: "),
            ([{"ok": 1, "bad": {1, (2, Image())}}], "event 'e', args[0]['bad'] in the set[1]: "),
            ([{b"k": 1}], "event 'e', args[0]: a key of type 'bytes' can't be sent: {b'k': 1}"),
            ([{1: {None: Image()}}], "event 'e', args[0][1][None]: "),
        ],
    )
    def test_path(self, socketio: SocketIO, args: list[Any], message: str) -> None:
        with pytest.raises(TypeError) as caught:
            socketio.emit("e", *args)
        if message.endswith(": "):
            message += "an object of type 'Image' can't be sent: <Image 3x3>"
        assert str(caught.value) == message

    def test_a_cycle(self, socketio: SocketIO) -> None:
        with pytest.raises(ValueError) as caught:
            socketio.emit("e", cycle_of_lists())
        assert str(caught.value) == (
            "event 'e', args[0][1]['again']: the data refers to itself, or is nested too deeply:"
            " [1, {'again': [1, {'again': [1, {'again': [...]}]}]}]"
        )

    def test_a_module_of_the_app(self, app: Flask) -> None:
        socketio = SocketIO(app, json=flask.json)
        with pytest.raises(TypeError, match=r"args\[0\]\['a'\]\[0\]: .*Image.*: <Image 3x3>"):
            socketio.emit("e", {"a": [Image()]})
        with pytest.raises(ValueError, match=r"args\[1\]: .*NaN.*: nan"):
            socketio.emit("e", 1, float("nan"))

    def test_the_cause_is_kept(self, app: Flask) -> None:
        def fail(value: Any) -> Any:
            raise TypeError("a bug of the app")

        app.json.default = fail  # type: ignore[attr-defined]
        socketio = SocketIO(app, json=flask.json)
        with pytest.raises(TypeError, match="a bug of the app") as caught:
            socketio.emit("e", Image())
        assert str(caught.value.__cause__) == "a bug of the app"

    def test_any_other_error_of_the_app_is_its_own(self, app: Flask) -> None:
        def fail(value: Any) -> Any:
            raise LookupError("a bug of the app")

        app.json.default = fail  # type: ignore[attr-defined]
        with pytest.raises(LookupError, match="a bug of the app"):
            SocketIO(app).emit("e", Image())

    def test_large_data_is_searched_in_no_time(self, socketio: SocketIO) -> None:
        rows = [{"id": i, "tags": ["a", "b"]} for i in range(20_000)]
        rows[-1]["tags"].append(Image())  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match=r"args\[0\]\[19999\]\['tags'\]\[2\]"):
            socketio.emit("e", rows)


def raised_in(function: Callable[[], object]) -> str:
    """What it raises, which must be a TypeError, or ''."""
    try:
        function()
    except TypeError as error:
        return str(error)
    return ""


class TestWhereItRaises:
    @pytest.fixture
    def live(self, app: Flask, socketio: SocketIO) -> Iterator[SocketIOClient]:
        socketio.on_event("sync", lambda: "synced")
        with serve(app) as url, SocketIOClient(url) as client:
            yield client

    def _assert_nothing_was_sent(self, client: SocketIOClient) -> None:
        client.transport.send('49["sync"]'.replace("49", "429"))
        assert client.receive() == '439["synced"]'

    def test_in_a_view(self, app: Flask, socketio: SocketIO, live: SocketIOClient) -> None:
        @app.route("/emit")
        def view() -> str:
            socketio.emit("news", Image())
            return "not reached"

        app.config["PROPAGATE_EXCEPTIONS"] = True
        with pytest.raises(TypeError, match="event 'news'"):
            app.test_client().get("/emit")
        self._assert_nothing_was_sent(live)

    @pytest.mark.parametrize("callback", [None, print])
    def test_in_a_handler(self, socketio: SocketIO, live: SocketIOClient, callback: Any) -> None:
        seen: list[str] = []

        @socketio.on("go")
        def go() -> None:
            seen.append(raised_in(lambda: emit("news", "ok", Image(), callback=callback)))
            seen.append(raised_in(lambda: emit("news", b"x", Image(), broadcast=True, callback=callback)))
            seen.append(raised_in(lambda: realtime.send(Image(), callback=callback)))
            emit("next")

        live.emit("go")
        assert live.receive() == '42["next"]'
        assert [message.partition(": ")[0] for message in seen] == [
            "event 'news', args[1]",
            "event 'news', args[1]",
            "event 'message', args[0]",
        ]
        assert socketio.stats()["pending_acks"] == socketio.stats()["queued_packets"] == 0

    def test_as_an_acknowledgement(
        self, socketio: SocketIO, live: SocketIOClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The client gets none, as where a handler raises, and the log says why."""
        socketio.on_event("go", lambda: ("ok", {"image": Image()}))
        live.transport.send('427["go"]')
        self._assert_nothing_was_sent(live)
        wire.wait_until(lambda: "acknowledgement, args[1]['image']" in caplog.text)
        assert "handler of event 'go'" in caplog.text

    def test_the_test_client_raises_it(self, socketio: SocketIO, connect: Connect) -> None:
        socketio.on_event("go", lambda: Image())
        client = connect()
        with pytest.raises(TypeError, match=r"acknowledgement, args\[0\]"):
            client.emit("go", callback=True)
        with pytest.raises(TypeError, match=r"event 'go', args\[0\]"):
            client.emit("go", Image())

    def test_in_a_call(self, socketio: SocketIO, live: SocketIOClient) -> None:
        with pytest.raises(TypeError, match=r"event 'question', args\[1\]"):
            socketio.call("question", 1, Image(), to=live.sid)
        assert socketio.stats()["pending_acks"] == 0
        self._assert_nothing_was_sent(live)

    def test_in_a_callback(
        self, socketio: SocketIO, live: SocketIOClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        socketio.emit("question", callback=lambda: socketio.emit("answer", Image()))
        packet = live.receive()
        assert packet == '421["question"]'
        live.transport.send("431[]")
        wire.wait_until(lambda: "event 'answer', args[0]" in caplog.text)
        assert "callback of an emit" in caplog.text
        self._assert_nothing_was_sent(live)

    def test_in_a_background_task(self, socketio: SocketIO, live: SocketIOClient) -> None:
        seen: list[str] = []
        done = threading.Event()

        def work() -> None:
            seen.append(raised_in(lambda: socketio.emit("news", Image())))
            socketio.emit("next")
            done.set()

        socketio.start_background_task(work)
        assert live.receive() == '42["next"]'
        assert done.wait(wire.TIMEOUT)
        assert seen[0].startswith("event 'news', args[0]: ")

    def test_in_a_refusal(
        self, app: Flask, socketio: SocketIO, caplog: pytest.LogCaptureFixture, connect: Connect
    ) -> None:
        """The client is refused all the same, with the message alone; it leaves nothing behind."""

        @socketio.on("connect")
        def refuse() -> None:
            realtime.join_room("room")
            raise ConnectionRefusedError("go away", {"image": Image()})

        client = connect()
        assert client.refusals == {"/": {"message": "go away"}}
        assert "CONNECT_ERROR, ['data']['image']" in caplog.text
        assert socketio.stats()["rooms"] == socketio.stats()["sockets"] == 0

    def test_in_the_refusal_of_an_event(
        self, socketio: SocketIO, live: SocketIOClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        @socketio.on("go")
        def refuse() -> None:
            raise realtime.EventRefusedError("too fast", {"image": Image()})

        live.transport.send('427["go"]')
        assert live.receive() == '437[{"error":{"message":"too fast"}}]'
        wire.wait_until(lambda: "acknowledgement, args[0]['error']['data']['image']" in caplog.text)

    def test_an_error_handler_of_the_app_gets_it(self, socketio: SocketIO, connect: Connect) -> None:
        errors: list[Exception] = []
        socketio.on_error_default(errors.append)
        socketio.on_event("go", lambda: emit("news", Image()))
        connect().emit("go")
        assert [type(error) for error in errors] == [TypeError]

    def test_ids_and_rooms_stay_as_they_were(self, socketio: SocketIO, live: SocketIOClient) -> None:
        answers: list[Any] = []
        socketio.emit("first", callback=answers.append)
        assert live.receive() == '421["first"]'
        for _ in range(3):
            with pytest.raises(TypeError):
                socketio.emit("second", Image(), callback=answers.append)
        assert socketio.stats()["pending_acks"] == 1
        live.transport.send('431["answer"]')
        wire.wait_until(lambda: answers)
        assert answers == ["answer"]
        assert socketio.stats()["pending_acks"] == socketio.stats()["rooms"] == 0
