"""The module's name in strings: rewritten where it is surely a module, named elsewhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from ..finding import NOTE, TODO, Finding
from ..source import Edit
from ..words import NEW, OLD, WORD
from .module import Module, last_name

__all__ = ["rewrite_strings"]

#: functions that take the dotted name of a module, or of something in one
TAKE_NAMES = frozenset(
    "patch multiple setattr delattr import_module __import__ find_spec importorskip import_string"
    " resolve_name locate run_module ModuleType".split()
)
#: functions that do so only with ``sys.modules``
TAKE_KEYS = frozenset({"dict", "setitem", "delitem"})
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[\w.]+)?")
QUIETED = re.compile(r"(flask_socketio|socketio|engineio|geventwebsocket)(\.\w+)*")


def rewrite_strings(module: Module) -> tuple[list[Edit], list[Finding]]:
    """Edits of strings that are module names, and findings for those that may be."""
    sure = {id(node) for node in _module_names(module)}
    prose = {id(node) for node in _prose(module)}
    loggers = {id(node) for node in _logger_names(module)}
    edits: list[Edit] = []
    findings: list[Finding] = []
    for node in module.nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) in loggers:
            findings.append(_logger(module, node))
        elif not WORD.search(node.value):
            continue
        elif id(node) in sure and (found := _spans(module, node)):
            edits += found
        elif id(node) in prose:
            findings.append(_mention(module, node, NOTE, "a docstring speaks of"))
        elif DOTTED.fullmatch(node.value):
            findings.append(_mention(module, node, TODO, "a string that may be a module's name:"))
        else:
            findings.append(_mention(module, node, NOTE, "a string has"))
    return edits, findings


def _spans(module: Module, node: ast.Constant) -> list[Edit]:
    """Where the name is in the source; none where that can't be said."""
    if id(node) in module.in_f_strings:
        return []
    source = module.source
    start = source.offset(node.lineno, node.col_offset)
    end = source.offset(node.end_lineno or 0, node.end_col_offset or 0)
    found = [Edit(m.start(), m.end(), NEW) for m in WORD.finditer(source.text, start, end)]
    # A literal of several parts, or with escapes, may have it in another form.
    return found if len(found) == len(WORD.findall(str(node.value))) else []


def _module_names(module: Module) -> Iterator[ast.Constant]:
    """Strings that Python, or a test library, takes for a module's name."""
    for node in module.nodes:
        if isinstance(node, ast.Call):
            if last_name(node.func) == "cast":
                yield from _strings(node.args[:1])
            elif _takes_names(node):
                yield from _dotted(node.args)
        elif isinstance(node, ast.Subscript) and _is_sys_modules(node.value):
            yield from _dotted([node.slice])
        elif isinstance(node, ast.Compare) and any(map(_is_sys_modules, node.comparators)):
            yield from _dotted([node.left])
        elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            yield from _strings([node.annotation])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            yield from _strings([node.returns])


def _takes_names(call: ast.Call) -> bool:
    name = last_name(call.func)
    if name in TAKE_KEYS:
        return any(map(_is_sys_modules, call.args))
    if name in TAKE_NAMES:
        return True
    return isinstance(call.func, ast.Attribute) and _is_sys_modules(call.func.value)  # sys.modules.pop(...)


def _dotted(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    """Dotted names among some arguments; also the keys of a dict."""
    for node in nodes:
        if isinstance(node, ast.Dict):
            yield from _dotted(key for key in node.keys if key is not None)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
            yield node


def _strings(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    """All strings in some annotations."""
    for outer in nodes:
        for node in ast.walk(outer):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node


def _is_sys_modules(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value == "sys.modules")  # patch.dict("sys.modules", ...)
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules"


def _prose(module: Module) -> Iterator[ast.Constant]:
    """Docstrings, and strings that stand for themselves."""
    for node in module.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _logger_names(module: Module) -> Iterator[ast.Constant]:
    """In ``logging.getLogger("engineio")``, and in ``{"loggers": {"engineio": ...}}``."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and last_name(node.func) in ("getLogger", "get_logger"):
            yield from (name for name in _dotted(node.args[:1]) if QUIETED.fullmatch(str(name.value)))
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "loggers" and isinstance(value, ast.Dict):
                    yield from (name for name in _dotted([value]) if QUIETED.fullmatch(str(name.value)))


def _logger(module: Module, node: ast.Constant) -> Finding:
    return module.finding(
        node,
        "logger",
        NOTE,
        f"the logger {node.value!r}: nothing of ours writes to it",
        f"Everything goes to the logger {NEW!r}, warnings and worse only unless logger=True.",
    )


def _mention(module: Module, node: ast.Constant, severity: str, what: str) -> Finding:
    return module.finding(
        node,
        "string",
        TODO if severity == TODO else NOTE,
        f"{what} {OLD}" + (f" {node.value!r}" if severity == TODO else ""),
        f"If it means the module, change it to {NEW}.",
    )
