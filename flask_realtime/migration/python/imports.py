"""Rewrites imports of Flask-SocketIO, and every use of the name that they bind.

``ast`` says where they are; only the module's name is replaced, so everything
else (comments, layout, line ends) stays what it was, byte by byte.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..finding import NOTE, TODO, Finding
from ..source import Edit
from ..words import EXPORTS, NEW, OLD, SUBMODULES, WORD
from .module import Module
from .strings import rewrite_strings

__all__ = ["rewrite"]

#: from the keyword to the module's name; only a backslash may break the line there
FROM = re.compile(r"from(?:[ \t\f]|\\(?:\r\n|\r|\n))+(?=flask_socketio)")
Rewritten = tuple[list[Edit], list[Finding]]


class NotRenamedError(Exception):
    """The name that an import binds can't be replaced everywhere."""

    def __init__(self, node: ast.AST, why: str) -> None:
        self.node = node
        super().__init__(why)


def rewrite(module: Module) -> Rewritten:
    """The edits that make a file import ours, and what they leave to do."""
    findings = [*_shadows(module), *_check_from_imports(module)]
    edits = list(_from_imports(module, findings))
    edits += _plain_imports(module, findings)
    string_edits, string_findings = rewrite_strings(module)
    return edits + string_edits, sorted(findings + string_findings)


# from flask_socketio import ...


def _from_nodes(module: Module) -> Iterator[ast.ImportFrom]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level and _is_theirs(node.module):
            yield node


def _from_imports(module: Module, findings: list[Finding]) -> Iterator[Edit]:
    for node in _from_nodes(module):
        if not _is_known(str(node.module)):
            continue
        match = FROM.match(module.source.text, module.source.offset(node.lineno, node.col_offset))
        if match:
            yield Edit(match.end(), match.end() + len(OLD), NEW)
        else:
            findings.append(_unusual(module, node))


def _check_from_imports(module: Module) -> Iterator[Finding]:
    for node in _from_nodes(module):
        if not _is_known(str(node.module)):
            yield _unknown_submodule(module, node, str(node.module))
            continue
        for alias in node.names:
            if alias.name == "*":
                yield module.finding(
                    node,
                    "star-import",
                    TODO,
                    f"from {OLD} import * also brings what Flask-SocketIO imports: flask, os, sys, wraps",
                    f"Ours brings only its public names. Import what the file uses: from {NEW} import emit",
                )
            elif alias.name not in EXPORTS | SUBMODULES:
                yield module.finding(
                    node,
                    "unknown-name",
                    TODO,
                    f"{alias.name} is no public name of Flask-SocketIO, and not in {NEW}",
                    "Do without it; docs/migrating.md says what takes the place of what.",
                )


def _unknown_submodule(module: Module, node: ast.AST, name: str) -> Finding:
    return module.finding(
        node,
        "unknown-name",
        TODO,
        f"{name} is no module of Flask-SocketIO 5, and not in {NEW}",
        f"Import from {NEW} itself.",
    )


# import flask_socketio


def _plain_imports(module: Module, findings: list[Finding]) -> list[Edit]:
    edits: list[Edit] = []
    binding: list[tuple[ast.alias, int]] = []
    for node in module.nodes:
        if not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            if not _is_theirs(alias.name):
                continue
            at = module.source.offset(alias.lineno, alias.col_offset)
            if not _is_known(alias.name):
                findings.append(_unknown_submodule(module, alias, alias.name))
            elif not WORD.match(module.source.text, at):
                findings.append(_unusual(module, alias))
            elif alias.asname:
                edits.append(Edit(at, at + len(OLD), NEW))
            else:
                binding.append((alias, at))
    if binding:
        edits += _rename(module, binding, findings)
    return edits


def _rename(module: Module, binding: list[tuple[ast.alias, int]], findings: list[Finding]) -> list[Edit]:
    """The imports with their new name, and all uses of it; else the import under the old name."""
    try:
        uses = list(_uses(module))
    except NotRenamedError as error:
        return _keep_name(module, binding, findings, error)
    return [Edit(at, at + len(OLD), NEW) for _, at in binding] + uses


