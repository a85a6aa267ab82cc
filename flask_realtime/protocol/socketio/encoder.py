"""The default encoding of packets for the wire.

Source: Socket.IO protocol v5, heading "Packet encoding > Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask_realtime.protocol.socketio.packet import EncodedPacket, PacketType
from flask_realtime.protocol.socketio.plain import is_plain
from flask_realtime.protocol.socketio.rules import check_namespace
from flask_realtime.protocol.socketio.unsendable import FAILURES, raise_explained

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.json import JSONCodec
    from flask_realtime.protocol.socketio.packet import Packet

_EVENT: Final = PacketType.EVENT
_ACK: Final = PacketType.ACK
_DIGIT: Final = {kind: str(kind.value) for kind in PacketType}
_PLAIN_TYPE: Final = {PacketType.BINARY_EVENT: _EVENT, PacketType.BINARY_ACK: _ACK}


_NONE: Final[tuple[bytes, ...]] = ()

# Half the time of EncodedPacket(...), which is a Python function around this.
_tuple: Final = tuple.__new__


class Encoder:
    """Writes packets as text with attachments. One serves all clients of a server: it keeps no state."""

    __slots__ = ("_dumps", "_prepare")

    def __init__(self, json: JSONCodec) -> None:
        self._dumps = json.dumps
        self._prepare = json.prepare

    def encode(self, packet: Packet) -> EncodedPacket:
        """Encode a packet; its data stays as it is.

        :raises TypeError: for an object that can't be sent, and for binary data outside EVENT and ACK.
        :raises ValueError: for data that refers to itself or has no valid form, and for a bad namespace.
        """
        kind = packet.type
        data = packet.data
        body, attachments = b"", _NONE
        try:
            if data is None:
                pass
            elif is_plain(data if type(data) is list else [data]):
                body = self._dumps(data)
            else:
                body, attachments = self._write(data)
        except FAILURES as error:
            raise_explained(packet, error, self._write)
        # Most packets are of the main namespace: events without an id, and acknowledgements.
        if packet.namespace == "/" and body and not attachments:
            if kind is _EVENT and packet.id is None:
                return _tuple(EncodedPacket, (b"2" + body, attachments))
            if kind is _ACK and packet.id is not None:
                return _tuple(EncodedPacket, (b"3%d%b" % (packet.id, body), attachments))
        return _tuple(EncodedPacket, (_header(packet, len(attachments)) + body, attachments))

    def _write(self, data: Any) -> tuple[bytes, tuple[bytes, ...]]:
        """Data that is not plain: its JSON and its attachments."""
        attachments: list[bytes] = []
        return self._dumps(self._prepare(data, attachments)), tuple(attachments)


def _header(packet: Packet, attachments: int) -> bytes:
    number = "" if packet.id is None else packet.id
    namespace = "" if packet.namespace == "/" else check_namespace(packet.namespace) + ","
    return f"{_start(packet, attachments)}{namespace}{number}".encode()


def _start(packet: Packet, attachments: int) -> str:
    kind = _PLAIN_TYPE.get(packet.type, packet.type)
    if kind is _EVENT or kind is _ACK:
        if packet.data is None:
            raise ValueError(f"{kind.name} needs data")
        # BINARY_EVENT and BINARY_ACK follow their plain forms at a distance of three.
        return f"{kind + 3}{attachments}-" if attachments else _DIGIT[kind]
    if attachments:
        raise TypeError(f"{kind.name} can't carry binary data")
    return _DIGIT[kind]
