"""Rooms and history in SQLite.

One connection per application context: it is opened when a view or a handler first asks for it, and closed
when that one has ended. Flask-Realtime gives every event a context of its own, so this works as in a view.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from flask import Flask, current_app, g

from .errors import ChatError, ConfigurationError

_EXTENSION = "chat_store_lock"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS room (
    name    TEXT PRIMARY KEY,
    created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS message (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, not even after a deletion
    room   TEXT NOT NULL REFERENCES room (name),
    author TEXT NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('text', 'file')),
    text   TEXT NOT NULL,                      -- of a file: its name
    size   INTEGER,                            -- of a file: its bytes
    key    TEXT NOT NULL,
    at     INTEGER NOT NULL,
    UNIQUE (author, key)
);
CREATE INDEX IF NOT EXISTS message_by_room ON message (room, id);
"""


@dataclass(frozen=True)
class Draft:
    """A message before it has been stored.

    ``key`` is the sender's own random name for it. A message that is sent twice, because the first ack got
    lost, is known by it and stored once.
    """

    room: str
    author: str
    text: str
    key: str
    kind: str = "text"
    size: int | None = None


@dataclass(frozen=True)
class Message(Draft):
    """A stored message. ``id`` grows with every message; ``at`` is in milliseconds since 1970."""

    id: int = 0
    at: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The message as it goes to the page."""
        return asdict(self)


class Store:
    """Rooms and messages, through one connection."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, limit: int) -> None:
        self._db = connection
        self._lock = lock
        self._limit = limit

    def rooms(self) -> list[str]:
        """The names of all rooms, the oldest first."""
        return [name for (name,) in self._db.execute("SELECT name FROM room ORDER BY created, rowid")]

    def add_room(self, name: str, most: int) -> None:
        """Create the room unless it is there. A :class:`ChatError` where that would be more than ``most``."""
        with self._db:
            self._db.execute(
                "INSERT INTO room SELECT ?, ? WHERE (SELECT count(*) FROM room) < ? ON CONFLICT DO NOTHING",
                (name, _now(), most),
            )
        if self._db.execute("SELECT 1 FROM room WHERE name = ?", (name,)).fetchone() is None:
            raise ChatError(f"There are {most} rooms already. Please meet in one of them.")

    @contextmanager
    def publishing(self, draft: Draft) -> Iterator[tuple[Message, bool]]:
        """Store a message and hold others back while it is sent: ``with`` gives it and whether it is new.

        Messages of one process are thus sent in the order of their ids, so that a page which has seen one has
        seen all before it, and can ask for those after the last one.
        """
        with self._lock:
            yield self._add(draft)

    def history(self, room: str, after: int, most: int) -> tuple[list[Message], bool]:
        """The newest messages of a room with an id above ``after``, and whether there are yet more."""
        rows = self._db.execute(
            "SELECT * FROM message WHERE room = ? AND id > ? ORDER BY id DESC LIMIT ?",
            (room, after, most + 1),
        ).fetchall()
        return [Message(**row) for row in reversed(rows[:most])], len(rows) > most

    def _add(self, draft: Draft) -> tuple[Message, bool]:
        with self._db:
            cursor = self._db.execute(
                "INSERT INTO message (room, author, kind, text, size, key, at)"
                " VALUES (:room, :author, :kind, :text, :size, :key, :at) ON CONFLICT DO NOTHING",
                {**asdict(draft), "at": _now()},
            )
            if cursor.rowcount:
                self._prune(draft.room)
        row = self._db.execute(
            "SELECT * FROM message WHERE author = ? AND key = ?", (draft.author, draft.key)
        ).fetchone()
        return Message(**row), bool(cursor.rowcount)

    def _prune(self, room: str) -> None:
        self._db.execute(
            "DELETE FROM message WHERE room = :room AND id <= "
            "(SELECT id FROM message WHERE room = :room ORDER BY id DESC LIMIT 1 OFFSET :limit)",
            {"room": room, "limit": self._limit},
        )


def init_app(app: Flask) -> None:
    """Create the database where it is missing, and close a context's connection at its end."""
    try:
        with closing(_connect(app)) as db, db:
            # The write-ahead log lets readers read while one writes. The file remembers the setting.
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            first_rooms = [(name, _now()) for name in app.config["ROOMS"]]
            db.executemany("INSERT INTO room VALUES (?, ?) ON CONFLICT DO NOTHING", first_rooms)
    except sqlite3.Error as error:
        raise ConfigurationError(f"DATABASE: {app.config['DATABASE']}: {error}") from error
    app.extensions[_EXTENSION] = threading.Lock()
    app.teardown_appcontext(_close)


def get_store() -> Store:
    """The current context's store; opened by the first call."""
    if "chat_store" not in g:
        g.chat_db = _connect(current_app)
        lock = current_app.extensions[_EXTENSION]
        g.chat_store = Store(g.chat_db, lock, current_app.config["HISTORY_LIMIT"])
    store: Store = g.chat_store
    return store


def _connect(app: Flask) -> sqlite3.Connection:
    db = sqlite3.connect(app.config["DATABASE"], timeout=10)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")  # safe with the log; a power cut may lose the last messages
    except sqlite3.Error:
        db.close()
        raise
    return db


def _close(_error: BaseException | None) -> None:
    g.pop("chat_store", None)
    db = g.pop("chat_db", None)
    if db is not None:
        db.close()


def _now() -> int:
    return time.time_ns() // 1_000_000
