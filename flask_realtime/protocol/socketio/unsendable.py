"""Says what it was that could not be sent, and where in the data it is.

All of this runs only after something has failed, so it may take its time.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from flask_realtime.protocol.socketio.packet import PacketType

if TYPE_CHECKING:
    from flask_realtime.protocol.socketio.packet import Packet

FAILURES = (TypeError, ValueError, RecursionError, OverflowError)
"""What encoders raise."""

Encode = Callable[[Any], object]

MAX_STEPS = 100_000
"""How many values are tried at most ..."""

RECURSION_STEPS = 1_000
"""... where one that refers to itself counts for so many: it takes as long."""


class _Culprit(NamedTuple):
    path: str
    value: Any
    error: Exception


def raise_explained(packet: Packet, error: Exception, encode: Encode) -> NoReturn:
    """Raise a better error than ``error``: of the same kind, with the path to the value and the value itself.

    :param encode: tries to encode a value by itself, and raises one of :data:`FAILURES`.
    :raises TypeError, ValueError: from ``error``.
    """
    culprit = _Search(encode).find(packet, error)
    what = _name(packet)
    if isinstance(culprit.error, RecursionError):
        reason = "the data refers to itself, or is nested too deeply"
    else:
        reason = str(culprit.error)
    kind = TypeError if isinstance(culprit.error, TypeError) else ValueError
    explained = kind(f"{what}{culprit.path and ', ' + culprit.path}: {reason}: {_show(culprit.value)}")
    raise explained from error


def _name(packet: Packet) -> str:
    if _is_event(packet):
        return f"event {_show(packet.data[0])}"
    if packet.type in (PacketType.ACK, PacketType.BINARY_ACK):
        return "acknowledgement"
    return packet.type.name


def _show(value: Any) -> str:
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 80
    try:
        return shortener.repr(value)
    except Exception:  # noqa: BLE001 (the application's, or that of an integer with more digits than Python writes)
        return f"<{type(value).__qualname__}>"


class _Search:
    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._left = MAX_STEPS

    def find(self, packet: Packet, error: Exception) -> _Culprit:
        """The smallest part of a packet's data that fails by itself."""
        whole = _Culprit("", packet.data, error)
        ancestors = {id(packet.data)}
        culprit = whole
        parts = _arguments(packet)
        while (part := self._first_that_fails(culprit.path, parts)) is not None:
            culprit = part
            if id(culprit.value) in ancestors:
                return culprit  # it refers to itself
            ancestors.add(id(culprit.value))
            parts = _parts(culprit.value)
        # In what is only nested too deeply, every part fails down to somewhere.
        return whole if isinstance(culprit.error, RecursionError) else culprit

    def _first_that_fails(self, path: str, parts: Iterable[tuple[str, Any]]) -> _Culprit | None:
        for step, value in parts:
            if self._left <= 0:
                break
            self._left -= 1
            try:
                self._encode(value)
            except FAILURES as error:
                if isinstance(error, RecursionError):
                    self._left -= RECURSION_STEPS
                return _Culprit(path + step, value, error)
        return None


def _arguments(packet: Packet) -> Iterable[tuple[str, Any]]:
    if not isinstance(packet.data, (list, tuple)):
        return _parts(packet.data)
    arguments = packet.data[1:] if _is_event(packet) else packet.data
    return ((f"args[{index}]", value) for index, value in enumerate(arguments))


def _is_event(packet: Packet) -> bool:
    return packet.type in (PacketType.EVENT, PacketType.BINARY_EVENT)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value consists of, and how one gets there from it."""
    if isinstance(value, dict):
        yield from ((f"[{_show(key)}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from ((" in the set", item) for item in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value))
