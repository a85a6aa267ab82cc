"""What waits where nothing else can run meanwhile: monkey-patching, drivers, eventlet."""

from __future__ import annotations

from collections.abc import Iterator

from ...servers.choice import GREEN
from ..finding import Finding
from ..patches import PARTS
from ..situation import Situation
from .text import listed

__all__ = [
    "BLOCKING",
    "check_blocking",
    "check_eventlet",
    "check_late_patching",
    "check_native_drivers",
    "check_partial_patching",
    "check_two_patchers",
]

#: modules that wait for a network in Python, or in C
BLOCKING = tuple(
    "psycopg2 psycopg MySQLdb pymysql mysql.connector pyodbc cx_Oracle oracledb pymongo redis pymemcache"
    " cassandra elasticsearch pika requests httpx botocore".split()
)


def check_late_patching(s: Situation) -> Iterator[Finding]:
    if not s.captured:
        return
    tls = any(name.endswith("ssl.SSLContext") for name in s.captured)
    more = f" and {len(s.captured) - 5} more" if len(s.captured) > 5 else ""
    yield Finding(
        "late-patching",
        "error" if tls else "warning",
        f"{' and '.join(s.parts)} patched too late; unpatched: {'; '.join(s.captured[:5])}{more}",
        "While one of these modules waits, every client of the process does; its locks and thread-locals"
        " take all greenlets for one thread." + (" HTTPS requests fail with RecursionError." if tls else ""),
        f"{_patch_call(next(iter(s.parts)))} on the first lines of the program, before any other import.",
    )


def check_two_patchers(s: Situation) -> Iterator[Finding]:
    if len(s.parts) < 2:
        return
    yield Finding(
        "two-patchers",
        "error",
        "both gevent and eventlet have patched this process",
        "Each waits for the other's loop: requests hang, at once or under load.",
        "Remove one of the two calls; of the two libraries, keep gevent.",
    )


def check_partial_patching(s: Situation) -> Iterator[Finding]:
    for library, parts in s.parts.items():
        missing = [part for part in PARTS[library] if part not in parts]
        if not missing:
            continue
        yield Finding(
            "partial-patching",
            "warning",
            f"{library} has patched {listed(sorted(parts))}, but not {listed(missing)}",
            "What waits for one of these stops all greenlets, and locks don't work between the two worlds.",
            f"{_patch_call(library)} without arguments.",
        )


def check_blocking(s: Situation) -> Iterator[Finding]:
    if s.patched is not None or s.server is None or s.server.name not in GREEN:
        return
    # A message queue's driver is imported too, but waits in threads of its own.
    found = [
        name for name in BLOCKING if name in s.modules and f"flask_realtime.adapters.{name}" not in s.modules
    ]
    if {"sqlite3", "flask_sqlalchemy"} <= s.modules:
        found.append("sqlite3 (by flask_sqlalchemy)")
    if not found:
        return
    yield Finding(
        "blocking-driver",
        "warning",
        f"run() takes {s.server.name}, the process is not patched, and the app uses {listed(found)}",
        "Views are greenlets of one thread: while one waits for an answer, no other request is served."
        " Handlers are not concerned, they have threads.",
        f'async_mode="threading"; or {_patch_call(s.server.name)} on the first lines of the program.',
    )


def check_native_drivers(s: Situation) -> Iterator[Finding]:
    if s.patched is None or not s.native_drivers:
        return
    yield Finding(
        "native-driver",
        "warning",
        f"{listed(list(s.native_drivers))}: written in C, so patching does not make it cooperate",
        "While a view or a handler waits for the database, nothing else runs in this process.",
        "For psycopg2, psycogreen.gevent.patch_psycopg(); for others a driver in Python (PyMySQL);"
        ' or no patching and async_mode="threading".',
    )


def check_eventlet(s: Situation) -> Iterator[Finding]:
    if s.patched == "eventlet" or (s.server is not None and s.server.name == "eventlet"):
        yield Finding(
            "eventlet",
            "note",
            "eventlet is deprecated by its own maintainers",
            "It works here, but gets little more than fixes; new versions of Python may break it.",
            'For a new app async_mode="threading" or gevent.',
        )


def _patch_call(library: str) -> str:
    return {"gevent": "from gevent import monkey; monkey.patch_all()"}.get(
        library, "import eventlet; eventlet.monkey_patch()"
    )
