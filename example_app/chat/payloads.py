"""What clients send: its shape, declared, and the checks that a shape can't express.

A client may send anything, whatever the page does. :func:`parse` turns a payload into one of the classes here
or raises a :class:`~example_app.errors.ChatError`; no handler sees raw data.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, TypeVar

import msgspec
from flask import current_app
from msgspec import Meta, Struct

from ..errors import ChatError

T = TypeVar("T")

Name = Annotated[str, Meta(max_length=100)]
Key = Annotated[str, Meta(pattern=r"\A[\w-]{1,64}\Z")]
Token = Annotated[str, Meta(pattern=r"\A[\w-]{16,64}\Z")]
MessageId = Annotated[int, Meta(ge=0, le=2**53)]


class Login(Struct, frozen=True):
    """The ``auth`` of a connection. With the same token, a name can be used by several connections."""

    name: Name
    token: Token | None = None


class Join(Struct, frozen=True):
    """Enter a room. ``after`` is the last message that the page has: it gets what it has missed."""

    room: Name
    after: MessageId = 0


class Leave(Struct, frozen=True):
    """Leave a room."""

    room: Name


class Post(Struct, frozen=True):
    """A message to a room. The same ``key`` again is the same message again."""

    room: Name
    text: str
    key: Key


class Typing(Struct, frozen=True):
    """Whether the user is typing in a room."""

    room: Name
    active: bool


class Whisper(Struct, frozen=True):
    """A private message."""

    to: Name
    text: str
    key: Key


class File(Struct, frozen=True):
    """A file to a room."""

    room: Name
    name: Annotated[str, Meta(max_length=1000)]
    type: Annotated[str, Meta(max_length=100)]
    data: bytes
    key: Key


# What a browser can show as a picture without running anything in it. So no SVG.
_SAFE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
_NAME = re.compile(r"\w(?:[\w .'-]{0,22}[\w.])?")
_ROOM = re.compile(r"[^\W_][\w-]{0,23}")


def parse(payload: object, shape: type[T]) -> T:
    """The payload as an object of the given shape. Nothing is converted: bytes must be bytes."""
    try:
        return msgspec.convert(payload, shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ChatError(f"Malformed request: {error}") from None


def clean_name(name: str) -> str:
    """A name in its normal form; 1 to 24 letters, digits, spaces and ``.'-_``."""
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    if not _NAME.fullmatch(name):
        raise ChatError("Please take a name of up to 24 letters, digits, spaces or . ' - and _")
    return name


def clean_room(room: str) -> str:
    """A room's name in its normal form: lower case, dashes for spaces; 1 to 24 letters, digits, ``-_``."""
    room = "-".join(unicodedata.normalize("NFKC", room).lower().split())
    if not _ROOM.fullmatch(room):
        raise ChatError("A room's name has up to 24 letters, digits, - or _")
    return room


def clean_text(text: str) -> str:
    """A message without the space around it; neither empty nor longer than ``MAX_TEXT``."""
    text = text.strip()
    if not text:
        raise ChatError("The message is empty.")
    if len(text) > (most := current_app.config["MAX_TEXT"]):
        raise ChatError(f"The message is longer than {most} characters.")
    return text


def clean_file(file: File) -> tuple[str, str]:
    """The file's name and type, both safe to show; a :class:`ChatError` where it is empty or too large."""
    if not file.data:
        raise ChatError("The file is empty.")
    if len(file.data) > (most := current_app.config["MAX_FILE"]):
        raise ChatError(f"The file is larger than {most // 1000} kB.")
    base = re.split(r"[/\\]", file.name)[-1]
    name = "".join(c for c in base if c.isprintable()).strip()[-100:]
    return name or "file", file.type if file.type in _SAFE_TYPES else "application/octet-stream"
