"""Real proxies, each as a process of its own, with the configurations of docs/proxies.md.

A block of the docs below ``<!-- tested: nginx -->`` is what runs: the tests put in their own ports and files,
and around it what keeps the proxy inside a temporary folder. A new proxy is one subclass of ``Proxy``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from acceptance import wire
from servers import ROOT, free_port, self_signed_certificate

DOCS = ROOT / "docs" / "proxies.md"
START_TIMEOUT = 15.0
#: Caddy and Apache wait for connections that are still open; no test is interested in that.
STOP_TIMEOUT = 1.0
HOST = "127.0.0.1"
#: What the documented configurations name, and the tests replace.
DOCUMENTED_CERTIFICATE = "/etc/ssl/chat.example.pem"
DOCUMENTED_KEY = "/etc/ssl/chat.example.key"
DOCUMENTED_PORTS = (8000, 8001)


def documented(name: str) -> str:
    """The fenced block of docs/proxies.md that is marked ``<!-- tested: name -->``."""
    marked = re.findall(
        rf"<!-- tested: {name} -->\n+```\w*\n(.*?)^```$", DOCS.read_text(), re.DOTALL | re.MULTILINE
    )
    assert len(marked) == 1, f"{len(marked)} blocks of docs/proxies.md are marked 'tested: {name}'"
    block: str = marked[0]
    return block


def replace(text: str, old: str, new: str) -> str:
    """Every ``old``; there must be one, for a test of what is no longer in the docs is none."""
    assert old in text, f"no {old!r} in\n{text}"
    return text.replace(old, new)


def replace_once(text: str, pattern: str, new: str) -> str:
    """The only match of ``pattern``."""
    replaced, count = re.subn(pattern, lambda match: new, text, flags=re.DOTALL | re.MULTILINE)
    assert count == 1, f"{count} matches of {pattern!r} in\n{text}"
    return replaced


Edit = Callable[[str], str]


def as_documented(text: str) -> str:
    return text


class ProxyFailed(AssertionError):
    """The proxy did not start; its log is in the message."""


class Proxy:
    """A proxy process that listens on ``port``, with TLS, and passes on to the ``upstream_ports``."""

    name: str
    executables: Sequence[str]
    """What its executable may be called; the first that exists is used."""

    notices_aborted_polls = True
    """Whether the app learns at once that a client went away while it polled."""

    def __init__(self, upstream_ports: Sequence[int], folder: Path, edit: Edit) -> None:
        self.upstream_ports = upstream_ports
        self.folder = folder
        self._edit = edit
        self.port = free_port()
        self.url = f"https://{HOST}:{self.port}"
        self.log = folder / "output.log"

    def __repr__(self) -> str:
        return f"<{self.name} {self.url}>"

    @classmethod
    def executable(cls) -> str | None:
        return next(filter(None, map(shutil.which, cls.executables)), None)

    def configuration(self) -> str:
        """The documented one, for these ports and files, in what a process of its own needs."""
        raise NotImplementedError

    def command(self, executable: str, configuration: Path) -> list[str]:
        raise NotImplementedError

    def _documented(self) -> str:
        """The configuration for one process or for several, with this proxy's ports and files."""
        text = documented(self.name)
        if len(self.upstream_ports) > 1:
            text = self.for_several(text, documented(f"{self.name} several"))
        text = self._edit(text)
        certificate, key = self_signed_certificate()
        text = replace(text, DOCUMENTED_CERTIFICATE, str(certificate))
        text = replace(text, DOCUMENTED_KEY, str(key))
        for documented_port, port in zip(DOCUMENTED_PORTS, self.upstream_ports, strict=False):
            text = replace(text, f"127.0.0.1:{documented_port}", f"{HOST}:{port}")
        return self.substitute(text)

    def for_several(self, text: str, several: str) -> str:
        """``text`` with the part that ``several`` replaces."""
        raise NotImplementedError

    def substitute(self, text: str) -> str:
        """Where the proxy listens."""
        raise NotImplementedError

    def log_text(self) -> str:
        return "\n".join(
            f"--- {file.name}\n{file.read_text(errors='replace')}"
            for file in sorted(self.folder.glob("*.log"))
        )

    def spawn(self) -> subprocess.Popen[bytes]:
        executable = self.executable()
        assert executable is not None
        file = self.folder / "configuration"
        file.write_text(self.configuration())
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self.command(executable, file),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)},
                start_new_session=True,
            )


