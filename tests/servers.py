"""Real servers, each as a process of its own.

::

    with start(KINDS["gunicorn-sync"], "contract", {"APP_CORS": "*"}) as server:
        requests.get(server.url + "/healthz")

A new kind of server is one entry in ``KINDS``.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import http.client
import importlib.metadata
import importlib.util
import ipaddress
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "tests" / "apps"
#: Where ``flask_realtime`` is imported from: this checkout, unless another implementation is under test.
PACKAGE_PATH = os.environ.get("ACCEPTANCE_PACKAGE_PATH", str(ROOT))
START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
#: Below the ports that Linux gives to clients, so that a test's own connections do not take them.
PORTS = range(20_000, 32_000)

Command = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class ServerKind:
    """One way to serve an app."""

    name: str
    command: Command
    """``command(app_module, port)``: the arguments that follow ``python``."""
    requires: tuple[str, ...] = ()
    """The modules without which it can't be had."""
    gunicorn: range = range(1000)
    """The major versions of gunicorn that have its worker class, in a form that works."""
    program: str = ""
    """An executable beside python without which it can't be had."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    """For the process, see ``tests/apps/app_options.py``."""
    interface: str = "wsgi"
    """``wsgi`` or ``asgi``: how the server calls the app."""
    green: str = ""
    """``gevent`` or ``eventlet`` where the server runs on it."""
    websocket: bool = True
    """Whether a WebSocket can be had here at all."""
    takes_over: bool = True
    """Whether waiting clients leave the server's own workers free."""
    concurrent_requests: bool = True
    """Whether the app is called for one request while the body of another trickles in."""
    streams_bodies: bool = True
    """Whether the app is called before the whole body is there."""
    refuses_upgrades: bool = True
    """Whether the app is asked before the server answers an upgrade request."""
    reads_ahead: bool = True
    """Whether bytes right behind a request are kept for us."""
    keeps_polls: bool = False
    """Whether a client keeps its connection when its poll is answered soon."""
    drains: bool = True
    """Whether clients are told when SIGTERM comes."""
    tls: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        missing = [name for name in self.requires if not _is_installed(name)]
        if self.program and not _beside_python(self.program).exists():
            missing.append(self.program)
        return missing

    @property
    def lacking(self) -> str:
        """What the installed version of gunicorn does not have, which no installation can change."""
        if self.missing or "gunicorn" not in self.requires:
            return ""
        version = importlib.metadata.version("gunicorn")
        return "" if int(version.partition(".")[0]) in self.gunicorn else f"no {self} with gunicorn {version}"


