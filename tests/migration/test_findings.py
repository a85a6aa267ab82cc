"""What is named: the code, the line, and that nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from migration.project import Project

import flask_realtime.migration
from flask_realtime import SocketIO
from flask_realtime.migration.python.usage import BEHIND_THE_SERVER

ROOT = Path(__file__).parents[2]
START = "from flask_socketio import SocketIO, emit\nsocketio = SocketIO()\n"

IN_PYTHON = [
    ("SocketIO(app, foo=1)", "unknown-option", "todo"),
    ("SocketIO(app, ping_intervall=1)", "unknown-option", "todo"),
    ("socketio.init_app(app, client_manager=manager)", "client-manager", "todo"),
    ("socketio.init_app(app, message_queue=URL)", "message-queue", "todo"),
    ("SocketIO(app, max_decode_packets=50)", "no-effect", "note"),
    ("SocketIO(app, serializer='pickle')", "serializer", "todo"),
    ("SocketIO(app, async_mode='aiohttp')", "async-mode", "todo"),
    ("SocketIO(app, async_mode='gevent_uwsgi')", "uwsgi", "note"),
    ("SocketIO(app, always_connect=True)", "no-effect", "note"),
    ("SocketIO(app, cors_allowed_origins=['*'])", "any-origin", "note"),
    ("SocketIO(app, cors_allowed_origins=ORIGINS, cors_credentials=True)", "credentials", "todo"),
    ("SocketIO(app, json=flask.json)", "json", "note"),
    ("SocketIO(app, **settings)", "options-unseen", "note"),
    ("socketio.run(app, allow_unsafe_werkzeug=True)", "no-effect", "note"),
    ("app.config['SOCKETIO_PING_TIMEOUT'] = 5", "config-key", "note"),
    ("class Config:\n    SOCKETIO_MESSAGE_QUEUE = URL", "config-key", "note"),
    ("app.config.update(SOCKETIO_CHANNEL='x')", "config-key", "note"),
    ("app.config |= {'SOCKETIO_PATH': 'x'}", "config-key", "note"),
    ("socketio.server.manager.redis.publish('x')", "internals", "todo"),
    ("app.socketio.server.eio.handlers", "internals", "todo"),
    ("socketio.server.instrument(auth=False)", "internals", "todo"),
    ("socketio._handle_event()", "internals", "todo"),
    ("class Mine(SocketIO):\n    def _handle_event(self): ...", "internals", "todo"),
    ("import socketio as sio\nm = sio.RedisManager('redis://')", "python-socketio", "todo"),
    ("from socketio import KombuManager\nm = KombuManager(URL)", "python-socketio", "todo"),
    ("from socketio.exceptions import ConnectionRefusedError as E\nraise E()", "python-socketio", "todo"),
    ("import engineio\nengineio.payload.Payload.max_decode_packets = 100", "python-socketio", "todo"),
    ("from engineio.payload import Payload\nPayload.max_decode_packets = 9", "python-socketio", "todo"),
    ("import eventlet\neventlet.monkey_patch()", "monkey-patching", "note"),
    ("from gevent import monkey\nmonkey.patch_all()", "monkey-patching", "note"),
    ("emit('x', None)", "emit-null", "note"),
    ("socketio.emit('x', None)", "emit-null", "note"),
    ("logging.getLogger('engineio.server').setLevel(10)", "logger", "note"),
    ("C = {'version': 1, 'loggers': {'socketio': {}}}", "logger", "note"),
    ("from flask_socketio import *", "star-import", "todo"),
    ("from flask_socketio import _ManagedSession", "unknown-name", "todo"),
    ("from flask_socketio.inner import x", "unknown-name", "todo"),
    ("hidden = ['flask_socketio']", "string", "todo"),
    ("x = 'an import of flask_socketio'", "string", "note"),
    ("'''About flask_socketio.'''", "string", "note"),
    ("views.flask_socketio.emit()", "foreign-name", "todo"),
    ("from app import flask_socketio", "foreign-name", "todo"),
    ("import flask_socketio\ndef f(flask_socketio): ...", "kept-name", "note"),
    ("import flask_socketio.namespace\ndef f(flask_socketio): ...", "not-rewritten", "todo"),
]
FINE = [
    "SocketIO(app, path='x', resource='y', ping_interval=5, cors_allowed_origins='https://a.example')",
    "SocketIO(app, async_mode='eventlet', serializer='msgpack', channel='x', message_queue=None)",
    "SocketIO(app=app)",
    "socketio.emit('x', {'a': None}, room='y', broadcast=True)",
    "emit('x')",
    "socketio.run(app, debug=True, port=1)",
    "other.init_app(app, foo=1)",
    "import socketio as sio\nclient = sio.Client(); sio.exceptions.ConnectionError",
    "from engineio import Client\nClient()",
    "app.config['SOCKETIO_OF_MINE'] = 1",
    "SocketIO(app, path=app.config['SOCKETIO_PATH'])",
    "SocketIO(app, serializer=Packet)",
    "len(socketio.server.manager.rooms['/']); app.socketio.server.eio.sockets",
    "socketio.server.get_session(sid); socketio.server.enter_room(sid, 'x')",
    "from gevent import monkey\nmonkey.is_module_patched('socket')",
    "# flask_socketio",
    "logging.getLogger('app.engineio')",
]


@pytest.mark.parametrize(("source", "code", "severity"), IN_PYTHON)
def test_in_python(project: Project, source: str, code: str, severity: str) -> None:
    project.add({"app.py": START + source})
    report = project.report()
    assert {(f["code"], f["severity"]) for f in report["findings"]} == {(code, severity)}
    first = report["findings"][0]
    assert first["path"] == "app.py"
    assert first["line"] > 2
    assert first["what"]
    assert first["advice"]


@pytest.mark.parametrize("source", FINE)
def test_what_works_is_not_named(project: Project, source: str) -> None:
    project.add({"app.py": START + source})
    assert not project.report()["findings"]


def test_a_rewritten_file_is_looked_at_in_the_same_way(project: Project) -> None:
    project.add(
        {"app.py": START + "\n".join(source for source, *_ in IN_PYTHON if "flask_socketio" not in source)}
    )
    before = project.report("--write")["findings"]
    assert before == project.report()["findings"]


def test_the_extension_is_known_in_other_files(project: Project) -> None:
    project.add(
        {
            "ext.py": "import flask_socketio as fs\nclass App:\n    live: fs.SocketIO = fs.SocketIO()\n",
            "app.py": "from ext import App\nApp.live.init_app(app, foo=1)\nApp.live.server.eio.queue\n",
        }
    )
    assert set(project.codes()) == {"unknown-option", "internals"}


def test_what_is_behind_the_server() -> None:
    server_api = pytest.importorskip("flask_realtime.server_api")
    facade = server_api.SocketIOServer(SocketIO())
    for name, known in BEHIND_THE_SERVER.items():
        public = {attribute for attribute in dir(getattr(facade, name)) if not attribute.startswith("_")}
        assert known == public, name


def test_own_modules_are_not_python_socketio(project: Project) -> None:
    project.add({"app.py": START + "from socketio import Server\nServer()", "socketio.py": "x = 1"})
    assert not project.report()["findings"]


def test_another_framework_is_left_in_peace(project: Project) -> None:
    project.add(
        {
            "app.py": "import eventlet\neventlet.monkey_patch()\nSOCKETIO_PATH = 1",
            "server.py": "import socketio\nsocketio.Server()",
            "Procfile": "web: gunicorn -k eventlet app:app",
            "index.html": "<script src='/js/socket.io-2.1.js'></script>",
            "requirements.txt": "python-socketio\neventlet\n",
        }
    )
    assert not project.report()["findings"]


@pytest.mark.parametrize(
    ("files", "is_named"),
    [
        ({"Procfile": "web: gunicorn app:app"}, True),
        ({"nginx.conf": "proxy_pass http://app;"}, True),
        ({"Procfile": "web: gunicorn app:app", "wsgi.py": "app.wsgi_app = ProxyFix(app.wsgi_app)"}, False),
        ({"Procfile": "web: flask run"}, False),
    ],
)
def test_a_proxy_that_is_not_trusted(project: Project, files: dict[str, str], is_named: bool) -> None:
    project.add({"app.py": START, **files})
    assert [f["line"] for f in project.report()["findings"] if f["code"] == "proxy-fix"] == [2] * is_named


def test_a_module_of_that_name(project: Project) -> None:
    project.add({"app.py": START, "flask_socketio/__init__.py": "import socketio\nsocketio.Server()\n"})
    assert set(project.codes()) == {"own-module"}


def test_a_folder_of_that_name(project: Project) -> None:
    project.add({"flask_socketio/app.py": START})
    paths = [change["path"] for change in project.report(str(project.root / "flask_socketio"))["changes"]]
    assert paths == ["flask_socketio/app.py"]


@pytest.mark.parametrize(
    "source",
    [
        b"print 'flask_socketio'\nimport flask_socketio\n",
        b"import flask_socketio\ndef f(:\n",
        b"import flask_socketio\nx = '\xff'\n",
        b"# coding: no-such-thing\nimport flask_socketio\n",
        b"import flask_socketio\n\0",
        b"import flask_socketio\n" + b"(" * 5000,
    ],
)
def test_what_can_not_be_parsed_is_named(project: Project, source: bytes) -> None:
    project.add({"old.py": source})
    assert project.codes()["syntax"]["severity"] == "todo"
    project.run("--write")
    assert (project.root / "old.py").read_bytes() == source


def test_what_can_not_be_parsed_and_has_nothing_to_do_with_it(project: Project) -> None:
    project.add({"old.py": "print 'gevent'"})
    assert not project.report()["findings"]


@pytest.mark.parametrize(
    ("name", "line", "code", "severity"),
    [
        ("Dockerfile", "RUN pip install flask flask-socketio==5.3", "install", "todo"),
        ("web.Dockerfile", "    Flask-SocketIO \\", "install", "todo"),
        ("tox.ini", "deps = flask_socketio>=5", "install", "todo"),
        (".github/workflows/test.yml", "      - run: uv add flask-socketio", "install", "todo"),
        ("setup.sh", "poetry add Flask-SocketIO@^5", "install", "todo"),
        ("compose.yml", "    image: my/flask-socketio-app", None, ""),
        ("tox.ini", "filterwarnings = ignore::DeprecationWarning:flask_socketio", "mention", "note"),
        ("mypy.ini", "[mypy-flask_socketio.*]", "mention", "note"),
        ("Procfile", "web: gunicorn --worker-class eventlet -w 1 app:app", "worker-class", "note"),
        (
            "app.service",
            "ExecStart=gunicorn -k geventwebsocket.gunicorn.workers.GeventWebSocketWorker a:b",
            "worker-class",
            "note",
        ),
        ("gunicorn.conf.py", "worker_class = 'eventlet'", "worker-class", "note"),
        ("supervisord.conf", "command=gunicorn -keventlet app:app", "worker-class", "note"),
        ("poetry.lock", 'name = "flask-socketio"', "lock-file", "todo"),
        ("uv.lock", 'name = "flask-socketio"', "lock-file", "todo"),
        ("Pipfile.lock", '"flask-socketio": {}', "lock-file", "todo"),
        ("a.ipynb", '"from flask_socketio import emit"', "notebook", "todo"),
        ("README.md", "with Flask-SocketIO", "prose", "note"),
        (
            "base.html",
            '<script src="https://cdn.example/socket.io/2.3.0/socket.io.js">',
            "client-version",
            "todo",
        ),
        ("base.html", '<script src="https://cdn.example/socket.io/4.7.5/socket.io.js">', None, ""),
        ("static/socket.io.js", "/*! Socket.IO v1.7.4 */", "client-version", "todo"),
        ("ui/app.ts", "import io from 'https://cdn.socket.io/2.3.0/socket.io.js';", "client-version", "todo"),
        ("ui/app.mjs", "import { io } from 'https://cdn.socket.io/4.7.5/socket.io.esm.min.js';", None, ""),
        ("web/package.json", '{"dependencies": {"socket.io-client": "^2.5.0"}}', "client-version", "todo"),
    ],
)
def test_in_other_files(project: Project, name: str, line: str, code: str | None, severity: str) -> None:
    project.add({"app.py": START, name: line})
    report = project.report()
    found = {(f["path"], f["code"], f["severity"]) for f in report["findings"] if f["code"] != "proxy-fix"}
    assert found == ({(name, code, severity)} if code else set())


def test_every_finding_is_documented() -> None:
    package = Path(flask_realtime.migration.__file__).parent
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)",\s+(?:TODO|NOTE|severity)\b', source))
    codes |= set(re.findall(r'self\._say\(\s*path, \w+, "([\w-]+)"', source))
    codes |= set(re.findall(r'self\._say\(\s*path,\s+\w+,\s+"([\w-]+)"', source))
    codes |= {code for _, code, _ in IN_PYTHON} | {"syntax"}
    documented = set(
        re.findall(r"^\| `([\w-]+)` \| (?:to do|note)\b", (ROOT / "docs/migrating.md").read_text(), re.M)
    )
    assert documented == codes
