"""Looks at a project, and plans what to change."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import dependencies, python
from .clients import find_clients
from .commands import find_commands, find_in_text, find_mentions, find_worker_class
from .dependencies import Rewritten
from .dependencies.requirement import Dependency
from .dependencies.unneeded import PACKAGES, find_unneeded
from .files import Kind, find_files, shown
from .finding import TODO, Finding
from .python import Module
from .source import LINE_END, Edit, Source, UnreadableError, read_python, read_text
from .words import NEW_PACKAGE, OLD, OLD_PACKAGE

__all__ = ["Change", "Plan", "look_at"]

#: a Python file without any of these is not parsed
RELEVANT = re.compile(rb"(?i)socketio|engineio|eventlet|gevent|simple_websocket|bidict|wsproto|h11")
#: any other file without any of these is not read further
MENTIONED = re.compile(
    rb"(?i)flask.{0,3}socketio|socket\.?io|engine\.?io|eventlet|gevent|simple.websocket|bidict|wsproto|h11"
)
#: signs of a server that has a proxy in front
DEPLOYED = re.compile(rb"\b(?:gunicorn|uwsgi|nginx|proxy_pass|caddy|traefik)\b")
MAX_SIZE = 8_000_000
DEPENDENCIES = {
    Kind.REQUIREMENTS: dependencies.rewrite_requirements,
    Kind.PYPROJECT: dependencies.rewrite_pyproject,
    Kind.PIPFILE: dependencies.rewrite_pipfile,
    Kind.SETUP_CFG: dependencies.rewrite_setup_cfg,
    Kind.CONDA: dependencies.rewrite_conda,
}
#: what concerns only a project that has the extension
FOR_USERS = frozenset("client-version config-key monkey-patching python-socketio worker-class".split())
#: of ``SocketIO`` objects, also where one is passed on
USUAL_NAMES = frozenset({"socketio", "_socketio"})
OPAQUE = frozenset({Kind.LOCK, Kind.NOTEBOOK, Kind.PROSE})


@dataclass(frozen=True)
class Change:
    """A file, and its bytes after the edits."""

    path: Path
    shown: str
    before: bytes
    after: bytes
    #: how many places
    edits: int


@dataclass
class Plan:
    """What is to be changed, and what is left to decide."""

    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    #: how many files were looked at
    files: int = 0

    @property
    def todo(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == TODO]


def look_at(paths: Iterable[Path]) -> Plan:
    """Look at files and folders; nothing is written, run or imported."""
    project = _Project()
    for path, kind in find_files(paths):
        project.add(path, kind)
    return project.plan()


class _Project:
    def __init__(self) -> None:
        self._plan = Plan()
        self._modules: list[Module] = []
        self._other_python: list[Path] = []
        self._dependencies: list[Dependency] = []
        self._own_modules: set[str] = set()
        self._mentioned: set[str] = set()
        self._read: set[str] = set()
        self._deployed = False
        self._has_proxy_fix = False

    def add(self, path: Path, kind: Kind) -> None:
        """Read a file, and what it includes."""
        key = os.path.realpath(path)
        if key in self._read:
            return
        self._read.add(key)
        self._plan.files += 1
        try:
            raw = path.read_bytes() if path.stat().st_size <= MAX_SIZE else b""
        except OSError as error:
            self._say(path, 0, "unreadable", f"not read: {error.strerror}", "Look at it by hand.")
            return
        self._deployed |= kind is Kind.COMMANDS and DEPLOYED.search(raw) is not None
        if kind is Kind.PYTHON:
            self._has_proxy_fix |= b"ProxyFix" in raw
            self._add_python(path, raw)
        elif kind is Kind.REQUIREMENTS or MENTIONED.search(raw) or b"\0" in raw[:64]:  # UTF-16
            self._add_text(path, raw, kind)

    def _say(self, path: Path, line: int, code: str, what: str, advice: str) -> None:
        self._plan.findings.append(Finding(shown(path), line, code, TODO, what, advice))

    # Python

    def _add_python(self, path: Path, raw: bytes) -> None:
        self._note_own_module(path)
        if any(folder.name == OLD and (folder / "__init__.py").exists() for folder in path.parents):
            return  # a copy of Flask-SocketIO
        if not RELEVANT.search(raw):
            self._other_python.append(path)
            return
        try:
            module = python.parse(read_python(path, raw), shown(path))
        except (SyntaxError, UnreadableError) as error:
            if OLD.encode() in raw:
                line = raw.count(b"\n", 0, raw.index(OLD.encode())) + 1
                self._say(
                    path, line, "syntax", f"not rewritten: {_why(error)}", f"Change {OLD} in it by hand."
                )
            return
        self._modules.append(module)

    def _note_own_module(self, path: Path) -> None:
        """The project's own ``socketio.py``, ``flask_socketio.py`` and the like, if they are at the top."""
        is_package = path.name == "__init__.py"
        folder, name = (path.parent.parent, path.parent.name) if is_package else (path.parent, path.stem)
        if name not in (OLD, "socketio", "engineio") or (folder / "__init__.py").exists():
            return
        self._own_modules.add(name)
        if name == OLD:
            self._say(
                path,
                0,
                "own-module",
                f"the project has a module {OLD} of its own",
                "Imports of it are rewritten. If it is a copy of Flask-SocketIO, delete it; else name only"
                " the files that mean the extension.",
            )

    # Everything else

    def _add_text(self, path: Path, raw: bytes, kind: Kind) -> None:
        try:
            source = read_text(path, raw)
        except UnreadableError as error:
            self._say(path, 0, "unreadable", f"not read: {error}", "Look at it by hand.")
            return
        if kind in DEPENDENCIES:
            self._take(source, DEPENDENCIES[kind](source, shown(path)))
        elif kind is Kind.CLIENT:
            self._plan.findings += find_clients(source, shown(path))
        elif kind in OPAQUE:
            self._plan.findings += find_in_text(source, shown(path), kind)
        else:
            self._add_commands(source)
        if kind is Kind.REQUIREMENTS:
            for included in dependencies.included_files(source):
                if included.is_file() and not included.is_symlink():
                    self.add(included, Kind.REQUIREMENTS)

    def _add_commands(self, source: Source) -> None:
        self._plan.findings += find_commands(source, shown(source.path))
        words = set(re.findall(r"[\w-]+", source.text))
        self._mentioned |= words & PACKAGES.keys()
        if "geventwebsocket" in words:
            self._mentioned |= {"gevent", "gevent-websocket"}

    def _take(self, source: Source, found: Rewritten) -> None:
        self._change(source, found.edits)
        self._plan.findings += found.findings
        self._plan.findings += find_mentions(source, shown(source.path), found)
        self._dependencies += found.dependencies

    def _change(self, source: Source, edits: Iterable[Edit]) -> None:
        edits = set(edits)
        if edits:
            after = source.apply(edits)
            path = source.path
            self._plan.changes.append(Change(path, shown(path), source.raw, after, len(edits)))

    # The project as a whole

    def plan(self) -> Plan:
        """All that was found, in the order of the files."""
        extensions = USUAL_NAMES.union(*(module.extension_names for module in self._modules))
        self._add_users_of({name for name in extensions if not RELEVANT.search(name.encode())})
        for module in self._modules:
            self._look_at_module(module, extensions)
        if self._deployed and not self._has_proxy_fix:
            self._plan.findings += [
                f for module in self._modules for f in python.find_trust_in_proxies(module)
            ]
        if self._uses_it():
            self._plan.findings += find_unneeded(self._dependencies, self._imported(), self._mentioned)
        else:
            self._plan.findings = [f for f in self._plan.findings if f.code not in FOR_USERS]
        self._plan.changes.sort(key=lambda change: change.shown)
        self._plan.findings = sorted(set(self._plan.findings))
        return self._plan

    def _add_users_of(self, names: set[str]) -> None:
        """Files that know the ``SocketIO`` object, under a name that tells nothing, and not the module."""
        if not names:
            return
        use = re.compile(rf"\b({'|'.join(map(re.escape, names))})\.(server|run|init_app|emit|_)".encode())
        for path in self._other_python:
            with suppress(OSError, SyntaxError, UnreadableError):
                raw = path.read_bytes()
                if use.search(raw):
                    self._modules.append(python.parse(read_python(path, raw), shown(path)))

    def _uses_it(self) -> bool:
        packages = {dependency.name for dependency in self._dependencies}
        return not packages.isdisjoint((OLD_PACKAGE, NEW_PACKAGE)) or any(
            OLD in _tops(module) for module in self._modules
        )

    def _look_at_module(self, module: Module, extensions: frozenset[str]) -> None:
        edits, findings = python.rewrite(module)
        self._plan.findings += python.find_usage(module, extensions, self._own_modules)
        if module.source.path.name == "setup.py":
            setup = dependencies.rewrite_setup_py(module)
            edits = edits + list(setup.edits)
            done = {module.source.line_of(edit.start) for edit in setup.edits}
            findings = [f for f in findings if f.code != "string" or f.line not in done] + list(
                setup.findings
            )
            self._dependencies += setup.dependencies
        if module.source.path.name.startswith("gunicorn"):
            for number, line in enumerate(LINE_END.split(module.source.text), 1):
                self._plan.findings += find_worker_class(module.path, number, line)
        self._plan.findings += findings
        self._change(module.source, edits)

    def _imported(self) -> dict[str, str]:
        """Top-level module -> the first place that imports it."""
        found: dict[str, str] = {}
        for module in self._modules:
            for top in _tops(module):
                found.setdefault(top, module.path)
        return found


def _tops(module: Module) -> Iterator[str]:
    return (name.partition(".")[0] for name in module.imported.values())


def _why(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error)
