"""The history: order, repetition, bounds, and that it outlives the application."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from example_app import create_app
from example_app.errors import ChatError, ConfigurationError
from example_app.store import Draft, Message, Store, get_store


@pytest.fixture
def store(app: Flask) -> Iterator[Store]:
    with app.app_context():
        yield get_store()


def add(store: Store, text: str, room: str = "lobby") -> Message:
    with store.publishing(Draft(room, "Ada", text, key=f"{room}-{text}")) as (message, new):
        assert new
        return message


def texts(store: Store, room: str = "lobby", after: int = 0, most: int = 100) -> list[str]:
    return [message.text for message in store.history(room, after, most)[0]]


def test_messages_are_numbered_across_rooms(store: Store) -> None:
    ids = [add(store, "a").id, add(store, "b", "random").id, add(store, "c").id]
    assert ids == sorted(set(ids))


def test_a_room_keeps_its_newest_messages(store: Store) -> None:
    add(store, "elsewhere", "random")
    for i in range(20):
        add(store, str(i))
    assert texts(store) == [str(i) for i in range(12, 20)]
    assert texts(store, "random") == ["elsewhere"]


def test_a_repeated_message_is_stored_once(store: Store) -> None:
    first = add(store, "a")
    with store.publishing(Draft("random", "Ada", "again", key=first.key)) as (message, new):
        assert not new
        assert message == first


def test_rooms_are_created_once_and_not_without_end(store: Store) -> None:
    store.add_room("attic", 4)
    store.add_room("attic", 4)
    assert store.rooms() == ["lobby", "random", "help", "attic"]
    with pytest.raises(ChatError, match="4 rooms"):
        store.add_room("cellar", 4)


def test_threads_send_in_the_order_of_the_ids(app: Flask) -> None:
    sent: list[int] = []

    def say(i: int) -> None:
        with app.app_context(), get_store().publishing(Draft("lobby", "Ada", str(i), str(i))) as (message, _):
            sent.append(message.id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(say, range(100)))
    assert sent == sorted(sent)
    assert len(set(sent)) == 100


def test_it_outlives_the_application(app: Flask) -> None:
    with app.app_context():
        add(get_store(), "still here")
    again = create_app({"DATABASE": app.config["DATABASE"]})
    with again.app_context():
        assert texts(get_store()) == ["still here"]


def test_a_connection_ends_with_its_context(app: Flask) -> None:
    with app.app_context():
        store = get_store()
        assert get_store() is store
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.rooms()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada, this is certainly not a database.\n" * 30)
    with pytest.raises(ConfigurationError, match=r"letter\.txt: file is not a database"):
        create_app({"DATABASE": path})
