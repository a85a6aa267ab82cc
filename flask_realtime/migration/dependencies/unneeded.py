"""Packages that Flask-SocketIO needed, and we don't."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..finding import NOTE, Finding
from .requirement import Dependency

__all__ = ["PACKAGES", "find_unneeded"]

#: package -> (the modules that are imported from it, why it was there)
PACKAGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "python-socketio": (("socketio",), "Flask-SocketIO's engine"),
    "python-engineio": (("engineio",), "Flask-SocketIO's engine"),
    "simple-websocket": (("simple_websocket",), "WebSockets for Flask-SocketIO's threads"),
    "gevent-websocket": (("geventwebsocket",), "WebSockets for Flask-SocketIO under gevent"),
    "bidict": (("bidict",), "part of Flask-SocketIO's engine"),
    "wsproto": (("wsproto",), "part of simple-websocket"),
    "h11": (("h11",), "part of wsproto"),
    "eventlet": (("eventlet",), "a server for Flask-SocketIO; its own maintainers advise against it"),
    "gevent": (("gevent",), "a server for Flask-SocketIO; run() takes it where it is installed"),
}


def find_unneeded(
    dependencies: Iterable[Dependency], imported: Mapping[str, str], mentioned: Collection[str]
) -> Iterator[Finding]:
    """
    :param imported: top-level module -> where it is imported.
    :param mentioned: packages that commands of the project name, such as gunicorn's workers.
    """
    for dependency in dependencies:
        if dependency.name not in PACKAGES:
            continue
        modules, why = PACKAGES[dependency.name]
        places = [imported[module] for module in modules if module in imported]
        if places:
            advice = f"{places[0]} imports it; remove it when that is gone."
        elif dependency.name in mentioned:
            advice = "A command of the project names it; remove it when that is gone."
        else:
            advice = "No file that was looked at imports it: remove it, if nothing else needs it."
        yield Finding(
            dependency.path, dependency.line, "not-needed", NOTE, f"{dependency.name}: {why}", advice
        )
