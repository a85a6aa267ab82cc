"""Packets in MessagePack, as the official ``socket.io-msgpack-parser`` writes them.

A packet is one binary message: the map ``{type, data, nsp, id}``, where ``data`` and ``id`` may be absent.
Binary data needs no attachments. Three things have an extension of type 0, whose length tells them apart:
``undefined`` (1 byte), a date (8 bytes, milliseconds since 1970), an ``ArrayBuffer`` (any length).
"""

from __future__ import annotations

import re
import struct
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.packet import EncodedPacket, Packet, PacketType
from flask_realtime.protocol.socketio.rules import (
    MAX_DEPTH,
    check_namespace,
    check_packet,
    read_namespace,
)
from flask_realtime.protocol.socketio.simplifier import Default, Simplifier, no_default
from flask_realtime.protocol.socketio.unsendable import FAILURES, raise_explained

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_TYPES = tuple(PacketType)
_PLAIN_TYPE = {PacketType.BINARY_EVENT: PacketType.EVENT, PacketType.BINARY_ACK: PacketType.ACK}
_TOO_BIG = 1009


class _Outgoing(msgspec.Struct, omit_defaults=True, gc=False):
    """The map on the wire, of a packet with data."""

    type: int
    data: Any
    nsp: str
    id: int | None = None


class _OutgoingWithoutData(msgspec.Struct, gc=False):
    """For the official client refuses a DISCONNECT whose data is null: the key must be absent."""

    type: int
    nsp: str


class _Incoming(msgspec.Struct, gc=False):
    """The map from the wire, without the keys that official clients add (``options``)."""

    type: Annotated[int, msgspec.Meta(ge=0, le=4)]
    nsp: str
    data: Any = None
    # Any: official clients send an extension for `undefined` here.
    id: Any = None


class MsgpackEncoder:
    """Writes packets as one binary message each. One serves all clients of a server: it keeps no state.

    As in JSON, NaN and Infinity become null and the keys of a dict strings. Dates arrive as a ``Date``.

    :param default: the application's way to write what is not JSON's own (see :class:`.Simplifier`).
    """

    __slots__ = ("_encode", "_simplify")

    def __init__(self, default: Default = no_default) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._simplify = _MsgpackSimplifier(default).simplify

    def encode(self, packet: Packet) -> EncodedPacket:
        """Encode a packet; its data stays as it is.

        :raises TypeError: for an object that can't be sent.
        :raises ValueError: for data that refers to itself, an integer of more than 64 bits, a bad namespace.
        """
        namespace = check_namespace(packet.namespace)
        kind = _PLAIN_TYPE.get(packet.type, packet.type)
        data = packet.data
        if data is None:
            if kind is PacketType.EVENT or kind is PacketType.ACK:
                raise ValueError(f"{kind.name} needs data")
            return EncodedPacket(None, (self._encode(_OutgoingWithoutData(kind, namespace)),))
        try:
            if not _is_plain((data,)):
                data = self._simplify(data)
            return EncodedPacket(None, (self._encode(_Outgoing(kind, data, namespace, packet.id)),))
        except FAILURES as error:
            raise_explained(packet, error, lambda value: self._encode(self._simplify(value)))


# Not memoryview: msgspec takes none that has gaps.
_PLAIN = frozenset((str, int, bool, type(None), bytes, bytearray))


def _is_plain(items: Iterable[object]) -> bool:
    """Tell whether msgspec writes all of ``items`` just as the official parser would."""
    for item in items:
        kind = type(item)
        if kind in _PLAIN:
            continue
        if kind is dict:
            for key in item:  # type: ignore[attr-defined]
                if type(key) is not str:
                    return False
            if not _is_plain(item.values()):  # type: ignore[attr-defined]
                return False
        elif kind is list or kind is tuple:
            if not _is_plain(item):  # type: ignore[arg-type]
                return False
        elif kind is not float or item - item != 0:  # type: ignore[operator]
            return False
    return True


class _MsgpackSimplifier(Simplifier):
    """Puts in the forms that JavaScript knows."""

    __slots__ = ()

    def binary(self, value: bytes | bytearray | memoryview) -> bytes:
        return bytes(value)

    def simplify(self, value: Any) -> Any:
        # Only NaN and the infinities have a difference to themselves that is not zero.
        if type(value) is float and value - value != 0:
            return None
        return super().simplify(value)

    def other(self, value: Any) -> Any:
        return _date_to_wire(value) if isinstance(value, date) else super().other(value)


