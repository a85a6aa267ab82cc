"""Which encoding a server speaks: an encoder for all its clients, a decoder for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flask_realtime.protocol.socketio.decoder import Decoder
from flask_realtime.protocol.socketio.encoder import Encoder
from flask_realtime.protocol.socketio.json import MsgspecJSON
from flask_realtime.protocol.socketio.msgpack import MsgpackDecoder, MsgpackEncoder
from flask_realtime.protocol.socketio.simplifier import Default, no_default

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.json import JSONCodec
    from flask_realtime.protocol.socketio.packet import EncodedPacket, Packet


class PacketEncoder(Protocol):
    """Writes packets. It keeps no state and may be used by several threads at once."""

    def encode(self, packet: Packet) -> EncodedPacket:
        """Encode a packet.

        :raises TypeError: for an object that can't be sent.
        :raises ValueError: for a value that can't be sent.
        """
        ...


class PacketDecoder(Protocol):
    """Reads the packets of one client."""

    @property
    def pending_attachments(self) -> int:
        """How many binary messages of the current packet are still to come."""
        ...

    def receive_text(self, text: str) -> Packet | None:
        """Read a text message.

        :return: a packet, or None where binary messages have to follow first.
        :raises RemoteProtocolError: where the client broke a rule.
        """
        ...

    def receive_binary(self, data: bytes) -> Packet | None:
        """Read a binary message.

        :return: a packet, or None where further binary messages have to follow.
        :raises RemoteProtocolError: where the client broke a rule.
        """
        ...

    def reset(self) -> None:
        """Forget a packet that is not complete."""
        ...


class Serializer(Protocol):
    """Makes the encoder and the decoders of a server."""

    def encoder(self) -> PacketEncoder:
        """The encoder that all clients share."""
        ...

    def decoder(self) -> PacketDecoder:
        """A new decoder, for one client."""
        ...


class JSONSerializer:
    """The default encoding: text, with binary data as attachments.

    :param json: the codec; None is :class:`MsgspecJSON`.
    :param default: for that one, the application's way to write what is not JSON's own.
    :param max_attachments: how many attachments one packet of a client may have.
    :param max_attachment_bytes: how long they may be together.
    """

    __slots__ = ("_encoder", "_json", "_max_attachment_bytes", "_max_attachments")

    def __init__(
        self,
        json: JSONCodec | None = None,
        *,
        default: Default = no_default,
        max_attachments: int = 10,
        max_attachment_bytes: int = 1_000_000,
    ) -> None:
        self._json = MsgspecJSON(default) if json is None else json
        self._encoder = Encoder(self._json)
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes

    @property
    def json(self) -> JSONCodec:
        """The codec."""
        return self._json

    def encoder(self) -> Encoder:
        """The encoder that all clients share."""
        return self._encoder

    def decoder(self) -> Decoder:
        """A new decoder, for one client."""
        return Decoder(
            self._json, max_attachments=self._max_attachments, max_attachment_bytes=self._max_attachment_bytes
        )


class MsgpackSerializer:
    """MessagePack: every packet is one binary message.

    :param default: the application's way to write what is not JSON's own (see :class:`.Simplifier`).
    :param max_message_bytes: how long a message of a client may be.
    """

    __slots__ = ("_encoder", "_max_message_bytes")

    def __init__(self, *, default: Default = no_default, max_message_bytes: int = 1_000_000) -> None:
        self._encoder = MsgpackEncoder(default)
        self._max_message_bytes = max_message_bytes

    def encoder(self) -> MsgpackEncoder:
        """The encoder that all clients share."""
        return self._encoder

    def decoder(self) -> MsgpackDecoder:
        """A new decoder, for one client."""
        return MsgpackDecoder(max_message_bytes=self._max_message_bytes)
