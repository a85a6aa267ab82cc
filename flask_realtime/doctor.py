"""What is wrong with an app's setup: the facts are collected once, then each check looks at them.

Nothing is started and nobody is connected to. The only thing that is tried is
whether the port can be had, and it is given back at once.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from flask.sessions import SecureCookieSessionInterface
from werkzeug.middleware.proxy_fix import ProxyFix

from .backends.patching import patched_by
from .config import ServerConfig
from .gateways.wsgi import SocketMiddleware
from .mounting import AppState, state_of
from .run import default_port
from .servers.choice import GREEN, Choice, choose_server
from .servers.listening import UNIX, listen

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["CHECKS", "ClientCopy", "Endpoint", "Finding", "Situation", "diagnose", "examine", "in_words"]

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that one should know."""

    #: what kind of thing it is; it stays the same from version to version
    code: str
    severity: Severity
    what: str
    #: what users of the app see of it
    consequence: str
    advice: str


@dataclass(frozen=True)
class Endpoint:
    """One server of the app: a ``SocketIO`` or an ``EngineIO``."""

    kind: str
    config: ServerConfig


@dataclass(frozen=True)
class ClientCopy:
    """A place where the app's files name a JavaScript client."""

    where: str
    #: ``socket.io-client`` or ``engine.io-client``
    package: str
    #: as it is written there; empty where none is
    version: str
    #: the path it is loaded from, where that is no other server's
    url: str = ""


@dataclass(frozen=True)
class Situation:
    """The facts."""

    app: Flask
    endpoints: tuple[Endpoint, ...]
    #: of the packages in :data:`PACKAGES` that are installed
    versions: Mapping[str, str]
    #: what ``run()`` would start; None where it would refuse, and then why
    server: Choice | None
    refusal: str
    host: str
    port: int
    #: why the address can't be had
    taken: str
    #: as :func:`.patched_by`
    patched: str | None
    #: for each library that has patched something, which parts
    parts: Mapping[str, frozenset[str]]
    #: originals that modules of the app hold in spite of it, as ``"module: name"``
    captured: tuple[str, ...]
    #: drivers in C that patching does not reach
    native_drivers: tuple[str, ...]
    #: what is imported
    modules: frozenset[str]
    environ: Mapping[str, str]
    #: the app's WSGI layers, from the outside in
    layers: tuple[Any, ...]
    clients: tuple[ClientCopy, ...]
    #: ``workers`` in ``gunicorn.conf.py``, as it is written there
    gunicorn_workers: str
    #: how the ``Procfile`` starts gunicorn
    gunicorn_command: str
    platform: str


Check = Callable[[Situation], Iterator[Finding]]


def examine(
    app: Flask, host: str | None = None, port: int | None = None, before: frozenset[str] = frozenset()
) -> Situation:
    """Collect the facts about an app.

    :param host: where it would be served, as :meth:`.SocketIO.run` takes it.
    :param before: modules that the ``flask`` command had imported before it imported the app. What they
        hold of the standard library is not the app's doing.
    """
    endpoints = tuple(_endpoints(app))
    server, refusal = _choose(app, endpoints)
    host = host or "127.0.0.1"
    port = default_port(app) if port is None else port
    parts = dict(_patched_parts())
    return Situation(
        app=app,
        endpoints=endpoints,
        versions=_versions(),
        server=server,
        refusal=refusal,
        host=host,
        port=port,
        taken=_try_to_listen(host, port),
        patched=patched_by(),
        parts=parts,
        captured=tuple(_captured(before)) if parts else (),
        native_drivers=tuple(_native_drivers()) if parts else (),
        modules=frozenset(sys.modules),
        environ=dict(os.environ),
        layers=tuple(_layers(app)),
        clients=tuple(_clients(app)),
        gunicorn_workers=_configured_workers(Path.cwd() / "gunicorn.conf.py"),
        gunicorn_command=_gunicorn_command(Path.cwd() / "Procfile"),
        platform=sys.platform,
    )


