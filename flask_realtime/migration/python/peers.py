"""python-socketio and python-engineio beside the extension: servers, managers, exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..finding import TODO, Finding, Severity
from ..words import NEW
from .module import Module

__all__ = ["find_peers"]

PEERS = ("socketio", "engineio")
EMITTER = (
    f"An emitter in another process: from {NEW} import SocketIO; SocketIO(message_queue=URL).emit(...)."
    " A client manager is not needed otherwise."
)
#: what is used -> (what, advice); clients are fine, and not in here
USES: dict[str, tuple[str, str]] = {
    "ConnectionRefusedError": (
        "the exception of python-socketio: as a refusal of a connect handler it is not known",
        f"from {NEW} import ConnectionRefusedError",
    ),
    "TimeoutError": (
        "the exception of python-socketio: call() of ours raises Python's own TimeoutError",
        "Around call(), catch TimeoutError without an import; around a client of python-socketio, leave it.",
    ),
    "max_decode_packets": (
        "a setting of python-engineio, which does not serve any more",
        "Remove it: max_payload_packets, an option of SocketIO, is 1000 where theirs was 16.",
    ),
}
SERVERS = frozenset(
    "Server AsyncServer WSGIApp ASGIApp Middleware AsyncNamespace Namespace AdminServer".split()
)
MANAGERS = frozenset(
    "Manager AsyncManager BaseManager PubSubManager AsyncPubSubManager RedisManager AsyncRedisManager"
    " KombuManager KafkaManager ZmqManager AsyncAioPikaManager".split()
)


def find_peers(module: Module) -> Iterator[Finding]:
    """Uses of what those libraries have for servers.

    The project's own modules may have the same names; imports of a package's
    modules are relative or begin with the package, so they are not confused.
    """
    for node in module.nodes:
        if isinstance(node, (ast.Attribute, ast.Name)) and isinstance(node.ctx, (ast.Load, ast.Store)):
            top, _, rest = module.origin(node).partition(".")
            use = _use(rest.rpartition(".")[2]) if top in PEERS and rest else None
            if use:
                yield module.finding(node, use[0], TODO, f"{top}.{rest}: {use[2]}", use[3])


def _use(name: str) -> tuple[str, Severity, str, str] | None:
    if name in USES:
        return ("python-socketio", TODO, *USES[name])
    if name in MANAGERS:
        return (
            "python-socketio",
            TODO,
            "a manager of python-socketio: its messages are not understood by ours",
            EMITTER,
        )
    if name in SERVERS:
        return (
            "python-socketio",
            TODO,
            "a server of python-socketio, beside Flask-SocketIO's or under it",
            f"If the app's clients connect to it, SocketIO of {NEW} takes its place; else it may stay.",
        )
    return None
