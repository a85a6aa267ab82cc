"""The options of the two acceptance apps, from environment variables.

A variable that is not set leaves the option out, so that the extension's own default holds.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import threading
from collections.abc import Callable
from typing import Any


def _comma_separated(value: str) -> list[str]:
    return [item for item in value.split(",") if item]


def _origins(value: str) -> str | list[str]:
    return "*" if value == "*" else _comma_separated(value)


def _switch(value: str) -> bool:
    return value.lower() in {"1", "true", "yes"}


ENGINE_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "APP_PING_INTERVAL": ("ping_interval", float),  # seconds
    "APP_PING_TIMEOUT": ("ping_timeout", float),  # seconds
    "APP_MAX_BUFFER": ("max_http_buffer_size", int),  # bytes
    "APP_CORS": ("cors_allowed_origins", _origins),  # "*" or origins with commas between them
    "APP_TRANSPORTS": ("transports", _comma_separated),
    "APP_ASYNC_MODE": ("async_mode", str),
}
SOCKETIO_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "APP_SERIALIZER": ("serializer", str),
    "APP_ASYNC_HANDLERS": ("async_handlers", _switch),
    "APP_CONNECT_TIMEOUT": ("connect_timeout", float),  # seconds
    "APP_MESSAGE_QUEUE": ("message_queue", str),
    "APP_CHANNEL": ("channel", str),
}


def _read(table: dict[str, tuple[str, Callable[[str], Any]]]) -> dict[str, Any]:
    return {
        option: convert(os.environ[variable])
        for variable, (option, convert) in table.items()
        if variable in os.environ
    }


def switched_on(variable: str) -> bool:
    return _switch(os.environ.get(variable, ""))


def engine_options() -> dict[str, Any]:
    """The options that ``EngineIO`` and ``SocketIO`` share."""
    return _read(ENGINE_OPTIONS)


def socketio_options() -> dict[str, Any]:
    """All options of ``SocketIO``."""
    return engine_options() | _read(SOCKETIO_OPTIONS)


def process_figures() -> dict[str, int]:
    """What the serving process holds: open descriptors, resident memory in bytes, threads."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        resident_pages = int(statm.read().split()[1])
    return {
        "fds": len(os.listdir("/proc/self/fd")),
        "rss": resident_pages * resource.getpagesize(),
        "threads": len(os.listdir("/proc/self/task")),
        "python_threads": threading.active_count(),
    }


def configure_logging() -> None:
    """One line per record on stderr, where the tests look for what was logged."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def command_line() -> tuple[int, dict[str, Any]]:
    """The port, and what else ``run()`` gets, of ``python <app>.py --port N [--cert F --key F]``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert", help="a PEM file; with --key the server speaks TLS")
    parser.add_argument("--key")
    parser.add_argument(
        "--production", action="store_true", help="don't say that a development server is good enough"
    )
    arguments = parser.parse_args()
    tls = {"certfile": arguments.cert, "keyfile": arguments.key} if arguments.cert else {}
    return arguments.port, {"allow_unsafe_werkzeug": not arguments.production, **tls}
