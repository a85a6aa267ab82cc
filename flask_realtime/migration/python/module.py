"""A parsed Python file, and what its imports bind."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ..finding import Finding, Severity
from ..source import Source
from ..words import NEW, OLD

__all__ = ["Module", "last_name", "parse"]


@dataclass(frozen=True)
class Module:
    """One Python file. Whether it was rewritten yet makes no difference to what is found in it."""

    source: Source
    tree: ast.Module
    #: as messages have it
    path: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def in_f_strings(self) -> frozenset[int]:
        """The ``id()`` of all nodes in f-strings: before Python 3.12 their positions are wrong."""
        return frozenset(
            id(node)
            for outer in self.nodes
            if isinstance(outer, ast.JoinedStr)
            for node in ast.walk(outer)
            if node is not outer
        )

    @cached_property
    def imported(self) -> dict[str, str]:
        """Local name -> what it is: ``{"SIO": "flask_socketio.SocketIO", "socketio": "socketio"}``.

        Ours counts as theirs, so that a project can be looked at again.
        """
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return {name: _as_theirs(target) for name, target in found.items()}

    def origin(self, node: ast.AST) -> str:
        """The full name of what an expression refers to by an import; empty where it is none."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, "")
        if isinstance(node, ast.Attribute):
            origin = self.origin(node.value)
            return f"{origin}.{node.attr}" if origin else ""
        return ""

    def is_theirs(self, node: ast.AST, name: str) -> bool:
        """Whether an expression is a name of the extension, such as ``SocketIO``."""
        origin = self.origin(node).split(".")
        return origin[0] == OLD and len(origin) > 1 and origin[-1] == name

    @property
    def calls(self) -> Iterator[ast.Call]:
        return (node for node in self.nodes if isinstance(node, ast.Call))

    @cached_property
    def extension_names(self) -> frozenset[str]:
        """Names that ``SocketIO(...)`` is assigned to, here: variables and attributes."""
        names: set[str] = set()
        for node in self.nodes:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(node.value, ast.Call):
                continue
            if self.is_theirs(node.value.func, "SocketIO"):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names.update(name for target in targets if (name := last_name(target)))
        return frozenset(names)

    def finding(self, node: ast.AST, code: str, severity: Severity, what: str, advice: str) -> Finding:
        line: int = getattr(node, "lineno", 0)
        return Finding(self.path, line, code, severity, what, advice)


def parse(source: Source, path: str) -> Module:
    """Parse a file.

    :raises SyntaxError: this Python can't.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the project's own doubtful escapes
            tree = ast.parse(source.text)
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes; thousands of brackets
        raise SyntaxError(str(error)) from None
    return Module(source, tree, path)


def last_name(node: ast.AST) -> str:
    """``x`` for ``x``, ``self.x`` and ``app.ext.x``."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _as_theirs(name: str) -> str:
    top, dot, rest = name.partition(".")
    return OLD + dot + rest if top == NEW else name
