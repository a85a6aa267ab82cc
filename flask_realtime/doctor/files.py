"""What the project's files say: which JavaScript clients it has, and how many workers it asks for.

Files are read, never run.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .javascript import copies_in, may_name_a_client
from .situation import ClientCopy

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["clients", "configured_workers", "gunicorn_command"]

MAX_DEPTH = 4
MAX_FILES = 5_000  # looked at
MAX_READ = 300  # opened
MAX_SIZE = 8_000_000
SKIPPED = frozenset("node_modules bower_components site-packages __pycache__".split())
FRONTENDS = ("", "frontend", "client", "web", "ui", "static", "assets")


def clients(app: Flask) -> Iterator[ClientCopy]:
    seen = set()
    for file in _interesting_files(app):
        if not may_name_a_client(file) or file in seen:
            continue
        seen.add(file)
        if len(seen) > MAX_READ:
            return
        try:
            text = file.read_text("utf-8", "replace") if file.stat().st_size <= MAX_SIZE else ""
        except OSError:
            continue
        yield from copies_in(file, text, _shown(file))


def _interesting_files(app: Flask) -> Iterator[Path]:
    """Files of the app's own folders, and those beside it in the project's."""
    root, project = Path(app.root_path).resolve(), Path.cwd()
    budget = iter(range(MAX_FILES))
    folders = [root, *(Path(folder) for folder in (app.static_folder, _templates(app)) if folder)]
    for folder in folders:
        yield from _walk(folder.resolve(), budget)
    if project in root.parents:
        for name in FRONTENDS:
            yield from (file for file in (project / name).glob("package*.json") if file.is_file())


def _templates(app: Flask) -> Path | None:
    return None if app.template_folder is None else Path(app.root_path, app.template_folder)


def _walk(root: Path, budget: Iterator[int]) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= MAX_DEPTH
        subfolders[:] = [] if deep else sorted(name for name in subfolders if _is_worth_a_look(here / name))
        for name in sorted(files):
            if next(budget, None) is None:
                return
            yield here / name


def _is_worth_a_look(folder: Path) -> bool:
    return (
        folder.name not in SKIPPED
        and not folder.name.startswith(".")
        and not (folder / "pyvenv.cfg").exists()  # a virtual environment
    )


def _shown(file: Path) -> str:
    """Its path, from the current folder if it is in there."""
    here = Path.cwd()
    return str(file.relative_to(here) if here in file.parents else file)


# Workers


def configured_workers(file: Path) -> str:
    """The value of ``workers`` in gunicorn's configuration, as it is written there: the file is not run."""
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ""
    value = ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and "workers" in [
            getattr(target, "id", "") for target in node.targets
        ]:
            value = ast.unparse(node.value)
    return value


def gunicorn_command(procfile: Path) -> str:
    """How the platform starts gunicorn, by the project's ``Procfile``."""
    try:
        lines = procfile.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return next((line.partition(":")[2] for line in lines if re.match(r"[\w-]+:.*\bgunicorn\b", line)), "")
