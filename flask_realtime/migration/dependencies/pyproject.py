"""``pyproject.toml``, by the standard and by the tools; and ``Pipfile``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..finding import TODO, Finding
from ..source import Edit, Source
from ..words import NEW_PACKAGE, OLD_PACKAGE, REQUIRED, canonical
from .requirement import Dependency, Rewritten, like, replace_requirements
from .toml import Item, TOMLError, scan

__all__ = ["rewrite_pipfile", "rewrite_pyproject"]

Path = tuple[str, ...]
#: tables and keys whose strings are requirements: PEP 621, PEP 735, and pdm's, uv's and Hatch's own
LISTS = frozenset(
    "dependencies optional-dependencies dependency-groups dev-dependencies extra-dependencies requires"
    " constraint-dependencies override-dependencies build-constraint-dependencies".split()
)
POETRY = ("tool", "poetry")
POETRY_TABLES = frozenset({"dependencies", "dev-dependencies"})
#: what a tool writes about a package besides its version
ADDRESSES = frozenset({"git", "path", "url", "file", "source", "ref", "editable"})


def rewrite_pyproject(source: Source, path: str) -> Rewritten:
    """Replace the requirement wherever the standard or a tool has it."""

    def is_list(item: Item) -> bool:
        return item.path[:2] != POETRY and not LISTS.isdisjoint(item.path)

    return _rewrite(source, path, is_list, _in_poetry, is_poetry=True)


def rewrite_pipfile(source: Source, path: str) -> Rewritten:
    """Replace the requirement in any of its tables of packages."""

    def in_packages(path: Path) -> int:
        return 2 if len(path) > 1 and path[0] not in ("source", "requires", "scripts", "pipenv") else 0

    return _rewrite(source, path, lambda item: False, in_packages, is_poetry=False)


def _in_poetry(path: Path) -> int:
    """How long the path to a package is, in one of Poetry's tables; 0 elsewhere."""
    if path[:2] != POETRY:
        return 0
    if len(path) > 3 and path[2] in POETRY_TABLES:
        return 4
    return 6 if len(path) > 5 and path[2] == "group" and path[4] == "dependencies" else 0


def _rewrite(
    source: Source,
    path: str,
    is_list: Callable[[Item], bool],
    depth: Callable[[Path], int],
    *,
    is_poetry: bool,
) -> Rewritten:
    try:
        items = scan(source.text)
    except TOMLError as error:
        return Rewritten(
            (), (Finding(path, 0, "unreadable", TODO, f"no TOML: {error}", "Look at it by hand."),)
        )
    spans = [(item.start, item.end) for item in items if not item.is_key and is_list(item)]
    listed = replace_requirements(source, path, spans)
    tables = _rewrite_tables(source, path, items, depth, is_poetry)
    return Rewritten(
        listed.edits + tables.edits,
        listed.findings + tables.findings,
        listed.dependencies + tables.dependencies,
    )


def _rewrite_tables(
    source: Source, path: str, items: list[Item], depth: Callable[[Path], int], is_poetry: bool
) -> Rewritten:
    """Tables with a package as the key and its version, or a table, as the value."""
    keys = [item for item in items if item.is_key and len(item.path) == depth(item.path)]
    dependencies = tuple(
        Dependency(canonical(item.path[-1]), path, source.line_of(item.start)) for item in keys
    )
    entries = [item for item in items if _is_theirs(item.path, depth)]
    if not entries:
        return Rewritten((), (), dependencies)
    objection = _objection(entries, depth, dependencies)
    if objection:
        line = source.line_of(entries[0].start)
        advice = f"Replace it by {NEW_PACKAGE}."
        finding = Finding(path, line, "requirement", TODO, f"{OLD_PACKAGE} {objection}", advice)
        return Rewritten((), (finding,), dependencies)
    edits = list(_edits(source, entries, depth, is_poetry))
    if is_poetry:
        edits += _edit_extras(source, items)
    return Rewritten(tuple(edits), (), dependencies)


def _is_theirs(path: Path, depth: Callable[[Path], int]) -> bool:
    length = depth(path)
    return bool(length) and len(path) >= length and canonical(path[length - 1]) == OLD_PACKAGE


def _objection(
    entries: Iterable[Item], depth: Callable[[Path], int], dependencies: Iterable[Dependency]
) -> str:
    if any(dependency.name == NEW_PACKAGE for dependency in dependencies):
        return f"and {NEW_PACKAGE} are both required"
    further = {key for item in entries for key in item.path[depth(item.path) :]}
    if further & ADDRESSES:
        return "from an address"
    return "with extras" if "extras" in further else ""


def _edits(
    source: Source, entries: Iterable[Item], depth: Callable[[Path], int], is_poetry: bool
) -> Iterator[Edit]:
    for item in entries:
        length, text = depth(item.path), source.text[item.start : item.end]
        if item.is_key and len(item.path) == length:
            yield Edit(item.start, item.end, like(text))
        elif not item.is_key and item.path[length:] in ((), ("version",)) and text != "*":
            caret = is_poetry and text.startswith(("^", "~"))
            yield Edit(item.start, item.end, f"^{REQUIRED}" if caret else f">={REQUIRED}")


def _edit_extras(source: Source, items: Iterable[Item]) -> Iterator[Edit]:
    """``[tool.poetry.extras]`` names packages of the tables."""
    for item in items:
        text = source.text[item.start : item.end]
        if item.path[:3] == (*POETRY, "extras") and not item.is_key and canonical(text) == OLD_PACKAGE:
            yield Edit(item.start, item.end, like(text))
