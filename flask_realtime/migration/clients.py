"""JavaScript clients that are too old: they speak Engine.IO 3."""

from __future__ import annotations

from collections.abc import Iterator

from ..doctor.javascript import copies_in, is_too_old
from .finding import TODO, Finding
from .source import Source

__all__ = ["find_clients"]


def find_clients(source: Source, path: str) -> Iterator[Finding]:
    """Clients that a page or a ``package.json`` names, or that a script is."""
    for copy in copies_in(source.path, source.text, path):
        if is_too_old(copy):
            where, _, line = copy.where.rpartition(":")
            at = (where, int(line)) if where and line.isdecimal() else (copy.where, 0)
            yield Finding(
                *at,
                "client-version",
                TODO,
                f"{copy.package} {copy.version} speaks Engine.IO 3: refused, by Flask-SocketIO 5 too",
                f"{copy.package} {'4' if copy.package.startswith('socket') else '6'}.x",
            )
