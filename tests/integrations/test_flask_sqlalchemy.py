"""Flask-SQLAlchemy: a database session for each event, which gives its connection back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from acceptance import wire
from extension.live import serve
from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from integrations.conftest import Connect, RealClient, Style
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_realtime import ConnectionRefusedError, SocketIO, emit


class Database:
    """The app's database, with one table, and what is in use of it."""

    def __init__(self, app: Flask, url: str) -> None:
        class Own(DeclarativeBase):
            pass

        app.config["SQLALCHEMY_DATABASE_URI"] = url
        # More threads than connections: one that is not given back is missed at once.
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
            "pool_size": 3,
            "max_overflow": 0,
            "pool_timeout": 10,
            "poolclass": sa.pool.QueuePool,
        }
        self.app = app
        self.db = SQLAlchemy(app, model_class=Own)

        class Note(self.db.Model):  # type: ignore[name-defined]
            id: Mapped[int] = mapped_column(primary_key=True)
            text: Mapped[str]

        self.Note = Note
        with app.app_context():
            self.engine = self.db.engine
            self.db.create_all()

    def add(self, text: str) -> int:
        """Committed; how many notes there are now."""
        self.db.session.add(self.Note(text=text))
        self.db.session.commit()
        return self.count()

    def count(self) -> int:
        number = self.db.session.scalar(sa.select(sa.func.count()).select_from(self.Note))
        assert number is not None
        return number

    def texts(self) -> list[str]:
        """Read outside of any event."""
        with self.app.app_context():
            return sorted(self.db.session.scalars(sa.select(self.Note.text)))

    def assert_nothing_in_use(self) -> None:
        """Every connection is in the pool, and no session is left."""
        wire.wait_until(lambda: self.engine.pool.checkedout() == 0, what="all connections are given back")
        assert self.db.session.registry.registry == {}


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, app: Flask, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/test.db"
    else:
        url = request.getfixturevalue("database_url")
    store = Database(app, url)
    yield store
    store.engine.dispose()


