"""Clients that are too old, or that aren't where they are looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Finding
from ..javascript import FIRST_VERSION, is_too_old
from ..situation import Situation
from .text import number

__all__ = ["check_client_script", "check_javascript_clients", "check_python_client"]


def check_javascript_clients(s: Situation) -> Iterator[Finding]:
    for copy in s.clients:
        first = FIRST_VERSION[copy.package]
        if s.endpoints and is_too_old(copy):
            yield Finding(
                "client-version",
                "error",
                f"{copy.where}: {copy.package} {copy.version} speaks Engine.IO 3",
                'It is refused with 400 "Unsupported protocol version", and tries again forever.',
                f"{copy.package} {'4' if first == 3 else '6'}.x ({first}.x is the first that will do).",
            )


def check_client_script(s: Situation) -> Iterator[Finding]:
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


def check_python_client(s: Situation) -> Iterator[Finding]:
    version = s.versions.get("python-socketio", "")
    if version and number(version.partition(".")[0]) < 5:
        yield Finding(
            "python-client",
            "warning",
            f"python-socketio {version} is installed; before 5 it speaks Engine.IO 3",
            'As a client it is refused with "Unsupported protocol version".',
            "pip install 'python-socketio[client]>=5'",
        )
