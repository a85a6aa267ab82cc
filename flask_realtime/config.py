"""Options: the one place where they are named, checked and given their defaults."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

__all__ = ["CookieConfig", "ServerConfig"]

logger: logging.Logger = logging.getLogger("flask_realtime")

TRANSPORTS = ("polling", "websocket")
ASYNC_MODES = ("threading", "gevent", "eventlet", "gevent_uwsgi")
CONFIG_PREFIX = "SOCKETIO_"


class CookieConfig:
    """The cookie that carries a new session's id.

    :param option: its name, or a dict of ``name`` and attributes. An attribute
        is a string, a bool (present or not) or a function that returns one.
    """

    def __init__(self, option: str | Mapping[str, Any]) -> None:
        #: as it was given
        self.option: str | dict[str, Any] = option if isinstance(option, str) else dict(option)
        attributes: dict[str, Any] = {"name": option} if isinstance(option, str) else dict(option)
        self.name: str = attributes.pop("name", "io")
        self._attributes = (
            {"path": "/", "HttpOnly": True, "SameSite": "Lax"} if isinstance(option, str) else attributes
        )

    def header(self, sid: str) -> str:
        """The value of ``Set-Cookie``.

        :raises ValueError: an attribute holds a line break or a semicolon.
        """
        parts = [f"{self.name}={sid}"]
        for name, value in self._attributes.items():
            value = value() if callable(value) else value
            if value is True:
                parts.append(name)
            elif value not in (False, None):
                parts.append(f"{name}={value}")
        if any(c in part for part in parts for c in ";\r\n\0"):
            raise ValueError("a cookie attribute holds a separator or a line break")
        return "; ".join(parts)


@dataclass(frozen=True)
class ServerConfig:
    """All options of a server. Times are in seconds, sizes in bytes."""

    # The endpoint
    path: str = "socket.io"
    async_mode: str | None = None
    transports: tuple[str, ...] = TRANSPORTS
    allow_upgrades: bool = True
    namespaces: frozenset[str] | str = frozenset({"/"})
    manage_session: bool = True
    always_connect: bool = False  # accepted for compatibility: ours does both at once

    # Other processes
    message_queue: str | None = None
    channel: str = "flask-socketio"
    client_manager: Any = None
    max_unpublished: int = 10_000

    # Formats
    serializer: Any = "default"
    json: Any = None

    # Heartbeat and other times
    ping_interval: float = 25.0
    ping_interval_grace: float = 0.0
    ping_timeout: float = 20.0
    monitor_clients: bool = True
    connect_timeout: float = 45.0
    upgrade_timeout: float = 10.0
    write_timeout: float = 20.0
    attachments_timeout: float = 30.0
    drain_timeout: float = 10.0

    # Handlers
    async_handlers: bool = True
    handler_patience: float = 0.1
    handler_threads: int = 256
    max_client_handlers: int = 64

    # Limits
    max_http_buffer_size: int = 1_000_000
    max_queued_bytes: int = 4 * 1024 * 1024
    max_queued_packets: int = 10_000
    max_payload_packets: int = 1_000
    max_namespaces: int = 16
    max_attachments: int = 10
    max_fragments: int = 1_024
    max_pending_acks: int = 1_000

    # HTTP
    cors_allowed_origins: Any = None
    cors_credentials: bool = True
    cookie: CookieConfig | None = None
    http_compression: bool = True
    compression_threshold: int = 1_024
    permessage_deflate: bool = False

    # Logs
    logger: Any = False
    engineio_logger: Any = False

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], app_config: Mapping[str, Any] | None = None
    ) -> ServerConfig:
        """The options that were passed, over those of the app's config (``SOCKETIO_...``).

        :raises TypeError: an option that nobody knows; the message names the closest one.
        :raises ValueError: a value that makes no sense.
        """
        names = [f.name for f in fields(cls)]
        values: dict[str, Any] = _from_app_config(names, app_config or {}) | dict(options)
        if "resource" in values:
            resource = values.pop("resource")
            values["path"] = values.get("path") or resource
        values = {name: value for name, value in values.items() if value is not None or name in NULLABLE}
        for name in values.keys() & WITHOUT_EFFECT.keys():
            del values[name]
            if app_config is not None:  # once: the options are looked at again where they are given
                logger.warning("SocketIO(%s=...) has no effect: %s", name, WITHOUT_EFFECT[name])
        for name in values:
            if name not in names:
                raise TypeError(_unknown(name, [*names, "resource"]))
        values = {name: cls._converted(name, value) for name, value in values.items()}
        interval = values.get("ping_interval")
        if isinstance(interval, tuple):
            values["ping_interval"], values["ping_interval_grace"] = interval
        config = cls(**values)
        config._check()
        return config

    @classmethod
    def _converted(cls, name: str, value: Any) -> Any:
        if name in CONVERTERS:
            return CONVERTERS[name](value)
        if type(getattr(cls, name)) is int and isinstance(value, float) and value.is_integer():
            return int(value)  # 1e8, say: clients are told sizes, and some take only integers
        return value

    def _check(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.default is MISSING or isinstance(f.default, bool) or not isinstance(f.default, (int, float)):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{f.name} must be a number, not {value!r}")
            if not math.isfinite(value) or value < 0 or (value == 0 and f.name not in MAY_BE_ZERO):
                raise ValueError(f"{f.name} must be positive and finite, not {value!r}")
        if self.async_mode not in (None, *ASYNC_MODES):
            raise ValueError(f"async_mode must be one of {', '.join(ASYNC_MODES)}, not {self.async_mode!r}")

    @property
    def client_handlers(self) -> int:
        """How many handlers of one client may run at once: never all threads, others need some too."""
        return min(self.max_client_handlers, max(1, self.handler_threads // 2))

    @property
    def has_queue(self) -> bool:
        """There may be other processes."""
        return bool(self.message_queue) or self.client_manager is not None

    @property
    def patience(self) -> float | None:
        """After how long the next handler of a client may start beside a running one; None for never."""
        return self.handler_patience if self.async_handlers else None

    def make_logger(self) -> logging.Logger:
        """Where failures and refusals are told: in any case, whether or not the options ask for more."""
        for option in (self.logger, self.engineio_logger):
            if isinstance(option, logging.Logger):
                return option
        return self.event_logger() or self.session_logger() or logger

    def event_logger(self) -> logging.Logger | None:
        """Where each client and event is told, as ``logger`` asks for."""
        return _logger(self.logger)

    def session_logger(self) -> logging.Logger | None:
        """Where each session is told, as ``engineio_logger`` asks for."""
        return _logger(self.engineio_logger)


def _logger(option: Any) -> logging.Logger | None:
    if not option:
        return None
    if isinstance(option, logging.Logger):
        return option
    logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
    return logger


#: options for which None is a value
NULLABLE = {"async_mode", "cors_allowed_origins", "cookie", "json"}
#: durations and sizes for which 0 means "none"
MAY_BE_ZERO = {
    "ping_interval_grace",
    "handler_patience",
    "compression_threshold",
    "drain_timeout",
    "max_attachments",
}
#: what apps give to Flask-SocketIO, where nobody reads it; and what they want instead
WITHOUT_EFFECT = {
    "allow_unsafe_werkzeug": "it is an argument of run()",
    "binary": "binary data is known by its type",
    "debug": "it is an argument of run()",
    "engineio_options": "its options are given by their own names",
    "log_output": "it is an argument of run()",
    "max_decode_packets": "the limit is max_payload_packets",
    "use_reloader": "it is an argument of run()",
}


def _interval(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError("ping_interval is a number or (interval, grace)")
        return tuple(value)
    return value


def _transports(value: str | Iterable[str]) -> tuple[str, ...]:
    transports = (value,) if isinstance(value, str) else tuple(value)
    unknown = set(transports) - set(TRANSPORTS)
    if unknown or not transports:
        raise ValueError(f"transports must be some of {', '.join(TRANSPORTS)}, not {value!r}")
    return transports


def _namespaces(value: str | Iterable[str]) -> frozenset[str] | str:
    if value == "*":
        return "*"
    return frozenset((value,) if isinstance(value, str) else value)


def _path(value: str) -> str:
    path = value.strip("/")
    if not path:
        raise ValueError("path must not be empty: it would take the whole site")
    return path


def _cookie(value: Any) -> CookieConfig | None:
    return value if value is None or isinstance(value, CookieConfig) else CookieConfig(value)


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "ping_interval": _interval,
    "transports": _transports,
    "namespaces": _namespaces,
    "path": _path,
    "cookie": _cookie,
}


def _from_app_config(names: Iterable[str], app_config: Mapping[str, Any]) -> dict[str, Any]:
    keys = {CONFIG_PREFIX + name.upper(): name for name in [*names, "resource"]}
    for key in app_config:
        # Not an error: the app may have keys of its own with this prefix.
        if key.startswith(CONFIG_PREFIX) and key not in keys:
            close = difflib.get_close_matches(key, keys, n=1, cutoff=0.8)
            if close:
                logger.warning("app.config: %s is no option; did you mean %s?", key, close[0])
    return {name: app_config[key] for key, name in keys.items() if key in app_config}


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"unknown option {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