def test_a_session_for_each_event(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    sessions: list[Any] = []

    @socketio.on("event")
    @style
    def handler() -> None:
        store.count()
        sessions.append(store.db.session())
        assert store.db.session() is sessions[-1]
        assert store.engine.pool.checkedout() == 1

    client = connect()
    client.emit("event")
    store.assert_nothing_in_use()
    client.emit("event")
    assert sessions[0] is not sessions[1]
    store.assert_nothing_in_use()


def test_in_connect_and_disconnect(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    socketio.on_event("connect", style(lambda: store.add("connect") and None))
    socketio.on_event("disconnect", style(lambda reason: store.add(reason)))
    client = connect()
    store.assert_nothing_in_use()
    client.disconnect()
    store.assert_nothing_in_use()
    assert store.texts() == ["client disconnect", "connect"]


def test_what_is_not_committed_is_rolled_back(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    @socketio.on("event")
    @style
    def handler() -> None:
        store.db.session.add(store.Note(text="not committed"))
        store.db.session.flush()

    connect().emit("event")
    store.assert_nothing_in_use()
    assert store.texts() == []


def test_when_the_handler_raises(socketio: SocketIO, connect: Connect, store: Database, style: Style) -> None:
    @socketio.on("event")
    @style
    def handler() -> None:
        store.db.session.add(store.Note(text="half done"))
        store.db.session.flush()
        raise LookupError

    client = connect()
    with pytest.raises(LookupError):
        client.emit("event")
    store.assert_nothing_in_use()
    assert store.texts() == []


def test_when_the_database_raises(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    """The error handler's session is the handler's: it has to be rolled back before it is used again."""

    @socketio.on("event")
    @style
    def handler() -> None:
        store.db.session.add_all([store.Note(id=1, text="one"), store.Note(id=1, text="the same")])
        store.db.session.flush()

    @socketio.on_error()
    @style
    def failed(error: Exception) -> str:
        store.db.session.rollback()
        store.add(type(error).__name__)
        return "logged"

    assert connect().emit("event", callback=True) == "logged"
    store.assert_nothing_in_use()
    assert store.texts() == ["IntegrityError"]


def test_when_the_error_handler_raises_too(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    def fail(error: object = None) -> None:
        store.count()
        raise LookupError

    socketio.on_event("event", style(fail))
    socketio.on_error_default(style(fail))
    client = connect()
    with pytest.raises(LookupError):
        client.emit("event")
    store.assert_nothing_in_use()


def test_when_a_client_is_refused(
    socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    @socketio.on("connect")
    @style
    def connected(auth: dict[str, str]) -> bool:
        store.count()
        if auth["please"] == "raise":
            raise ConnectionRefusedError("no")
        return False

    for please, message in (("raise", "no"), ("return", "Connection rejected by server")):
        assert connect(auth={"please": please}).refusals == {"/": {"message": message}}
        store.assert_nothing_in_use()


def test_in_hooks(socketio: SocketIO, connect: Connect, store: Database, style: Style) -> None:
    """They share the event's session with its handler."""
    seen: list[Any] = []

    def note(*args: Any) -> None:
        store.count()
        seen.append(store.db.session())

    socketio.on_event("event", style(lambda: note()))
    socketio.before_event(style(lambda: note()))
    socketio.teardown_event(style(lambda error: note()))
    connect().emit("event")
    first, *others = seen[-3:]
    assert others == [first, first]
    store.assert_nothing_in_use()


def test_in_callbacks_of_a_real_client(socketio: SocketIO, store: Database, style: Style, url: str) -> None:
    @socketio.on("ask")
    @style
    def ask() -> None:
        emit("question", callback=style(store.add))

    @socketio.on("ask in vain")
    @style
    def ask_in_vain() -> None:
        def answered(text: str) -> None:
            store.count()
            raise LookupError

        emit("question", callback=style(answered))

    socketio.on_event("sync", lambda: None)
    with RealClient(url) as client:
        for event in ("ask", "ask in vain"):
            client.client.emit(event)
            question = client.client.receive()
            client.client.send(wire.ACK, ["the answer"], id=question.id)
        client.call("sync")
    store.assert_nothing_in_use()
    assert store.texts() == ["the answer"]


def test_beside_other_teardown_functions(
    app: Flask, socketio: SocketIO, connect: Connect, store: Database, style: Style
) -> None:
    """They may still use the session: the last registered runs first."""
    seen: list[int] = []
    app.teardown_appcontext(lambda error: seen.append(g.number) or seen.append(store.count()))

    @socketio.on("event")
    @style
    def handler() -> None:
        g.number = store.add("text")

    connect().emit("event")
    assert seen == [1, 1]
    store.assert_nothing_in_use()


def test_get_or_404(socketio: SocketIO, connect: Connect, store: Database, style: Style) -> None:
    @socketio.on("read")
    @style
    def read(number: int) -> str:
        text: str = store.db.get_or_404(store.Note, number, description="no such note").text
        return text

    client = connect()
    refusal = {"error": {"message": "no such note", "data": {"code": 404}}}
    assert client.emit("read", 1, callback=True) == refusal
    store.assert_nothing_in_use()


def test_in_a_thread_of_a_coroutine(socketio: SocketIO, connect: Connect, store: Database) -> None:
    """The session is the event's there, too."""

    @socketio.on("event")
    async def handler() -> bool:
        session = await asyncio.to_thread(lambda: store.add("text") and store.db.session())
        return session is store.db.session()

    assert connect().emit("event", callback=True) is True
    store.assert_nothing_in_use()


CLIENTS = 10
EVENTS = 20


def test_many_real_clients_at_once(
    app: Flask, socketio: SocketIO, store: Database, style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    """200 events of all kinds, many more at a time than there are connections."""

    @socketio.on("connect")
    @style
    def connected(auth: dict[str, bool]) -> bool:
        store.count()
        return auth["welcome"]

    socketio.on_event("disconnect", style(lambda reason: store.count()))
    socketio.on_event("read", style(lambda: store.count() >= 0))
    socketio.on_event("write", style(lambda: store.add("written") > 0))

    @socketio.on("fail")
    @style
    def fail() -> None:
        store.count()
        raise LookupError

    # Plain: a coroutine that waits while it holds a connection, as the one that has failed does, can keep
    # the event loop's other coroutines from ever getting one.
    @socketio.on_error_default
    def failed(error: Exception) -> bool:
        return isinstance(error, LookupError) and store.count() >= 0

    def talk(number: int) -> int:
        with RealClient(url, auth={"welcome": False}) as refused:
            assert refused.refusal is not None
        with RealClient(url, auth={"welcome": True}) as client:
            kinds = ["read", "write", "fail", "read"]
            return sum(client.call(kinds[event % 4]) is True for event in range(EVENTS))

    with serve(app) as url, ThreadPoolExecutor(CLIENTS) as threads:
        answered = sum(threads.map(talk, range(CLIENTS)))
    assert answered == CLIENTS * EVENTS
    store.assert_nothing_in_use()
    assert store.texts() == ["written"] * (CLIENTS * EVENTS // 4)
    assert "Traceback" not in caplog.text
