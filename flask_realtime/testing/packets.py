"""Packets as a client reads them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ..protocol.errors import RemoteProtocolError
from ..protocol.socketio import (
    Decoder,
    JSONSerializer,
    MsgpackDecoder,
    MsgpackSerializer,
    Packet,
    PacketType,
)

if TYPE_CHECKING:
    from ..protocol.socketio import PacketDecoder, Serializer
    from ..server.message import Message

__all__ = ["PacketReader"]

#: what only a server sends, or sends with other data than a client
ANSWERS = (PacketType.CONNECT, PacketType.CONNECT_ERROR)


class PacketReader:
    """Reads what a server sends, with the decoder that it reads its clients with, but without its limits."""

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self._decoder = _decoder(serializer)
        #: where a CONNECT was sent to that is not answered yet
        self.connecting: str | None = None

    def read(self, message: Message) -> Packet | None:
        """The packet in a message; None where it is the engine's own.

        :raises RemoteProtocolError: it can't be read.
        """
        if message.text is not None and not message.text.startswith(b"4"):
            return None
        try:
            packet = None if message.text is None else self._read_text(message.text[1:].decode())
            for data in message.binary:
                packet = self._read_binary(data)
        except RemoteProtocolError as error:
            packet = self._refusal(error)
        if packet is not None and packet.type in ANSWERS:
            self.connecting = None
        return packet

    def _read_text(self, text: str) -> Packet | None:
        if isinstance(self._serializer, JSONSerializer) and text[:1] in ("0", "4"):
            return _json_answer(text)
        return self._decoder.receive_text(text)

    def _read_binary(self, data: bytes) -> Packet | None:
        answer = _msgpack_answer(data) if isinstance(self._serializer, MsgpackSerializer) else None
        return self._decoder.receive_binary(data) if answer is None else answer

    def _refusal(self, error: RemoteProtocolError) -> Packet:
        """An app's own decoder need not know CONNECT_ERROR, which no client sends."""
        if self.connecting is None:
            raise error
        message = f"refused; the serializer's decoder can't read why: {error.message}"
        return Packet(PacketType.CONNECT_ERROR, self.connecting, {"message": message})


def _decoder(serializer: Serializer) -> PacketDecoder:
    if isinstance(serializer, JSONSerializer):
        return Decoder(serializer.json, max_attachments=sys.maxsize, max_attachment_bytes=sys.maxsize)
    if isinstance(serializer, MsgpackSerializer):
        return MsgpackDecoder(max_message_bytes=sys.maxsize)
    return serializer.decoder()


def _json_answer(text: str) -> Packet:
    namespace, data = "/", text[1:]
    if data.startswith("/"):
        namespace, _, data = data.partition(",")
    return Packet(PacketType(int(text[0])), namespace, msgspec.json.decode(data) if data else None)


class _Head(msgspec.Struct):
    type: int
    nsp: str
    data: msgspec.Raw = msgspec.Raw(b"\xc0")  # nil


def _msgpack_answer(data: bytes) -> Packet | None:
    head = msgspec.msgpack.decode(data, type=_Head)
    if head.type not in ANSWERS:
        return None
    return Packet(PacketType(head.type), head.nsp, msgspec.msgpack.decode(head.data))
