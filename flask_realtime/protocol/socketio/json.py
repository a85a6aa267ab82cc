"""JSON for packets: the default codec, and the application's own.

Both write and accept strict JSON only (RFC 8259): a browser could not parse ``NaN``, and a lone surrogate
could not be sent on as UTF-8.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Final, Protocol

import msgspec

from flask_realtime.protocol.errors import RemoteProtocolError
from flask_realtime.protocol.socketio.binary import extract_binary, simplify
from flask_realtime.protocol.socketio.rules import MAX_DEPTH
from flask_realtime.protocol.socketio.simplifier import Default, no_default


class JSONCodec(Protocol):
    """Turns data into JSON and back. A server has its own: there is no codec for the whole process."""

    def prepare(self, data: Any, attachments: list[bytes], /) -> Any:
        """What :meth:`dumps` is to write for data that is not plain (see :func:`.is_plain`).

        :param attachments: gets the binary data that placeholders now stand for.
        :raises TypeError: for an object that has no form in JSON.
        :raises ValueError: for a value that has none.
        """
        ...

    def dumps(self, obj: Any, /) -> bytes:
        """Write compact JSON in UTF-8.

        :raises TypeError: for an object that has no form in JSON.
        :raises ValueError: for a value that has none.
        """
        ...

    def loads(self, text: str, /) -> Any:
        """Read JSON.

        :raises ValueError: for anything but strict JSON.
        """
        ...


class MsgspecJSON:
    """The default codec. NaN and Infinity are written as ``null``, as JavaScript does.

    :param default: the application's way to write what is not JSON's own (see :class:`.Simplifier`).
    """

    __slots__ = ("_default", "dumps", "loads")

    def __init__(self, default: Default = no_default) -> None:
        self._default = default
        # msgspec's own methods, without a Python function around them, which would cost as much again.
        # Their errors are those that the protocol asks for: DecodeError is a ValueError.
        self.dumps: Final = msgspec.json.Encoder().encode
        self.loads: Final = msgspec.json.Decoder().decode

    def prepare(self, data: Any, attachments: list[bytes], /) -> Any:
        """Make plain data of it; see :class:`JSONCodec`."""
        return simplify(data, attachments, self._default)


class JSONModule(Protocol):
    """A module, or an object, with the two functions of the standard library's ``json``."""

    def dumps(self, obj: Any, /) -> str | bytes:
        """Write JSON."""
        ...

    def loads(self, text: str, /) -> Any:
        """Read JSON."""
        ...


class ModuleJSON:
    """A codec from an application's module: ``json``, ``flask.json``, ``simplejson`` ...

    What the module writes and reads goes through msgspec too, which is fast beside most modules: so the
    rules are the default codec's, and the spaces that most modules write are taken out. Only NaN and Infinity
    are an error here, for the module has already written them.
    """

    __slots__ = ("_check", "_module")

    def __init__(self, module: JSONModule) -> None:
        self._module = module
        self._check = msgspec.json.Decoder().decode

    def prepare(self, data: Any, attachments: list[bytes], /) -> Any:
        """Take out binary data and leave all else to the module; see :class:`JSONCodec`."""
        return extract_binary(data, attachments)

    def dumps(self, obj: Any, /) -> bytes:
        """Write compact JSON; see :class:`JSONCodec`."""
        written = self._module.dumps(obj)
        raw = written.encode() if isinstance(written, str) else bytes(written)
        try:
            self._check(raw)
            return msgspec.json.format(raw, indent=-1)
        except (ValueError, msgspec.MsgspecError) as error:
            raise ValueError(f"the data can't be sent as JSON (NaN, Infinity?): {error}") from error

    def loads(self, text: str, /) -> Any:
        """Read JSON; see :class:`JSONCodec`."""
        self._check(text)
        try:
            return self._module.loads(text)
        except RecursionError:
            raise
        except Exception as error:
            # A hook of the application may raise anything about data that a client chose.
            raise ValueError(f"{type(error).__name__}: {error}") from error


# Of all bytes only brackets, made square, and quotes are left. In UTF-8 no other character has these bytes.
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NEITHER = bytes(set(range(256)).difference(b'[]{}"'))
_STEP = {ord("["): 1, ord("]"): -1}
_FEW_LEVELS = 8


def check_depth(text: str) -> None:
    """Refuse JSON that is nested deeper than :data:`MAX_DEPTH`, before it is parsed.

    :raises RemoteProtocolError: see above.
    """
    # Brackets inside strings count here too, but nearly always there are too few of them anyway.
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise RemoteProtocolError(f"The data is nested more than {MAX_DEPTH} levels deep")


def _depth(text: str) -> int:
    """How deep the brackets outside strings are nested; for what is no JSON, at least that."""
    # Every step is linear, whatever the client sent. Without its escapes a string ends at the next quote.
    raw = text.encode("utf-8", "replace")  # a lone surrogate is no JSON, but that is for the parser to say
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side can go: whether a bracket is in a string, an even or odd number of quotes before
    # it says. So strings without brackets are gone, and few have any.
    brackets = raw.translate(_SQUARE, _NEITHER).replace(b'""', b"")
    if b'"' in brackets:
        brackets = b"".join(brackets.split(b'"')[::2])
    # Pair by pair, from the inside: each step takes away one level, and in most data there are few. Where
    # there are many, counting is cheaper.
    for depth in range(_FEW_LEVELS):
        if not brackets:
            return depth
        brackets = brackets.replace(b"[]", b"")
    return _FEW_LEVELS + max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
