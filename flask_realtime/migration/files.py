"""Which files of a project are looked at, and as what."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

__all__ = ["Kind", "find_files", "kind_of", "shown"]

SKIPPED = frozenset(
    "node_modules bower_components jspm_packages site-packages dist-packages __pycache__ __pypackages__"
    " vendor vendored _vendor _vendored third_party third-party extern htmlcov".split()
)
#: hidden, but a project's own
HIDDEN = frozenset({".github", ".circleci", ".gitlab", ".buildkite", ".devcontainer", ".ci", ".docker"})


class Kind(Enum):
    """What a file is read as."""

    PYTHON = "Python"
    REQUIREMENTS = "requirements"
    PYPROJECT = "pyproject.toml"
    PIPFILE = "Pipfile"
    SETUP_CFG = "setup.cfg"
    CONDA = "conda environment"
    LOCK = "lock file"
    CLIENT = "page, script or package.json"
    COMMANDS = "commands and configuration"
    NOTEBOOK = "notebook"
    PROSE = "prose"


_NAMES = {
    Kind.PYPROJECT: r"pyproject\.toml",
    Kind.PIPFILE: r"Pipfile",
    Kind.SETUP_CFG: r"setup\.cfg",
    Kind.LOCK: r"(poetry|uv|pdm|pixi|conda-lock)\.lock|Pipfile\.lock|conda-lock\.ya?ml|pylock(\..+)?\.toml",
    Kind.REQUIREMENTS: r"[\w.-]*(requirements?|constraints?)[\w.-]*\.(txt|in)",
    Kind.CONDA: r"(environment|conda|env)[\w.-]*\.ya?ml",
    Kind.CLIENT: r"package(-lock)?\.json|.*\.([cm]?jsx?|tsx?|vue|svelte|html?|jinja2?|j2)",
    Kind.PYTHON: r".*\.(pyi?|spec)",
    Kind.NOTEBOOK: r".*\.ipynb",
    Kind.PROSE: r".*\.(md|rst)",
    Kind.COMMANDS: (
        r"Procfile.*|.*\.?(Docker|Container)file.*|Makefile|justfile|Jenkinsfile|Vagrantfile"
        r"|.*\.(sh|bash|zsh|bat|cmd|ps1|mk|service|conf|ini|cfg|ya?ml|toml|env|nix)"
    ),
}
_KINDS = {kind: re.compile(pattern) for kind, pattern in _NAMES.items()}
SHEBANG = re.compile(rb"#!.*python")


def kind_of(path: Path) -> Kind | None:
    """What a file is, by its name; without a suffix, also by its first line."""
    for kind, pattern in _KINDS.items():
        if pattern.fullmatch(path.name):
            return kind
    if path.parent.name in ("requirements", "constraints") and path.suffix in (".txt", ".in"):
        return Kind.REQUIREMENTS
    return Kind.PYTHON if not path.suffix and _is_python_script(path) else None


def _is_python_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SHEBANG.match(file.read(80)) is not None
    except OSError:
        return False


def find_files(paths: Iterable[Path]) -> Iterator[tuple[Path, Kind]]:
    """The files of some folders, and files that are named themselves; each once, sorted.

    Links, hidden and vendored folders, virtual environments and other repositories are left alone.
    """
    seen = set()
    for path in paths:
        found = _walk(os.fspath(path)) if path.is_dir() and not path.is_symlink() else [path]
        for file in found:
            kind = kind_of(file) if _is_plain(file) else None
            key = os.path.abspath(file)
            if kind is not None and key not in seen:
                seen.add(key)
                yield file, kind


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _walk(folder: str) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False) and _is_ours(entry):
            yield from _walk(entry.path)


def _is_ours(folder: os.DirEntry[str]) -> bool:
    if folder.name in SKIPPED or (folder.name.startswith(".") and folder.name not in HIDDEN):
        return False
    if folder.name.endswith((".egg-info", ".dist-info")):
        return False
    return not any(
        os.path.lexists(os.path.join(folder.path, mark)) for mark in ("pyvenv.cfg", "conda-meta", ".git")
    )


def shown(path: Path) -> str:
    """A path as messages have it: from the current folder if it is in there, with slashes."""
    absolute = Path(os.path.abspath(path))
    here = Path.cwd()
    return (absolute.relative_to(here) if here in absolute.parents else absolute).as_posix()
