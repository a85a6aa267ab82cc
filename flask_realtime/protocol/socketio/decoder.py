"""The default encoding of packets, from the wire.

Source: Socket.IO protocol v5, heading "Packet encoding > Format".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.binary import find_slots
from flask_realtime.protocol.socketio.json import check_depth
from flask_realtime.protocol.socketio.packet import Packet, PacketType
from flask_realtime.protocol.socketio.rules import (
    MAX_DEPTH,
    RESERVED_EVENTS,
    check_event,
    check_packet,
    read_namespace,
)

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.binary import Slot
    from flask_realtime.protocol.socketio.json import JSONCodec

_EVENT: Final = PacketType.EVENT

# The binary types differ from the plain ones on the wire only.
_TYPE_OF_DIGIT: Final = {str(kind.value): kind for kind in PacketType} | {
    "5": PacketType.EVENT,
    "6": PacketType.ACK,
}

# Every level of nesting takes two characters: what is shorter is not too deep, or no JSON.
_SURELY_FLAT: Final = 2 * MAX_DEPTH

# Where the data of an event begins at the latest: an id of up to 15 digits is below MAX_ACK_ID.
_SHORT_ID: Final = 18

# <type>[<attachments>-][<namespace>,][<id>]; the binary types, and no others, have a number of attachments.
# [0-9] and not \d, which knows the digits of every script; the numbers are bounded, so int() is cheap.
_HEADER: Final = re.compile(r"(?:([0-4])|([56])([0-9]{1,6})-)(?:(/[^,]*)(?:,|\Z))?([0-9]{1,17})?")

# RFC 6455, section 7.4.1: a message too big to process.
_TOO_BIG: Final = 1009


class Decoder:
    """Reads the packets of one client. It keeps a packet only while attachments of it are still to come.

    :param max_attachments: how many attachments a packet may announce.
    :param max_attachment_bytes: how long the attachments of one packet may be together.

    After an error the client has lost its place in the stream: close the connection, or :meth:`reset`.
    """

    __slots__ = ("_loads", "_max_attachment_bytes", "_max_attachments", "_partial")

    def __init__(self, json: JSONCodec, *, max_attachments: int = 10, max_attachment_bytes: int) -> None:
        self._loads = json.loads
        self._max_attachments = max_attachments
        self._max_attachment_bytes = max_attachment_bytes
        self._partial: _Partial | None = None

    @property
    def pending_attachments(self) -> int:
        """How many attachments of the current packet are still to come."""
        return 0 if self._partial is None else self._partial.missing

    def reset(self) -> None:
        """Forget the packet that waits for attachments, if any."""
        self._partial = None

    def receive_text(self, text: str) -> Packet | None:
        """Read the text of a packet, without the ``4`` of the Engine.IO message.

        :return: the packet, or None where attachments have to follow first.
        :raises RemoteProtocolError: for anything that is not a packet a client may send now.
        """
        if self._partial is not None:
            raise RemoteProtocolError(f"A text packet where {self._partial.missing} attachments are missing")
        start = 1 if text[:3] == '2["' else _after_short_id(text)
        if start and len(text) <= _SURELY_FLAT:
            # Nearly every message is this: an event of the main namespace. If its data is JSON, it is a list
            # that begins with a string.
            try:
                data = self._loads(text[start:])
            except ValueError as error:
                raise _not_json(text[start:], error) from error
            if data[0] in RESERVED_EVENTS:
                check_event(data)
            return Packet(_EVENT, "/", data, None if start == 1 else int(text[1:start]))
        header = _HEADER.match(text)
        if header is None:
            raise RemoteProtocolError(f"Not a Socket.IO packet: {excerpt(text)}")
        plain, binary, attachments, namespace, number = header.groups()
        payload = text[header.end() :]
        packet = Packet(
            _TYPE_OF_DIGIT[plain or binary],
            "/" if namespace is None else read_namespace(namespace),
            self._load(payload) if payload else None,
            None if number is None else int(number),
        )
        if payload and packet.data is None:
            raise RemoteProtocolError("The data of a packet is never null")
        check_packet(packet)
        return packet if attachments is None else self._await_attachments(packet, int(attachments))

    def receive_binary(self, data: bytes) -> Packet | None:
        """Take the next attachment.

        :return: the packet, if it was the last one missing, else None.
        :raises RemoteProtocolError: where no attachment is awaited, or where they are too long together.
        """
        partial = self._partial
        if partial is None:
            raise RemoteProtocolError(f"{len(data)} bytes of binary data that no packet has announced")
        if partial.add(data, self._max_attachment_bytes):
            return None
        self._partial = None
        return partial.complete()

    def _await_attachments(self, packet: Packet, count: int) -> Packet | None:
        if count > self._max_attachments:
            raise RemoteProtocolError(
                f"{count} attachments in one packet, the limit is {self._max_attachments}"
            )
        slots = find_slots(packet.data, count)
        if count == 0:
            return packet
        self._partial = _Partial(packet, slots, count)
        return None

    def _load(self, payload: str) -> Any:
        if len(payload) > _SURELY_FLAT:
            check_depth(payload)
        try:
            return self._loads(payload)
        except RecursionError as error:
            raise RemoteProtocolError(f"The data is nested more than {MAX_DEPTH} levels deep") from error
        except ValueError as error:
            raise _not_json(payload, error) from error


def _after_short_id(text: str) -> int:
    """Where the data of an event of the main namespace begins, behind an id; 0 for anything else."""
    if text[:1] != "2":
        return 0
    start = text.find('["', 2, _SHORT_ID)
    number = text[1:start]
    return start if start > 0 and number.isascii() and number.isdigit() else 0


def _not_json(payload: str, error: ValueError) -> RemoteProtocolError:
    return RemoteProtocolError(f"Not JSON ({str(error)[:80]}): {excerpt(payload)}")


class _Partial:
    """A packet whose attachments are on their way."""

    __slots__ = ("_attachments", "_packet", "_size", "_slots", "missing")

    def __init__(self, packet: Packet, slots: list[Slot], count: int) -> None:
        self._packet = packet
        self._slots = slots
        self._attachments: list[bytes] = []
        self._size = 0
        self.missing = count

    def add(self, data: bytes, max_bytes: int) -> int:
        """Keep an attachment; the result is how many are still missing."""
        size = self._size + len(data)
        if size > max_bytes:
            raise RemoteProtocolError(
                f"{size} bytes of attachments in one packet, the limit is {max_bytes}", close_code=_TOO_BIG
            )
        self._size = size
        self._attachments.append(data)
        self.missing -= 1
        return self.missing

    def complete(self) -> Packet:
        """The packet, with the attachments in the places of their placeholders."""
        for container, key, number in self._slots:
            container[key] = self._attachments[number]
        return self._packet
