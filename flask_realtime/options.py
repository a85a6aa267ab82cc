"""The options as type checkers and editors see them; :class:`.ServerConfig` is what reads them.

``docs/options.md`` says what each of them means. None stands for the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from .adapters import Channel
from .config import CookieConfig
from .protocol.socketio import JSONModule, Serializer

__all__ = ["AsyncMode", "EngineIOOptions", "EngineOptions", "Origins", "SocketIOOptions", "TransportName"]

AsyncMode = Literal["threading", "gevent", "eventlet", "gevent_uwsgi"]
TransportName = Literal["polling", "websocket"]
#: which origins may connect: one, several, or a function of the origin, or of the origin and the environ
Origins = str | Iterable[str] | Callable[[str], bool] | Callable[[str, Mapping[str, Any]], bool]


class EngineOptions(TypedDict, total=False):
    """What concerns the engine, without its path."""

    async_mode: AsyncMode | None
    transports: TransportName | Iterable[TransportName] | None
    allow_upgrades: bool | None

    ping_interval: float | tuple[float, float] | None
    ping_timeout: float | None
    monitor_clients: bool | None
    connect_timeout: float | None
    upgrade_timeout: float | None
    write_timeout: float | None
    attachments_timeout: float | None
    drain_timeout: float | None

    async_handlers: bool | None
    handler_patience: float | None
    handler_threads: int | None
    max_client_handlers: int | None

    max_http_buffer_size: int | None
    max_queued_bytes: int | None
    max_queued_packets: int | None
    max_payload_packets: int | None
    max_namespaces: int | None
    max_attachments: int | None
    max_fragments: int | None
    max_pending_acks: int | None

    cors_allowed_origins: Origins | None
    cors_credentials: bool | None
    cookie: str | Mapping[str, Any] | CookieConfig | None
    http_compression: bool | None
    compression_threshold: int | None
    permessage_deflate: bool | None

    logger: bool | logging.Logger | None
    engineio_logger: bool | logging.Logger | None


class EngineIOOptions(EngineOptions, total=False):
    """All options of :meth:`.EngineIO.init_app`."""

    path: str | None


class SocketIOOptions(EngineIOOptions, total=False):
    """All options of :class:`.SocketIO`."""

    resource: str | None
    namespaces: str | Iterable[str] | None
    manage_session: bool | None
    always_connect: bool | None
    json: JSONModule | None
    serializer: Literal["default", "msgpack"] | type[Any] | Serializer | None

    # Other processes
    message_queue: str | None
    channel: str | None
    client_manager: Channel | None
    max_unpublished: int | None