class Nginx(Proxy):
    name = "nginx"
    executables = ("nginx",)

    def for_several(self, text: str, several: str) -> str:
        return replace_once(text, r"^upstream chat \{.*?^\}\n", several)

    def substitute(self, text: str) -> str:
        text = replace(text, "listen 443 ssl;", f"listen {HOST}:{self.port} ssl;")
        return replace(text, "server_name chat.example;", f"server_name {HOST};")

    def configuration(self) -> str:
        kinds_of_temp = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temp_paths = "\n".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds_of_temp)
        return f"""
            {"user root;" if os.geteuid() == 0 else ""}  # who may enter the temporary folder
            worker_processes 1;
            pid {self.folder}/nginx.pid;
            error_log {self.folder}/error.log info;
            events {{ worker_connections 512; }}
            http {{
                access_log {self.folder}/access.log;
                {temp_paths}
                {self._documented()}
            }}
        """

    def command(self, executable: str, configuration: Path) -> list[str]:
        return [
            executable, "-p", str(self.folder), "-e", str(self.folder / "error.log"),
            "-c", str(configuration), "-g", "daemon off;",
        ]  # fmt: skip


class Caddy(Proxy):
    name = "caddy"
    executables = ("caddy",)

    def for_several(self, text: str, several: str) -> str:
        return replace_once(text, r"^    reverse_proxy [^\n]*\n", several)

    def substitute(self, text: str) -> str:
        return replace(text, "chat.example {", f"https://{HOST}:{self.port} {{")

    def configuration(self) -> str:
        return "\n".join(
            [
                "{",
                "    admin off",
                "    auto_https disable_redirects",
                "    grace_period 1s",
                f"    default_bind {HOST}",
                "}",
                self._documented(),
            ]
        )

    def command(self, executable: str, configuration: Path) -> list[str]:
        return [executable, "run", "--config", str(configuration), "--adapter", "caddyfile"]


class Apache(Proxy):
    name = "apache"
    executables = ("apache2", "httpd")

    notices_aborted_polls = False

    MODULE_FOLDERS = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules")
    #: What Debian enables from the beginning, as far as it concerns us, and what ``a2enmod`` adds by itself.
    ALWAYS = ("mpm_event", "authz_core", "reqtimeout", "deflate", "filter", "slotmem_shm", "socache_shmcb")

    def for_several(self, text: str, several: str) -> str:
        return replace_once(text, r"^    ProxyPass [^\n]*\n", several)

    def substitute(self, text: str) -> str:
        text = replace(text, "<VirtualHost *:443>", f"<VirtualHost {HOST}:{self.port}>")
        return replace(text, "ServerName chat.example", f"ServerName {HOST}")

    def configuration(self) -> str:
        modules = [*self.ALWAYS, *documented("apache modules").partition("a2enmod")[2].split()]
        lines = [f"LoadModule {module}_module {self._module_folder()}/mod_{module}.so" for module in modules]
        return "\n".join(
            [
                f"ServerRoot {self.folder}",
                f"DefaultRuntimeDir {self.folder}",
                f"PidFile {self.folder}/apache.pid",
                f"ErrorLog {self.folder}/error.log",
                f"ServerName {HOST}",
                f"Listen {HOST}:{self.port}",
                *lines,
                "User daemon" if os.geteuid() == 0 else "",
                "Group daemon" if os.geteuid() == 0 else "",
                "RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500",  # as Debian has it
                self._documented(),
            ]
        )

    def _module_folder(self) -> str:
        return next(folder for folder in self.MODULE_FOLDERS if Path(folder).is_dir())

    def command(self, executable: str, configuration: Path) -> list[str]:
        return [executable, "-f", str(configuration), "-D", "FOREGROUND"]


PROXIES: dict[str, type[Proxy]] = {proxy.name: proxy for proxy in (Nginx, Caddy, Apache)}


@contextlib.contextmanager
def run(
    proxy_type: type[Proxy], upstream_ports: Sequence[int], edit: Edit = as_documented
) -> Iterator[Proxy]:
    """A proxy that answers, until the block ends. ``edit`` changes the documented configuration."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        proxy = proxy_type(upstream_ports, Path(folder), edit)
        process = proxy.spawn()
        try:
            _wait_until_ready(proxy, process)
            yield proxy
        finally:
            _stop(process)


def _wait_until_ready(proxy: Proxy, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ProxyFailed(f"{proxy!r} exited with {process.returncode}\n{proxy.log_text()}")
        with contextlib.suppress(OSError):
            if wire.request(proxy.url + "/healthz").status == 200:
                return
        time.sleep(0.02)
    raise ProxyFailed(f"{proxy!r} did not answer within {START_TIMEOUT} s\n{proxy.log_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL for the whole group where that has no effect."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
