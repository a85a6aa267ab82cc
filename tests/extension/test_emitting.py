"""emit, send, call, rooms and disconnect, inside and outside handlers."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from acceptance import wire
from extension.conftest import Connect
from extension.live import SocketIOClient
from flask import Flask, has_request_context, request

import flask_realtime as realtime
from flask_realtime import SocketIO, SocketIOTestClient, emit, send


def received(client: SocketIOTestClient, namespace: str | None = None) -> list[tuple[str, Any]]:
    return [(item["name"], item["args"]) for item in client.get_received(namespace)]


@pytest.fixture
def do(socketio: SocketIO) -> Any:
    """``do(client, function)``: run a function as the client's event; its value."""

    def run(client: SocketIOTestClient, function: Any, namespace: str = "/") -> Any:
        results = []
        socketio.on_event("do", lambda: results.append(function()), namespace)
        client.emit("do", namespace=namespace)
        return results[0]

    return run


@pytest.fixture
def sid_of(do: Any) -> Any:
    return lambda client, namespace="/": do(client, lambda: request.sid, namespace)


@pytest.fixture
def trio(connect: Connect) -> list[SocketIOTestClient]:
    return [connect(), connect(), connect()]


def counts(clients: list[SocketIOTestClient]) -> list[int]:
    return [len(client.get_received()) for client in clients]


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ((), []),
            (("one",), ["one"]),
            ((("one", "two"),), ["one", "two"]),
            (("one", "two"), ["one", "two"]),
            ((["a", "list"],), [["a", "list"]]),
            (((),), []),
            ((b"binary",), [b"binary"]),
            (({"files": [b"1", bytearray(b"2")]},), [{"files": [b"1", b"2"]}]),
        ],
    )
    @pytest.mark.parametrize("where", ["function", "method"])
    def test_what_arrives(
        self,
        socketio: SocketIO,
        connect: Connect,
        do: Any,
        where: str,
        arguments: tuple[Any, ...],
        expected: list[Any],
    ) -> None:
        client = connect()
        do(client, lambda: (emit if where == "function" else socketio.emit)("event", *arguments))
        assert received(client) == [("event", expected)]

    @pytest.mark.parametrize("where", ["function", "method"])
    def test_data_by_its_name(self, socketio: SocketIO, connect: Connect, do: Any, where: str) -> None:
        client = connect()
        emits = emit if where == "function" else socketio.emit
        for data in ({"a": 1}, ("one", "two"), ["a", "list"], 0):
            do(client, lambda data=data: emits(event="event", data=data))
        do(client, lambda: emits("event", data=None))
        assert [args for _, args in received(client)] == [
            [{"a": 1}],
            ["one", "two"],
            [["a", "list"]],
            [0],
            [],
        ]

    def test_none_is_an_argument(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        socketio.emit("event", None)
        socketio.emit("event")
        assert received(client) == [("event", [None]), ("event", [])]

    @pytest.mark.parametrize("bad", [object(), {"a": object()}, [{1, object()}]])
    def test_what_cannot_be_sent_raises_in_the_caller(
        self, socketio: SocketIO, connect: Connect, do: Any, bad: object
    ) -> None:
        client = connect()
        for options in ({}, {"callback": print}):
            with pytest.raises((TypeError, ValueError)):
                socketio.emit("bad", bad, **options)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ValueError)):
            do(client, lambda: emit("bad", bad))
        socketio.emit("good", 1)
        assert received(client) == [("good", [1])]
        assert socketio.stats()["pending_acks"] == 0

    def test_data_is_taken_as_it_is_now(self, socketio: SocketIO, connect: Connect) -> None:
        client = connect()
        data = {"state": "now", "binary": bytearray(b"now")}
        socketio.emit("event", data)
        data["state"] = "later"
        data["binary"][:] = b"xxx"  # type: ignore[index]
        assert received(client) == [("event", [{"state": "now", "binary": b"now"}])]

    def test_unknown_arguments_are_refused_by_the_extension_object(self, socketio: SocketIO) -> None:
        with pytest.raises(TypeError, match="skipsid"):
            socketio.emit("event", skipsid="x")  # type: ignore[call-arg]


