"""What works otherwise in an app, or not at all, and can't be rewritten."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from ..finding import NOTE, TODO, Finding
from .module import Module, last_name
from .options import find_options
from .peers import find_peers

__all__ = ["find_trust_in_proxies", "find_usage"]

PATCHERS = frozenset({"eventlet.monkey_patch", "eventlet.patcher.monkey_patch", "gevent.monkey.patch_all"})
#: what of ``socketio.server`` is python-socketio's own, and has no counterpart
INTERNALS = {
    "eio": "python-engineio's server",
    "manager": "python-socketio's client manager",
    "instrument": "the hook of Socket.IO's admin page",
}


def find_usage(
    module: Module, extensions: Collection[str], own_modules: Collection[str]
) -> Iterator[Finding]:
    """
    :param extensions: names that the project gives to its ``SocketIO`` objects.
    :param own_modules: top-level modules of the project.
    """
    yield from find_options(module, extensions)
    if not {"socketio", "engineio"} & set(own_modules):
        yield from find_peers(module)
    for node in module.nodes:
        if isinstance(node, ast.Attribute):
            yield from _internals(module, node, extensions)
        elif isinstance(node, ast.Call):
            yield from _patching(module, node)
            yield from _null(module, node, extensions)
        elif isinstance(node, ast.ClassDef):
            yield from _subclass(module, node)


def find_trust_in_proxies(module: Module) -> Iterator[Finding]:
    """Where the extension is made, in a project that is deployed and has no ``ProxyFix``."""
    for call in module.calls:
        if module.is_theirs(call.func, "SocketIO"):
            yield module.finding(
                call,
                "proxy-fix",
                NOTE,
                "no ProxyFix in the project: behind a proxy that ends TLS, pages get 403"
                " (Flask-SocketIO believes X-Forwarded-Proto from anybody)",
                "If there is a proxy: ProxyFix(app.wsgi_app, x_for=1, x_proto=1); see docs/proxies.md.",
            )


def _internals(module: Module, node: ast.Attribute, extensions: Collection[str]) -> Iterator[Finding]:
    inner = node.value
    on_server = isinstance(inner, ast.Attribute) and inner.attr == "server"
    if isinstance(inner, ast.Attribute) and on_server and last_name(inner.value) in extensions:
        if node.attr in INTERNALS:
            yield module.finding(
                node,
                "internals",
                TODO,
                f"{ast.unparse(node)}: {INTERNALS[node.attr]}, which is not there",
                "Who is in a room: socketio.server.participants(namespace, room); counts: socketio.stats()."
                " More in docs/migrating.md.",
            )
    elif last_name(inner) in extensions and _is_private(node.attr):
        yield module.finding(
            node,
            "internals",
            TODO,
            f"{ast.unparse(node)}: private to Flask-SocketIO",
            "Ours has another inside; use its public methods.",
        )


def _patching(module: Module, call: ast.Call) -> Iterator[Finding]:
    if module.origin(call.func) in PATCHERS:
        library = module.origin(call.func).partition(".")[0]
        yield module.finding(
            call,
            "monkey-patching",
            NOTE,
            f"{ast.unparse(call)}: Flask-Realtime needs no patching, and works with it",
            f"Keep it if views wait for networks or databases under {library}; else drop both.",
        )


def _null(module: Module, call: ast.Call, extensions: Collection[str]) -> Iterator[Finding]:
    func = call.func
    is_emit = module.is_theirs(func, "emit") or (
        isinstance(func, ast.Attribute) and func.attr == "emit" and last_name(func.value) in extensions
    )
    if (
        is_emit
        and len(call.args) == 2
        and isinstance(call.args[1], ast.Constant)
        and call.args[1].value is None
    ):
        yield module.finding(
            call,
            "emit-null",
            NOTE,
            f"{ast.unparse(call)}: clients get one argument, null (Flask-SocketIO sends none)",
            "Leave out the None, if clients count arguments.",
        )


def _subclass(module: Module, node: ast.ClassDef) -> Iterator[Finding]:
    if not any(module.is_theirs(base, "SocketIO") for base in node.bases):
        return
    for item in node.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_private(item.name):
            yield module.finding(
                item,
                "internals",
                TODO,
                f"{node.name}.{item.name}: a private method in a subclass of SocketIO",
                "If it replaces one of Flask-SocketIO's, nobody calls it here.",
            )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
