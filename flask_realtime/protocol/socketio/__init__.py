"""Socket.IO v5: packets, and the two encodings of them. No sockets, no clock, no state but a decoder's.

``serializer``
    picks an encoding: :class:`JSONSerializer` (text and attachments) or :class:`MsgpackSerializer`.
``packet_class``
    an encoding that is a packet class of python-socketio, or one like it.
``encoder``, ``decoder``, ``json``, ``binary``
    the default encoding; its JSON codec; binary data taken out of a packet and put back.
``plain``, ``unsendable``
    plain data made of whatever an application emits, for either encoding; what could not be sent, and where.
``msgpack``
    the encoding of the official ``socket.io-msgpack-parser``.
``packet``, ``rules``
    what a packet is, and what a client's packet must look like in either encoding.
"""

from __future__ import annotations

from flask_realtime.protocol.socketio.decoder import Decoder
from flask_realtime.protocol.socketio.encoder import Encoder
from flask_realtime.protocol.socketio.json import JSONCodec, JSONModule, ModuleJSON, MsgspecJSON
from flask_realtime.protocol.socketio.msgpack import MsgpackDecoder, MsgpackEncoder
from flask_realtime.protocol.socketio.packet import EncodedPacket, Packet, PacketType
from flask_realtime.protocol.socketio.rules import RESERVED_EVENTS
from flask_realtime.protocol.socketio.serializer import (
    JSONSerializer,
    MsgpackSerializer,
    PacketDecoder,
    PacketEncoder,
    Serializer,
)

__all__ = [
    "RESERVED_EVENTS",
    "Decoder",
    "EncodedPacket",
    "Encoder",
    "JSONCodec",
    "JSONModule",
    "JSONSerializer",
    "ModuleJSON",
    "MsgpackDecoder",
    "MsgpackEncoder",
    "MsgpackSerializer",
    "MsgspecJSON",
    "Packet",
    "PacketDecoder",
    "PacketEncoder",
    "PacketType",
    "Serializer",
]
