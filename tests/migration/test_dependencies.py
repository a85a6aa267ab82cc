"""What a project requires: before and after, in every format."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migration.project import Project
from packaging.requirements import Requirement

from flask_realtime.migration.dependencies import rewrite_requirements
from flask_realtime.migration.dependencies.toml import TOMLError, scan
from flask_realtime.migration.source import read_text

Migrated = Callable[[str, str], str]

REQUIREMENTS = [
    ("Flask-SocketIO\n", "Flask-Realtime\n"),
    ("flask-socketio", "flask-realtime"),
    ("flask_socketio~=5.3\r\n", "flask_realtime>=0.1\r\n"),
    ("  flask.socketio >= 5.0 , < 6  # live\n", "  flask-realtime >=0.1  # live\n"),
    ("Flask-SocketIO==5.*;python_version>'3'\n", "Flask-Realtime>=0.1;python_version>'3'\n"),
    ("flask-socketio (>=5)\n", "flask-realtime (>=0.1)\n"),
    ("flask-socketio[docs]!=5.1 ; x == 'y'\n", "flask-realtime>=0.1 ; x == 'y'\n"),
    ("flask-socketio>=5 \\\n    ,<6\n", "flask-realtime>=0.1 \\\n    ,<6\n"),
    (
        "a\n# flask-socketio\n-r other.txt\nFLASK-SOCKETIO\n",
        "a\n# flask-socketio\n-r other.txt\nFlask-Realtime\n",
    ),
    ("flask-socketio --config-settings x=y\n", "flask-realtime --config-settings x=y\n"),
]
PYPROJECT = [
    (
        '[project]\ndependencies = ["flask", "Flask-SocketIO>=5,<6"] # x\nkeywords = ["flask-socketio"]\n',
        '[project]\ndependencies = ["flask", "Flask-Realtime>=0.1"] # x\nkeywords = ["flask-socketio"]\n',
    ),
    (
        "project.optional-dependencies.live = [\r\n  'flask-socketio ; os_name == \"nt\"', # y\r\n]\r\n",
        "project.optional-dependencies.live = [\r\n  'flask-realtime ; os_name == \"nt\"', # y\r\n]\r\n",
    ),
    (
        '[dependency-groups]\ntest = ["flask_socketio", {include-group = "x"}]',
        '[dependency-groups]\ntest = ["flask_realtime", {include-group = "x"}]',
    ),
    (
        '[tool.pdm.dev-dependencies]\na = ["flask-socketio==5.3"]',
        '[tool.pdm.dev-dependencies]\na = ["flask-realtime>=0.1"]',
    ),
    (
        "[tool.uv]\ndev-dependencies = ['flask-socketio']",
        "[tool.uv]\ndev-dependencies = ['flask-realtime']",
    ),
    (
        '[tool.hatch.envs.default]\ndependencies = [\n  """flask-socketio""",\n]',
        '[tool.hatch.envs.default]\ndependencies = [\n  """flask-realtime""",\n]',
    ),
    (
        '[tool.poetry]\ndependencies.flask-socketio = "^5.3"\nextras.live = ["flask-socketio", "x"]',
        '[tool.poetry]\ndependencies.flask-realtime = "^0.1"\nextras.live = ["flask-realtime", "x"]',
    ),
    (
        '[tool.poetry.dependencies]\nx = {version = "1", extras = ["a"]}\nflask-socketio = "5.3.6"\n',
        '[tool.poetry.dependencies]\nx = {version = "1", extras = ["a"]}\nflask-realtime = ">=0.1"\n',
    ),
    (
        "[tool.poetry.group.dev.dependencies]\n\"Flask-SocketIO\" = {version = '>=5', optional = true}",
        "[tool.poetry.group.dev.dependencies]\n\"Flask-Realtime\" = {version = '>=0.1', optional = true}",
    ),
    (
        '[tool.poetry.dependencies.Flask_SocketIO]\nversion = "~5.3"\npython = ">=3.10"\n',
        '[tool.poetry.dependencies.Flask_Realtime]\nversion = "^0.1"\npython = ">=3.10"\n',
    ),
    (
        '[tool.poetry.dependencies]\nflask-socketio = [{version = "5.3", x = "3"}, {version = "5"}]',
        '[tool.poetry.dependencies]\nflask-realtime = [{version = ">=0.1", x = "3"}, {version = ">=0.1"}]',
    ),
]
PIPFILE = [
    ('[packages]\nflask = "*"\nflask-socketio = "*"\n', '[packages]\nflask = "*"\nflask-realtime = "*"\n'),
    ('[dev-packages]\n"Flask-SocketIO" = "==5.3"', '[dev-packages]\n"Flask-Realtime" = ">=0.1"'),
    (
        '[packages]\nflask-socketio = {version = "~=5.3", markers = "x"}',
        '[packages]\nflask-realtime = {version = ">=0.1", markers = "x"}',
    ),
]
SETUP_CFG = [
    (
        "[metadata]\nname = x\n[options]\ninstall_requires =\n\tflask\n    Flask-SocketIO>=5 # x\nx = y",
        "[metadata]\nname = x\n[options]\ninstall_requires =\n\tflask\n    Flask-Realtime>=0.1 # x\nx = y",
    ),
    (
        "[options.extras_require]\r\nlive = flask-socketio; x == 'y'\r\n",
        "[options.extras_require]\r\nlive = flask-realtime; x == 'y'\r\n",
    ),
]
SETUP_PY = [
    (
        "setup(install_requires=['flask', \"Flask-SocketIO>=5\"])",
        "setup(install_requires=['flask', \"Flask-Realtime>=0.1\"])",
    ),
    (
        "setup(extras_require={'live': ['flask_socketio']})",
        "setup(extras_require={'live': ['flask_realtime']})",
    ),
    (
        "REQUIRED = '''\n  flask\n  flask-socketio==5.3\n'''.split()\nsetup(packages=['flask_socketio_x'])",
        "REQUIRED = '''\n  flask\n  flask-realtime>=0.1\n'''.split()\nsetup(packages=['flask_socketio_x'])",
    ),
]
CONDA = [
    (
        "dependencies:\n  - python=3.11\n  - pip:\n    - flask\n    - flask-socketio==5.3 # x\n  - redis\n",
        "dependencies:\n  - python=3.11\n  - pip:\n    - flask\n    - flask-realtime>=0.1 # x\n  - redis\n",
    ),
]
CASES = [
    *(("requirements.txt", *case) for case in REQUIREMENTS),
    *(("pyproject.toml", *case) for case in PYPROJECT),
    *(("Pipfile", *case) for case in PIPFILE),
    *(("setup.cfg", *case) for case in SETUP_CFG),
    *(("setup.py", *case) for case in SETUP_PY),
    *(("environment.yml", *case) for case in CONDA),
]


@pytest.mark.parametrize(("name", "before", "after"), CASES)
def test_the_requirement_is_replaced(migrated: Migrated, name: str, before: str, after: str) -> None:
    assert migrated(name, before) == after


@pytest.mark.parametrize(
    "name",
    [
        "requirements-dev.in",
        "requirements/prod.txt",
        "dev_requirements.txt",
        "constraints.txt",
        "conda-env.yml",
    ],
)
def test_names_of_files(migrated: Migrated, name: str) -> None:
    start = "dependencies:\n- pip:\n  - " if name.endswith("yml") else ""
    assert migrated(name, start + "flask-socketio") == start + "flask-realtime"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("requirements.txt", "flask-socketio==5.3 \\\n    --hash=sha256:00\n", "requirement"),
        ("requirements.txt", "flask-socketio @ git+https://example.com/x.git\n", "requirement"),
        (
            "requirements.txt",
            "-e git+https://github.com/x/Flask-SocketIO.git#egg=Flask-SocketIO\n",
            "requirement",
        ),
        ("requirements.txt", "https://example.com/Flask-SocketIO-5.3.tar.gz\n", "requirement"),
        (
            "requirements.txt",
            "# autogenerated by pip-compile with Python 3.11\nflask-socketio==5.3\n",
            "lock-file",
        ),
        ("requirements.txt", "# This file was autogenerated by uv\nflask-socketio==5.3\n", "lock-file"),
        ("requirements.txt", "flask-realtime\nflask-socketio\n", "both-required"),
        ("pyproject.toml", '[project]\ndependencies=["flask-realtime","flask-socketio"]', "both-required"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nflask-socketio = {git = "x"}', "requirement"),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\nflask-socketio = {version="1",extras=["x"]}',
            "requirement",
        ),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\nflask-socketio="1"\nflask-realtime="1"',
            "requirement",
        ),
        ("pyproject.toml", '[project\ndependencies = ["flask-socketio"', "unreadable"),
        ("environment.yml", "dependencies:\n  - flask-socketio=5.3\n", "requirement"),
        ("environment.yml", "dependencies:\n  - conda-forge::flask-socketio\n", "requirement"),
    ],
)
def test_what_can_not_be_replaced_is_named(project: Project, name: str, content: str, code: str) -> None:
    project.add({name: content})
    assert project.codes()[code]["severity"] == "todo"
    assert project.run("--write").exit_code == 1
    assert project.read(name) == content


def test_notes(project: Project) -> None:
    project.add({"requirements.txt": "flask-socketio[docs]==5.3\n"})
    assert set(project.codes()) == {"extras", "pin"}


def test_included_files(project: Project) -> None:
    project.add(
        {
            "requirements.txt": "-r deps/base\n-c deps/pins\n-r requirements.txt\n-r missing.txt\n-r https://x/y\n",
            "deps/base": "flask-socketio\n-r more\n",
            "deps/more": "flask-socketio>=5",
            "deps/pins": "flask-socketio==5.3\n",
        }
    )
    project.run("--write")
    assert project.read("deps/base") == "flask-realtime\n-r more\n"
    assert project.read("deps/more") == "flask-realtime>=0.1"
    assert project.read("deps/pins") == "flask-realtime>=0.1\n"


def test_a_file_of_windows(project: Project) -> None:
    """``pip freeze > requirements.txt`` in PowerShell writes UTF-16."""
    bom = codecs.BOM_UTF16_LE
    project.add({"requirements.txt": bom + "Flask==3.0\r\nFlask-SocketIO==5.3\r\n".encode("utf-16-le")})
    project.run("--write")
    after = (project.root / "requirements.txt").read_bytes()
    assert after == bom + "Flask==3.0\r\nFlask-Realtime>=0.1\r\n".encode("utf-16-le")


def test_bytes_that_are_no_text_pass_through(project: Project) -> None:
    project.add({"requirements.txt": b"# \xff\xfe\xe9\x00\r\nflask-socketio\n\r# \xf0"})
    project.run("--write")
    assert (
        project.root / "requirements.txt"
    ).read_bytes() == b"# \xff\xfe\xe9\x00\r\nflask-realtime\n\r# \xf0"


def test_what_only_flask_socketio_needed(project: Project) -> None:
    project.add(
        {
            "requirements.txt": "\n".join(
                "Flask-SocketIO python-socketio python_engineio simple-websocket redis"
                " eventlet gevent-websocket".split()
            ),
            "app.py": "import flask_socketio\nimport eventlet\n",
            "Procfile": "web: gunicorn -k geventwebsocket.gunicorn.workers.GeventWebSocketWorker x:y",
        }
    )
    found = {f["line"]: f for f in project.report()["findings"] if f["code"] == "not-needed"}
    assert list(found) == [2, 3, 4, 6, 7]
    assert {finding["severity"] for finding in found.values()} == {"note"}
    assert "No file that was looked at" in found[2]["advice"]
    assert "app.py imports it" in found[6]["advice"]
    assert "A command of the project" in found[7]["advice"]
    project.run("--write")
    assert "python-socketio" in project.read("requirements.txt")


@given(
    extras=st.sampled_from(["", "[docs]", " [ a, b ]"]),
    version=st.sampled_from(["", "==5.3.6", " >=5,<6", "~=5.0", "!=5.1.*, >=5", "===5.3.post1"]),
    marker=st.sampled_from(["", ' ; python_version >= "3.8"', ";os_name=='nt' and extra == 'x'"]),
)
def test_what_is_written_is_a_requirement(extras: str, version: str, marker: str) -> None:
    text = f"Flask-SocketIO{extras}{version}{marker}"
    source = read_text(Path("requirements.txt"), text.encode())
    after = Requirement(source.apply(rewrite_requirements(source, "x").edits).decode())
    before = Requirement(text)
    assert after.name == "Flask-Realtime"
    assert str(after.specifier) == (">=0.1" if version else "")
    assert after.marker == before.marker
    assert not after.extras


# The scanner of TOML

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
VALUES = st.recursive(
    st.one_of(
        TEXT,
        st.just("literal"),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.datetimes(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is of Python 3.11")
@given(st.dictionaries(TEXT, VALUES, max_size=5))
def test_the_scanner_finds_every_string(content: dict[str, object]) -> None:
    import tomllib

    text = "\n".join(f"{json.dumps(key, ensure_ascii=False)} = {_toml(content[key])}" for key in content)
    found = []
    for item in scan(text):
        if not item.is_key:
            quote = text[item.start - 1]
            found.append(tomllib.loads(f"x = {quote}{text[item.start : item.end]}{quote}")["x"])
    assert sorted(found) == sorted(_strings(content))


def _toml(value: object) -> str:
    """A value in TOML; strings of JSON are strings of TOML."""
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, list):
        return f"[ # ]\n{' ,'.join(map(_toml, value))}\n]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_toml(key)}={_toml(inner)}' for key, inner in value.items())}}}"
    return f"'{value}'" if value == "literal" else json.dumps(value, ensure_ascii=False)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in _strings(part)]


@pytest.mark.parametrize(
    "text", ["x", "x =", "x = ]", "= 1", "x = 'a", "[x", "x = [1", "x = {a = 1", "x = ,", "\0"]
)
def test_the_scanner_refuses_what_is_no_toml(text: str) -> None:
    with pytest.raises(TOMLError):
        scan(text)


@given(st.text(alphabet="[]{}=,.'\"\n ax#\\", max_size=30))
def test_the_scanner_always_ends(text: str) -> None:
    with suppress(TOMLError):
        scan(text)