def _keep_name(
    module: Module, binding: list[tuple[ast.alias, int]], findings: list[Finding], error: NotRenamedError
) -> list[Edit]:
    if any("." in alias.name for alias, _ in binding):  # `import a.b as a` would bind b
        findings.append(
            module.finding(
                error.node,
                "not-rewritten",
                TODO,
                str(error),
                f"Change the imports of {OLD} in this file by hand.",
            )
        )
        return []
    findings.append(
        module.finding(
            error.node,
            "kept-name",
            NOTE,
            f"{error}; so the import keeps the name: import {NEW} as {OLD}",
            "It works. Rename it by hand if you like.",
        )
    )
    return [Edit(at, at + len(OLD), f"{NEW} as {OLD}") for _, at in binding]


def _uses(module: Module) -> Iterator[Edit]:
    """
    :raises NotRenamedError: the name has another meaning somewhere in the file.
    """
    in_f_strings = 0
    for node in module.nodes:
        for name in (OLD, NEW):
            if _binds(node, name):
                raise NotRenamedError(node, f"the name {name} is used for something else too")
        if not isinstance(node, ast.Name) or node.id != OLD:
            continue
        if id(node) in module.in_f_strings:
            in_f_strings += 1
            continue
        at = module.source.offset(node.lineno, node.col_offset)
        if not WORD.match(module.source.text, at):
            raise NotRenamedError(node, f"{OLD} is written in an unusual way here")
        yield Edit(at, at + len(OLD), NEW)
    if in_f_strings:
        yield from _in_f_strings(module, in_f_strings)


def _binds(node: ast.AST, name: str) -> bool:
    """Whether a node gives a name another meaning than an ``import`` of it does."""
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.alias):
        return node.asname == name
    if isinstance(node, ast.ImportFrom):
        return any((alias.asname or alias.name) == name for alias in node.names)
    if isinstance(node, (ast.Attribute, ast.keyword, ast.Constant, ast.Import)):
        return False
    # Parameters, functions, classes, `except ... as`, `global`, patterns, type parameters.
    return any(
        value == name or (isinstance(value, list) and name in value) for _, value in ast.iter_fields(node)
    )


def _in_f_strings(module: Module, expected: int) -> Iterator[Edit]:
    """Positions in f-strings are not to be had from ``ast``; so all matches must be uses."""
    inner = module.in_f_strings
    edits = []
    last: ast.AST = module.tree
    for node in module.nodes:
        if isinstance(node, ast.JoinedStr) and id(node) not in inner:
            last = node
            start = module.source.offset(node.lineno, node.col_offset)
            end = module.source.offset(node.end_lineno or 0, node.end_col_offset or 0)
            edits += [Edit(m.start(), m.end(), NEW) for m in WORD.finditer(module.source.text, start, end)]
    if len(edits) != expected:
        raise NotRenamedError(last, f"an f-string has {OLD} in its text or in a string")
    yield from edits


# The name elsewhere


def _shadows(module: Module) -> Iterator[Finding]:
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and node.attr == OLD:
            yield module.finding(
                node,
                "foreign-name",
                TODO,
                f"{ast.unparse(node)}: another module's or object's name {OLD}",
                f"If that is a module with `import {OLD}`, it is called {NEW} there now.",
            )
        elif isinstance(node, ast.ImportFrom) and OLD in [alias.name for alias in node.names]:
            yield module.finding(
                node,
                "foreign-name",
                TODO,
                f"from {'.' * node.level}{node.module or ''} import {OLD}: a name of another module",
                f"If that module has `import {OLD}`, it is called {NEW} there now.",
            )


def _unusual(module: Module, node: ast.AST) -> Finding:
    return module.finding(
        node,
        "not-rewritten",
        TODO,
        f"an import of {OLD} in an unusual spelling",
        f"Change it to {NEW} by hand.",
    )


def _is_theirs(name: str) -> bool:
    return name == OLD or name.startswith(OLD + ".")


def _is_known(name: str) -> bool:
    return name == OLD or name.removeprefix(OLD + ".") in SUBMODULES
