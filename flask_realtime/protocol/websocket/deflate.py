"""Compression of messages, permessage-deflate, RFC 7692, section 7."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask_realtime.protocol.errors import RemoteProtocolError

from .frames import CloseCode

if TYPE_CHECKING:
    from zlib import _Compress, _Decompress

PREFERRED_WINDOW_BITS = 12
"""The window that we ask for: with :data:`_MEMORY_LEVEL` a compressor takes some
32 KiB where zlib's default takes 256 KiB, for a few per cent more bytes."""

_MEMORY_LEVEL = 5
_NAME = "permessage-deflate"
_SYNC_MARKER = b"\x00\x00\xff\xff"
_EMPTY_BLOCK = b"\x00"

# 7.1.2: "a decimal integer value without leading zeroes between 8 to 15 inclusive".
_WINDOW_BITS = re.compile(r"[89]|1[0-5]")
_QUOTED = re.compile(r'"([^"\\]*)"')

# The parameters that an offer may have, and the form of their value. zlib has no raw
# compressor with a window of 256 bytes: an offer that limits ours to 8 bits is declined.
_ABSENT = None
_PARAMETERS: dict[str, tuple[re.Pattern[str] | None, ...]] = {
    "server_no_context_takeover": (_ABSENT,),
    "client_no_context_takeover": (_ABSENT,),
    "server_max_window_bits": (re.compile(r"9|1[0-5]"),),
    "client_max_window_bits": (_ABSENT, _WINDOW_BITS),
}


@dataclass(frozen=True)
class DeflateParameters:
    """What both sides agreed on (RFC 7692, section 7.1).

    :param server_no_context_takeover: each of our messages is compressed alone.
    :param client_no_context_takeover: each of the client's messages is.
    :param server_max_window_bits: our window's size, as a power of two: 9 to 15.
    :param client_max_window_bits: the client's window's size: 8 to 15.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15

    @classmethod
    def negotiate(cls, header: str | None) -> DeflateParameters | None:
        """Answer the client's ``Sec-WebSocket-Extensions``.

        :return: what the first acceptable offer leads to; None where there is
            none. Other extensions, offers with unknown, repeated or malformed
            parameters are passed over (section 7.1).
        """
        # No value of ours can hold a comma or a semicolon, so a plain split is enough:
        # what it does to the quoted values of others we do not read.
        for text in (header or "").split(","):
            offer = _read_offer(text)
            if offer is not None:
                return cls._accept(offer)
        return None

    @classmethod
    def _accept(cls, offer: dict[str, str | None]) -> DeflateParameters:
        # 7.1.2.1: the server may limit its own window unasked. 7.1.2.2: it may limit the
        # client's only where the offer says that the client can do so.
        server_bits = min(PREFERRED_WINDOW_BITS, int(offer.get("server_max_window_bits") or 15))
        client_bits = 15
        if "client_max_window_bits" in offer:
            client_bits = min(PREFERRED_WINDOW_BITS, int(offer["client_max_window_bits"] or 15))
        return cls(
            server_no_context_takeover="server_no_context_takeover" in offer,
            client_no_context_takeover="client_no_context_takeover" in offer,
            server_max_window_bits=server_bits,
            client_max_window_bits=client_bits,
        )

    def response_value(self) -> str:
        """The value of ``Sec-WebSocket-Extensions`` in the 101 response."""
        parts = [_NAME]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits < 15:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits < 15:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts)


class PerMessageDeflate:
    """Compresses and inflates the messages of one connection.

    With context takeover (the default) each message builds on those before it:
    everything that was compressed has to be sent, in that order. zlib's memory is
    taken with the first message of a direction.
    """

    __slots__ = ("_compressor", "_decompressor", "params")

    def __init__(self, params: DeflateParameters) -> None:
        self.params: DeflateParameters = params
        self._compressor: _Compress | None = None
        self._decompressor: _Decompress | None = None

    def compress(self, payload: bytes) -> bytes:
        """The compressed form of a whole message (section 7.2.1)."""
        # 7.2.3.6: an empty message is one empty block. zlib would write nothing for a
        # second one in a row.
        if not payload:
            return _EMPTY_BLOCK
        compressor = self._compressor or self._new_compressor()
        self._compressor = None if self.params.server_no_context_takeover else compressor
        data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return data[: -len(_SYNC_MARKER)]

    def decompress(self, payload: bytes, max_size: int) -> bytes:
        """Inflate a whole message (section 7.2.2).

        :param max_size: bytes. Inflating stops at the first byte beyond.
        :raises RemoteProtocolError: 1009 for a message beyond max_size, 1007 for
            bytes that are not DEFLATE. The connection can't go on then.
        """
        decompressor = self._decompressor or self._new_decompressor()
        try:
            data = decompressor.decompress(payload + _SYNC_MARKER, max_size + 1)
        except zlib.error:
            raise _invalid() from None
        if len(data) > max_size:
            raise RemoteProtocolError(
                f"inflated message is longer than {max_size} bytes", close_code=CloseCode.MESSAGE_TOO_BIG
            )
        ended = self._check_end(decompressor)
        self._decompressor = None if ended or self.params.client_no_context_takeover else decompressor
        return data

    def _check_end(self, decompressor: _Decompress) -> bool:
        # 7.2.3.4: a message may be a DEFLATE stream that ends (BFINAL), with an empty block
        # behind it. The next message starts a new stream. More than this behind the end is
        # refused: it could be a million streams.
        if not decompressor.eof:
            return False
        if decompressor.unused_data not in (_SYNC_MARKER, _EMPTY_BLOCK + _SYNC_MARKER):
            raise _invalid()
        return True

    def _new_compressor(self) -> _Compress:
        bits = self.params.server_max_window_bits
        return zlib.compressobj(wbits=-bits, memLevel=_MEMORY_LEVEL)

    def _new_decompressor(self) -> _Decompress:
        # Clients built on zlib say 8 bits and use 9.
        return zlib.decompressobj(wbits=-max(9, self.params.client_max_window_bits))


def max_deflated_size(size: int) -> int:
    """How long the compressed form of ``size`` bytes can be, in bytes, at worst.

    DEFLATE makes incompressible data longer: this is zlib's own bound for its
    least favourable settings.
    """
    return size + (size >> 3) + (size >> 6) + 16


def _read_offer(text: str) -> dict[str, str | None] | None:
    """The parameters of an acceptable offer of permessage-deflate, else None."""
    name, *parameters = text.split(";")
    if name.strip(" \t") != _NAME:
        return None
    offer: dict[str, str | None] = {}
    for parameter in parameters:
        key, value = _read_parameter(parameter)
        if key in offer or not _acceptable(key, value):
            return None
        offer[key] = value
    return offer


def _read_parameter(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not equals:
        return key.strip(" \t"), None
    value = value.strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    return key.strip(" \t"), quoted[1] if quoted else value


def _acceptable(key: str, value: str | None) -> bool:
    forms = _PARAMETERS.get(key, ())
    if value is None:
        return _ABSENT in forms
    return any(form is not None and form.fullmatch(value) for form in forms)


def _invalid() -> RemoteProtocolError:
    return RemoteProtocolError("message is not valid DEFLATE data", close_code=CloseCode.INVALID_DATA)
