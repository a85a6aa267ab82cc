"""SocketIO behind a message queue, as apps use it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask, request
from queues.memory_channel import Broker, MemoryChannel

import flask_realtime as realtime
from flask_realtime import Namespace, SocketIO
from flask_realtime.backends.link import close_links
from flask_realtime.exceptions import UnsupportedOptionError


@pytest.fixture
def broker() -> Iterator[Broker]:
    yield Broker()
    close_links()


class Pair:
    """Two apps, each with a server, and what emits beside them."""

    def __init__(self, broker: Broker, stack: ExitStack) -> None:
        self.socketios: list[SocketIO] = []
        self.urls: list[str] = []
        for name in ("one", "other"):
            app = Flask(name)
            self.socketios.append(SocketIO(app, client_manager=MemoryChannel(broker)))
            self.urls.append(stack.enter_context(serve(app)))
        self._stack = stack

    def client(self, index: int) -> SocketIOClient:
        return self._stack.enter_context(SocketIOClient(self.urls[index]))


@pytest.fixture
def pair(broker: Broker) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(broker, stack)


class TestServers:
    def test_context_functions_reach_both(self, pair: Pair) -> None:
        one, other = pair.client(0), pair.client(1)

        @pair.socketios[0].on("go")
        def go() -> None:
            realtime.emit("own", 1)
            realtime.emit("here", 1, broadcast=True, ignore_queue=True)
            realtime.send("text", broadcast=True, ignore_queue=True)
            realtime.emit("all", 1, broadcast=True)
            realtime.send("text", broadcast=True)

        one.emit("go")
        assert [one.receive_event()[0] for _ in range(5)] == ["own", "here", "message", "all", "message"]
        assert [other.receive_event()[0] for _ in range(2)] == ["all", "message"]

    def test_functions_for_clients_of_the_other(self, pair: Pair) -> None:
        one, other = pair.client(0), pair.client(1)
        answers: list[Any] = []

        @pair.socketios[0].on("go")
        def go() -> None:
            realtime.join_room("room", other.sid)
            realtime.emit("in", to="room")
            realtime.leave_room("room", other.sid)
            realtime.emit("out", to="room")
            realtime.join_room("room", other.sid)
            realtime.close_room("room")
            realtime.emit("out", to="room")
            answers.append(realtime.call("question", to=other.sid, timeout=10))
            realtime.disconnect(other.sid)

        one.emit("go")
        assert other.receive_event() == ["in"]
        question = str(other.receive())
        assert question.endswith('["question"]')
        number = question[2 : question.index("[")]
        other.transport.send(f'43{number}["answer"]')
        assert other.receive() == "41"
        wire.wait_until(lambda: answers)
        assert answers == ["answer"]

    def test_class_namespaces(self, pair: Pair) -> None:
        one, other = pair.client(0), pair.client(1)

        class Main(Namespace):
            def on_go(self) -> None:
                self.emit("here", 1, ignore_queue=True)
                self.send("here", ignore_queue=True)
                self.emit("all", 1)
                with pytest.raises(TimeoutError):
                    self.call("question", to=other.sid, ignore_queue=True)

        pair.socketios[0].on_namespace(Main())
        one.emit("go")
        assert [one.receive_event()[0] for _ in range(3)] == ["here", "message", "all"]
        assert other.receive_event() == ["all", 1]

    def test_a_callback_runs_in_the_context_of_who_asks(self, pair: Pair) -> None:
        one, other = pair.client(0), pair.client(1)
        answers: list[Any] = []

        @pair.socketios[0].on("go")
        def go() -> None:
            realtime.emit(
                "question",
                to=other.sid,
                callback=lambda *values: answers.append((request.sid, values)),  # type: ignore[attr-defined]
            )

        one.emit("go")
        packet = str(other.receive())
        other.transport.send(f'43{packet[2 : packet.index("[")]}["a",1]')
        wire.wait_until(lambda: answers)
        assert answers == [(one.sid, ("a", 1))]

    def test_stats(self, pair: Pair, broker: Broker) -> None:
        assert pair.socketios[0].stats()["queue_connected"] == 0
        pair.client(0)
        assert pair.socketios[0].stats()["queue_connected"] == 1
        broker.up = False
        wire.wait_until(lambda: not pair.socketios[0].stats()["queue_connected"])
        pair.socketios[0].emit("event")
        assert pair.socketios[0].stats()["queue_pending"] == 1
        broker.up = True

    def test_stats_without_a_queue_have_no_more_keys(self) -> None:
        app = Flask("app")
        assert not any(key.startswith("queue_c") for key in SocketIO(app).stats())

    def test_a_test_client_needs_no_broker(self, broker: Broker) -> None:
        broker.up = False
        app = Flask("app")
        socketio = SocketIO(app, client_manager=MemoryChannel(broker))
        client = socketio.test_client(app)
        socketio.emit("event", 1)
        assert client.get_received()[0]["args"] == [1]
        broker.up = True

    def test_what_waits_can_be_bounded(self, broker: Broker) -> None:
        broker.up = False
        socketio = SocketIO(Flask("app"), client_manager=MemoryChannel(broker), max_unpublished=3)
        for number in range(10):
            socketio.emit("event", number)
        assert socketio.stats()["queue_pending"] == 3
        broker.up = True


class TestEmitters:
    """Without an app."""

    def test_it_reaches_the_clients_of_servers(self, pair: Pair, broker: Broker) -> None:
        clients = [pair.client(0), pair.client(1)]
        emitter = SocketIO(client_manager=MemoryChannel(broker))
        emitter.emit("event", {"a": 1}, b"\x01")
        emitter.send("text", to=clients[1].sid)
        emitter.emit("nobody", to=[])
        emitter.emit("others", skip_sid=clients[0].sid)
        emitter.close_room("room")
        for client in clients:
            assert str(client.receive()).startswith("451-")
            assert client.receive() == b"\x01"
        assert clients[1].receive_event() == ["message", "text"]
        assert clients[1].receive_event() == ["others"]
        wire.wait_until(lambda: emitter.stats() == {"queue_connected": 1, "queue_pending": 0})

    def test_rooms_and_clients_of_servers(self, pair: Pair, broker: Broker) -> None:
        """As other processes do it with Flask-SocketIO: through ``socketio.server``."""
        client = pair.client(0)
        emitter = SocketIO(client_manager=MemoryChannel(broker))
        assert emitter.server is not None
        emitter.server.enter_room(client.sid, "room")
        emitter.emit("in", to="room")
        emitter.server.leave_room(client.sid, "room")
        emitter.emit("out", to="room")
        emitter.server.disconnect(client.sid, ignore_queue=True)
        emitter.emit("last", to=client.sid)
        emitter.server.disconnect(client.sid)
        assert client.receive_event() == ["in"]
        assert client.receive_event() == ["last"]
        assert client.receive() == "41"

    @pytest.mark.parametrize("how", ["constructor", "init_app", "both", "config"])
    def test_ways_to_make_one(self, broker: Broker, how: str) -> None:
        channel = MemoryChannel(broker)
        if how == "constructor":
            socketio = SocketIO(None, client_manager=channel)
        elif how == "init_app":
            socketio = SocketIO()
            socketio.init_app(None, client_manager=channel)
        elif how == "both":
            socketio = SocketIO(client_manager=channel)
            socketio.init_app(None, max_unpublished=5)
        else:
            socketio = SocketIO(message_queue="memory://", channel="c")
            socketio.init_app(None, client_manager=channel)
        socketio.emit("event")
        wire.wait_until(lambda: broker.published)

    def test_what_needs_a_server_says_so(self, broker: Broker) -> None:
        socketio = SocketIO(client_manager=MemoryChannel(broker))
        needs: list[Any] = [
            lambda: socketio.call("event", to="sid"),
            lambda: socketio.emit("event", callback=print),
            lambda: socketio.refusals(),
            lambda: socketio.current_server,
            lambda: socketio.run_handler(print, "event", "/", "sid", []),
        ]
        for function in needs:
            with pytest.raises(RuntimeError, match="needs a server"):
                function()
        assert socketio.server is not None
        socketio.server.emit("event")
        wire.wait_until(lambda: broker.published)

    def test_handlers_may_be_registered_all_the_same(self, broker: Broker) -> None:
        """The module that makes it may be imported by servers and by workers of a task queue."""
        socketio = SocketIO(client_manager=MemoryChannel(broker))
        socketio.on_event("event", print)
        socketio.start_background_task(socketio.sleep, 0).join()

    def test_an_app_may_come_later(self, broker: Broker) -> None:
        socketio = SocketIO(client_manager=MemoryChannel(broker))
        app = Flask("app")
        socketio.init_app(app)
        client = socketio.test_client(app)
        socketio.emit("event", 1)
        assert client.get_received()[0]["args"] == [1]
        wire.wait_until(lambda: broker.published)

    def test_data_that_cannot_be_sent_is_an_error_of_the_caller(self, broker: Broker) -> None:
        socketio = SocketIO(client_manager=MemoryChannel(broker))
        with pytest.raises(TypeError):
            socketio.emit("event", object())

    def test_without_a_queue_it_needs_an_app(self) -> None:
        with pytest.raises(TypeError, match="needs an app, or a message_queue"):
            SocketIO().init_app(None)
        with pytest.raises(RuntimeError, match="init_app"):
            SocketIO().emit("event")


class TestOptions:
    @pytest.mark.parametrize("none", [None, ""])
    def test_no_queue(self, none: str | None) -> None:
        app = Flask("app")
        app.config["SOCKETIO_MESSAGE_QUEUE"] = none
        assert "queue_connected" not in SocketIO(app, message_queue=none).stats()

    def test_the_apps_config(self) -> None:
        app = Flask("app")
        app.config["SOCKETIO_MESSAGE_QUEUE"] = "memory://"
        assert SocketIO(app).stats()["queue_connected"] == 0

    def test_an_unknown_scheme_names_the_known_ones(self) -> None:
        with pytest.raises(UnsupportedOptionError, match=r"redis://, .*amqp://.*kafka://") as caught:
            SocketIO(Flask("app"), message_queue="mqtt://user:secret@host")
        assert "'mqtt://...@host'" in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_a_library_that_is_missing_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "flask_realtime.adapters.redis", raising=False)
        monkeypatch.setitem(sys.modules, "redis", None)
        with pytest.raises(ImportError, match=r"redis://.* pip install 'flask-realtime\[redis\]'"):
            SocketIO(Flask("app"), message_queue="redis://")

    def test_a_manager_of_python_socketio_names_the_other_option(self) -> None:
        import socketio

        with pytest.raises(UnsupportedOptionError, match="message_queue='redis://'"):
            SocketIO(Flask("app"), client_manager=socketio.KombuManager("memory://"))

    def test_an_own_channel_goes_before_the_url(self, broker: Broker) -> None:
        socketio = SocketIO(client_manager=MemoryChannel(broker), message_queue="mqtt://")
        socketio.emit("event")
        wire.wait_until(lambda: broker.published)
