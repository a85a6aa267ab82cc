"""The options of ``SocketIO(...)`` and ``init_app(...)``, and keys of the app's config."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields

from ...config import ASYNC_MODES, CONFIG_PREFIX, WITHOUT_EFFECT, ServerConfig
from ..finding import NOTE, TODO, Finding
from .module import Module, last_name

__all__ = ["find_options"]

OPTIONS = frozenset(field.name for field in fields(ServerConfig)) | {"resource"}
Check = Callable[[Module, ast.keyword], Iterator[Finding]]


def find_options(module: Module, extensions: Collection[str]) -> Iterator[Finding]:
    """
    :param extensions: names that the project gives to its ``SocketIO`` objects.
    """
    for call in module.calls:
        if _takes_options(module, call, extensions):
            for keyword in call.keywords:
                yield from _check(module, call, keyword)
        elif _is_method(call, "run", extensions):
            yield from _check_run(module, call)
    yield from _config_keys(module)


def _takes_options(module: Module, call: ast.Call, extensions: Collection[str]) -> bool:
    return module.is_theirs(call.func, "SocketIO") or _is_method(call, "init_app", extensions)


def _is_method(call: ast.Call, name: str, extensions: Collection[str]) -> bool:
    func = call.func
    return isinstance(func, ast.Attribute) and func.attr == name and last_name(func.value) in extensions


def _check(module: Module, call: ast.Call, keyword: ast.keyword) -> Iterator[Finding]:
    name = keyword.arg
    if name is None:
        yield module.finding(
            keyword.value,
            "options-unseen",
            NOTE,
            f"options by {ast.unparse(keyword.value)}: not looked into",
            "An unknown option is a TypeError when the app starts; the message names the closest one.",
        )
    elif name in CHECKS:
        yield from CHECKS[name](module, keyword)
    elif name in WITHOUT_EFFECT:
        yield module.finding(
            keyword.value,
            "no-effect",
            NOTE,
            f"{name}= has no effect there, with Flask-SocketIO neither; the log says so",
            f"Remove it: {WITHOUT_EFFECT[name]}.",
        )
    elif name not in OPTIONS and not (last_name(call.func) == "SocketIO" and name == "app"):
        close = difflib.get_close_matches(name, OPTIONS, n=1)
        yield module.finding(
            keyword.value,
            "unknown-option",
            TODO,
            f"{name}= is no option: a TypeError (Flask-SocketIO ignores what it does not know)",
            f"Remove it{f', or write {close[0]}=' if close else ''}; docs/options.md has them all.",
        )


def _client_manager(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    yield module.finding(
        keyword.value,
        "client-manager",
        TODO,
        "client_manager=: managers of python-socketio don't fit this engine",
        "message_queue=URL, with the URL that the manager gets.",
    )


def _message_queue(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    if isinstance(keyword.value, ast.Constant) and keyword.value.value is None:
        return
    yield module.finding(
        keyword.value,
        "message-queue",
        TODO,
        "message_queue=: its messages are other than Flask-SocketIO's, so the two can't share a channel",
        "Change all processes that use the queue at once, emitters too, or give ours another channel=.",
    )


def _always_connect(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    yield module.finding(
        keyword.value,
        "no-effect",
        NOTE,
        "always_connect= has no effect: a connect handler may emit, and may refuse, either way",
        "Remove it.",
    )


def _async_mode(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    if value == "gevent_uwsgi":
        yield module.finding(
            keyword.value,
            "uwsgi",
            NOTE,
            "async_mode='gevent_uwsgi': accepted; under uWSGI nothing has to be said, with gevent or without",
            "Remove it. uWSGI's own WebSocket support is not needed (docs/deployment.md).",
        )
    elif value is not None and value not in ASYNC_MODES:
        yield module.finding(
            keyword.value,
            "async-mode",
            TODO,
            f"async_mode={value!r}: a ValueError",
            f"One of {', '.join(ASYNC_MODES)}; or none, for what suits the process.",
        )


def _origins(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    if any(isinstance(node, ast.Constant) and node.value == "*" for node in ast.walk(keyword.value)):
        yield module.finding(
            keyword.value,
            "any-origin",
            NOTE,
            "cors_allowed_origins='*': any page of the web may connect, but not with its visitors' cookies"
            " over polling (Flask-SocketIO allows that)",
            "List the origins; surely if pages on other origins use io({withCredentials: true}).",
        )


def _credentials(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    if isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
        yield module.finding(
            keyword.value,
            "credentials",
            TODO,
            "cors_credentials=True: it is the default, and holds for origins that are listed, never for '*'",
            "If cors_allowed_origins is '*', list the origins; else remove it.",
        )


def _serializer(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    if isinstance(keyword.value, ast.Constant) and keyword.value.value not in ("default", "msgpack"):
        yield module.finding(
            keyword.value,
            "serializer",
            TODO,
            f"serializer={ast.unparse(keyword.value)}: a ValueError",
            "'default', 'msgpack', or a packet class; docs/options.md says more.",
        )


def _json(module: Module, keyword: ast.keyword) -> Iterator[Finding]:
    yield module.finding(
        keyword.value,
        "json",
        NOTE,
        "json=: used for this server only, and slower than without it",
        "Remove it if it was there for dates, decimals, UUIDs or dataclasses: they can be sent without it.",
    )


CHECKS: dict[str, Check] = {
    "always_connect": _always_connect,
    "async_mode": _async_mode,
    "client_manager": _client_manager,
    "cors_credentials": _credentials,
    "cors_allowed_origins": _origins,
    "json": _json,
    "message_queue": _message_queue,
    "serializer": _serializer,
}


def _check_run(module: Module, call: ast.Call) -> Iterator[Finding]:
    for keyword in call.keywords:
        if keyword.arg == "allow_unsafe_werkzeug":
            yield module.finding(
                keyword.value,
                "no-effect",
                NOTE,
                "allow_unsafe_werkzeug=: run() never refuses to start; it only silences a warning now",
                "Remove it; with gunicorn installed, run() serves with that.",
            )


def _config_keys(module: Module) -> Iterator[Finding]:
    """``SOCKETIO_...`` in a config: Flask-SocketIO reads none of them, we do. Each once in a file."""
    seen = set()
    for node, key in _keys_set(module):
        option = key.removeprefix(CONFIG_PREFIX).lower()
        if key in seen or not key.startswith(CONFIG_PREFIX) or option not in OPTIONS:
            continue
        seen.add(key)
        yield module.finding(
            node,
            "config-key",
            NOTE,
            f"{key}: in the app's config it is the option {option}; Flask-SocketIO reads none there",
            "Nothing to do, if that is what it means.",
        )


def _keys_set(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Variables, keys of dicts and ``config["X"] =``, arguments of ``config.update(X=...)``."""
    for node in module.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield from _text(node.slice)
        elif isinstance(node, ast.Dict):
            for key in node.keys:
                yield from _text(key)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.value, node.arg


def _text(node: ast.AST | None) -> Iterator[tuple[ast.AST, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node, node.value
