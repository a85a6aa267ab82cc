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
#: what there is behind ``socketio.server``, of python-socketio's and python-engineio's public names
BEHIND_THE_SERVER = {
    "manager": frozenset(
        "close_room disconnect eio_sid_from_sid emit enter_room get_namespaces get_participants get_rooms"
        " is_connected leave_room rooms sid_from_eio_sid".split()
    ),
    "eio": frozenset(
        "allow_upgrades async_mode compression_threshold cookie cors_allowed_origins cors_credentials"
        " disconnect http_compression logger max_http_buffer_size ping_interval"
        " ping_interval_grace_period ping_timeout sockets transport transports".split()
    ),
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
    path = _attributes(node)
    if len(path) > 3 and path[-4] in extensions and path[-3] == "server" and path[-2] in BEHIND_THE_SERVER:
        is_missing = path[-1] not in BEHIND_THE_SERVER[path[-2]]
    elif len(path) > 2 and path[-3] in extensions and path[-2] == "server":
        is_missing = path[-1] == "instrument"
    else:
        is_missing = len(path) > 1 and path[-2] in extensions and _is_private(path[-1])
    if is_missing:
        yield module.finding(
            node,
            "internals",
            TODO,
            f"{ast.unparse(node)}: an inner part of Flask-SocketIO or python-socketio, which is not there",
            "Who is in a room: socketio.server.participants(namespace, room); counts: socketio.stats()."
            " More in docs/migrating.md.",
        )


def _attributes(node: ast.AST) -> list[str]:
    """``["a", "b", "c"]`` for ``a.b.c``; what is not a name is an empty string."""
    if isinstance(node, ast.Attribute):
        return [*_attributes(node.value), node.attr]
    return [node.id if isinstance(node, ast.Name) else ""]


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
