"""gunicorn's threaded worker, in this process.

Without gunicorn's arbiter nothing is forked: threads that the app has started
before ``run()`` live on, and there is one process, as with the other servers.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

from gunicorn import sock as gunicorn_sock
from gunicorn.app.base import BaseApplication
from gunicorn.config import KNOWN_SETTINGS
from gunicorn.workers.gthread import ThreadWorker

if TYPE_CHECKING:
    from .base import Serving

__all__ = ["OPTIONS", "GunicornServer"]

#: settings of the arbiter, of the command line, or that ``run()`` has another argument for
NOT_OURS = frozenset(
    "bind workers worker_class certfile keyfile ca_certs cert_reqs ciphers ssl_context config wsgi_app"
    " daemon pidfile reload reload_engine reload_extra_files preload_app print_config check_config".split()
)
OPTIONS = frozenset(setting.name for setting in KNOWN_SETTINGS) - NOT_OURS
THREADS = 256  # at most; they are started when needed


class _Application(BaseApplication):  # type: ignore[misc]
    """What gunicorn asks for its configuration and its app."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        super().__init__()

    def load_config(self) -> None:
        serving = self._serving
        settings = {
            "worker_class": "gthread",
            "threads": THREADS,
            "loglevel": "warning",
            "accesslog": "-" if serving.log_output else None,
            **serving.options,
        }
        if serving.tls is not None:
            context = serving.tls
            # gunicorn takes the name of a file as the sign that TLS is wanted.
            settings |= {"certfile": "given to run()", "ssl_context": lambda config, default: context}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._serving.app


class _Worker(ThreadWorker):  # type: ignore[misc]
    """A worker without an arbiter."""

    def notify(self) -> None:
        """Nobody watches whether it is alive."""

    def is_parent_alive(self) -> bool:
        """Whoever has started this process may end before it."""
        return True

    def init_signals(self) -> None:
        """``run()`` has its own."""


class GunicornServer:
    """A :class:`.WebServer`."""

    def __init__(self, serving: Serving) -> None:
        application = _Application(serving)
        config = application.cfg
        log = config.logger_class(config)
        self._tls: ssl.SSLContext | None = serving.tls
        listener = _listener(serving, config, log)
        self.native: Any = _Worker(0, os.getppid(), [listener], application, config.timeout, config, log)

    def serve(self) -> None:
        self.native.init_process()  # it runs the worker

    def stop(self) -> None:
        self.native.alive = False


def _listener(serving: Serving, config: Any, log: Any) -> Any:
    family = serving.sock.family.name
    kinds = {"AF_UNIX": "UnixSocket", "AF_INET6": "TCP6Socket"}
    kind = getattr(gunicorn_sock, kinds.get(family, "TCPSocket"))
    return kind(serving.sock.getsockname(), config, log, fd=serving.sock.detach())