def diagnose(situation: Situation) -> list[Finding]:
    """What every check finds, the worst first."""
    found = [finding for check in CHECKS for finding in check(situation)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


# The facts: the app

FRAMEWORK = ("Flask-Realtime", "Flask", "Werkzeug")
SERVERS = tuple(
    "gunicorn gevent gevent-websocket eventlet uvicorn hypercorn granian daphne waitress a2wsgi uwsgi".split()
)
PACKAGES = (*FRAMEWORK, *SERVERS, "python-socketio")


def _endpoints(app: Flask) -> Iterator[Endpoint]:
    for kind, state in (("SocketIO", state_of(app)), ("EngineIO", app.extensions.get("engineio"))):
        if isinstance(state, AppState):
            yield Endpoint(kind, state.config)


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _choose(app: Flask, endpoints: tuple[Endpoint, ...]) -> tuple[Choice | None, str]:
    if not endpoints:
        return None, "the app has no SocketIO"
    try:
        return choose_server(endpoints[0].config.async_mode, app.debug, {}), ""
    except (ValueError, RuntimeError, TypeError, ImportError) as error:
        return None, str(error)


def _try_to_listen(host: str, port: int) -> str:
    if host.startswith(UNIX):
        return ""  # to try it would remove a stale socket, and nothing is to be changed
    try:
        listen(host, port).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _layers(app: Flask) -> Iterator[Any]:
    """``app.wsgi_app`` and what it wraps, as far as middleware calls that by one of the usual names."""
    layer: Any = app.wsgi_app
    for _ in range(50):
        if isinstance(layer, types.MethodType):
            return
        yield layer
        inner = vars(layer) if hasattr(layer, "__dict__") else {}
        layer = next((inner[name] for name in ("wsgi_app", "app", "application") if name in inner), None)
        if layer is None:
            return


# The facts: monkey-patching

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


def _patched_parts() -> Iterator[tuple[str, frozenset[str]]]:
    for library, (module, question) in PATCHERS.items():
        is_patched = getattr(sys.modules.get(module), question, None)
        if is_patched is None:
            continue
        parts = frozenset(part for part, name in PARTS[library].items() if is_patched(name))
        if parts:
            yield library, parts


def _captured(before: frozenset[str]) -> Iterator[str]:
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
    kind = type(
        value
    )  # not isinstance(): proxies such as flask.request would be asked for what they stand for
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


def _native_drivers() -> Iterator[str]:
    psycopg2 = sys.modules.get("psycopg2.extensions")
    if psycopg2 is not None and psycopg2.get_wait_callback() is None:
        yield "psycopg2"
    eventlet = sys.modules.get("eventlet.patcher")
    if "MySQLdb" in sys.modules and not (eventlet and eventlet.is_monkey_patched("MySQLdb")):
        yield "MySQLdb"
    yield from (name for name in ("pyodbc", "cx_Oracle") if name in sys.modules)


# The facts: files

MAX_DEPTH = 4
MAX_FILES = 5_000  # looked at
MAX_READ = 300  # opened
MAX_SIZE = 8_000_000
SKIPPED = frozenset("node_modules bower_components site-packages __pycache__".split())
FRONTENDS = ("", "frontend", "client", "web", "ui", "static", "assets")
JS_CLIENTS = ("socket.io-client", "engine.io-client")
HTML = frozenset({".html", ".htm", ".jinja", ".jinja2", ".j2"})
#: a quoted address of a client's file
SCRIPT = re.compile(r"""["']([^"'\s<>]*(?:socket|engine)\.io[^"'\s<>]*\.js)["']""")
#: the version in such an address
VERSION = re.compile(r"(socket|engine)\.io[^\d]*?[/@v-](\d+(?:\.\d+)*)")
BANNER = re.compile(r"\b(Socket|Engine)\.IO v(\d[\w.]*)", re.IGNORECASE)


def _clients(app: Flask) -> Iterator[ClientCopy]:
    seen = set()
    for file in _interesting_files(app):
        reader = _reader_of(file)
        if reader is None or file in seen:
            continue
        seen.add(file)
        if len(seen) > MAX_READ:
            return
        try:
            text = file.read_text("utf-8", "replace") if file.stat().st_size <= MAX_SIZE else ""
        except OSError:
            continue
        yield from reader(file, text)


def _reader_of(file: Path) -> Callable[[Path, str], Iterator[ClientCopy]] | None:
    if file.name in ("package.json", "package-lock.json"):
        return _in_package_json
    if file.suffix in HTML:
        return _in_page
    return _in_script if re.match(r"(socket|engine)\.io.*\.js$", file.name) else None


def _interesting_files(app: Flask) -> Iterator[Path]:
    """Files of the app's own folders, and those beside it in the project's."""
    root, project = Path(app.root_path).resolve(), Path.cwd()
    budget = iter(range(MAX_FILES))
    folders = [root, *(Path(folder) for folder in (app.static_folder, _templates(app)) if folder)]
    for folder in folders:
        yield from _walk(folder.resolve(), budget)
    if project in root.parents:
        for name in FRONTENDS:
            yield from (file for file in (project / name).glob("package*.json") if file.is_file())


def _templates(app: Flask) -> Path | None:
    return None if app.template_folder is None else Path(app.root_path, app.template_folder)


def _walk(root: Path, budget: Iterator[int]) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= MAX_DEPTH
        subfolders[:] = [] if deep else sorted(name for name in subfolders if _is_worth_a_look(here / name))
        for name in sorted(files):
            if next(budget, None) is None:
                return
            yield here / name


def _is_worth_a_look(folder: Path) -> bool:
    return (
        folder.name not in SKIPPED
        and not folder.name.startswith(".")
        and not (folder / "pyvenv.cfg").exists()  # a virtual environment
    )


def _shown(file: Path) -> str:
    """Its path, from the current folder if it is in there."""
    here = Path.cwd()
    return str(file.relative_to(here) if here in file.parents else file)


def _in_package_json(file: Path, text: str) -> Iterator[ClientCopy]:
    if file.name == "package.json" and file.with_name("package-lock.json").is_file():
        return  # the lock says what is installed
    try:
        content = json.loads(text)
    except ValueError:
        return
    if not isinstance(content, dict):
        return
    for client in JS_CLIENTS:
        version = _npm_version(content, client)
        if version:
            yield ClientCopy(_shown(file), client, version)


def _npm_version(content: dict[str, Any], client: str) -> str:
    """From ``package.json`` or either form of ``package-lock.json``."""
    for section, key in (
        ("packages", f"node_modules/{client}"),
        ("dependencies", client),
        ("devDependencies", client),
    ):
        found = content.get(section)
        entry = found.get(key) if isinstance(found, dict) else None
        version = entry.get("version") if isinstance(entry, dict) else entry
        if isinstance(version, str):
            return version
    return ""


def _in_page(file: Path, text: str) -> Iterator[ClientCopy]:
    for match in SCRIPT.finditer(text):
        url = match[1]
        version = VERSION.search(url)
        package = f"{version[1]}.io-client" if version else JS_CLIENTS["engine.io" in url]
        line = text.count("\n", 0, match.start()) + 1
        yield ClientCopy(f"{_shown(file)}:{line}", package, version[2] if version else "", url)


def _in_script(file: Path, text: str) -> Iterator[ClientCopy]:
    banner = BANNER.search(text[:500])
    if banner:
        yield ClientCopy(_shown(file), f"{banner[1].lower()}.io-client", banner[2])


def _configured_workers(file: Path) -> str:
    """The value of ``workers`` in gunicorn's configuration, as it is written there: the file is not run."""
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ""
    value = ""
    for node in tree.body:
        if isinstance(node, ast.Assign) and "workers" in [
            getattr(target, "id", "") for target in node.targets
        ]:
            value = ast.unparse(node.value)
    return value


def _gunicorn_command(procfile: Path) -> str:
    """How the platform starts gunicorn, by the project's ``Procfile``."""
    try:
        lines = procfile.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return ""
    return next((line.partition(":")[2] for line in lines if re.match(r"[\w-]+:.*\bgunicorn\b", line)), "")


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


# The checks: the app

PROXIES = "docs/proxies.md"


def _check_extension(s: Situation) -> Iterator[Finding]:
    if s.endpoints:
        return
    theirs = type(s.app.extensions.get("socketio")).__module__.partition(".")[0] == "flask_socketio"
    yield Finding(
        "no-extension",
        "error",
        "no SocketIO is attached to this app" + (", only Flask-SocketIO's" if theirs else ""),
        "Clients get 404 for /socket.io/, and never connect.",
        "SocketIO(app), or socketio.init_app(app) in the factory that makes the app;"
        " if it does, --app names another app.",
    )


def _check_two_extensions(s: Situation) -> Iterator[Finding]:
    if not s.endpoints or "flask_socketio" not in s.modules:
        return
    yield Finding(
        "flask-socketio",
        "warning",
        "flask_socketio is imported too",
        "Its emit() and its SocketIO know nothing of the clients that are connected here: events are lost,"
        " or requests reach the wrong one of the two.",
        "Import everything from flask_realtime, also in the modules that only emit.",
    )


def _check_run(s: Situation) -> Iterator[Finding]:
    if s.server is not None or not s.endpoints or s.endpoints[0].config.async_mode == "gevent_uwsgi":
        return
    yield Finding(
        "no-server",
        "error",
        f"run() refuses: {s.refusal}",
        "The app does not start with socketio.run().",
        "Change async_mode, or what it needs; without async_mode, run() takes what is there.",
    )


def _check_port(s: Situation) -> Iterator[Finding]:
    airplay = s.platform == "darwin" and s.port == 5000
    if s.taken:
        hint = " On macOS this may be the AirPlay receiver: switch it off in the settings." if airplay else ""
        yield Finding(
            "port",
            "error",
            s.taken,
            "The app does not start there. If it is the app itself that listens, all is well.",
            f"End the other program, or take another port: socketio.run(app, port=...).{hint}",
        )
    elif airplay:
        yield Finding(
            "airplay",
            "note",
            "on macOS the AirPlay receiver listens on port 5000 too",
            "For the name localhost browsers may reach it instead of the app, and get 403.",
            "Use http://127.0.0.1:5000, another port, or switch it off in the settings.",
        )


def _check_secret_key(s: Situation) -> Iterator[Finding]:
    managed = next((e.config.manage_session for e in s.endpoints if e.kind == "SocketIO"), None)
    signed = isinstance(s.app.session_interface, SecureCookieSessionInterface)
    if managed is None or not signed or s.app.secret_key:
        return
    yield Finding(
        "secret-key",
        "note",
        "SECRET_KEY is not set",
        "Views have no session, so that of a handler is empty at first: it does not know who has logged in."
        if managed
        else "There is no session: a handler that writes to it raises an error.",
        "Set SECRET_KEY, or ignore this if nothing uses flask.session.",
    )


def _check_flask_run(s: Situation) -> Iterator[Finding]:
    if s.environ.get("FLASK_RUN_WITH_THREADS", "").lower() in ("0", "false", "f", "no", "n", "off"):
        yield Finding(
            "without-threads",
            "note",
            "FLASK_RUN_WITH_THREADS is off",
            "flask run then answers one request at a time: a slow view holds up all polls and connects.",
            "Remove it; threads are the default.",
        )


# The checks: monkey-patching

#: modules that wait for a network in Python, or in C
BLOCKING = tuple(
    "psycopg2 psycopg MySQLdb pymysql mysql.connector pyodbc cx_Oracle oracledb pymongo redis pymemcache"
    " cassandra elasticsearch pika requests httpx botocore".split()
)


def _check_late_patching(s: Situation) -> Iterator[Finding]:
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


def _check_two_patchers(s: Situation) -> Iterator[Finding]:
    if len(s.parts) < 2:
        return
    yield Finding(
        "two-patchers",
        "error",
        "both gevent and eventlet have patched this process",
        "Each waits for the other's loop: requests hang, at once or under load.",
        "Remove one of the two calls; of the two libraries, keep gevent.",
    )


def _check_partial_patching(s: Situation) -> Iterator[Finding]:
    for library, parts in s.parts.items():
        missing = [part for part in PARTS[library] if part not in parts]
        if not missing:
            continue
        yield Finding(
            "partial-patching",
            "warning",
            f"{library} has patched {_listed(sorted(parts))}, but not {_listed(missing)}",
            "What waits for one of these stops all greenlets, and locks don't work between the two worlds.",
            f"{_patch_call(library)} without arguments.",
        )


def _check_blocking(s: Situation) -> Iterator[Finding]:
    if s.patched is not None or s.server is None or s.server.name not in GREEN:
        return
    found = [name for name in BLOCKING if name in s.modules]
    if {"sqlite3", "flask_sqlalchemy"} <= s.modules:
        found.append("sqlite3 (by flask_sqlalchemy)")
    if not found:
        return
    yield Finding(
        "blocking-driver",
        "warning",
        f"run() takes {s.server.name}, the process is not patched, and the app uses {_listed(found)}",
        "Views are greenlets of one thread: while one waits for an answer, no other request is served."
        " Handlers are not concerned, they have threads.",
        f'async_mode="threading"; or {_patch_call(s.server.name)} on the first lines of the program.',
    )


def _check_native_drivers(s: Situation) -> Iterator[Finding]:
    if s.patched is None or not s.native_drivers:
        return
    yield Finding(
        "native-driver",
        "warning",
        f"{_listed(list(s.native_drivers))}: written in C, so patching does not make it cooperate",
        "While a view or a handler waits for the database, nothing else runs in this process.",
        "For psycopg2, psycogreen.gevent.patch_psycopg(); for others a driver in Python (PyMySQL);"
        ' or no patching and async_mode="threading".',
    )


def _check_eventlet(s: Situation) -> Iterator[Finding]:
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


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


# The checks: processes and proxies

#: how many processes these servers start; gunicorn also has its arguments and its file
WORKER_VARIABLES = ("UWSGI_PROCESSES", "UWSGI_WORKERS", "GRANIAN_WORKERS")
#: variables of platforms that put a proxy in front
PLATFORMS = {
    "DYNO": "Heroku",
    "RENDER": "Render",
    "FLY_APP_NAME": "Fly.io",
    "RAILWAY_ENVIRONMENT": "Railway",
    "K_SERVICE": "Cloud Run",
    "WEBSITE_SITE_NAME": "Azure",
}
PROXY_TIMEOUT = 60
PROXY_BODY = 1024 * 1024


def _check_workers(s: Situation) -> Iterator[Finding]:
    causes = list(_worker_settings(s))
    if not causes or not s.endpoints:
        return
    yield Finding(
        "several-workers",
        "error",
        f"several worker processes: {'; '.join(causes)}",
        'A session lives in one process, and requests go to any of them: clients get 400 "Session ID unknown"'
        " again and again, and an emit reaches only some of the clients.",
        "One worker per server. For more cores, several servers with one worker each, behind a proxy that"
        f" sends a client to the same one ({PROXIES}).",
    )


def _worker_settings(s: Situation) -> Iterator[str]:
    environ = s.environ
    # The first that is given is the one that gunicorn takes.
    for where, value in (
        ("Procfile has --workers", _gunicorn_workers(s.gunicorn_command)),
        ("GUNICORN_CMD_ARGS has --workers", _gunicorn_workers(environ.get("GUNICORN_CMD_ARGS", ""))),
        ("gunicorn.conf.py has workers =", s.gunicorn_workers),
        ("WEB_CONCURRENCY is", environ.get("WEB_CONCURRENCY", "")),
    ):
        several = _number(value) > 1 or "cpu_count" in value
        if several:
            yield f"{where} {value.strip()}"
        if several or _number(value):
            break
    for variable in WORKER_VARIABLES:
        if _number(environ.get(variable, "")) > 1:
            yield f"{variable} is {environ[variable].strip()}"


def _gunicorn_workers(arguments: str) -> str:
    """The last ``-w 4``, ``-w4``, ``--workers 4`` or ``--workers=4``; empty where there is none."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return ""
    found = re.findall(r"(?:^|\0)(?:-w\0?|--workers[\0=])(\d+)(?=\0|$)", "\0".join(words))
    return found[-1] if found else ""


def _check_proxy_fix(s: Situation) -> Iterator[Finding]:
    fixes = [layer for layer in s.layers if isinstance(layer, ProxyFix)]
    if not s.endpoints:
        return
    if not fixes:
        yield from _missing_proxy_fix(s)
    elif not any(fix.x_proto for fix in fixes):
        yield Finding(
            "proxy-fix-proto",
            "warning",
            "ProxyFix with x_proto=0: the app does not learn that clients use https",
            "Pages on https:// are foreign origins to it: 403, unless cors_allowed_origins names them.",
            "ProxyFix(app.wsgi_app, x_for=1, x_proto=1), with the number of proxies.",
        )


def _missing_proxy_fix(s: Situation) -> Iterator[Finding]:
    signs = list(_signs_of_a_proxy(s))
    if not signs:
        return
    yield Finding(
        "no-proxy-fix",
        "note",
        f"there seems to be a proxy in front ({_listed(signs)}), but the app has no ProxyFix",
        "Without it a page on https:// is a foreign origin, 403; and handlers see the proxy's address.",
        "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1), if there is one"
        f" that sets these headers ({PROXIES}).",
    )


def _signs_of_a_proxy(s: Situation) -> Iterator[str]:
    config = s.app.config
    if config.get("PREFERRED_URL_SCHEME") == "https":
        yield "PREFERRED_URL_SCHEME is https"
    if config.get("SESSION_COOKIE_SECURE"):
        yield "SESSION_COOKIE_SECURE is set"
    if s.environ.get("FORWARDED_ALLOW_IPS"):
        yield "FORWARDED_ALLOW_IPS is set"
    if "--forwarded-allow-ips" in s.environ.get("GUNICORN_CMD_ARGS", ""):
        yield "GUNICORN_CMD_ARGS has --forwarded-allow-ips"
    yield from (f"this is {name}" for variable, name in PLATFORMS.items() if s.environ.get(variable))
    own = (config.get("SERVER_NAME") or "").partition(":")[0].lower()
    for endpoint in s.endpoints:
        for origin in _listed_origins(endpoint.config.cors_allowed_origins):
            parts = urlsplit(origin) if own and origin.startswith("https://") else None
            if parts is not None and (parts.netloc.partition(":")[0].lower() == own):
                yield f"cors_allowed_origins has {origin}, the app's own name"


def _check_proxy_fix_order(s: Situation) -> Iterator[Finding]:
    kinds = [kind for layer in s.layers for kind in (SocketMiddleware, ProxyFix) if isinstance(layer, kind)]
    if ProxyFix in kinds and kinds[0] is SocketMiddleware:
        yield Finding(
            "proxy-fix-order",
            "warning",
            "ProxyFix is under another middleware, and Socket.IO's requests don't pass through it",
            "Your views learn what the proxy says, Socket.IO does not: pages on https:// get 403.",
            "Make ProxyFix the outermost middleware, or wrap app.wsgi_app in it before the others do.",
        )


def _check_ping(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        config = endpoint.config
        silence = config.ping_interval + config.ping_interval_grace + config.ping_timeout
        if silence > PROXY_TIMEOUT:
            yield Finding(
                "ping-and-proxy",
                "note",
                f"{endpoint.kind}: ping_interval + ping_timeout is {silence:g} s",
                f"Most proxies give up a connection after {PROXY_TIMEOUT} s of silence:"
                " WebSockets break, and polls end with 504.",
                "Keep the sum below the proxy's read timeout (nginx: proxy_read_timeout).",
            )


def _check_body_limit(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        size = endpoint.config.max_http_buffer_size
        if size > PROXY_BODY:
            yield Finding(
                "body-limit",
                "note",
                f"{endpoint.kind}: max_http_buffer_size is {size}, above nginx's own limit of 1 MiB",
                "Behind nginx big messages over polling get 413, and the client disconnects.",
                "In nginx, client_max_body_size of at least that.",
            )


# The checks: origins

UNUSUAL = re.compile(r"/$|^http:.*:80$|^https:.*:443$|[A-Z]")


def _listed_origins(allowed: Any) -> list[str]:
    if allowed is None or callable(allowed):
        return []
    return [allowed] if isinstance(allowed, str) else [str(origin) for origin in allowed]


def in_words(allowed: Any) -> str:
    """What ``cors_allowed_origins`` means."""
    if allowed is None:
        return "same origin"
    if callable(allowed):
        return f"what {getattr(allowed, '__qualname__', repr(allowed))}() allows"
    origins = _listed_origins(allowed)
    if not origins:
        return "any (the check is off, no CORS headers)"
    return "any" if "*" in origins else ", ".join(origins)


def _check_origins(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        allowed = endpoint.config.cors_allowed_origins
        origins = _listed_origins(allowed)
        if "*" in origins or (not origins and allowed is not None and not callable(allowed)):
            yield _any_origin(endpoint.kind, in_words(allowed))
        else:
            yield from (f for origin in origins for f in _origin_mistakes(endpoint.kind, origin))


def _any_origin(kind: str, words: str) -> Finding:
    return Finding(
        "any-origin",
        "note",
        f"{kind}: cors_allowed_origins is {words}",
        "Any page of the web may connect from a visitor's browser. Polls from other origins carry no cookies,"
        " so no Flask session; a WebSocket carries those that SameSite does not hold back.",
        "List the origins, or trust no cookie: let clients send a token (io({auth: ...})).",
    )


def _origin_mistakes(kind: str, origin: str) -> Iterator[Finding]:
    what = _why_never(origin)
    if what:
        yield Finding(
            "origin-never",
            "error",
            f"{kind}: cors_allowed_origins has {origin!r}: {what}",
            "No browser's Origin header is ever equal to it, so pages that it is meant for get 403.",
            _origin_advice(origin),
        )
    elif UNUSUAL.search(origin):
        yield Finding(
            "origin-spelling",
            "note",
            f"{kind}: cors_allowed_origins has {origin!r}, which no browser writes like that",
            "It is understood here, but not by others that compare it (a proxy, Flask-CORS).",
            "Lower case, without a slash at the end and without the scheme's own port.",
        )


def _why_never(origin: str) -> str:
    """What keeps an entry from being equal to any origin; empty where nothing does."""
    if origin == "null":
        return "pages without an origin (sandboxes, files) can't be listed"
    if "," in origin or " " in origin:
        return "several origins, or a blank, in one string"
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return "no scheme"
    if scheme.lower() in ("ws", "wss"):
        return "the origin is the page's, so http or https"
    if "*" in rest:
        return "patterns are not understood"
    if rest.rstrip("/").partition("/")[1] or "?" in rest or "#" in rest:
        return "an origin has no path"
    return _why_no_host(origin)


def _why_no_host(origin: str) -> str:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return "not a host and a port"
    if not parts.hostname or parts.username is not None or port == 0:
        return "not a host and a port"
    return ""


def _origin_advice(origin: str) -> str:
    if origin == "null" or "*" in origin:
        return "A function: cors_allowed_origins=lambda origin, environ: ..."
    if "," in origin or " " in origin:
        return "A list of strings; from an environment variable, value.split(',')."
    return "Scheme, host, and the port if it is not the scheme's own: 'https://www.example.com'."


# The checks: clients

#: the first version that speaks Engine.IO 4
FIRST_VERSION = {"socket.io-client": 3, "engine.io-client": 4}


def _check_javascript_clients(s: Situation) -> Iterator[Finding]:
    for copy in s.clients:
        major = re.match(r"[\^~=v\s]*(\d+)", copy.version)
        first = FIRST_VERSION[copy.package]
        if s.endpoints and major and int(major[1]) < first:
            yield Finding(
                "client-version",
                "error",
                f"{copy.where}: {copy.package} {copy.version} speaks Engine.IO 3",
                'It is refused with 400 "Unsupported protocol version", and tries again forever.',
                f"{copy.package} {'4' if first == 3 else '6'}.x ({first}.x is the first that will do).",
            )


def _check_client_script(s: Situation) -> Iterator[Finding]:
    paths = [endpoint.config.path for endpoint in s.endpoints]
    for copy in s.clients:
        found = re.match(r"(?:(?:https?:)?//[^/]+)?/(.+)/(?:socket|engine)\.io(?:\.\w+)*\.js$", copy.url)
        if found and found[1] in paths:
            yield Finding(
                "client-script",
                "error",
                f"{copy.where}: {copy.url} is a file that only Socket.IO's server for Node has",
                "The script gets 400, and the page has no io().",
                "Load the client from a CDN or from your static folder (docs/quickstart.md).",
            )


def _check_python_client(s: Situation) -> Iterator[Finding]:
    version = s.versions.get("python-socketio", "")
    if version and _number(version.partition(".")[0]) < 5:
        yield Finding(
            "python-client",
            "warning",
            f"python-socketio {version} is installed; before 5 it speaks Engine.IO 3",
            'As a client it is refused with "Unsupported protocol version".',
            "pip install 'python-socketio[client]>=5'",
        )


#: in the order in which findings of one severity are shown
CHECKS: tuple[Check, ...] = (
    _check_extension,
    _check_two_extensions,
    _check_run,
    _check_two_patchers,
    _check_partial_patching,
    _check_late_patching,
    _check_blocking,
    _check_native_drivers,
    _check_workers,
    _check_origins,
    _check_proxy_fix,
    _check_proxy_fix_order,
    _check_javascript_clients,
    _check_client_script,
    _check_python_client,
    _check_port,
    _check_secret_key,
    _check_flask_run,
    _check_ping,
    _check_body_limit,
    _check_eventlet,
)
