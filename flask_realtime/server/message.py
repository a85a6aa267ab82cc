"""One emit, encoded once for everyone it goes to.

A message is made of one text packet, or a text packet and its attachments, or
binary packets alone. Its wire forms are computed when the first client needs
them and then shared: a broadcast to a thousand clients holds the same bytes a
thousand times.
"""

from __future__ import annotations

from typing import Final

from ..protocol.engineio.payload import SEPARATOR, encode_base64_packet
from ..protocol.websocket import Opcode, encode_frame, encode_text_frame

__all__ = ["PING", "Message", "control_message"]


class Message:
    """Packets that are written together and in this order; made by :meth:`of`."""

    __slots__ = (
        "binary",
        "cached_frame",
        "cached_payload_part",
        "cached_string",
        "packets",
        "size",
        "text",
        "volatile",
    )

    def __init__(
        self, text: bytes | None, binary: tuple[bytes, ...], volatile: bool, size: int, packets: int = 1
    ) -> None:
        #: the first packet with its Engine.IO type character, UTF-8; None where there is no text
        self.text: bytes | None = text
        #: the binary packets that follow, without any prefix
        self.binary: tuple[bytes, ...] = binary
        #: dropped, rather than queued, for a client that is behind
        self.volatile: bool = volatile
        #: bytes that it counts for in a queue
        self.size: int = size
        self.packets: int = packets
        #: :attr:`ws_frame` and the like, once somebody has asked for them
        self.cached_frame: bytes | None = None
        self.cached_payload_part: bytes | None = None
        self.cached_string: str | None = None

    @classmethod
    def of(cls, text: bytes | None, binary: tuple[bytes, ...] = (), volatile: bool = False) -> Message:
        """A message of these packets."""
        if text is None:
            return cls(text, binary, volatile, sum(map(len, binary)), len(binary))
        if binary:
            return cls(text, binary, volatile, len(text) + sum(map(len, binary)), len(binary) + 1)
        return cls(text, binary, volatile, len(text))

    @property
    def ws_frame(self) -> bytes:
        """The complete, unmasked and uncompressed WebSocket frames (RFC 6455, section 5)."""
        frame = self.cached_frame
        if frame is None:
            frame = b"" if self.text is None else encode_text_frame(self.text)
            if self.binary:
                frame += b"".join([encode_frame(Opcode.BINARY, data) for data in self.binary])
            self.cached_frame = frame
        return frame

    @property
    def string(self) -> str | None:
        """The text, for a server that encodes it itself."""
        if self.cached_string is None and self.text is not None:
            self.cached_string = self.text.decode()
        return self.cached_string

    @property
    def payload_part(self) -> bytes:
        """The packets as they stand in a polling payload (Engine.IO protocol, "HTTP long-polling")."""
        part = self.cached_payload_part
        if part is None:
            parts = [] if self.text is None else [self.text]
            parts += [encode_base64_packet(data) for data in self.binary]
            part = self.cached_payload_part = SEPARATOR.join(parts)
        return part


def control_message(packet: bytes) -> Message:
    """A packet of the engine itself, such as ``b"2"``."""
    return Message.of(packet)


PING: Final = control_message(b"2")
NOOP: Final = control_message(b"6")
CLOSE: Final = control_message(b"1")
