"""How an app's data is put on the wire: the serializer that its options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import msgspec
from flask.json.provider import DefaultJSONProvider

from .protocol.socketio import JSONSerializer, ModuleJSON, MsgpackSerializer, Serializer
from .protocol.socketio.packet_class import PacketClassSerializer, is_packet_class

if TYPE_CHECKING:
    from flask import Flask

    from .config import ServerConfig
    from .protocol.socketio.simplifier import Default

__all__ = ["make_serializer"]


def make_serializer(app: Flask | None, config: ServerConfig) -> Serializer:
    """The serializer of an app's server.

    :param app: whose JSON provider is asked; without one, it is Flask's own way to write JSON.
    :raises ValueError: the option makes no sense.
    """
    serializer = config.serializer
    # flask.json asks the current app for its provider; an emit may come from outside any app.
    json = _AppJSON(app) if app is not None and config.json is flask.json else config.json
    if serializer == "msgpack":
        return MsgpackSerializer(default=_default_of(app), max_message_bytes=config.max_http_buffer_size)
    if serializer == "default":
        return JSONSerializer(
            None if json is None else ModuleJSON(json),
            default=_default_of(app),
            max_attachments=config.max_attachments,
            max_attachment_bytes=config.max_http_buffer_size,
        )
    if all(callable(getattr(serializer, name, None)) for name in ("encoder", "decoder")):
        native: Serializer = serializer
        return native
    if is_packet_class(serializer):
        return PacketClassSerializer(
            serializer,
            json,
            max_attachments=config.max_attachments,
            max_attachment_bytes=config.max_http_buffer_size,
        )
    raise ValueError(
        "serializer must be 'default', 'msgpack', a packet class with encode() and add_attachment(),"
        f" or an object with encoder() and decoder(), not {serializer!r}"
    )


class _AppJSON:
    """The JSON provider of one app: the one that it has at the time, as it may get another."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def dumps(self, obj: Any, /, **options: Any) -> str:
        return self._app.json.dumps(obj, **options)

    def loads(self, text: str, /, **options: Any) -> Any:
        return self._app.json.loads(text, **options)


def _default_of(app: Flask | None) -> Default:
    """The app's own way to write what is not JSON's own: what its views use in ``jsonify``."""
    if app is None:
        return DefaultJSONProvider.default

    def default(value: Any) -> Any:
        provider = app.json
        own: Default | None = getattr(provider, "default", None)
        if own is not None:
            return own(value)
        # A provider around another library, which keeps such things to itself.
        return msgspec.json.decode(provider.dumps(value))

    return default
