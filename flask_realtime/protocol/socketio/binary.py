"""Binary data inside a packet's data: taken out for the wire, put back from it.

Source: Socket.IO protocol v5, heading "Packet encoding".
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt
from flask_realtime.protocol.socketio.simplifier import BINARY, Default, Simplifier

Slot = tuple[Any, Any, int]
"""Where an attachment goes: the list or dict, its index or key, the attachment's number."""


def simplify(value: Any, attachments: list[bytes], default: Default) -> Any:
    """Plain data for ``value``, with a placeholder for all binary data, which is appended to ``attachments``.

    The attachments are copies: the application may go on writing into its ``bytearray``.

    :raises TypeError: for an object that can't be sent.
    :raises ValueError: where there is a dict that the receiver would take for a placeholder.
    :raises RecursionError: where the data refers to itself.
    """
    simplifier = _TextSimplifier(attachments, default)
    simple = simplifier.simplify(value)
    if attachments and simplifier.imitated:
        raise _imitation()
    return simple


def extract_binary(value: Any, attachments: list[bytes]) -> Any:
    """``value`` as it is, but for its binary data (see :func:`simplify`).

    Only what holds binary data is copied, and records among it become dicts.
    """
    extractor = _Extractor(attachments)
    rest = extractor.extract(value)
    if attachments and extractor.imitated:
        raise _imitation()
    return rest


def _imitation() -> ValueError:
    # Passed on from a client that means harm, it would make every receiver give up the connection.
    return ValueError("next to binary data, a dict with '_placeholder': True can't be sent")


def _placeholder(value: bytes | bytearray | memoryview, attachments: list[bytes]) -> dict[str, Any]:
    attachments.append(bytes(value))
    return {"_placeholder": True, "num": len(attachments) - 1}


class _TextSimplifier(Simplifier):
    __slots__ = ("_attachments", "imitated")

    def __init__(self, attachments: list[bytes], default: Default) -> None:
        super().__init__(default)
        self._attachments = attachments
        self.imitated = False

    def binary(self, value: bytes | bytearray | memoryview) -> Any:
        return _placeholder(value, self._attachments)

    def mapping(self, value: dict[Any, Any]) -> dict[str, Any]:
        if value.get("_placeholder") is True:
            self.imitated = True
        return super().mapping(value)


class _Extractor:
    """Leaves all but binary data to the application's own codec."""

    __slots__ = ("_attachments", "imitated")

    def __init__(self, attachments: list[bytes]) -> None:
        self._attachments = attachments
        self.imitated = False

    def extract(self, value: Any) -> Any:
        if isinstance(value, BINARY):
            return _placeholder(value, self._attachments)
        before = len(self._attachments)
        rest = self._rebuilt(value)
        return value if len(self._attachments) == before else rest

    def _rebuilt(self, value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("_placeholder") is True:
                self.imitated = True
            return {key: self.extract(item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.extract(item) for item in value]
        return self.extract(_record_to_dict(value)) if _is_record(value) else value


def _is_record(value: object) -> bool:
    if isinstance(value, msgspec.Struct) or hasattr(type(value), "__attrs_attrs__"):
        return True
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _record_to_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {attribute.name: getattr(value, attribute.name) for attribute in type(value).__attrs_attrs__}


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
