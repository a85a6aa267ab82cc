"""What the command prints, and its documentation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.cli import FlaskGroup

import flask_realtime.doctor
from flask_realtime import EngineIO
from flask_realtime.cli import realtime

ROOT = Path(__file__).parents[2]
MakeApp = Callable[..., Flask]


def test_flask_finds_the_command() -> None:
    group = FlaskGroup()
    group._load_plugin_commands()
    assert group.commands["realtime"] is realtime


def test_other_commands_do_not_import_it() -> None:
    code = "import sys, flask_realtime.cli; sys.exit('flask_realtime.doctor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_text(make_app: MakeApp) -> None:
    app = make_app(path="live", cors_allowed_origins=["www.example"], ping_interval=(20, 5))
    EngineIO(app, transports=["websocket"], allow_upgrades=False)
    result = app.test_cli_runner().invoke(realtime, ["doctor", "--port", "0"])
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert re.search(r"^run\(\) +gunicorn [\d.]+, threads: async_mode is threading", result.stdout, re.M)
    assert re.search(r"^Werkzeug +\d", result.stdout, re.M)
    assert re.search(r"^address +127\.0\.0\.1:0$", result.stdout, re.M)
    assert "path             /live/" in lines
    assert "ping             every 20 s (and 5 s of grace), 20 s for the answer" in lines
    assert "allowed origins  www.example" in lines
    assert lines.index("SocketIO") < lines.index("EngineIO") < lines.index("1 error")
    assert "transports       websocket" in lines[lines.index("EngineIO") :]
    assert any(line.startswith("error: ") and line.endswith("[origin-never]") for line in lines)


def test_text_where_nothing_is_wrong(make_app: MakeApp) -> None:
    result = make_app().test_cli_runner().invoke(realtime, ["doctor", "--port", "0"])
    assert result.exit_code == 0
    assert result.stdout.endswith("\nNothing is wrong, as far as can be seen.\n")


def test_colours_are_for_terminals(make_app: MakeApp) -> None:
    runner = make_app({"SECRET_KEY": None}).test_cli_runner()
    assert "\x1b[" not in runner.invoke(realtime, ["doctor", "--port", "0"]).stdout
    assert "\x1b[36m" in runner.invoke(realtime, ["doctor", "--port", "0"], color=True).stdout


def test_json(make_app: MakeApp) -> None:
    result = make_app({"SECRET_KEY": None}).test_cli_runner().invoke(
        realtime, ["doctor", "--json", "--host", "localhost", "--port", "0"]
    )  # fmt: skip
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == ["versions", "servers", "run", "patched_by", "endpoints", "findings"]
    assert set(found["versions"]) == {"Flask-Realtime", "Python", "Flask", "Werkzeug"}
    assert "gunicorn" in found["servers"]
    assert found["run"]["server"] == "gunicorn"
    assert found["run"]["address"] == "localhost:0"
    assert found["patched_by"] is None
    assert found["endpoints"] == [
        {
            "kind": "SocketIO",
            "path": "/socket.io/",
            "transports": ["polling", "websocket"],
            "allow_upgrades": True,
            "allowed_origins": "same origin",
            "handlers": "threads",
            "ping_interval": 25.0,
            "ping_interval_grace": 0.0,
            "ping_timeout": 20.0,
            "max_http_buffer_size": 1000000,
        }
    ]
    [finding] = found["findings"]
    assert set(finding) == {"code", "severity", "what", "consequence", "advice"}


def test_an_app_without_endpoints() -> None:
    result = Flask("app").test_cli_runner().invoke(realtime, ["doctor", "--port", "0"])
    assert result.exit_code == 1
    assert re.search(r"^run\(\) +no: the app has no SocketIO$", result.stdout, re.M)


@pytest.mark.parametrize(
    ("allowed", "words"),
    [
        (None, "same origin"),
        ("*", "any"),
        (["*", "https://a.example"], "any"),
        ([], "any (the check is off, no CORS headers)"),
        ("https://a.example", "https://a.example"),
        (("https://a.example", "http://b.example"), "https://a.example, http://b.example"),
        (is_ours := lambda origin: True, f"what {is_ours.__qualname__}() allows"),
    ],
)
def test_origins_in_words(allowed: object, words: str) -> None:
    assert flask_realtime.doctor.in_words(allowed) == words


def test_the_worst_is_first(make_app: MakeApp) -> None:
    app = make_app(
        {"SECRET_KEY": None, "PREFERRED_URL_SCHEME": "https"}, cors_allowed_origins=["null"], ping_interval=60
    )
    severities = [
        f.severity for f in flask_realtime.doctor.diagnose(flask_realtime.doctor.examine(app, port=0))
    ]
    assert severities == ["error", "note", "note", "note"]


def test_every_finding_is_documented() -> None:
    package = Path(flask_realtime.doctor.__file__).parent
    source = "\n".join(path.read_text() for path in package.rglob("*.py"))
    findings = set(re.findall(r'Finding\(\s*"([\w-]+)",\s*"(\w+)"', source))
    assert len(findings) == source.count(" Finding(")
    for code in ("late-patching", "flask-socketio"):  # it depends
        findings = findings - {(code, "error")} | {(code, "error, warning")}
    documented = set(
        re.findall(r"^\| `([\w-]+)` \| ([\w, ]+) \|", (ROOT / "docs/doctor.md").read_text(), re.M)
    )
    assert documented == findings
