"""The command: what it prints, its status, and where it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.cli import FlaskGroup
from migration.project import Project
from requiring import Require

from flask_realtime.cli import realtime

ROOT = Path(__file__).parents[2]
FILES = {
    "app.py": "from flask_socketio import SocketIO\r\nsocketio = SocketIO(always_connect=True)  # é",
    "sub/views.py": b"# coding: latin-1\nfrom flask_socketio import emit\nx = '\xe9'\n",
    "a b.py": "import flask_socketio\n",
    "requirements.txt": "flask\nflask-socketio\nredis",
}
BROKEN = {"app.py": "raise RuntimeError('not yet')\nimport flask_socketio\n"}


def test_dry_run(project: Project) -> None:
    project.add(FILES)
    result = project.run()
    assert result.exit_code == 0
    changed = b"-from flask_socketio import SocketIO\r\n+from flask_realtime import SocketIO\r\n"
    assert changed in result.stdout_bytes
    assert "app.py:2: always_connect= has no effect" in result.output
    assert result.output.endswith(
        "4 files looked at: would change 4 places in 4 files (--write does it); 0 to do by hand, 1 note.\n"
    )
    for name, content in FILES.items():
        expected = content.encode() if isinstance(content, str) else content
        assert (project.root / name).read_bytes() == expected


def test_the_diff_can_be_applied(project: Project, require: Require) -> None:
    require("git", shutil.which("git"))
    project.add(FILES)
    output = project.run().stdout_bytes
    patch = output[: output.index(b"Notes:")].rstrip(b"\n") + b"\n"
    git = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"]
    subprocess.run(git, input=patch, check=True, timeout=60)
    applied = {name: (project.root / name).read_bytes() for name in FILES}
    project.add(FILES)
    project.run("--write")
    assert applied == {name: (project.root / name).read_bytes() for name in FILES}


def test_write(project: Project) -> None:
    project.add(FILES)
    result = project.run("--write")
    assert result.exit_code == 0
    assert "changed 4 places in 4 files; 0 to do by hand" in result.output
    again = project.run("--write")
    assert again.output.endswith("4 files looked at: nothing to change; 0 to do by hand, 1 note.\n")


def test_status(project: Project) -> None:
    project.add({"app.py": "import flask_socketio\n"})
    assert project.run().exit_code == 0
    check = project.run("--check")
    assert check.exit_code == 1
    assert "---" not in check.output
    assert project.run("--write").exit_code == 0
    assert project.run("--check").exit_code == 0
    project.add({"app.py": "from flask_realtime import SocketIO\nSocketIO(foo=1)\n"})
    assert project.run().exit_code == 1
    assert project.run("--write").exit_code == 1
    assert project.run("--check").exit_code == 1


def test_an_empty_folder(project: Project) -> None:
    assert project.run().output == "0 files looked at: nothing to change; 0 to do by hand.\n"


@pytest.mark.parametrize("arguments", [["--write", "--check"], ["no-such-folder"], ["--nonsense"]])
def test_wrong_usage(project: Project, arguments: list[str]) -> None:
    assert CliRunner().invoke(realtime, ["migrate", *arguments]).exit_code == 2


def test_json(project: Project) -> None:
    project.add(FILES)
    report = project.report()
    assert (report["files"], report["written"]) == (4, False)
    assert [change["path"] for change in report["changes"]] == [
        "a b.py",
        "app.py",
        "requirements.txt",
        "sub/views.py",
    ]
    assert report["changes"][1]["edits"] == 1
    assert "+from flask_realtime import SocketIO" in report["changes"][1]["diff"]
    [finding] = report["findings"]
    assert set(finding) == {"path", "line", "code", "severity", "what", "advice"}
    assert project.report("--write")["written"] is True
    assert project.report()["changes"] == []


def _run(project: Project, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, "PYTHONPATH": python_path, "PYTHONSAFEPATH": "1", **environ},
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("app", [(), ("--app", "app"), ("--app", "no_such_module:create_app()")])
def test_the_app_is_not_imported(project: Project, app: tuple[str, ...]) -> None:
    project.add(BROKEN)
    result = _run(project, "flask", *app, "realtime", "migrate", "--json")
    assert result.returncode == 0, result.stderr
    assert [change["path"] for change in json.loads(result.stdout)["changes"]] == ["app.py"]


def test_without_the_flask_command(project: Project) -> None:
    project.add(BROKEN)
    result = _run(project, "flask_realtime", "migrate", FLASK_APP="no_such_module")
    assert result.returncode == 0, result.stderr
    assert "+import flask_realtime" in result.stdout
    assert (
        "Usage: python -m flask_realtime migrate"
        in _run(project, "flask_realtime", "migrate", "--help").stdout
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_and_lines_that_can_not_be_printed(project: Project) -> None:
    project.add({"é.py": "from flask_socketio import SocketIO\nSocketIO(ü=1)  # €\n"})
    project.add({os.fsdecode(b"\xff.sh"): b"pip install flask-socketio \xfe"})
    for encoding in ("ascii", "utf-8"):
        result = _run(project, "flask_realtime", "migrate", "--check", PYTHONIOENCODING=encoding)
        assert result.returncode == 1, result.stderr
        assert "\\udcff.sh:1: it installs flask-socketio: pip install flask-socketio \\udcfe" in result.stdout


def test_other_commands_do_not_import_it() -> None:
    code = "import sys, flask_realtime.cli; sys.exit('flask_realtime.migration' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_flask_finds_the_command() -> None:
    group = FlaskGroup()
    group._load_plugin_commands()
    found: Callable[..., object] = group.commands["realtime"]
    assert "migrate" in found.commands  # type: ignore[attr-defined]
