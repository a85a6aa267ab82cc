"""The application as a whole: its settings, its page, and the three ways to start it."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask

from example_app import create_app
from example_app.chat.views import CLIENT_INTEGRITY, CLIENT_URL
from example_app.errors import ConfigurationError

Run = Callable[..., subprocess.CompletedProcess[str]]


class TestSettings:
    def test_the_environment_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_DATABASE", str(tmp_path / "env.sqlite3"))
        monkeypatch.setenv("FLASK_HISTORY_LIMIT", "7")
        app = create_app()
        assert app.config["HISTORY_LIMIT"] == 7
        assert (tmp_path / "env.sqlite3").exists()

    def test_what_is_given_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FLASK_DATABASE", str(tmp_path / "env.sqlite3"))
        create_app({"DATABASE": tmp_path / "given.sqlite3"})
        assert [path.name for path in tmp_path.glob("*.sqlite3")] == ["given.sqlite3"]

    @pytest.mark.parametrize("setting", ["DATABASE", "CLIENT_JS"])
    def test_a_wrong_path_is_told(self, tmp_path: Path, setting: str) -> None:
        wrong = tmp_path / "nowhere" / "file"
        settings = {"DATABASE": tmp_path / "chat.sqlite3", setting: wrong}
        with pytest.raises(ConfigurationError, match=setting):
            create_app(settings)

    def test_applications_do_not_share_anything(self, tmp_path: Path) -> None:
        first, second = (create_app({"DATABASE": tmp_path / f"{i}.sqlite3"}) for i in (1, 2))
        assert first.extensions["chat_presence"] is not second.extensions["chat_presence"]


class TestPage:
    def test_the_client_comes_from_its_cdn_with_a_hash(self, app: Flask) -> None:
        page = app.test_client().get("/").text
        assert f'src="{CLIENT_URL}" integrity="{CLIENT_INTEGRITY}" crossorigin="anonymous"' in page
        algorithm, _, digest = CLIENT_INTEGRITY.partition("-")
        assert (algorithm, len(base64.b64decode(digest))) == ("sha384", hashlib.sha384().digest_size)
        assert app.test_client().get("/socket.io.min.js").status_code == 404

    def test_or_from_a_file(self, tmp_path: Path) -> None:
        script = tmp_path / "client.js"
        script.write_text("var io;")
        app = create_app({"DATABASE": tmp_path / "chat.sqlite3", "CLIENT_JS": script})
        client = app.test_client()
        page = client.get("/").text
        assert 'src="/socket.io.min.js"' in page
        assert "cdn" not in page
        with client.get("/socket.io.min.js") as response:
            assert response.mimetype == "text/javascript"
            assert response.get_data() == b"var io;"

    def test_nothing_else_comes_from_elsewhere(self, app: Flask) -> None:
        response = app.test_client().get("/")
        assert response.text.count("https://") == 1
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    def test_every_script_and_style_is_there(self, app: Flask) -> None:
        assert app.static_folder
        files = [path for path in Path(app.static_folder).rglob("*") if path.is_file()]
        assert len(files) > 5
        for path in files:
            name = path.relative_to(app.static_folder).as_posix()
            with app.test_client().get(f"/static/{name}") as response:
                assert response.status_code == 200


class TestStarting:
    """``/socket.io/`` has to answer too: then the server's WSGI application is the wrapped one."""

    @staticmethod
    def check(server: Any) -> None:
        assert "Parlour" in server.get("")
        address = "socket.io/?EIO=4&transport=polling"
        handshake = json.loads(server.get(address).removeprefix("0"))
        assert handshake["upgrades"] == ["websocket"]
        assert server.get(f"{address}&sid={handshake['sid']}", b"1").lower() == "ok"  # that was all, bye

    def test_python_m(self, serve: Callable[..., Any]) -> None:
        self.check(serve("example_app", "--port", "{port}", "--database", "{database}"))

    def test_flask_run(self, serve: Callable[..., Any]) -> None:
        command = ("flask", "--app", "example_app", "run", "--port", "{port}")
        self.check(serve(*command, FLASK_DATABASE="{database}"))

    def test_gunicorn(self, serve: Callable[..., Any], missing: Callable[[str], NoReturn]) -> None:
        if importlib.util.find_spec("gunicorn") is None:
            missing("gunicorn")
        command = ("gunicorn", "--threads", "4", "--bind", "127.0.0.1:{port}", "example_app:create_app()")
        self.check(serve(*command, FLASK_DATABASE="{database}"))

    def test_a_missing_client_is_told(self, run_example: Run, tmp_path: Path) -> None:
        result = run_example("--client-js", str(tmp_path / "none.js"), "--database", str(tmp_path / "db"))
        assert result.returncode == 1
        assert result.stderr.startswith("example_app: CLIENT_JS: there is no file")
        assert len(result.stderr.splitlines()) == 1

    def test_a_port_in_use_is_told(self, run_example: Run, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            result = run_example("--port", port, "--database", str(tmp_path / "db"))
        assert result.returncode == 1
        assert result.stderr == f"example_app: can't listen on 127.0.0.1:{port}: Address already in use\n"

    def test_help(self, run_example: Run) -> None:
        result = run_example("--help")
        assert result.returncode == 0
        for option in ("--host", "--port", "--database", "--client-js", "--debug"):
            assert option in result.stdout
