"""The default encoding of packets for the wire.

Source: Socket.IO protocol v5, heading "Packet encoding > Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_realtime.protocol.socketio.binary import extract_binary, holds_binary
from flask_realtime.protocol.socketio.packet import EncodedPacket, PacketType
from flask_realtime.protocol.socketio.rules import check_namespace

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.json import JSONCodec
    from flask_realtime.protocol.socketio.packet import Packet

_EVENT = PacketType.EVENT
_ACK = PacketType.ACK
_PLAIN_TYPE = {PacketType.BINARY_EVENT: _EVENT, PacketType.BINARY_ACK: _ACK}


class Encoder:
    """Writes packets as text with attachments. One serves all clients of a server: it keeps no state."""

    __slots__ = ("_dumps",)

    def __init__(self, json: JSONCodec) -> None:
        self._dumps = json.dumps

    def encode(self, packet: Packet) -> EncodedPacket:
        """Encode a packet; its data stays as it is.

        :raises TypeError: for an object that can't be sent, and for binary data outside EVENT and ACK.
        :raises ValueError: for data that refers to itself or has no valid form, and for a bad namespace.
        """
        data = packet.data
        try:
            if packet.type is _EVENT and data and not holds_binary(data):
                # Most events go to the main namespace and ask for no acknowledgement.
                short = packet.namespace == "/" and packet.id is None
                return EncodedPacket((b"2" if short else _header("2", packet)) + self._dumps(data))
            return self._encode_any(packet)
        except RecursionError as error:
            raise ValueError("the data refers to itself, or is nested too deeply") from error

    def _encode_any(self, packet: Packet) -> EncodedPacket:
        kind = _PLAIN_TYPE.get(packet.type, packet.type)
        data = packet.data
        if data is None:
            if kind is _EVENT or kind is _ACK:
                raise ValueError(f"{kind.name} needs data")
            return EncodedPacket(_header(str(kind.value), packet))
        if not holds_binary((data,)):
            return EncodedPacket(_header(str(kind.value), packet) + self._dumps(data))
        if kind is not _EVENT and kind is not _ACK:
            raise TypeError(f"{kind.name} can't carry binary data")
        attachments: list[bytes] = []
        data = extract_binary(data, attachments)
        # BINARY_EVENT and BINARY_ACK follow their plain forms at a distance of three.
        header = _header(f"{kind.value + 3}{len(attachments)}-", packet)
        return EncodedPacket(header + self._dumps(data), tuple(attachments))


def _header(start: str, packet: Packet) -> bytes:
    namespace = "" if packet.namespace == "/" else check_namespace(packet.namespace) + ","
    number = "" if packet.id is None else str(packet.id)
    return f"{start}{namespace}{number}".encode()
