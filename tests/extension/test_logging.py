"""The options ``logger`` and ``engineio_logger``: what the log tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from acceptance import wire
from extension.live import SocketIOClient, serve
from flask import Flask

from flask_realtime import EngineIO, SocketIO, emit, join_room, leave_room

OURS = logging.getLogger("flask_realtime")
Lines = Callable[..., list[str]]


@pytest.fixture
def mine() -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.mine")
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """``lines(logger, 3)``: what it was told, once there are three lines."""

    def lines(logger: logging.Logger, count: int) -> list[str]:
        def found() -> list[str]:
            return [r.getMessage() for r in caplog.records if (r.name, r.levelname) == (logger.name, "INFO")]

        wire.wait_until(lambda: len(found()) >= count, what=f"{count} lines in the log")
        return found()

    return lines


@pytest.fixture
def default_logger() -> Iterator[logging.Logger]:
    """Ours; its level is that of the process, so it is put back."""
    level, handlers = OURS.level, OURS.handlers[:]
    yield OURS
    OURS.setLevel(level)
    OURS.handlers[:] = handlers


def test_clients_events_and_rooms(app: Flask, mine: logging.Logger, lines: Lines) -> None:
    socketio = SocketIO(app, logger=mine)

    @socketio.on("join")
    def join(room: str) -> None:
        join_room(room)
        emit("joined", "a secret", to=[room, "other"], skip_sid="nobody")
        leave_room(room)
        socketio.close_room(room)
        socketio.emit("all", "a secret")

    with serve(app) as url, SocketIOClient(url) as client:
        client.emit("join", "den")
        assert client.receive_event()[0] == "joined"
        assert client.receive_event()[0] == "all"
        sid = client.sid
        client.transport.close()
        told = lines(mine, 8)
    assert told == [
        f"client {sid} connected to namespace '/'",
        f"event 'join' from client {sid} of namespace '/'",
        f"client {sid} enters room 'den' of namespace '/'",
        "event 'joined' to 'den', 'other' without nobody of namespace '/'",
        f"client {sid} leaves room 'den' of namespace '/'",
        "room 'den' of namespace '/' is closed",
        "event 'all' to everybody of namespace '/'",
        f"client {sid} left namespace '/': transport close",
    ]


def test_calls(app: Flask, mine: logging.Logger, lines: Lines) -> None:
    socketio = SocketIO(app, logger=mine)
    with serve(app) as url, SocketIOClient(url) as client:
        with pytest.raises(TimeoutError):
            socketio.call("question", to=client.sid, timeout=0.01)
        assert lines(mine, 2)[1] == f"call of 'question' by client {client.sid} of namespace '/'"


@pytest.mark.parametrize("transport", wire.TRANSPORTS)
def test_sessions(app: Flask, mine: logging.Logger, lines: Lines, transport: str) -> None:
    SocketIO(app, engineio_logger=mine)
    with serve(app) as url:
        with SocketIOClient(url, transport) as client:
            client.transport.close()
        told = lines(mine, 3 if transport == "upgrade" else 2)
    opened, *upgraded, ended = told
    session = opened.split()[1]
    assert len(session) == 6, "not the whole id: it would let others take the session over"
    first = "websocket" if transport == "websocket" else "polling"
    assert opened == f"session {session} opened, {first}"
    assert upgraded == ([f"session {session} upgraded to websocket"] if transport == "upgrade" else [])
    assert ended.startswith(f"session {session} ended: ")


def test_sessions_of_the_engine_by_itself(app: Flask, mine: logging.Logger, lines: Lines) -> None:
    EngineIO(app, engineio_logger=mine)
    with serve(app) as url:
        reply = wire.request(f"{url}/engine.io/?EIO=4&transport=polling")
        assert reply.status == 200
        assert lines(mine, 1)[0].endswith("opened, polling")


def test_two_loggers(app: Flask, mine: logging.Logger, lines: Lines) -> None:
    other = logging.getLogger("tests.mine.other")
    SocketIO(app, logger=mine, engineio_logger=other)
    with serve(app) as url, SocketIOClient(url) as client:
        assert lines(mine, 1) == [f"client {client.sid} connected to namespace '/'"]
        assert lines(other, 1)[0].endswith("opened, websocket")


def test_true_is_our_own_logger(app: Flask, default_logger: logging.Logger, lines: Lines) -> None:
    default_logger.setLevel(logging.WARNING)
    SocketIO(app, logger=True)
    assert default_logger.level == logging.INFO
    with serve(app) as url, SocketIOClient(url) as client:
        assert lines(default_logger, 1) == [f"client {client.sid} connected to namespace '/'"]


def test_nothing_is_told_unasked(
    app: Flask, default_logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    default_logger.setLevel(logging.INFO)
    socketio = SocketIO(app)
    with serve(app) as url, SocketIOClient(url) as client:
        socketio.emit("event")
        assert client.receive_event() == ["event"]
    assert not [r for r in caplog.records if r.name == default_logger.name]


def test_a_log_that_is_shown_in_the_browser_does_not_feed_itself(
    app: Flask, mine: logging.Logger, lines: Lines
) -> None:
    socketio = SocketIO(app, logger=mine)

    class Browser(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            socketio.emit("log", record.getMessage())

    handler = Browser()
    mine.addHandler(handler)
    try:
        with serve(app) as url, SocketIOClient(url) as client:
            shown = [client.receive_event() for _ in range(1)]
            client.emit("one")
            shown.append(client.receive_event())
            client.emit("two")
            shown.append(client.receive_event())
            told = lines(mine, 3)
            assert [line for _, line in shown] == told
            assert [line.split(" from")[0] for line in told[1:]] == ["event 'one'", "event 'two'"]
    finally:
        mine.removeHandler(handler)


def test_hostile_names_are_cut_and_quoted(app: Flask, mine: logging.Logger, lines: Lines) -> None:
    SocketIO(app, logger=mine)
    with serve(app) as url, SocketIOClient(url) as client:
        client.emit("a\nfalse line" + "x" * 1000)
        told = lines(mine, 2)[1]
    assert "\n" not in told
    assert len(told) < 250
