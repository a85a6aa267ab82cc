"""Masking, RFC 6455, section 5.3: its own inverse.

In C where the library websockets is installed (``flask-realtime[speed]``), else with big integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["unmask", "unmask_with_integers"]

# Measured by "python -m benchmarks micro": one XOR of big integers is the fastest way in Python up to a few
# KiB (0.3 µs for 16 bytes, 2 µs for 1 KiB). Beyond, the integers leave the cache: pieces of 8 KiB keep to
# 1 ms per MiB, where one XOR takes 2.3 ms; bytes.translate, per byte of the mask, only ties with the pieces,
# and needs 64 KiB of tables. In C it is 0.1 µs for 16 bytes and for 1 KiB, and 20 µs per MiB.
_XOR_LIMIT: Final = 16 * 1024
_XOR_PIECE: Final = 8 * 1024


def unmask_with_integers(data: bytes, mask: bytes) -> bytes:
    """Mask or unmask a payload.

    :param data: the payload from its first byte on.
    :param mask: the four bytes of the masking key.
    """
    length = len(data)
    if length > _XOR_LIMIT:
        return _unmask_long(data, mask)
    pad = (mask * ((length >> 2) + 1))[:length]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(length, "little")


def _unmask_long(data: bytes, mask: bytes) -> bytes:
    length = len(data)
    whole = length - length % _XOR_PIECE
    pad = int.from_bytes(mask * (_XOR_PIECE >> 2), "little")
    pieces = [
        (int.from_bytes(data[start : start + _XOR_PIECE], "little") ^ pad).to_bytes(_XOR_PIECE, "little")
        for start in range(0, whole, _XOR_PIECE)
    ]
    pieces.append(unmask_with_integers(data[whole:], mask))
    return b"".join(pieces)


def _fastest() -> Callable[[bytes, bytes], bytes]:
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # not installed, or a build without its C extension
        return unmask_with_integers
    in_c: Callable[[bytes, bytes], bytes] = apply_mask
    return in_c


unmask: Final[Callable[[bytes, bytes], bytes]] = _fastest()