class TestRecipients:
    def test_function_replies(self, trio: list[SocketIOTestClient], do: Any) -> None:
        do(trio[0], lambda: emit("event"))
        assert counts(trio) == [1, 0, 0]

    def test_method_goes_to_all(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any) -> None:
        do(trio[0], lambda: socketio.emit("event"))
        assert counts(trio) == [1, 1, 1]

    def test_broadcast(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any) -> None:
        do(trio[0], lambda: emit("event", broadcast=True))
        assert counts(trio) == [1, 1, 1]
        do(trio[0], lambda: emit("event", broadcast=True, include_self=False))
        assert counts(trio) == [0, 1, 1]
        do(trio[0], lambda: socketio.emit("event", include_self=False))
        assert counts(trio) == [0, 1, 1]

    @pytest.mark.parametrize("name", ["to", "room"])
    def test_one_client(
        self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any, sid_of: Any, name: str
    ) -> None:
        sid = sid_of(trio[1])
        do(trio[0], lambda: emit("event", **{name: sid}))
        assert counts(trio) == [0, 1, 0]
        socketio.emit("event", **{name: sid})
        assert counts(trio) == [0, 1, 0]

    @pytest.mark.parametrize("name", ["to", "room"])
    @pytest.mark.parametrize("kind", [list, tuple, set])
    def test_several(
        self, trio: list[SocketIOTestClient], do: Any, sid_of: Any, name: str, kind: type
    ) -> None:
        do(trio[0], lambda: realtime.join_room("room"))
        do(trio[1], lambda: realtime.join_room("room"))
        target = kind(["room", sid_of(trio[1]), sid_of(trio[2])])
        do(trio[0], lambda: emit("event", **{name: target}))
        assert counts(trio) == [1, 1, 1], "each gets it once"

    def test_skip_sid(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any, sid_of: Any) -> None:
        sids = [sid_of(client) for client in trio]
        socketio.emit("event", skip_sid=sids[0])
        assert counts(trio) == [0, 1, 1]
        socketio.emit("event", skip_sid=sids[:2])
        assert counts(trio) == [0, 0, 1]
        do(trio[2], lambda: emit("event", broadcast=True, skip_sid=sids[1]))
        assert counts(trio) == [1, 0, 1]

    def test_nobody(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any) -> None:
        socketio.emit("event", to="no such room")
        do(trio[0], lambda: emit("event", to="no such room"))
        socketio.emit("event", namespace="/elsewhere")
        assert counts(trio) == [0, 0, 0]

    def test_an_empty_list_of_rooms_is_not_everybody(self, trio: list[SocketIOTestClient], do: Any) -> None:
        do(trio[0], lambda: emit("event", to=[]))
        assert counts(trio)[1:] == [0, 0]

    def test_namespaces_are_apart(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        socketio.on_event("unused", print, "/chat")
        main, chat = connect(), connect("/chat")
        do(chat, lambda: emit("here", broadcast=True), "/chat")
        do(chat, lambda: emit("there", broadcast=True, namespace="/"), "/chat")
        socketio.emit("from outside", namespace="/chat")
        assert received(main) == [("there", [])]
        assert received(chat, "/chat") == [("here", []), ("from outside", [])]

    def test_from_a_view_and_from_a_thread(self, app: Flask, socketio: SocketIO, connect: Connect) -> None:
        @app.route("/")
        def view() -> str:
            socketio.emit("from view")
            return "ok"

        client = connect()
        assert app.test_client().get("/").text == "ok"
        socketio.start_background_task(socketio.emit, "from thread").join(5)
        assert received(client) == [("from view", []), ("from thread", [])]

    def test_functions_need_an_event(self, app: Flask, socketio: SocketIO) -> None:
        with app.test_request_context(), pytest.raises(RuntimeError, match="only while an event is handled"):
            emit("event")
        with pytest.raises(RuntimeError):
            emit("event")

    def test_options_that_mean_nothing_here_are_accepted(
        self, socketio: SocketIO, connect: Connect, do: Any
    ) -> None:
        client = connect()
        do(client, lambda: emit("one", ignore_queue=True))
        socketio.emit("two", ignore_queue=True)
        socketio.send("three", ignore_queue=True)
        assert [name for name, _ in received(client)] == ["one", "two", "message"]

    def test_before_init_app(self) -> None:
        with pytest.raises(RuntimeError, match="init_app"):
            SocketIO().emit("event")


class TestSend:
    def test_events_are_message_and_json(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        client = connect()
        do(client, lambda: send("text"))
        do(client, lambda: send({"a": 1}, json=True))
        socketio.send("text")
        socketio.send({"a": 1}, json=True)
        assert received(client) == [("message", "text"), ("json", {"a": 1})] * 2

    def test_recipients(
        self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any, sid_of: Any
    ) -> None:
        sid = sid_of(trio[1])
        do(trio[0], lambda: send("event"))
        assert counts(trio) == [1, 0, 0]
        do(trio[0], lambda: send("event", broadcast=True))
        assert counts(trio) == [1, 1, 1]
        do(trio[0], lambda: send("event", broadcast=True, include_self=False))
        assert counts(trio) == [0, 1, 1]
        for name in ("to", "room"):
            do(trio[0], lambda name=name: send("event", **{name: sid}))
            assert counts(trio) == [0, 1, 0]
            socketio.send("event", **{name: sid})
            assert counts(trio) == [0, 1, 0]
        socketio.send("event", skip_sid=sid)
        assert counts(trio) == [1, 0, 1]

    def test_namespace(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        socketio.on_event("unused", print, "/chat")
        client = connect("/chat")
        do(client, lambda: send("from inside"), "/chat")
        socketio.send("from outside", namespace="/chat")
        assert received(client, "/chat") == [("message", "from inside"), ("message", "from outside")]


class TestRooms:
    def test_join_and_leave(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any) -> None:
        do(trio[0], lambda: realtime.join_room("room"))
        do(trio[1], lambda: realtime.join_room("room"))
        socketio.emit("event", to="room")
        assert counts(trio) == [1, 1, 0]
        do(trio[0], lambda: realtime.leave_room("room"))
        do(trio[2], lambda: realtime.leave_room("room"))
        socketio.emit("event", to="room")
        assert counts(trio) == [0, 1, 0]

    def test_for_another_client(
        self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any, sid_of: Any
    ) -> None:
        sid = sid_of(trio[1])
        do(trio[0], lambda: realtime.join_room("room", sid=sid))
        assert do(trio[0], lambda: realtime.rooms(sid=sid)) == [sid, "room"]
        do(trio[0], lambda: realtime.leave_room("room", sid, "/"))
        assert do(trio[0], lambda: realtime.rooms(sid, "/")) == [sid]

    def test_rooms_has_the_own_room(self, connect: Connect, do: Any, sid_of: Any) -> None:
        client = connect()
        assert do(client, realtime.rooms) == [sid_of(client)]
        do(client, lambda: [realtime.join_room(room) for room in ("a", "b", 3, ("t", 1))])
        assert set(do(client, realtime.rooms)) == {sid_of(client), "a", "b", 3, ("t", 1)}

    def test_close_room(self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any) -> None:
        for client in trio[:2]:
            do(client, lambda: [realtime.join_room("a"), realtime.join_room("b")])
        do(trio[2], lambda: realtime.close_room("a"))
        socketio.emit("event", to="a")
        assert counts(trio) == [0, 0, 0]
        socketio.close_room("b")
        socketio.emit("event", to="b")
        assert counts(trio) == [0, 0, 0]
        assert socketio.stats()["rooms"] == 0

    def test_of_another_namespace(self, socketio: SocketIO, connect: Connect, do: Any, sid_of: Any) -> None:
        socketio.on_event("unused", print, "/chat")
        client = connect()
        client.connect("/chat")
        sid = sid_of(client, "/chat")
        do(client, lambda: realtime.join_room("room", sid=sid, namespace="/chat"))
        assert do(client, lambda: realtime.rooms(sid=sid, namespace="/chat")) == [sid, "room"]
        assert "room" not in do(client, realtime.rooms)
        socketio.close_room("room", namespace="/chat")
        assert do(client, realtime.rooms, "/chat") == [sid]

    def test_a_client_that_has_gone(self, connect: Connect, do: Any, sid_of: Any) -> None:
        gone, client = connect(), connect()
        sid = sid_of(gone)
        gone.disconnect()
        do(client, lambda: realtime.join_room("room", sid=sid))
        do(client, lambda: realtime.leave_room("room", sid=sid))
        assert do(client, lambda: realtime.rooms(sid=sid)) == []

    def test_nobody_joins_the_room_of_another_client(
        self, trio: list[SocketIOTestClient], do: Any, sid_of: Any
    ) -> None:
        sid = sid_of(trio[0])
        with pytest.raises(ValueError, match="sid"):
            do(trio[1], lambda: realtime.join_room(sid))

    def test_rooms_are_left_at_the_end(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        client = connect()
        do(client, lambda: realtime.join_room("room"))
        client.disconnect()
        assert socketio.stats()["rooms"] == socketio.stats()["sockets"] == 0


class TestDisconnect:
    def test_another_client(
        self, socketio: SocketIO, trio: list[SocketIOTestClient], do: Any, sid_of: Any
    ) -> None:
        sid = sid_of(trio[1])
        do(trio[0], lambda: realtime.disconnect(sid))
        assert [client.is_connected() for client in trio] == [True, False, True]

    def test_of_another_namespace(self, socketio: SocketIO, connect: Connect, do: Any, sid_of: Any) -> None:
        socketio.on_event("unused", print, "/chat")
        client = connect()
        client.connect("/chat")
        sid = sid_of(client, "/chat")
        do(client, lambda: realtime.disconnect(sid, namespace="/chat", silent=True))
        assert client.is_connected()
        assert not client.is_connected("/chat")

    def test_twice_is_once(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        reasons: list[str] = []
        socketio.on_event("disconnect", reasons.append)
        client = connect()
        do(client, lambda: [realtime.disconnect(), realtime.disconnect()])
        assert reasons == ["server disconnect"]

    def test_a_client_that_has_gone(self, connect: Connect, do: Any, sid_of: Any) -> None:
        gone, client = connect(), connect()
        sid = sid_of(gone)
        gone.disconnect()
        do(client, lambda: realtime.disconnect(sid))

    def test_inside_connect(self, socketio: SocketIO, connect: Connect) -> None:
        reasons: list[str] = []
        socketio.on_event("connect", lambda: realtime.disconnect())
        socketio.on_event("disconnect", reasons.append)
        assert not connect().is_connected()
        assert reasons == ["server disconnect"]

    @pytest.mark.parametrize("transport", wire.TRANSPORTS)
    def test_on_the_wire(self, socketio: SocketIO, url: str, transport: str) -> None:
        @socketio.on("go")
        def go() -> None:
            emit("last words")
            realtime.disconnect()
            emit("too late")

        with SocketIOClient(url, transport) as client:
            client.emit("go")
            assert client.receive() == '42["last words"]'
            assert client.receive() == "41"
            client.transport.assert_silent(0.05)


class TestCallback:
    """With real clients: the test client acknowledges nothing."""

    def test_runs_in_the_context_of_the_emitting_client(self, socketio: SocketIO, url: str) -> None:
        calls: list[Any] = []

        @socketio.on("ask other")
        def ask(sid: str) -> None:
            emit(
                "question",
                to=sid,
                callback=lambda *args: calls.append((args, request.sid, request.namespace)),
            )

        with SocketIOClient(url) as asking, SocketIOClient(url) as asked:
            asking.emit("ask other", asked.sid)
            assert asked.receive() == '421["question"]'
            asked.transport.send('431["yes",2]')
            wire.wait_until(lambda: calls)
            assert calls == [(("yes", 2), asking.sid, "/")]

    def test_from_outside_an_event(self, socketio: SocketIO, url: str) -> None:
        calls: list[Any] = []
        with SocketIOClient(url) as client:
            socketio.emit("question", callback=lambda *args: calls.append((args, has_request_context())))
            assert client.receive() == '421["question"]'
            client.transport.send("431[]")
            wire.wait_until(lambda: calls)
            assert calls == [((), False)]

    def test_of_a_broadcast_is_called_for_each(self, socketio: SocketIO, url: str) -> None:
        calls: list[Any] = []
        with SocketIOClient(url) as one, SocketIOClient(url, "polling") as two:
            socketio.emit("question", callback=calls.append)
            for client, answer in ((one, "one"), (two, "two")):
                assert client.receive() == '421["question"]'
                client.transport.send(f'431["{answer}"]')
            wire.wait_until(lambda: len(calls) == 2)
            assert sorted(calls) == ["one", "two"]

    def test_is_called_once(self, socketio: SocketIO, url: str) -> None:
        calls: list[Any] = []
        with SocketIOClient(url) as client:
            socketio.emit("question", callback=calls.append)
            client.receive()
            for answer in range(3):
                client.transport.send(f"431[{answer}]")
            socketio.on_event("sync", lambda: 1)
            client.transport.send('429["sync"]')
            assert client.receive() == "439[1]"
            assert calls == [0]
            assert socketio.refusals()["unknown ack"] == 2

    def test_binary_answers(self, socketio: SocketIO, url: str) -> None:
        calls: list[Any] = []
        with SocketIOClient(url) as client:
            socketio.emit("question", b"binary", callback=calls.append)
            assert client.receive() == '451-1["question",{"_placeholder":true,"num":0}]'
            assert client.receive() == b"binary"
            client.transport.send('461-1[{"_placeholder":true,"num":0}]')
            client.transport.send(b"answer")
            wire.wait_until(lambda: calls)
            assert calls == [b"answer"]

    def test_an_error_in_it_is_logged(
        self, socketio: SocketIO, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: Any) -> None:
            raise LookupError("on purpose")

        with SocketIOClient(url) as client:
            socketio.emit("question", callback=fail)
            client.receive()
            client.transport.send("431[]")
            wire.wait_until(lambda: "LookupError: on purpose" in caplog.text)

    def test_of_a_client_that_goes_is_forgotten(self, socketio: SocketIO, url: str) -> None:
        with SocketIOClient(url) as client:
            socketio.emit("question", callback=print)
            client.receive()
            assert socketio.stats()["pending_acks"] == 1
        wire.wait_until(lambda: socketio.stats()["sockets"] == 0)
        assert socketio.stats()["pending_acks"] == 0


class TestCall:
    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    @pytest.mark.parametrize(
        ("answer", "value"), [("[]", None), ("[1]", 1), ('[1,"two"]', (1, "two")), ("[[1]]", [1])]
    )
    def test_what_it_returns(
        self, socketio: SocketIO, url: str, transport: str, answer: str, value: object
    ) -> None:
        results: list[Any] = []
        with SocketIOClient(url, transport) as client:
            task = socketio.start_background_task(
                lambda: results.append(socketio.call("question", 1, 2, to=client.sid, timeout=5))
            )
            assert client.receive() == '421["question",1,2]'
            client.transport.send(f"431{answer}")
            task.join(5)
        assert results == [value]

    def test_from_a_handler(self, socketio: SocketIO, url: str) -> None:
        @socketio.on("ask me")
        def ask() -> Any:
            return realtime.call("question", timeout=5)

        @socketio.on("ask other")
        def ask_other(sid: str) -> Any:
            return realtime.call("question", ("a", "b"), to=sid, timeout=5)

        with SocketIOClient(url) as client, SocketIOClient(url) as other:
            client.transport.send('427["ask me"]')
            assert client.receive() == '421["question"]'
            client.transport.send('431["answer"]')
            assert client.receive() == '437["answer"]'
            client.transport.send(f'428["ask other","{other.sid}"]')
            assert other.receive() == '421["question","a","b"]'
            other.transport.send('431["other answer"]')
            assert client.receive() == '438["other answer"]'

    def test_timeout(self, socketio: SocketIO, url: str) -> None:
        with SocketIOClient(url) as client:
            with pytest.raises(TimeoutError, match=r"did not acknowledge 'question' within 0.05 s"):
                socketio.call("question", to=client.sid, timeout=0.05)
            assert socketio.stats()["pending_acks"] == 0
            client.receive()
            client.transport.send('431["too late"]')
            socketio.on_event("sync", lambda: 1)
            client.transport.send('429["sync"]')
            assert client.receive() == "439[1]"

    def test_a_client_that_has_gone(self, socketio: SocketIO) -> None:
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="no client"):
            socketio.call("question", to="nobody")
        assert time.monotonic() - started < 5

    def test_a_client_that_goes_meanwhile(self, socketio: SocketIO, url: str) -> None:
        errors: list[Exception] = []

        def ask(sid: str) -> None:
            try:
                socketio.call("question", to=sid)
            except TimeoutError as error:
                errors.append(error)

        with SocketIOClient(url) as client:
            task = socketio.start_background_task(ask, client.sid)
            client.receive()
        task.join(5)
        assert "has gone" in str(errors[0])

    def test_needs_a_client(self, socketio: SocketIO) -> None:
        with pytest.raises(ValueError, match="to="):
            socketio.call("question")

    def test_what_cannot_be_sent_raises(self, socketio: SocketIO, url: str) -> None:
        with SocketIOClient(url) as client, pytest.raises(TypeError):
            socketio.call("question", object(), to=client.sid)

    def test_what_cannot_be_sent_waits_for_nothing(self, socketio: SocketIO, url: str) -> None:
        with SocketIOClient(url) as client:
            with pytest.raises(TypeError):
                socketio.call("question", object(), to=client.sid)
            assert socketio.stats()["pending_acks"] == 0


class TestTasks:
    def test_background_tasks_can_be_joined(self, socketio: SocketIO) -> None:
        done: list[Any] = []
        go = threading.Event()

        def work(*args: Any, **kwargs: Any) -> None:
            go.wait(5)
            done.append((args, kwargs))

        task = socketio.start_background_task(work, 1, two=2)
        assert not done
        go.set()
        task.join()
        assert done == [((1,), {"two": 2})]

    def test_sleep(self, socketio: SocketIO) -> None:
        started = time.monotonic()
        socketio.sleep(0.02)
        assert time.monotonic() - started >= 0.02
        socketio.sleep()

    def test_stop_without_run(self, socketio: SocketIO) -> None:
        with pytest.raises(RuntimeError, match="run"):
            socketio.stop()

    def test_stats(self, socketio: SocketIO, connect: Connect, do: Any) -> None:
        counted = """sessions sockets rooms queued_packets queued_bytes pending_acks pending_attachments
            handlers_running"""
        assert socketio.stats() == dict.fromkeys(counted.split(), 0)
        client = connect()
        do(client, lambda: realtime.join_room("room"))
        during = do(client, socketio.stats)
        assert during["sessions"] == during["sockets"] == during["rooms"] == during["handlers_running"] == 1
        client.disconnect()
        assert socketio.stats()["sockets"] == socketio.stats()["rooms"] == 0