def _date_to_wire(value: date) -> msgspec.msgpack.Ext:
    """A day is its first moment, and a time without a zone is UTC, as in an HTTP date."""
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return msgspec.msgpack.Ext(0, struct.pack(">q", (moment - _EPOCH) // _MILLISECOND))


class MsgpackDecoder:
    """Reads the packets of one client. Every binary message is a whole packet, so it keeps no state.

    :param max_message_bytes: how long a message may be.
    """

    __slots__ = ("_decode", "_max_message_bytes")

    def __init__(self, *, max_message_bytes: int) -> None:
        self._decode = _DECODER.decode
        self._max_message_bytes = max_message_bytes

    @property
    def pending_attachments(self) -> int:
        """Always 0: binary data needs no attachments."""
        return 0

    def reset(self) -> None:
        """Nothing is kept, so nothing is forgotten."""

    def receive_text(self, text: str) -> Packet | None:
        """Refuse a text message.

        :raises RemoteProtocolError: always. The client is likely one without the MessagePack parser.
        """
        raise RemoteProtocolError(f"A text message where packets are MessagePack: {excerpt(text)}")

    def receive_binary(self, data: bytes) -> Packet | None:
        """Read a packet.

        :raises RemoteProtocolError: for anything that is not a packet a client may send.
        """
        if len(data) > self._max_message_bytes:
            raise RemoteProtocolError(
                f"{len(data)} bytes in one message, the limit is {self._max_message_bytes}",
                close_code=_TOO_BIG,
            )
        wire = self._read(data)
        if type(wire.data) is list or type(wire.data) is dict:
            _clean(wire.data, 1)
        number = wire.id
        if number is not None and type(number) is not int:
            raise RemoteProtocolError(f"The acknowledgement id is not an integer: {excerpt(number)}")
        namespace = "/" if wire.nsp == "/" else read_namespace(wire.nsp)
        packet = Packet(_TYPES[wire.type], namespace, wire.data, number)
        check_packet(packet)
        return packet

    def _read(self, data: bytes) -> _Incoming:
        if _SHORT_ARRAY_BUFFER.search(data):
            data = _array_buffers_to_binary(data)
        try:
            return self._decode(data)
        except RecursionError as error:
            raise _too_deep() from error
        except (ValueError, OverflowError, TypeError) as error:  # TypeError: a map as the key of a map
            raise RemoteProtocolError(
                f"Not a MessagePack packet ({str(error)[:80]}): {excerpt(data)}"
            ) from error


def _decode_extension(code: int, data: memoryview) -> object:
    if code != 0:
        raise ValueError(f"unknown extension type {code}")
    if len(data) == 1:
        return None
    if len(data) == 8:
        return _EPOCH + struct.unpack(">q", data)[0] * _MILLISECOND
    return bytes(data)


_DECODER = msgspec.msgpack.Decoder(_Incoming, ext_hook=_decode_extension)

_CLEAN = frozenset((str, int, bool, type(None), bytes, datetime))


def _clean(container: Any, depth: int) -> None:
    """Check what JSON can't hold at all: other keys than strings are refused, NaN and Infinity become None.

    The official parsers write null for both in JSON; here they would be passed on to clients and databases
    that can't read them.
    """
    if depth > MAX_DEPTH:
        raise _too_deep()
    is_list = type(container) is list
    for key, item in enumerate(container) if is_list else container.items():
        if not is_list and type(key) is not str:
            raise RemoteProtocolError(f"The key of an object is not a string: {excerpt(key)}")
        kind = type(item)
        if kind in _CLEAN:
            continue
        if kind is not float:
            _clean(item, depth + 1)
        elif item - item != 0:
            container[key] = None


def _too_deep() -> RemoteProtocolError:
    return RemoteProtocolError(f"The data is nested more than {MAX_DEPTH} levels deep")


# An ArrayBuffer of 1 or 8 bytes, in the form with an explicit length. Only the first byte tells it from
# `undefined` and a date, and msgspec does not pass that byte on.
_SHORT_ARRAY_BUFFER = re.compile(rb"\xc7[\x01\x08]\x00")

# By first byte, 0xC0 to 0xDF: how long the token's header is ...
_HEADER_LENGTH = bytes.fromhex("01010101 020305 030406 0509 02030509 02030509 0304060a12 020305 0305 0305")
# ... and how many bytes after the first are the length of what follows the header.
_LENGTH_SIZE = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}


def _array_buffers_to_binary(data: bytes) -> bytes:
    """Rewrite short ArrayBuffers as MessagePack's own binary type."""
    parts: list[bytes] = []
    start = position = 0
    while position < len(data):
        if _SHORT_ARRAY_BUFFER.match(data, position):
            parts += data[start:position], b"\xc4" + data[position + 1 : position + 2]
            start = position + 3
        position += _token_length(data, position)
    parts.append(data[start:])
    return b"".join(parts)


def _token_length(data: bytes, position: int) -> int:
    """How long the token at ``position`` is. A list or map is only its header: its items are tokens too."""
    first = data[position]
    if first < 0xA0 or first >= 0xE0:
        return 1
    if first < 0xC0:
        return 1 + first - 0xA0
    size = _LENGTH_SIZE.get(first, 0)
    following = int.from_bytes(data[position + 1 : position + 1 + size], "big")
    return _HEADER_LENGTH[first - 0xC0] + following
