"""The settings, their defaults, and the check that they make sense."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from .errors import ConfigurationError

DEFAULTS: dict[str, Any] = {
    # The SQLite file. None: "chat.sqlite3" in Flask's instance folder.
    "DATABASE": None,
    # A local copy of the official client (socket.io.min.js). None: the page loads it from its public CDN.
    "CLIENT_JS": None,
    # Rooms that are there from the start, and how many there may be in all.
    "ROOMS": ["lobby", "random", "help"],
    "MAX_ROOMS": 50,
    # Messages kept in a room, and messages given to one who enters it.
    "HISTORY_LIMIT": 500,
    "HISTORY_PAGE": 100,
    # The longest message, in characters, and the largest file, in bytes (see extensions.py).
    "MAX_TEXT": 2000,
    "MAX_FILE": 900_000,
}


def load(app: Flask, settings: Mapping[str, Any]) -> None:
    """Fill ``app.config`` and check the paths in it."""
    app.config.from_mapping(DEFAULTS)
    app.config.from_prefixed_env()
    app.config.from_mapping(settings)
    app.config["DATABASE"] = _database(app, app.config["DATABASE"])
    app.config["CLIENT_JS"] = _client_js(app.config["CLIENT_JS"])


def _database(app: Flask, given: str | Path | None) -> Path:
    """The database's path. Only the default's folder is created: a wrong path is more likely a slip."""
    if given is None:
        path = Path(app.instance_path, "chat.sqlite3")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
    path = Path(given).resolve()
    if not path.parent.is_dir():
        raise ConfigurationError(f"DATABASE: there is no folder {path.parent}")
    if path.is_dir():
        raise ConfigurationError(f"DATABASE: {path} is a folder")
    return path


def _client_js(given: str | Path | None) -> Path | None:
    if given is None:
        return None
    path = Path(given).resolve()
    if not path.is_file():
        raise ConfigurationError(f"CLIENT_JS: there is no file {path}")
    return path