def _is_installed(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    # `tests/gunicorn` would do for a namespace package, which has no origin.
    return spec is not None and spec.origin is not None


def _beside_python(program: str) -> Path:
    return Path(sys.executable).parent / program


def _script(*options: str) -> Command:
    """The app's own ``run()``."""

    def command(app: str, port: int) -> list[str]:
        return [str(APPS / f"{app}.py"), "--port", str(port), *options]

    return command


def _module(*arguments: str) -> Command:
    """``python -m``; ``{app}`` and ``{port}`` stand for these."""

    def command(app: str, port: int) -> list[str]:
        return ["-m", *(argument.format(app=app, port=port) for argument in arguments)]

    return command


def _gunicorn(*arguments: str, application: str = "app") -> Command:
    def command(app: str, port: int) -> list[str]:
        own = ["-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{port}", "--graceful-timeout", "10"]
        return [*own, *_without_control_socket(), *arguments, f"{app}:{application}"]

    return command


def _with_tls(
    command: Command, certificate_option: str = "--certfile", key_option: str = "--keyfile"
) -> Command:
    def with_tls(app: str, port: int) -> list[str]:
        certificate, key = self_signed_certificate()
        return [*command(app, port), certificate_option, str(certificate), key_option, str(key)]

    return with_tls


@functools.cache
def _without_control_socket() -> list[str]:
    """gunicorn 25 and later listen on a socket in the user's home, which parallel servers would share."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {setting.name for setting in KNOWN_SETTINGS}
    return ["--no-control-socket"] if "control_socket_disable" in known else []


_flask_run = _module("flask", "--app", "{app}", "run", "--port", "{port}", "--no-reload", "--no-debugger")
_uvicorn = _module("uvicorn", "--port", "{port}", "--ws", "auto", "--lifespan", "on", "{app}:asgi_app")
_hypercorn = _module("hypercorn", "--bind", "127.0.0.1:{port}", "{app}:asgi_app")
_granian = _module(
    "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "{app}:asgi_app"
)
_daphne = _module(
    "daphne",
    *("-b", "127.0.0.1", "-p", "{port}"),
    # a megabyte of its own is less than the tests send
    *("--websocket-max-message-size", "20000000", "--websocket-max-frame-size", "20000000"),
    "{app}:asgi_app",
)
_waitress = _module("waitress", "--listen=127.0.0.1:{port}", "--threads=16", "{app}:app")


def _uwsgi(*arguments: str) -> Command:
    def command(app: str, port: int) -> list[str]:
        become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
        program = str(_beside_python("uwsgi"))
        own = ["--http-socket", f"127.0.0.1:{port}", "--master", "--enable-threads", "--need-app"]
        graceful = ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
        return ["-c", become, program, *own, *graceful, *arguments, "--module", f"{app}:app"]

    return command


THREADING = {"APP_ASYNC_MODE": "threading"}
GEVENT = {"APP_ASYNC_MODE": "gevent"}
EVENTLET = {"APP_ASYNC_MODE": "eventlet"}

WERKZEUG_KINDS = (
    ServerKind("werkzeug", _script(), env=THREADING),
    ServerKind("flask-run", _flask_run),
)
GUNICORN_KINDS = (
    ServerKind("gunicorn-sync", _gunicorn("-k", "sync"), ("gunicorn",), concurrent_requests=False),
    ServerKind("gunicorn-gthread", _gunicorn("-k", "gthread", "--threads", "2"), ("gunicorn",)),
    ServerKind("run-gunicorn", _script("--production"), ("gunicorn",), env=THREADING),
)
GREEN_KINDS = (
    ServerKind(
        "gevent",
        _script(),
        ("gevent", "geventwebsocket"),
        env=GEVENT,
        green="gevent",
        keeps_polls=True,
    ),
    ServerKind(
        "gevent-patched",
        _script(),
        ("gevent", "geventwebsocket"),
        env={**GEVENT, "APP_PATCH": "gevent"},
        green="gevent",
        keeps_polls=True,
    ),
    ServerKind(
        "gunicorn-gevent",
        _gunicorn("-k", "gevent"),
        ("gunicorn", "gevent"),
        green="gevent",
        keeps_polls=True,
    ),
    ServerKind(
        "gunicorn-gevent-websocket",
        _gunicorn("-k", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"),
        ("gunicorn", "gevent", "geventwebsocket"),
        green="gevent",
        refuses_upgrades=False,
        keeps_polls=True,
    ),
    ServerKind(
        "gunicorn-eventlet",
        _gunicorn("-k", "eventlet"),
        ("gunicorn", "eventlet"),
        gunicorn=range(26),
        green="eventlet",
        keeps_polls=True,
    ),
    ServerKind("eventlet", _script(), ("eventlet",), env=EVENTLET, green="eventlet"),
    ServerKind(
        "eventlet-patched",
        _script(),
        ("eventlet",),
        env={**EVENTLET, "APP_PATCH": "eventlet"},
        green="eventlet",
        keeps_polls=True,
    ),
)
ASGI_KINDS = (
    ServerKind("uvicorn", _uvicorn, ("uvicorn",), interface="asgi", reads_ahead=False),
    ServerKind("hypercorn", _hypercorn, ("hypercorn",), interface="asgi", reads_ahead=False),
    ServerKind("granian", _granian, ("granian",), interface="asgi"),
    ServerKind("daphne", _daphne, ("daphne",), interface="asgi", streams_bodies=False, reads_ahead=False),
    ServerKind(
        "gunicorn-asgi",
        _gunicorn("-k", "asgi", application="asgi_app"),
        ("gunicorn",),
        # Before, it did not tell when a client closes a WebSocket, refused one without an answer, and
        # (25) took every poll for gone.
        gunicorn=range(27, 1000),
        interface="asgi",
        reads_ahead=False,
    ),
)
OTHER_KINDS = (
    ServerKind(
        "waitress",
        _waitress,
        ("waitress",),
        websocket=False,
        takes_over=False,
        concurrent_requests=False,
        streams_bodies=False,
        drains=False,
    ),
)
UWSGI_KINDS = (
    ServerKind("uwsgi", _uwsgi(), program="uwsgi", concurrent_requests=False, reads_ahead=False),
    ServerKind("uwsgi-threads", _uwsgi("--threads", "4"), program="uwsgi", reads_ahead=False),
    ServerKind(
        "uwsgi-gevent",
        _uwsgi("--gevent", "100"),
        ("gevent",),
        program="uwsgi",
        green="gevent",
        reads_ahead=False,
    ),
    ServerKind(
        "uwsgi-gevent-patched",
        _uwsgi("--gevent", "100", "--gevent-early-monkey-patch"),
        ("gevent",),
        program="uwsgi",
        green="gevent",
        reads_ahead=False,
    ),
)
#: TLS ends in the process, so that its connections can't be taken from the server.
TLS_KINDS = (
    ServerKind(
        "werkzeug-tls", _with_tls(_script(), "--cert", "--key"), env=THREADING, takes_over=False, tls=True
    ),
    ServerKind(
        "gunicorn-gthread-tls",
        _with_tls(_gunicorn("-k", "gthread", "--threads", "32")),
        ("gunicorn",),
        takes_over=False,
        tls=True,
    ),
    ServerKind(
        "gevent-tls",
        _with_tls(_script(), "--cert", "--key"),
        ("gevent", "geventwebsocket"),
        env=GEVENT,
        green="gevent",
        takes_over=False,
        tls=True,
    ),
    ServerKind(
        "eventlet-tls",
        _with_tls(_script(), "--cert", "--key"),
        ("eventlet",),
        env=EVENTLET,
        green="eventlet",
        takes_over=False,
        tls=True,
    ),
    ServerKind(
        "uvicorn-tls",
        _with_tls(_uvicorn, "--ssl-certfile", "--ssl-keyfile"),
        ("uvicorn",),
        interface="asgi",
        tls=True,
    ),
    ServerKind("hypercorn-tls", _with_tls(_hypercorn), ("hypercorn",), interface="asgi", tls=True),
)

KINDS: dict[str, ServerKind] = {
    kind.name: kind
    for kind in (
        *WERKZEUG_KINDS,
        *GUNICORN_KINDS,
        *GREEN_KINDS,
        *ASGI_KINDS,
        *UWSGI_KINDS,
        *OTHER_KINDS,
        *TLS_KINDS,
    )
}


class ServerFailed(AssertionError):
    """The server did not start, or did not stop; its log is in the message."""


class RunningServer:
    """A server process that answers requests."""

    def __init__(self, kind: ServerKind, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.kind = kind
        self.process = process
        self.port = port
        self.log = log
        self.url = f"{'https' if kind.tls else 'http'}://127.0.0.1:{port}"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.url} pid {self.pid}>"

    @property
    def pid(self) -> int:
        """The process that was started: under gunicorn the arbiter."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def log_text(self, since: int = 0) -> str:
        """What was written to stdout and stderr, from byte ``since`` on (see ``log_size``)."""
        return self.log.read_bytes()[since:].decode(errors="replace")

    def log_size(self) -> int:
        return self.log.stat().st_size

    def thread_count(self) -> int:
        """Threads of the process and its children."""
        return sum(_count(Path(f"/proc/{pid}/task")) for pid in self._tree())

    def descriptor_count(self) -> int:
        """Open files and sockets of the process and its children."""
        return sum(_count(Path(f"/proc/{pid}/fd")) for pid in self._tree())

    def rss_kib(self) -> int:
        """Resident memory of the process and its children; pages they share are counted in each."""
        return sum(_rss_kib(pid) for pid in self._tree())

    def terminate(self) -> None:
        """Ask once; ``wait()`` tells the answer."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and its children without any notice."""
        os.killpg(self.pid, signal.SIGKILL)  # the process was started as the leader of its group
        self.process.wait()

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """The exit code, negative for a signal."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self!r} runs on {timeout} s later\n{self.log_text()[-4000:]}") from None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for the whole process group where that has no effect."""
        if self.alive:
            self.terminate()
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def _tree(self) -> Iterator[int]:
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    waiting.extend(map(int, children.read_text().split()))


@contextlib.contextmanager
def start(
    kind: ServerKind,
    app_module: str,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    *,
    port: int | None = None,
    ready_path: str = "/healthz",
) -> Iterator[RunningServer]:
    """Run ``tests/apps/<app_module>.py`` until the block ends.

    ``env`` is added to the environment, ``options`` to the command. A given ``port`` is used as it is;
    otherwise a free one is looked for.
    """
    with tempfile.TemporaryDirectory(prefix="server-") as folder:
        server = _launch(kind, app_module, env or {}, options, port, ready_path, Path(folder))
        try:
            yield server
        finally:
            server.stop()


def _launch(
    kind: ServerKind,
    app_module: str,
    env: Mapping[str, str],
    options: Sequence[str],
    port: int | None,
    ready_path: str,
    folder: Path,
) -> RunningServer:
    attempts = 1 if port is not None else 3
    for attempt in range(attempts):
        chosen = free_port() if port is None else port
        log = folder / f"server-{attempt}.log"
        server = RunningServer(kind, _spawn(kind, app_module, env, options, chosen, log), chosen, log)
        try:
            _wait_until_ready(server, ready_path)
        except ServerFailed:
            server.stop()
            port_was_taken = "ddress already in use" in server.log_text()
            if not port_was_taken or attempt == attempts - 1:
                raise
        else:
            return server
    raise AssertionError("unreachable")


def _spawn(
    kind: ServerKind, app_module: str, env: Mapping[str, str], options: Sequence[str], port: int, log: Path
) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
    paths = os.pathsep.join([PACKAGE_PATH, str(APPS)])
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *kind.command(app_module, port), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**inherited, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **kind.env, **env},
            start_new_session=True,
        )


def _wait_until_ready(server: RunningServer, path: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if not server.alive:
            raise ServerFailed(
                f"{server!r} exited with {server.process.returncode} before it answered\n{server.log_text()}"
            )
        if _answers(server, path):
            return
        time.sleep(0.05)
    raise ServerFailed(f"{server!r} did not answer {path} within {START_TIMEOUT} s\n{server.log_text()}")


def _answers(server: RunningServer, path: str) -> bool:
    connection = (
        http.client.HTTPSConnection("127.0.0.1", server.port, timeout=5, context=unverified_tls())
        if server.kind.tls
        else http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    )
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    for port in random.sample(PORTS, 200):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerFailed("no free port")


def unverified_tls() -> ssl.SSLContext:
    """For clients of a server with our own certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # 1.3 sends tickets behind the handshake: a socket would be readable with nothing to read
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@functools.cache
def self_signed_certificate() -> tuple[Path, Path]:
    """The PEM files of a certificate for 127.0.0.1 and of its key, made once per process."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = Path(_certificate_folder().name)
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


@functools.cache
def _certificate_folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="certificate-")
    atexit.register(folder.cleanup)
    return folder


def _count(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:  # the process has just ended
        return 0


def _rss_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0
