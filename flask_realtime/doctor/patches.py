"""What monkey-patching has replaced in this process, and what it has missed."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

from ..backends.patching import patched_by

__all__ = ["PARTS", "captured", "native_drivers", "patched_parts"]

#: what makes a process wholly patched, by the names that gevent and eventlet have for it
PARTS = {
    "gevent": {"socket": "socket", "ssl": "ssl", "threads": "threading", "time": "time", "select": "select"},
    "eventlet": {"socket": "socket", "threads": "thread", "time": "time", "select": "select"},
}
PATCHERS = {
    "gevent": ("gevent.monkey", "is_module_patched"),
    "eventlet": ("eventlet.patcher", "is_monkey_patched"),
}
#: What both libraries replace: (its module, its name) -> where the replacement is found.
REPLACED = {
    ("socket", "socket"): ("socket", "socket"),
    ("socket", "create_connection"): ("socket", "create_connection"),
    ("socket", "getaddrinfo"): ("socket", "getaddrinfo"),
    ("ssl", "SSLContext"): ("ssl", "SSLContext"),
    ("ssl", "SSLSocket"): ("ssl", "SSLSocket"),
    ("select", "select"): ("select", "select"),
    ("select", "poll"): ("select", "poll"),
    ("select", "epoll"): ("select", "epoll"),
    ("time", "sleep"): ("time", "sleep"),
    ("subprocess", "Popen"): ("subprocess", "Popen"),
    ("_queue", "SimpleQueue"): ("queue", "SimpleQueue"),
    ("threading", "Event"): ("threading", "Event"),
    ("_thread", "_local"): ("threading", "local"),
    ("_thread", "RLock"): ("threading", "_CRLock"),
    ("_thread", "lock"): ("_thread", "LockType"),
    ("_thread", "allocate_lock"): ("_thread", "allocate_lock"),
    ("_thread", "start_new_thread"): ("_thread", "start_new_thread"),
}
PUBLIC_NAMES = {
    "_queue.SimpleQueue": "queue.SimpleQueue",
    "_thread._local": "threading.local",
    "_thread.RLock": "threading.RLock",
    "_thread.lock": "threading.Lock",
    "_thread.allocate_lock": "threading.Lock",
}
#: their objects stay what they were made as
NATIVE_OBJECTS = frozenset({"_local", "RLock", "lock"})
#: packages that hold originals on purpose (eventlet brings its own dnspython)
HOLDERS = frozenset(
    "gevent geventwebsocket eventlet greenlet dns zope flask_realtime coverage pydevd".split()
)


def patched_parts() -> Iterator[tuple[str, frozenset[str]]]:
    for library, (module, question) in PATCHERS.items():
        is_patched = getattr(sys.modules.get(module), question, None)
        if is_patched is None:
            continue
        parts = frozenset(part for part, name in PARTS[library].items() if is_patched(name))
        if parts:
            yield library, parts


def captured(before: frozenset[str]) -> Iterator[str]:
    """Originals that modules hold by a name of their own: patching can't reach those."""
    threads = patched_by() is not None
    seen = set()
    for name, module in sorted(sys.modules.items()):
        if type(module) is not types.ModuleType or name in before or id(module) in seen:
            continue
        seen.add(id(module))
        package = module.__name__.partition(".")[0]
        if package in HOLDERS or package in sys.stdlib_module_names or package.startswith("__"):
            continue
        held = {_original_in(value, module.__name__, threads) for value in list(vars(module).values())}
        yield from (f"{module.__name__}: {original}" for original in sorted(filter(None, held)))


def _original_in(value: Any, module: str, threads: bool) -> str:
    """What the value of a module's variable has of the unpatched standard library."""
    # Not isinstance(): proxies such as flask.request would be asked for what they stand for.
    kind = type(value)
    if kind.__module__ == "_thread" and kind.__name__ in NATIVE_OBJECTS:
        return f"a {PUBLIC_NAMES[f'_thread.{kind.__name__}']} made before" if threads else ""
    if kind in (types.FunctionType, types.BuiltinFunctionType):
        return _replaced_name(value)
    if not issubclass(kind, type):
        return ""
    bases = value.__mro__[1:] if value.__module__ == module else ()
    for base in bases:
        if name := _replaced_name(base):
            return f"a subclass of {name}"
    return _replaced_name(value)


def _replaced_name(value: Any) -> str:
    key: Any = (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
    if key not in REPLACED:
        return ""
    where, attribute = REPLACED[key]
    if getattr(sys.modules.get(where), attribute, value) is value:
        return ""
    name = ".".join(map(str, key))
    return PUBLIC_NAMES.get(name, name)


def native_drivers() -> Iterator[str]:
    psycopg2 = sys.modules.get("psycopg2.extensions")
    if psycopg2 is not None and psycopg2.get_wait_callback() is None:
        yield "psycopg2"
    eventlet = sys.modules.get("eventlet.patcher")
    if "MySQLdb" in sys.modules and not (eventlet and eventlet.is_monkey_patched("MySQLdb")):
        yield "MySQLdb"
    yield from (name for name in ("pyodbc", "cx_Oracle") if name in sys.modules)
