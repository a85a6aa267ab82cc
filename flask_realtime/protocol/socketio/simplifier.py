"""Data as JSON knows it, made of whatever an application emits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from flask_realtime.protocol.socketio.plain import LEAVES

Default = Callable[[Any], Any]
"""Makes something simpler of an object that JSON has no form for; a ``TypeError`` where it can't.

It is what the standard library's ``json.dumps`` takes as ``default``.
"""

BINARY = (bytes, bytearray, memoryview)
"""The types that are sent as binary data."""

_VALUES = (datetime, date, time, timedelta, UUID, Decimal)


def no_default(value: Any) -> Any:
    """A :data:`Default` that knows nothing."""
    raise unsendable(value)


def unsendable(value: object) -> TypeError:
    """The error for an object that has no form in JSON."""
    return TypeError(f"an object of type {type(value).__qualname__!r} can't be sent")


def builtin_value(value: str | int | float) -> str | int | float:
    """The plain value of an instance of a subclass of ``str``, ``int`` or ``float``.

    Flask's ``Markup`` and NumPy's ``float64`` are such, and so are many enums.
    """
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


class Simplifier(ABC):
    """Makes plain data of one packet's data. The application's own objects stay as they are.

    What an object becomes is decided in this order: dicts, lists, tuples and binary data; subclasses of
    ``str``, ``int`` and ``float``, as the standard library's ``json`` takes them; then whatever ``default``
    knows; then sets, enums, msgspec's Structs, dataclasses and attrs classes, dates and times, UUIDs and
    Decimals, as msgspec writes them.
    """

    __slots__ = ("_default",)

    def __init__(self, default: Default) -> None:
        self._default = default

    @abstractmethod
    def binary(self, value: bytes | bytearray | memoryview) -> Any:
        """What stands for binary data."""

    def simplify(self, value: Any) -> Any:
        """Plain data for ``value``.

        :raises TypeError: for an object that can't be sent.
        :raises RecursionError: where the data refers to itself.
        """
        if type(value) in LEAVES:
            return value
        if isinstance(value, dict):
            return self.mapping(value)
        if isinstance(value, (list, tuple)):
            return [self.simplify(item) for item in value]
        if isinstance(value, BINARY):
            return self.binary(value)
        if isinstance(value, (str, int, float)):
            return self.simplify(builtin_value(value))
        return self.other(value)

    def mapping(self, value: dict[Any, Any]) -> dict[str, Any]:
        """A dict with strings as keys."""
        return {
            key if type(key) is str else self._key(key): self.simplify(item) for key, item in value.items()
        }

    def _key(self, key: Any) -> str:
        """The text of a key, which is that of the standard library's ``json`` where it has one."""
        if isinstance(key, str):
            return str.__str__(key)
        if key is None:
            return "null"
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, (int, float)):
            return repr(builtin_value(key))
        simple = None if isinstance(key, (*BINARY, tuple, frozenset)) else Simplifier.other(self, key)
        if simple is None or type(simple) not in LEAVES:
            raise TypeError(f"a key of type {type(key).__qualname__!r} can't be sent")
        return self._key(simple)

    def other(self, value: Any) -> Any:
        """Plain data for an object of none of JSON's types."""
        try:
            simpler = self._default(value)
        except TypeError:
            simpler = self._as_msgspec_writes_it(value)
        return self.simplify(simpler)

    def _as_msgspec_writes_it(self, value: Any) -> Any:
        if isinstance(value, (set, frozenset)):
            return list(value)
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, _VALUES):
            return msgspec.to_builtins(value, enc_hook=no_default)
        # What is in a record is left to us, for `default` may have its own way to write it.
        return msgspec.to_builtins(value, builtin_types=(*BINARY, *_VALUES), enc_hook=self._in_record)

    def _in_record(self, value: Any) -> Any:
        if isinstance(value, (str, int, float)):
            return builtin_value(value)
        try:
            return self._default(value)
        except TypeError as error:
            raise unsendable(value) from error
