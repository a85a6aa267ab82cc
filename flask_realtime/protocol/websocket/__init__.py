"""WebSocket, the server's side: RFC 6455, with compression by RFC 7692.

- :mod:`.handshake`: is this request an upgrade, may it be accepted, the answer.
- :mod:`.connection`: what comes after it: bytes in, messages and bytes out.
- :mod:`.fragments`: a message that arrives in pieces.
- :mod:`.frames`: one frame: lengths, close codes.
- :mod:`.masking`: what a client does with its payloads.
- :mod:`.deflate`: permessage-deflate: its negotiation and its compression.
"""

from .connection import Closed, State, WebSocketConnection
from .deflate import DeflateParameters, PerMessageDeflate
from .frames import CloseCode, Opcode, encode_close, encode_frame, encode_text_frame
from .handshake import Handshake, HandshakeError, accept_key, check_handshake, is_upgrade

__all__ = [
    "CloseCode",
    "Closed",
    "DeflateParameters",
    "Handshake",
    "HandshakeError",
    "Opcode",
    "PerMessageDeflate",
    "State",
    "WebSocketConnection",
    "accept_key",
    "check_handshake",
    "encode_close",
    "encode_frame",
    "encode_text_frame",
    "is_upgrade",
]
