"""JavaScript clients of Socket.IO, as pages, scripts and ``package.json`` name them.

Files are read, never run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .situation import ClientCopy

__all__ = ["FIRST_VERSION", "copies_in", "is_too_old", "may_name_a_client"]

#: the first version that speaks Engine.IO 4
FIRST_VERSION = {"socket.io-client": 3, "engine.io-client": 4}
HTML = frozenset({".html", ".htm", ".jinja", ".jinja2", ".j2"})
#: may import a client by its address; there can be very many of them
SCRIPTS = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte"})
#: a quoted address of a client's file
SCRIPT = re.compile(r"""["']([^"'\s<>]*(?:socket|engine)\.io[^"'\s<>]*\.js)["']""")
#: the version in such an address
VERSION = re.compile(r"(socket|engine)\.io[^\d]*?[/@v-](\d+(?:\.\d+)*)")
BANNER = re.compile(r"\b(Socket|Engine)\.IO v(\d[\w.]*)", re.IGNORECASE)

Reader = Callable[[Path, str, str], Iterator[ClientCopy]]


def may_name_a_client(file: Path) -> bool:
    """Whether a file is a page, a client, or says which are installed, by its name."""
    return _reader_of(file) is not None


def copies_in(file: Path, text: str, shown: str) -> Iterator[ClientCopy]:
    """The clients that a file names, or is.

    :param shown: its path, as messages have it.
    """
    reader = _reader_of(file) or (_in_page if file.suffix in SCRIPTS else None)
    if reader is not None:
        yield from reader(file, text, shown)


def is_too_old(copy: ClientCopy) -> bool:
    """Whether a client speaks Engine.IO 3; False where its version is not known."""
    major = re.match(r"[\^~=v\s]*(\d+)", copy.version)
    return major is not None and int(major[1]) < FIRST_VERSION[copy.package]


def _reader_of(file: Path) -> Reader | None:
    if file.name in ("package.json", "package-lock.json"):
        return _in_package_json
    if file.suffix in HTML:
        return _in_page
    return _in_script if re.match(r"(socket|engine)\.io.*\.js$", file.name) else None


def _in_package_json(file: Path, text: str, shown: str) -> Iterator[ClientCopy]:
    if file.name == "package.json" and file.with_name("package-lock.json").is_file():
        return  # the lock says what is installed
    try:
        content = json.loads(text)
    except ValueError:
        return
    if not isinstance(content, dict):
        return
    for client in FIRST_VERSION:
        version = _npm_version(content, client)
        if version:
            yield ClientCopy(shown, client, version)


def _npm_version(content: dict[str, Any], client: str) -> str:
    """From ``package.json`` or either form of ``package-lock.json``."""
    for section, key in (
        ("packages", f"node_modules/{client}"),
        ("dependencies", client),
        ("devDependencies", client),
    ):
        found = content.get(section)
        entry = found.get(key) if isinstance(found, dict) else None
        version = entry.get("version") if isinstance(entry, dict) else entry
        if isinstance(version, str):
            return version
    return ""


def _in_page(file: Path, text: str, shown: str) -> Iterator[ClientCopy]:
    for match in SCRIPT.finditer(text):
        url = match[1]
        version = VERSION.search(url)
        package = f"{version[1] if version else _library(url)}.io-client"
        line = text.count("\n", 0, match.start()) + 1
        yield ClientCopy(f"{shown}:{line}", package, version[2] if version else "", url)


def _library(url: str) -> str:
    return "engine" if "engine.io" in url else "socket"


def _in_script(file: Path, text: str, shown: str) -> Iterator[ClientCopy]:
    banner = BANNER.search(text[:500])
    if banner:
        yield ClientCopy(shown, f"{banner[1].lower()}.io-client", banner[2])
