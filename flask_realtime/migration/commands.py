"""Commands and configuration (``Dockerfile``, ``Procfile``, scripts, CI ...): named, never changed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .dependencies import Rewritten
from .files import Kind
from .finding import NOTE, TODO, Finding
from .source import LINE_END, Source
from .words import MENTION, NEW, OLD_PACKAGE, canonical

__all__ = ["find_commands", "find_in_text", "find_worker_class"]

INSTALL = re.compile(
    r"\b(?:install|add|require|deps)\b|^\s*(?:-\s+)?['\"]?flask[-_.]socketio\b", re.IGNORECASE
)
GEVENT_WEBSOCKET = re.compile(r"geventwebsocket\.gunicorn\.workers\.GeventWebSocketWorker|--gevent-websocket")
EVENTLET_WORKER = re.compile(
    r"(?:(?<!\w)-k[ =]?|--worker-class[ =]|\bworker_class\s*=\s*)[\"']?eventlet\b", re.IGNORECASE
)


def find_commands(source: Source, path: str) -> Iterator[Finding]:
    """What a file of commands says of Flask-SocketIO and of gunicorn's workers."""
    for number, line in enumerate(LINE_END.split(source.text), 1):
        match = MENTION.search(line)
        if match and INSTALL.search(line):
            yield Finding(
                path,
                number,
                "install",
                TODO,
                f"it installs {match[0]}: {_cut(line)}",
                "Flask-Realtime takes its place.",
            )
        elif match:
            yield _mention(path, number, line, match[0])
        yield from find_worker_class(path, number, line)


def find_mentions(source: Source, path: str, found: Rewritten) -> Iterator[Finding]:
    """What else a file of requirements says: sections for mypy, warnings for pytest, and the like."""
    done = {source.line_of(edit.start) for edit in found.edits} | {finding.line for finding in found.findings}
    if any(finding.code == "lock-file" for finding in found.findings):
        return
    for number, line in enumerate(LINE_END.split(source.text), 1):
        match = MENTION.search(line)
        if match and number not in done and not line.lstrip().startswith("#"):
            yield _mention(path, number, line, match[0])


def find_worker_class(path: str, number: int, line: str) -> Iterator[Finding]:
    """gunicorn's workers that Flask-SocketIO asked for, in a command or in gunicorn's configuration."""
    if GEVENT_WEBSOCKET.search(line):
        yield Finding(
            path,
            number,
            "worker-class",
            NOTE,
            f"gevent-websocket's worker: it works, but is not needed: {_cut(line)}",
            "-k gthread --threads 16; or -k gevent, if the app is patched.",
        )
    elif EVENTLET_WORKER.search(line):
        yield Finding(
            path,
            number,
            "worker-class",
            NOTE,
            f"gunicorn's eventlet worker, which gunicorn 26 does not have: {_cut(line)}",
            "-k gthread --threads 16, if nothing else in the app needs eventlet.",
        )


def find_in_text(source: Source, path: str, kind: Kind) -> Iterator[Finding]:
    """The first mention in a file that is not looked into: a lock file, a notebook, prose."""
    match = MENTION.search(source.text)
    if match is None:
        return
    line = source.line_of(match.start())
    if kind is Kind.LOCK:
        what, advice = (
            f"it has {match[0]}",
            "Run the tool that writes it, after the files that it reads are changed.",
        )
        yield Finding(path, line, "lock-file", TODO, what, advice)
    elif kind is Kind.NOTEBOOK:
        yield Finding(
            path, line, "notebook", TODO, f"it names {match[0]}", f"Change it to {NEW} where it is code."
        )
    else:
        yield Finding(path, line, "prose", NOTE, f"it speaks of {match[0]}", "Rewrite it as it suits you.")


def _mention(path: str, number: int, line: str, name: str) -> Finding:
    package = canonical(name) == OLD_PACKAGE and "_" not in name
    return Finding(
        path,
        number,
        "mention",
        NOTE,
        f"it names {name}: {_cut(line)}",
        "Change it if it means the package." if package else f"Change it to {NEW} if it means the module.",
    )


def _cut(line: str) -> str:
    line = line.strip()
    return line if len(line) <= 100 else line[:97] + "..."
