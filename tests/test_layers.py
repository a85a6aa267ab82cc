"""Imports go one way.

extension -> gateways, backends -> server -> adapters, protocol. This reads the
imports of every module and fails where an arrow runs back, or where a module
that may not wait imports something that does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "flask_realtime"

#: What waits, or runs something beside the caller. Only ``backends/`` may import it.
WAITING = frozenset(
    "_thread asyncio concurrent eventlet gevent geventwebsocket greenlet multiprocessing queue sched "
    "select selectors socket socketserver subprocess threading uvloop".split()
)
#: Below the backends time is an argument.
CLOCKS = frozenset({"time"})
#: What the project has beside the package, and does not ship with it.
BESIDE = frozenset({"benchmarks", "example_app", "tests"})
ANYTHING = frozenset({"*"})
LEAVES = frozenset({"types", "exceptions", "config"})


@dataclass(frozen=True)
class Layer:
    """What the modules of one room may import."""

    ours: frozenset[str]
    """Rooms of ``flask_realtime``, besides itself."""
    third_party: frozenset[str]
    """Top-level packages that are neither ours nor the standard library's."""
    never: frozenset[str]
    """Top-level packages that are refused whoever they belong to."""
    strict: bool = False
    """Whether an import for the type checker alone counts too."""


MSGSPEC = frozenset({"msgspec"})
#: Modules beside the rooms (``extension.py``, ``context.py``, ...) know everyone, and wait for no one.
TOP = Layer(ANYTHING, ANYTHING, WAITING)
LAYERS = {
    # Of websockets, one function in C, where it is installed.
    "protocol": Layer(frozenset(), MSGSPEC | {"websockets"}, WAITING | CLOCKS, strict=True),
    "types": Layer(frozenset({"protocol", "exceptions"}), MSGSPEC, WAITING | CLOCKS),
    "exceptions": Layer(frozenset({"protocol"}), MSGSPEC, WAITING | CLOCKS),
    "config": Layer(frozenset({"protocol", "types", "exceptions"}), MSGSPEC, WAITING | CLOCKS),
    "adapters": Layer(LEAVES | {"protocol"}, ANYTHING, WAITING | {"flask", "werkzeug"}),
    "server": Layer(LEAVES | {"protocol", "adapters"}, MSGSPEC, WAITING | CLOCKS),
    "gateways": Layer(LEAVES | {"protocol", "adapters", "server"}, ANYTHING, WAITING | {"flask"}),
    "backends": Layer(LEAVES | {"protocol", "adapters", "server"}, ANYTHING, frozenset({"flask"})),
    "servers": Layer(LEAVES | {"backends"}, ANYTHING, frozenset({"asyncio", "threading"})),
    "context": TOP,
    "doctor": TOP,
    "migration": Layer(LEAVES | {"doctor"}, frozenset(), WAITING | {"flask"}),
}

MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room that a module of ours is in: ``flask_realtime.server.client`` is in ``server``."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0]


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def nodes(tree: ast.AST, *, with_types: bool) -> Iterator[ast.AST]:
    """Every node, function bodies too; without ``if TYPE_CHECKING:`` where asked."""
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.If) and is_type_checking(node.test) and not with_types:
            pending.extend(node.orelse)
        else:
            pending.extend(ast.iter_child_nodes(node))


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def from_targets(node: ast.ImportFrom, package: str) -> Iterator[str]:
    """``from a import b`` imports ``a.b`` where that is a module of ours, else ``a``."""
    source = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        source = ".".join([*parents, source] if source else parents)
    for alias in node.names:
        target = f"{source}.{alias.name}"
        yield target if source.split(".")[0] == PACKAGE and is_module(target) else source


def dynamic_target(node: ast.Call) -> str | None:
    """The module in ``import_module("gevent")`` or ``__import__("gevent")``."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
    if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    return None


def imports(source: str, package: str, *, with_types: bool) -> Iterator[tuple[int, str]]:
    """(line, module) of each import in ``source``, which belongs to ``package``."""
    for node in nodes(ast.parse(source), with_types=with_types):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, target) for target in from_targets(node, package))
        elif isinstance(node, ast.Call) and (target := dynamic_target(node)):
            yield node.lineno, target


def objection(room: str, target: str) -> str | None:
    """Why a module in ``room`` may not import ``target``, or None."""
    layer = LAYERS.get(room, TOP)
    top = target.split(".")[0]
    if top == PACKAGE:
        other = room_of(target)
        if other == room or other in layer.ours or layer.ours == ANYTHING:
            return None
        return f"{room}/ is below {other or PACKAGE} and may not know it"
    if top in BESIDE:
        return f"{top} is not part of {PACKAGE}"
    if top in layer.never:
        return f"{room or PACKAGE} may not import {top}"
    if top in sys.stdlib_module_names or top in layer.third_party or layer.third_party == ANYTHING:
        return None
    return f"{room}/ stands on the standard library and {', '.join(sorted(layer.third_party))} alone"


def violations(source: str, room: str, package: str) -> list[str]:
    strict = LAYERS.get(room, TOP).strict
    found = imports(source, package, with_types=strict)
    return [f"line {line}: {target}: {why}" for line, target in found if (why := objection(room, target))]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    assert not violations(path.read_text("utf-8"), room_of(name), package)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("protocol", "import flask"),
        ("protocol", "import socket"),
        ("protocol", "from time import monotonic"),
        ("protocol", "from flask_realtime import protocol, server"),
        ("protocol", "from ..exceptions import Anything"),
        ("protocol", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import flask"),
        ("server", "from .. import extension"),
        ("server", "from ..gateways.http import Reply"),
        ("server", "from flask_realtime.backends import threads"),
        ("server", "def late():\n    import threading"),
        ("server", "import_module('gevent')"),
        ("adapters", "import flask_realtime.server.message"),
        ("gateways", "from flask import request"),
        ("gateways", "from .. import SocketIO"),
        ("gateways", "from ..context import emit"),
        ("backends", "import flask_realtime"),
        ("servers", "from .. import doctor"),
        ("doctor", "import select"),
        ("migration", "from ..extension import SocketIO"),
        ("migration", "import flask"),
        ("backends", "from benchmarks import procfs"),
        ("", "import example_app"),
        ("", "import asyncio.events"),
        ("", "from concurrent.futures import Future"),
    ],
)
def test_an_arrow_that_runs_back_is_seen(room: str, source: str) -> None:
    assert violations(source, room, f"{PACKAGE}.{room}".rstrip("."))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("protocol", "import struct, msgspec\nfrom . import errors\nfrom .engineio import packet"),
        ("server", "from ..config import ServerConfig\nfrom ..protocol.errors import RemoteProtocolError"),
        ("adapters", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..server import message"),
        ("gateways", "from werkzeug.http import dump_cookie\nfrom ..server.server import Server"),
        ("backends", "import gevent, socket, threading\nfrom ..server import server"),
        ("doctor", "import flask\nfrom ..backends import patching\nfrom ..run import default_port"),
        ("", "import flask\nfrom .backends import threads\nfrom . import context"),
    ],
)
def test_an_arrow_that_runs_down_is_fine(room: str, source: str) -> None:
    assert not violations(source, room, f"{PACKAGE}.{room}".rstrip("."))
