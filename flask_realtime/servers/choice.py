"""Which web server ``run()`` starts, and why."""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..backends.patching import patched_by
from ..exceptions import UnsupportedOptionError
from .base import Serving, WebServer

__all__ = ["Choice", "choose_server", "is_installed"]

GREEN = ("gevent", "eventlet")
CLASSES = {
    "gevent": "GeventServer",
    "eventlet": "EventletServer",
    "gunicorn": "GunicornServer",
    "werkzeug": "WerkzeugServer",
}


@dataclass(frozen=True)
class Choice:
    """A server, by the name of its package."""

    name: str
    why: str

    @property
    def async_mode(self) -> str:
        """The value of ``async_mode`` that means it."""
        return self.name if self.name in GREEN else "threading"

    @property
    def title(self) -> str:
        """Its name and version."""
        threads = "" if self.name in GREEN else ", threads"
        return f"{self.name} {importlib.metadata.version(self.name)}{threads}"

    @property
    def options(self) -> frozenset[str]:
        """The options of its own that ``run()`` passes on."""
        found: frozenset[str] = self._module().OPTIONS
        return found

    def make(self, serving: Serving) -> WebServer:
        """The server, not started."""
        server: WebServer = getattr(self._module(), CLASSES[self.name])(serving)
        return server

    def _module(self) -> Any:
        return importlib.import_module(f".{self.name}", __package__)


def is_installed(package: str) -> bool:
    """Whether it could be imported."""
    return importlib.util.find_spec(package) is not None


def choose_server(async_mode: str | None, debug: bool, options: Mapping[str, Any]) -> Choice:
    """What ``async_mode`` says; else what has patched this process; else what is installed.

    :param options: the server's options that were given to ``run()``.
    :raises UnsupportedOptionError: what ``async_mode`` names is not there.
    :raises RuntimeError: another library has patched the process.
    :raises TypeError: an option that the server does not have.
    """
    choice = _choose(async_mode, debug, options)
    known = choice.options
    for name in options:
        if name not in known:
            raise TypeError(_unknown(name, choice, known))
    return choice


def _choose(async_mode: str | None, debug: bool, options: Iterable[str]) -> Choice:
    patched = patched_by()
    if async_mode == "gevent_uwsgi":
        raise RuntimeError("async_mode='gevent_uwsgi': uWSGI runs the app; start it with the uwsgi command")
    if async_mode in GREEN:
        if not is_installed(async_mode):
            raise UnsupportedOptionError(
                f"async_mode={async_mode!r}: {async_mode} is not installed;"
                f" pip install 'Flask-Realtime[{async_mode}]'"
            )
        if patched not in (None, async_mode):
            raise RuntimeError(f"async_mode={async_mode!r}, but {patched} has patched this process")
        return Choice(async_mode, "async_mode says so")
    if async_mode == "threading":
        return _threading(debug, options, "async_mode is threading")
    if patched is not None:
        return Choice(patched, f"{patched} has patched this process")
    for library in GREEN:
        if is_installed(library):
            return Choice(library, f"{library} is installed")
    return _threading(debug, options, "neither gevent nor eventlet is installed")


def _threading(debug: bool, options: Iterable[str], why: str) -> Choice:
    if debug:
        return Choice("werkzeug", f"{why}, debug mode")
    if patched_by() is not None or not is_installed("gunicorn"):
        return Choice("werkzeug", why)
    gunicorn = Choice("gunicorn", f"{why}, gunicorn is installed")
    werkzeug = Choice("werkzeug", f"{why}, the options are Werkzeug's")
    only_werkzeugs = werkzeug.options - gunicorn.options
    return werkzeug if only_werkzeugs & set(options) else gunicorn


def _unknown(name: str, choice: Choice, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"run(): unknown option {name!r} for {choice.title}{hint}"
