"""What type checkers say about our interface: mypy and pyright, both strict.

They read ``snippets``. What is accepted there is checked with ``assert_type``; what must be refused stands in
lines that end with ``# error``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from flask_realtime import EventRequest, request
from flask_realtime.config import ASYNC_MODES, TRANSPORTS, ServerConfig
from flask_realtime.options import AsyncMode, EngineIOOptions, EngineOptions, SocketIOOptions, TransportName

ROOT = Path(__file__).resolve().parents[2]
SNIPPETS = Path(__file__).parent / "snippets"
FILES = ("accepted.py", "refused.py")
#: an error: the file's name and the line
Place = tuple[str, int]
Check = Callable[[], dict[Place, str]]

ENVIRONMENT = {
    **os.environ,
    "MYPYPATH": str(ROOT),
    "PYTHONPATH": str(ROOT),
    # Pyright asks the Python that it finds first where packages are.
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
}


def run(*command: str, cwd: Path = ROOT) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert not finished.stderr, finished.stderr
    return finished.stdout


def mypy() -> dict[Place, str]:
    output = run("mypy", "--no-error-summary", *(str(SNIPPETS / name) for name in FILES))
    errors: dict[Place, str] = {}
    for line in output.splitlines():
        if found := re.match(r"(\S+\.py):(\d+): error: (.*)", line):
            errors[Path(found[1]).name, int(found[2])] = found[3]
    return errors


def pyright() -> dict[Place, str]:
    files = [str(SNIPPETS / name) for name in FILES]
    report = json.loads(run("basedpyright", "--outputjson", *files))
    assert report["summary"]["filesAnalyzed"] == len(FILES)
    return {
        (Path(error["file"]).name, error["range"]["start"]["line"] + 1): error["message"]
        for error in report["generalDiagnostics"]
        if error["severity"] == "error"
    }


def expected() -> set[Place]:
    lines = (SNIPPETS / "refused.py").read_text(encoding="utf-8").splitlines()
    return {("refused.py", number) for number, line in enumerate(lines, 1) if line.endswith("# error")}


@pytest.mark.parametrize(
    ("module", "check"), [("mypy", mypy), ("basedpyright", pyright)], ids=["mypy", "pyright"]
)
def test_snippets(module: str, check: Check, require: Callable[[str, object], None]) -> None:
    require(module, importlib.util.find_spec(module))
    errors = check()
    assert {place: errors[place] for place in errors.keys() - expected()} == {}
    assert expected() - errors.keys() == set(), "these lines should be errors"


def test_nothing_of_the_interface_is_untyped(tmp_path: Path, require: Callable[[str, object], None]) -> None:
    """Pyright knows the type of every public name, as it is seen from outside."""
    require("basedpyright", importlib.util.find_spec("basedpyright"))
    report = json.loads(
        run(
            "basedpyright", "--verifytypes", "flask_realtime", "--ignoreexternal", "--outputjson",
            cwd=tmp_path,
        )
    )["typeCompleteness"]  # fmt: skip
    incomplete = [
        (symbol["name"], [diagnostic["message"] for diagnostic in symbol["diagnostics"]])
        for symbol in report["symbols"]
        if symbol["isExported"] and (not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"])
    ]
    assert incomplete == []
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 1_000


class TestOptions:
    """The options that type checkers know are those that there are."""

    HINTS: typing.ClassVar[dict[str, Any]] = typing.get_type_hints(SocketIOOptions)

    def test_names(self) -> None:
        internal = {"ping_interval_grace"}  # the second number of ping_interval
        names = {field.name for field in fields(ServerConfig)} - internal
        assert self.HINTS.keys() == names | {"resource"}

    def test_all_may_be_none(self) -> None:
        for name, hint in self.HINTS.items():
            assert type(None) in typing.get_args(hint), name

    def test_types_of_the_defaults(self) -> None:
        for field in fields(ServerConfig):
            if isinstance(field.default, (bool, int, float)) and field.name in self.HINTS:
                assert type(field.default) in typing.get_args(self.HINTS[field.name]), field.name

    def test_words(self) -> None:
        assert typing.get_args(AsyncMode) == ASYNC_MODES
        assert typing.get_args(TransportName) == TRANSPORTS

    def test_the_engine_has_a_part_of_them(self) -> None:
        engine = typing.get_type_hints(EngineOptions)
        assert typing.get_type_hints(EngineIOOptions).keys() - engine.keys() == {"path"}
        own = {"resource", "namespaces", "manage_session", "always_connect", "json", "serializer"}
        queue = {"message_queue", "channel", "client_manager", "max_unpublished"}
        assert self.HINTS.keys() - engine.keys() == {"path", *own, *queue}


def test_the_typed_request_is_flasks() -> None:
    import flask

    assert request is flask.request
    assert EventRequest.__annotations__.keys() == {"sid", "namespace", "event"}
