"""Extensions that only need a context: Flask-Babel, Flask-Caching, Flask-Migrate."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import flask_babel
import flask_caching
import pytest
from babel.messages import mofile, pofile
from flask import Flask, request
from integrations.conftest import Connect, RealClient, Style

from flask_realtime import ConnectionRefusedError, SocketIO

GERMAN = b"""
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Hello"
msgstr "Hallo"

msgid "Not for you"
msgstr "Nicht f\xc3\xbcr dich"
"""


class TestBabel:
    @pytest.fixture(autouse=True)
    def babel(self, app: Flask, tmp_path: Path) -> None:
        folder = tmp_path / "translations" / "de" / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with open(folder / "messages.mo", "wb") as file:
            mofile.write_mo(file, pofile.read_po(GERMAN.splitlines(), locale="de"))
        app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(tmp_path / "translations")
        flask_babel.Babel(app, locale_selector=self.select)

    @staticmethod
    def select() -> str | None:
        return request.accept_languages.best_match(["en", "de"])

    def test_each_client_in_its_language(self, socketio: SocketIO, connect: Connect, style: Style) -> None:
        @socketio.on("hello")
        @style
        def hello() -> list[str]:
            lazy = flask_babel.lazy_gettext("Hello")
            return [flask_babel.gettext("Hello"), str(lazy), flask_babel.format_decimal(1.5)]

        german = connect(headers={"Accept-Language": "de"})
        english = connect(headers={"Accept-Language": "en"})
        for _ in range(2):
            assert german.emit("hello", callback=True) == ["Hallo", "Hallo", "1,5"]
            assert english.emit("hello", callback=True) == ["Hello", "Hello", "1.5"]

    def test_a_real_client(self, socketio: SocketIO, style: Style, url: str) -> None:
        socketio.on_event("hello", style(lambda: flask_babel.gettext("Hello")))
        with RealClient(url, {"Accept-Language": "de-DE,de;q=0.9"}) as client:
            assert client.call("hello") == "Hallo"

    def test_lazy_texts_of_refusals(self, socketio: SocketIO, connect: Connect, style: Style) -> None:
        """They are made while there is a language."""
        text = flask_babel.lazy_gettext("Not for you")

        @socketio.on("abort")
        @style
        def abort() -> None:
            flask.abort(403, text)

        @socketio.on("connect", namespace="/refused")
        @style
        def refuse() -> None:
            raise ConnectionRefusedError(str(text))

        client = connect(headers={"Accept-Language": "de"})
        assert client.emit("abort", callback=True)["error"]["message"] == "Nicht für dich"
        client.connect("/refused")
        assert client.refusals["/refused"] == {"message": "Nicht für dich"}

    def test_force_locale(self, socketio: SocketIO, connect: Connect, style: Style) -> None:
        @socketio.on("hello")
        @style
        def hello() -> list[str]:
            with flask_babel.force_locale("de"):
                inner = flask_babel.gettext("Hello")
            return [inner, flask_babel.gettext("Hello")]

        assert connect().emit("hello", callback=True) == ["Hallo", "Hello"]


class TestCaching:
    @pytest.fixture
    def cache(self, app: Flask) -> flask_caching.Cache:
        return flask_caching.Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    def test_memoize(
        self, socketio: SocketIO, connect: Connect, cache: flask_caching.Cache, style: Style
    ) -> None:
        calls: list[int] = []

        @cache.memoize()
        def square(number: int) -> int:
            calls.append(number)
            return number * number

        @socketio.on("square")
        @style
        def handler(number: int) -> int:
            return square(number)

        client = connect()
        assert [client.emit("square", number, callback=True) for number in (2, 3, 2, 3)] == [4, 9, 4, 9]
        assert calls == [2, 3]
        cache.delete_memoized(square, 2)
        connect().emit("square", 2)
        assert calls == [2, 3, 2]

    def test_get_and_set(
        self, socketio: SocketIO, cache: flask_caching.Cache, style: Style, url: str
    ) -> None:
        socketio.on_event("set", style(lambda key, value: cache.set(key, value)))
        socketio.on_event("get", style(lambda key: cache.get(key)))
        with RealClient(url) as one, RealClient(url) as two:
            one.call("set", "color", "red")
            assert two.call("get", "color") == "red"

    def test_cached_by_a_key_of_ones_own(
        self, socketio: SocketIO, connect: Connect, cache: flask_caching.Cache
    ) -> None:
        """By default, the key is the request's path, which all events share."""
        calls: list[str] = []

        @socketio.on("what")
        @cache.cached(key_prefix=lambda: f"{request.namespace} {request.event['message']}")  # type: ignore[attr-defined]
        def what() -> str:
            calls.append("what")
            return "this"

        client = connect()
        assert [client.emit("what", callback=True) for _ in range(2)] == ["this", "this"]
        assert calls == ["what"]


MIGRATED = """
import flask_migrate, flask_sqlalchemy, sqlalchemy.orm
from flask import Flask
from flask_realtime import SocketIO

app = Flask("app")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{folder}/test.db"
db = flask_sqlalchemy.SQLAlchemy(app)

class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)

flask_migrate.Migrate(app, db, directory="{folder}/migrations")
socketio = SocketIO(app)
socketio.on_event("count", lambda: db.session.query(Note).count())
runner = app.test_cli_runner()
for command in (["init"], ["migrate", "-m", "first"], ["upgrade"]):
    result = runner.invoke(args=["db", *command])
    assert result.exit_code == 0, (result.output, result.exception)
print("rows:", socketio.test_client(app).emit("count", callback=True))
"""


def test_migrate(tmp_path: Path) -> None:
    """Its commands run in an app with handlers. (It sets up logging for the whole process.)"""
    script = MIGRATED.format(folder=tmp_path)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("rows: 0\n"), done.stderr


def test_all_of_it_in_coroutines_at_once(app: Flask, socketio: SocketIO, url: str) -> None:
    """The languages of clients whose coroutines take turns in one thread don't mix."""
    flask_babel.Babel(app, locale_selector=TestBabel.select)

    @socketio.on("number")
    async def number() -> list[str]:
        first = flask_babel.format_decimal(1.5)
        await asyncio.sleep(0.005)
        return [first, flask_babel.format_decimal(1.5)]

    def talk(language: str) -> Any:
        with RealClient(url, {"Accept-Language": language}) as client:
            return [client.call("number") for _ in range(5)]

    languages = ["de", "en"] * 4
    expected: Callable[[str], Any] = lambda language: [["1,5" if language == "de" else "1.5"] * 2] * 5  # noqa: E731
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(talk, languages)) == [expected(language) for language in languages]
