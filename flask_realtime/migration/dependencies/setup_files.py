"""``setup.cfg`` and ``setup.py``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..python.module import Module, last_name
from ..source import LINE_END, Source
from .requirement import Rewritten, replace_requirements

__all__ = ["rewrite_setup_cfg", "rewrite_setup_py"]

SECTION = re.compile(r"\[([^\]]+)\]")
KEY = re.compile(r"([A-Za-z][\w.-]*)[ \t]*[=:][ \t]*")
REQUIRES = frozenset("install_requires setup_requires tests_require".split())
#: names of variables in a setup.py that hold requirements
VARIABLE = re.compile(r"requir|depend|extras", re.IGNORECASE)


def rewrite_setup_cfg(source: Source, path: str) -> Rewritten:
    """Replace the requirement in the sections of setuptools."""
    return replace_requirements(source, path, list(_cfg_requirements(source.text)))


def _cfg_requirements(text: str) -> Iterator[tuple[int, int]]:
    section, key, start = "", "", 0
    for end, following in _line_ends(text):
        line = text[start:end]
        if match := SECTION.match(line):
            section, key = match[1].strip(), ""
        elif not line[:1].isspace() and (match := KEY.match(line)):
            key = match[1]
            if _holds_requirements(section, key):
                yield start + match.end(), end
        elif line.strip() and line[:1].isspace() and _holds_requirements(section, key):
            yield start + len(line) - len(line.lstrip()), end
        start = following


def _line_ends(text: str) -> Iterator[tuple[int, int]]:
    for match in LINE_END.finditer(text):
        yield match.span()
    yield len(text), len(text)


def _holds_requirements(section: str, key: str) -> bool:
    return (section == "options" and key in REQUIRES) or (section == "options.extras_require" and bool(key))


def rewrite_setup_py(module: Module) -> Rewritten:
    """Replace the requirement in the literals of a ``setup.py``."""
    spans = sorted({span for root in _roots(module) for span in _literals(module, root)})
    return replace_requirements(module.source, module.path, spans)


def _roots(module: Module) -> Iterator[ast.expr]:
    """What is given to ``setup()`` as requirements, and variables that seem to hold such."""
    for node in module.nodes:
        if isinstance(node, ast.keyword):
            names = [name for name in (node.arg,) if name in REQUIRES or name == "extras_require"]
        elif isinstance(node, ast.Assign):
            names = [name for name in map(last_name, node.targets) if VARIABLE.search(name)]
        else:
            continue
        if names:
            yield node.value


def _literals(module: Module, root: ast.expr) -> Iterator[tuple[int, int]]:
    source = module.source
    for node in ast.walk(root):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        start = source.offset(node.lineno, node.col_offset)
        end = source.offset(node.end_lineno or 0, node.end_col_offset or 0)
        match = re.match(r"[rRuU]?('{3}|\"{3}|'|\")", source.text[start:end])
        if match is None:
            continue
        first, last = start + match.end(), end - len(match[1])
        # One string may hold several, a line for each.
        for line in re.finditer(r"[^\r\n]+", source.text[first:last]):
            indent = len(line[0]) - len(line[0].lstrip())
            yield first + line.start() + indent, first + line.end()
