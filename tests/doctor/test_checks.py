"""Each finding: where it is shown, and where not."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_realtime import EngineIO, SocketIO, doctor
from flask_realtime.doctor import facts, files
from flask_realtime.gateways.cors import CORSPolicy
from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.servers.choice import Choice

MakeApp = Callable[..., Flask]
Diagnose = Callable[..., dict[str, Any]]


def import_fake(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


def choose(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setattr(facts, "choose_server", lambda *_: Choice(server, "the test says so"))


def test_nothing_is_wrong(make_app: MakeApp, diagnose: Diagnose) -> None:
    assert not diagnose(make_app())


class TestExtension:
    def test_none(self, diagnose: Diagnose) -> None:
        found = diagnose(Flask("app"))
        assert set(found) == {"no-extension"}
        assert "Flask-SocketIO" not in found["no-extension"]["what"]

    def test_only_theirs(self, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
        app = Flask("app")
        app.extensions["socketio"] = type("SocketIO", (), {"__module__": "flask_socketio"})()
        assert "only Flask-SocketIO's" in diagnose(app)["no-extension"]["what"]

    def test_engineio_is_enough(self, diagnose: Diagnose) -> None:
        app = Flask("app")
        EngineIO(app, async_mode="threading")
        assert not diagnose(app)

    def test_theirs_too(self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch) -> None:
        import_fake(monkeypatch, "flask_socketio", "app.chat", "app.old", "app.none")
        theirs = sys.modules["flask_socketio"]
        theirs.emit = lambda: None  # type: ignore[attr-defined]
        theirs.emit.__module__ = "flask_socketio"
        sys.modules["app.chat"].emit = theirs.emit  # type: ignore[attr-defined]
        sys.modules["app.old"].renamed = theirs  # type: ignore[attr-defined]
        sys.modules["app.none"].request = request  # type: ignore[attr-defined]
        found = diagnose(make_app())["flask-socketio"]
        assert found["severity"] == "warning"
        assert found["what"].endswith(": app.chat imports it; app.old imports it")
        assert "flask realtime migrate" in found["advice"]

    def test_theirs_in_the_place_of_ours(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import_fake(monkeypatch, "flask_socketio")
        app = make_app()
        app.extensions["socketio"] = type("SocketIO", (), {"__module__": "flask_socketio"})()
        assert diagnose(app)["flask-socketio"]["severity"] == "error"


class TestServer:
    def test_one_that_is_missing(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flask_realtime.servers.choice.is_installed", lambda name: False)
        found = diagnose(make_app(async_mode="gevent"))
        assert "gevent is not installed" in found["no-server"]["what"]

    def test_uwsgi_runs_the_app_itself(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        assert not diagnose(make_app(async_mode="gevent_uwsgi"))


class TestPort:
    def test_taken(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
            found = diagnose(make_app(), "--port", str(port))
            assert f"127.0.0.1:{port}" in found["port"]["what"]
            assert "another program" in found["port"]["what"]

    def test_free_before_and_after(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        assert not diagnose(make_app(), "--port", str(port))
        socket.create_server(("127.0.0.1", port)).close()

    def test_the_one_in_server_name(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            app = make_app({"SERVER_NAME": f"localhost:{sock.getsockname()[1]}"})
            assert "port" in diagnose(app, "--host", "127.0.0.1")

    def test_a_host_that_is_none(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        assert diagnose(make_app(), "--host", "256.256.256.256")["port"]["what"]

    def test_a_stale_unix_socket_is_not_touched(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path
    ) -> None:
        path = tmp_path / "stale"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
        assert not diagnose(make_app(), "--host", f"unix://{path}")
        assert path.is_socket()

    @pytest.mark.parametrize(("platform", "port"), [("linux", 5000), ("darwin", 5001), ("darwin", 5000)])
    def test_airplay(self, make_app: MakeApp, platform: str, port: int) -> None:
        situation = replace(doctor.examine(make_app(), port=0), port=port, platform=platform)
        codes = [finding.code for finding in doctor.diagnose(situation)]
        assert codes == (["airplay"] if (platform, port) == ("darwin", 5000) else [])
        [taken] = doctor.diagnose(replace(situation, taken="no"))
        assert ("AirPlay" in taken.advice) == bool(codes)


class TestSession:
    @pytest.mark.parametrize(("managed", "answer"), [(True, "written"), (False, "RuntimeError")])
    def test_no_secret_key(self, make_app: MakeApp, diagnose: Diagnose, managed: bool, answer: str) -> None:
        app = make_app({"SECRET_KEY": None}, manage_session=managed)
        finding = diagnose(app)["secret-key"]
        assert finding["severity"] == "note"
        assert ("raises" in finding["consequence"]) is (answer == "RuntimeError")

        def write() -> str:
            try:
                session["key"] = "value"
            except RuntimeError:
                return "RuntimeError"
            return "written"

        socketio: SocketIO = app.extensions["socketio"]
        socketio.on_event("write", write)
        assert socketio.test_client(app).emit("write", callback=True) == answer

    @pytest.mark.parametrize(
        ("managed", "interface", "found"),
        [
            (False, SecureCookieSessionInterface, True),
            (True, SecureCookieSessionInterface, False),
            (False, SessionInterface, False),
        ],
    )
    def test_in_a_cookie(
        self,
        make_app: MakeApp,
        diagnose: Diagnose,
        managed: bool,
        interface: type[SessionInterface],
        found: bool,
    ) -> None:
        app = make_app(manage_session=managed)
        app.session_interface = interface()
        assert ("cookie-session" in diagnose(app)) is found

    def test_engineio_has_no_session(self, diagnose: Diagnose) -> None:
        app = Flask("app")
        EngineIO(app, async_mode="threading")
        assert not diagnose(app)

    def test_an_interface_that_needs_none(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        app = make_app({"SECRET_KEY": None})
        app.session_interface = SessionInterface()
        assert not diagnose(app)


@pytest.mark.parametrize(("value", "shown"), [("0", True), ("False", True), ("1", False), ("", False)])
def test_flask_run_without_threads(
    make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    monkeypatch.setenv("FLASK_RUN_WITH_THREADS", value)
    assert ("without-threads" in diagnose(make_app())) is shown


class TestDrivers:
    """A process that is not patched; ``test_patching.py`` has the others."""

    @pytest.mark.parametrize("server", ["gevent", "eventlet"])
    @pytest.mark.parametrize("driver", ["psycopg2", "redis", "mysql.connector"])
    def test_under_a_green_server(
        self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, server: str, driver: str
    ) -> None:
        choose(monkeypatch, server)
        import_fake(monkeypatch, driver)
        [finding] = (
            finding
            for finding in doctor.diagnose(doctor.examine(make_app(), port=0))
            if finding.code != "eventlet"
        )
        assert finding.code == "blocking-driver"
        assert driver in finding.what
        assert server in finding.what

    @pytest.mark.parametrize("server", ["werkzeug", "gunicorn"])
    def test_under_one_with_threads(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, server: str
    ) -> None:
        choose(monkeypatch, server)
        import_fake(monkeypatch, "psycopg2", "flask_sqlalchemy")
        assert not diagnose(make_app())

    def test_without_a_driver(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choose(monkeypatch, "gevent")
        import_fake(monkeypatch, "sqlite3")
        assert not diagnose(make_app())

    def test_sqlite_by_sqlalchemy(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choose(monkeypatch, "gevent")
        import_fake(monkeypatch, "sqlite3", "flask_sqlalchemy", "redis")
        assert "redis and sqlite3" in diagnose(make_app())["blocking-driver"]["what"]

    @pytest.mark.parametrize("server", ["eventlet", "gevent"])
    def test_eventlet_is_deprecated(
        self, make_app: MakeApp, diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, server: str
    ) -> None:
        choose(monkeypatch, server)
        assert ("eventlet" in diagnose(make_app())) is (server == "eventlet")


class TestWorkers:
    @pytest.mark.parametrize(
        ("variable", "value", "shown"),
        [
            ("WEB_CONCURRENCY", "4", True),
            ("WEB_CONCURRENCY", "1", False),
            ("WEB_CONCURRENCY", "auto", False),
            ("UWSGI_PROCESSES", "2", True),
            ("UWSGI_WORKERS", "2", True),
            ("GRANIAN_WORKERS", "2", True),
            ("GUNICORN_CMD_ARGS", "-w 4", True),
            ("GUNICORN_CMD_ARGS", "--threads 8 -w4 -k gthread", True),
            ("GUNICORN_CMD_ARGS", "--workers=2", True),
            ("GUNICORN_CMD_ARGS", "-k gthread --workers 3", True),
            ("GUNICORN_CMD_ARGS", "-w 4 -w 1", False),
            ("GUNICORN_CMD_ARGS", "--threads 8 --worker-connections 20", False),
            ("GUNICORN_CMD_ARGS", "--access-logformat '-w 4", False),
        ],
    )
    def test_in_the_environment(
        self,
        make_app: MakeApp,
        diagnose: Diagnose,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
        value: str,
        shown: bool,
    ) -> None:
        monkeypatch.setenv(variable, value)
        found = diagnose(make_app())
        assert ("several-workers" in found) is shown
        assert not shown or variable in found["several-workers"]["what"]

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("workers = 4", True),
            ("import os\nworkers = os.cpu_count() * 2 + 1\n", True),
            ("workers = 1\nthreads = 8", False),
            ("workers = 4\nworkers = 1", False),
            ("threads = 8", False),
            ("workers = int(PORT)", False),
            ("workers = = 4", False),
        ],
    )
    def test_in_a_file(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, text: str, shown: bool
    ) -> None:
        (tmp_path / "gunicorn.conf.py").write_text(text)
        assert ("several-workers" in diagnose(make_app())) is shown

    @pytest.mark.parametrize(
        ("command", "shown"), [("gunicorn -w 3 app:app", True), ("python app.py -w 3", False)]
    )
    def test_in_a_procfile(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, command: str, shown: bool
    ) -> None:
        (tmp_path / "Procfile").write_text(f"release: ./migrate\nweb: {command}\n")
        assert ("several-workers" in diagnose(make_app())) is shown

    @pytest.mark.parametrize("where", ["Procfile", "GUNICORN_CMD_ARGS", "gunicorn.conf.py"])
    def test_what_goes_before_the_variable(
        self,
        make_app: MakeApp,
        diagnose: Diagnose,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        where: str,
    ) -> None:
        monkeypatch.setenv("WEB_CONCURRENCY", "4")
        if where == "Procfile":
            (tmp_path / where).write_text("web: gunicorn -w 1 app:app")
        elif where == "gunicorn.conf.py":
            (tmp_path / where).write_text("workers = 1")
        else:
            monkeypatch.setenv(where, "-w 1")
        assert not diagnose(make_app())


class TestProxy:
    @pytest.mark.parametrize(
        "config",
        [
            {"PREFERRED_URL_SCHEME": "https"},
            {"SESSION_COOKIE_SECURE": True},
            {"SERVER_NAME": "chat.example", "SOCKETIO_CORS_ALLOWED_ORIGINS": ["https://chat.example"]},
        ],
        ids=lambda config: next(iter(config)),
    )
    def test_signs_in_the_config(self, make_app: MakeApp, diagnose: Diagnose, config: dict[str, Any]) -> None:
        assert set(diagnose(make_app(config))) == {"no-proxy-fix"}
        app = make_app(config)
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        assert not diagnose(app)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [("FORWARDED_ALLOW_IPS", "*"), ("GUNICORN_CMD_ARGS", "--forwarded-allow-ips=*"), ("DYNO", "web.1")],
    )
    def test_signs_in_the_environment(
        self,
        make_app: MakeApp,
        diagnose: Diagnose,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
        value: str,
    ) -> None:
        monkeypatch.setenv(variable, value)
        assert diagnose(make_app())["no-proxy-fix"]["severity"] == "note"

    def test_origins_of_others_are_no_sign(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        origins = ["https://www.example", "http://chat.example"]
        assert not diagnose(make_app({"SERVER_NAME": "chat.example"}, cors_allowed_origins=origins))

    def test_without_the_scheme(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        app = make_app()
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=0)  # type: ignore[method-assign]
        assert set(diagnose(app)) == {"proxy-fix-proto"}
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1)  # type: ignore[method-assign]
        assert not diagnose(app)

    def test_under_another_middleware(self, make_app: MakeApp, diagnose: Diagnose) -> None:
        app = Flask("app")
        app.secret_key = "not empty"
        app.wsgi_app = DispatcherMiddleware(ProxyFix(app.wsgi_app))  # type: ignore[method-assign]
        SocketIO(app, async_mode="threading")
        assert set(diagnose(app)) == {"proxy-fix-order"}

    @pytest.mark.parametrize("first", [True, False])
    def test_outermost(self, diagnose: Diagnose, first: bool) -> None:
        app = Flask("app")
        app.secret_key = "not empty"
        if first:
            app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
        SocketIO(app, async_mode="threading")
        if not first:
            app.wsgi_app = ProxyFix(DispatcherMiddleware(app.wsgi_app))  # type: ignore[method-assign]
        assert not diagnose(app)

    @pytest.mark.parametrize(
        ("interval", "timeout", "shown"),
        [(25, 20, False), (40, 20, False), ((25, 20), 20, True), (60, 60, True)],
    )
    def test_ping(
        self, make_app: MakeApp, diagnose: Diagnose, interval: Any, timeout: float, shown: bool
    ) -> None:
        found = diagnose(make_app(ping_interval=interval, ping_timeout=timeout))
        assert ("ping-and-proxy" in found) is shown

    @pytest.mark.parametrize(("size", "shown"), [(1_000_000, False), (1024 * 1024, False), (10**8, True)])
    def test_body_limit(self, make_app: MakeApp, diagnose: Diagnose, size: int, shown: bool) -> None:
        assert ("body-limit" in diagnose(make_app(max_http_buffer_size=size))) is shown


#: an entry of the list, and the origin of the page that it was meant for
NEVER = {
    "https://www.example/chat": "https://www.example",
    "www.example": "https://www.example",
    "localhost:5000": "http://localhost:5000",
    "https://*.example": "https://www.example",
    "wss://www.example": "https://www.example",
    "null": "null",
    "https://a.example,https://b.example": "https://a.example",
    " https://www.example": "https://www.example",
    "https://": "https://www.example",
    "https://www.example:port": "https://www.example",
    "https://user@www.example": "https://www.example",
}
UNUSUAL = {
    "https://www.example/": "https://www.example",
    "https://WWW.example": "https://www.example",
    "https://www.example:443": "https://www.example",
    "http://www.example:80/": "http://www.example",
}
FINE = ("https://www.example", "http://localhost:5000", "http://www.example:443", "http://[::1]:5000")


def is_allowed(allowed: list[str], origin: str) -> bool:
    with contextlib.suppress(RemoteProtocolError):
        CORSPolicy(allowed, True).check(origin, "http://server.example", {})
        return True
    return False


class TestOrigins:
    @pytest.mark.parametrize("entry", NEVER)
    def test_never(self, make_app: MakeApp, diagnose: Diagnose, entry: str) -> None:
        finding = diagnose(make_app(cors_allowed_origins=["https://fine.example", entry]))["origin-never"]
        assert repr(entry) in finding["what"]
        assert not is_allowed([entry], NEVER[entry])

    @pytest.mark.parametrize("entry", UNUSUAL)
    def test_unusual(self, make_app: MakeApp, diagnose: Diagnose, entry: str) -> None:
        assert set(diagnose(make_app(cors_allowed_origins=entry))) == {"origin-spelling"}
        assert is_allowed([entry], UNUSUAL[entry])

    @pytest.mark.parametrize("entry", FINE)
    def test_fine(self, make_app: MakeApp, diagnose: Diagnose, entry: str) -> None:
        assert not diagnose(make_app(cors_allowed_origins=[entry]))
        assert is_allowed([entry], entry)

    @pytest.mark.parametrize("allowed", ["*", ["*", "www.example"], []])
    def test_any(self, make_app: MakeApp, diagnose: Diagnose, allowed: Any) -> None:
        assert set(diagnose(make_app(cors_allowed_origins=allowed))) == {"any-origin"}

    @pytest.mark.parametrize("allowed", [None, lambda origin: True])
    def test_a_function(self, make_app: MakeApp, diagnose: Diagnose, allowed: Any) -> None:
        assert not diagnose(make_app(cors_allowed_origins=allowed))


def page(url: str) -> str:
    return f"<html>\n<script src='{url}'></script>\n"


class TestClients:
    @pytest.mark.parametrize(
        ("content", "shown"),
        [
            ({"dependencies": {"socket.io-client": "^2.3.0"}}, True),
            ({"devDependencies": {"socket.io-client": "1.7"}}, True),
            ({"dependencies": {"engine.io-client": "~3.5.1"}}, True),
            ({"dependencies": {"socket.io-client": "~3.1.0"}}, False),
            ({"dependencies": {"socket.io-client": "^4.7.5", "engine.io-client": "6.5.0"}}, False),
            ({"dependencies": {"socket.io-client": "latest"}}, False),
            ({"dependencies": {"socket.io-client": ">=2"}}, False),
            ({"dependencies": {"socket.io": "2.0.0"}}, False),
            ({"dependencies": ["socket.io-client"]}, False),
            ([], False),
        ],
    )
    @pytest.mark.parametrize("folder", [".", "frontend", "static/js"])
    def test_package_json(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, folder: str, content: Any, shown: bool
    ) -> None:
        file = tmp_path / folder / "package.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
        found = diagnose(make_app())
        assert set(found) == ({"client-version"} if shown else set())
        assert not shown or str(file.relative_to(tmp_path)) in found["client-version"]["what"]

    @pytest.mark.parametrize(
        "lock",
        [
            {"packages": {"node_modules/socket.io-client": {"version": "VERSION"}}},
            {"dependencies": {"socket.io-client": {"version": "VERSION"}}},
        ],
        ids=["packages", "dependencies"],
    )
    @pytest.mark.parametrize(("version", "shown"), [("2.5.0", True), ("4.7.5", False)])
    def test_the_lock_goes_before(
        self,
        make_app: MakeApp,
        diagnose: Diagnose,
        tmp_path: Path,
        lock: dict[str, Any],
        version: str,
        shown: bool,
    ) -> None:
        (tmp_path / "package.json").write_text('{"dependencies": {"socket.io-client": "2.0.0"}}')
        (tmp_path / "package-lock.json").write_text(json.dumps(lock).replace("VERSION", version))
        found = diagnose(make_app())
        assert ("client-version" in found) is shown
        assert not shown or version in found["client-version"]["what"]

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://cdnjs.cloudflare.com/ajax/libs/socket.io/2.3.0/socket.io.js", True),
            ("https://cdn.jsdelivr.net/npm/socket.io-client@2/dist/socket.io.js", True),
            ("//unpkg.com/socket.io-client@1.7.4/dist/socket.io.min.js", True),
            ("https://cdn.socket.io/socket.io-1.4.5.js", True),
            ("https://unpkg.com/engine.io-client@3.5.0/engine.io.js", True),
            ("https://cdn.socket.io/4.7.5/socket.io.min.js", False),
            ("https://cdn.jsdelivr.net/npm/socket.io-client@4/dist/socket.io.js", False),
            ("https://cdnjs.cloudflare.com/ajax/libs/socket.io/3.0.4/socket.io.js", False),
            ("https://unpkg.com/engine.io-client@6.5.0/dist/engine.io.js", False),
            ("/static/socket.io.min.js", False),
            ("/static/socket.io/socket.io.js", False),
        ],
    )
    @pytest.mark.parametrize("name", ["templates/chat/index.html", "static/index.htm"])
    def test_pages(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, name: str, url: str, shown: bool
    ) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text(page(url))
        found = diagnose(make_app())
        assert set(found) == ({"client-version"} if shown else set())
        assert not shown or f"{name}:2" in found["client-version"]["what"]

    @pytest.mark.parametrize(("version", "shown"), [("2.3.0", True), ("4.7.5", False)])
    def test_a_copy_of_the_script(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, version: str, shown: bool
    ) -> None:
        file = tmp_path / "static" / "socket.io.min.js"
        file.parent.mkdir()
        file.write_text(f"/*!\n * Socket.IO v{version}\n * (c) Guillermo Rauch\n */\n")
        assert ("client-version" in diagnose(make_app())) is shown

    @pytest.mark.parametrize("folder", ["node_modules/x", ".hidden", "a/b/c/d/e", "env"])
    def test_where_it_does_not_look(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, folder: str
    ) -> None:
        file = tmp_path / folder / "package.json"
        file.parent.mkdir(parents=True)
        file.write_text('{"dependencies": {"socket.io-client": "2.0.0"}}')
        (tmp_path / "env").mkdir(exist_ok=True)
        (tmp_path / "env" / "pyvenv.cfg").touch()
        assert not diagnose(make_app())

    def test_not_more_than_so_many_files(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "MAX_FILES", 3)
        for name in "abc":
            (tmp_path / name).touch()
        (tmp_path / "package.json").write_text('{"dependencies": {"socket.io-client": "2.0.0"}}')
        assert not diagnose(make_app())

    def test_beside_the_package_of_the_app(
        self, diagnose: Diagnose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = Flask("app", root_path=str(tmp_path / "package"))
        app.secret_key = "not empty"
        SocketIO(app, async_mode="threading")
        file = tmp_path / "frontend" / "package.json"
        file.parent.mkdir()
        file.write_text('{"dependencies": {"socket.io-client": "2.0.0"}}')
        assert "client-version" in diagnose(app)
        monkeypatch.chdir(file.parent)  # that is no project with the app in it
        assert not diagnose(app)

    @pytest.mark.parametrize(
        ("url", "path", "shown"),
        [
            ("/socket.io/socket.io.js", "socket.io", True),
            ("http://localhost:5000/socket.io/socket.io.min.js", "socket.io", True),
            ("//chat.example/socket.io/socket.io.js", "socket.io", True),
            ("/live/socket.io.js", "live", True),
            ("/socket.io/socket.io.js", "live", False),
            ("/static/socket.io.js", "socket.io", False),
            ("https://cdn.socket.io/4.7.5/socket.io.js", "socket.io", False),
        ],
    )
    def test_a_script_that_is_not_served(
        self, make_app: MakeApp, diagnose: Diagnose, tmp_path: Path, url: str, path: str, shown: bool
    ) -> None:
        (tmp_path / "index.html").write_text(page(url))
        app = make_app(path=path)
        assert set(diagnose(app)) == ({"client-script"} if shown else set())
        assert app.test_client().get("/socket.io/socket.io.js").status_code >= 400

    @pytest.mark.parametrize(("version", "shown"), [("4.6.1", True), ("5.11.0", False)])
    def test_the_python_client(self, make_app: MakeApp, version: str, shown: bool) -> None:
        situation = doctor.examine(make_app(), port=0)
        situation = replace(situation, versions={**situation.versions, "python-socketio": version})
        codes = [finding.code for finding in doctor.diagnose(situation)]
        assert codes == (["python-client"] if shown else [])
