"""Binary data inside a packet's data: taken out for the wire, put back from it.

Source: Socket.IO protocol v5, heading "Packet encoding".
"""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.json import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable

BINARY = (bytes, bytearray, memoryview)
"""The types that are sent as binary data."""

Slot = tuple[Any, Any, int]
"""Where an attachment goes: the list or dict, its index or key, the attachment's number."""

# Left to the codec, which may have its own way to write them.
_VALUES = (datetime, date, time, timedelta, UUID, Decimal)
_LEAVES = frozenset((str, int, float, bool, type(None), *_VALUES))
_SEQUENCES = (list, tuple, set, frozenset)


def holds_binary(items: Iterable[object]) -> bool:
    """Tell whether there is binary data anywhere in ``items``.

    This runs for every packet that is sent, so it looks at types and builds nothing.

    :raises RecursionError: where the data refers to itself.
    """
    for item in items:
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is dict:
            inner: Iterable[object] = item.values()  # type: ignore[attr-defined]
        elif kind is list or kind is tuple:
            inner = item  # type: ignore[assignment]
        elif isinstance(item, BINARY):
            return True
        else:
            inner = _parts(item)
        if holds_binary(inner):
            return True
    return False


def _parts(item: object) -> Iterable[object]:
    """What an object consists of that is of no plain type."""
    if isinstance(item, dict):
        return item.values()
    if isinstance(item, _SEQUENCES):
        return item
    return (_record_to_dict(item),) if _is_record(item) else ()


def _is_record(item: object) -> bool:
    if isinstance(item, msgspec.Struct) or hasattr(type(item), "__attrs_attrs__"):
        return True
    return dataclasses.is_dataclass(item) and not isinstance(item, type)


def _record_to_dict(item: object) -> object:
    try:
        return msgspec.to_builtins(item, builtin_types=(*BINARY, *_VALUES), enc_hook=to_plain)
    except TypeError:
        # There is something in it that only the application's codec knows, if any: the codec will say so.
        return None


def extract_binary(value: Any, attachments: list[bytes]) -> Any:
    """A copy of ``value`` with a placeholder for all binary data, which is appended to ``attachments``.

    The attachments are copies: the application may go on writing into its ``bytearray``.

    :raises ValueError: where there is a dict that the receiver would take for a placeholder.
    :raises RecursionError: where the data refers to itself.
    """
    if type(value) in _LEAVES:
        return value
    if isinstance(value, BINARY):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            # Passed on from a client that means harm, it would make every receiver give up the connection.
            raise ValueError("next to binary data, a dict with '_placeholder': True can't be sent")
        return {key: extract_binary(item, attachments) for key, item in value.items()}
    if isinstance(value, _SEQUENCES):
        return [extract_binary(item, attachments) for item in value]
    if _is_record(value) and (record := _record_to_dict(value)) is not None:
        return extract_binary(record, attachments)
    return value


def find_slots(data: list[Any], count: int) -> list[Slot]:
    """All placeholders in the data of a binary packet.

    :param count: how many attachments the packet announces.
    :raises RemoteProtocolError: where a placeholder has no attachment, or an attachment no placeholder.
    """
    slots: list[Slot] = []
    _collect_slots(data, count, slots)
    if len({number for _, _, number in slots}) < count:
        raise RemoteProtocolError(f"Not all of the {count} attachments have a placeholder")
    return slots


def _collect_slots(container: Any, count: int, slots: list[Slot]) -> None:
    for key, item in enumerate(container) if type(container) is list else container.items():
        kind = type(item)
        if kind is dict and item.get("_placeholder") is True:
            slots.append((container, key, _placeholder_number(item, count)))
        elif kind is dict or kind is list:
            _collect_slots(item, count, slots)


def _placeholder_number(placeholder: dict[str, Any], count: int) -> int:
    number = placeholder.get("num")
    # Not isinstance(): True is an int too.
    if type(number) is not int or not 0 <= number < count:
        raise RemoteProtocolError(f"A placeholder for no attachment of its packet: {excerpt(placeholder)}")
    return number
