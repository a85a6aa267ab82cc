"""Names: of the modules, the packages, and what each has."""

from __future__ import annotations

import re

__all__ = [
    "EXPORTS",
    "MENTION",
    "NEW",
    "NEW_PACKAGE",
    "OLD",
    "OLD_PACKAGE",
    "REQUIRED",
    "SUBMODULES",
    "WORD",
    "canonical",
]

OLD, NEW = "flask_socketio", "flask_realtime"
OLD_PACKAGE, NEW_PACKAGE = "flask-socketio", "flask-realtime"
#: the version that is written where a version was required
REQUIRED = "0.1"
#: what Flask-SocketIO has, and we have under the same name
EXPORTS = frozenset(
    "ConnectionRefusedError Namespace SocketIO SocketIOTestClient call close_room disconnect emit"
    " join_room leave_room rooms send".split()
)
SUBMODULES = frozenset({"namespace", "test_client"})
#: the module, as a word of its own
WORD = re.compile(rf"(?<!\w){OLD}(?!\w)")
#: the module or the package, in any text
MENTION = re.compile(r"(?<!\w)flask[-_.]?socketio(?![\w-])", re.IGNORECASE)


def canonical(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
