"""A message that arrives in fragments, RFC 6455, section 5.4."""

from __future__ import annotations

from codecs import getincrementaldecoder

from .frames import Opcode, invalid_utf8

_utf8_decoder = getincrementaldecoder("utf-8")


class FragmentedMessage:
    """The fragments of a message so far, joined.

    :param opcode: text or binary, from the first fragment.
    :param compressed: the first fragment had RSV1 set.
    """

    __slots__ = ("_check", "compressed", "count", "data", "opcode")

    def __init__(self, opcode: int, compressed: bool) -> None:
        self.opcode: int = opcode
        self.compressed: bool = compressed
        self.data: bytearray = bytearray()
        self.count: int = 0
        self._check = _utf8_decoder() if opcode == Opcode.TEXT and not compressed else None

    def add(self, payload: bytes) -> None:
        """Append a fragment.

        :raises RemoteProtocolError: 1007: no text can begin like this, so there
            is no need to wait for its end. A character may be cut by a fragment.
        """
        self.count += 1
        self.data += payload
        if self._check is not None:
            try:
                self._check.decode(payload)
            except UnicodeDecodeError:
                raise invalid_utf8() from None
