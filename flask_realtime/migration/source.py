"""A file as text that turns back into the very same bytes."""

from __future__ import annotations

import codecs
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["Edit", "Source", "UnreadableError", "read_python", "read_text"]

#: what ends a line for Python; ``str.splitlines()`` knows more
LINE_END = re.compile(r"\r\n|\r|\n")
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class UnreadableError(Exception):
    """The bytes are no text in the encoding that they claim."""


@dataclass(frozen=True, order=True)
class Edit:
    """Replace ``text[start:end]``; in characters."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Source:
    """The text of a file. Line ends are as they are; a byte order mark is not part of it."""

    path: Path
    raw: bytes
    text: str
    encoding: str
    bom: bytes = b""
    errors: str = "strict"

    @cached_property
    def line_starts(self) -> list[int]:
        return [0, *(match.end() for match in LINE_END.finditer(self.text))]

    def line_of(self, offset: int) -> int:
        """The number, from 1, of the line with a character."""
        return bisect_right(self.line_starts, offset)

    def offset(self, line: int, utf8_column: int) -> int:
        """Where a node of ``ast`` is: it counts lines from 1 and columns in bytes of UTF-8."""
        start = self.line_starts[line - 1]
        part = self.text[start : start + utf8_column]
        if part.isascii():
            return start + utf8_column
        return start + len(part.encode()[:utf8_column].decode("utf-8", "ignore"))

    def apply(self, edits: Iterable[Edit]) -> bytes:
        """The file's bytes after some edits, which must not overlap."""
        pieces, done = [], 0
        for edit in sorted(edits):
            pieces += [self.text[done : edit.start], edit.new]
            done = edit.end
        pieces.append(self.text[done:])
        return self.bom + "".join(pieces).encode(self.encoding, self.errors)


def read_python(path: Path, raw: bytes) -> Source:
    """A Python file, in the encoding that it declares.

    :raises UnreadableError: it is in no encoding that Python would take.
    """
    bom = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    try:
        # Lines as Python takes them here, too: a file may have "\r" alone.
        encoding, _ = tokenize.detect_encoding(iter(raw.splitlines(keepends=True)).__next__)
        encoding = "utf-8" if bom else encoding
        text = raw[len(bom) :].decode(encoding)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise UnreadableError(str(error)) from None
    return _checked(Source(path, raw, text, encoding, bom))


def read_text(path: Path, raw: bytes) -> Source:
    """Any other file: UTF-8, or what its byte order mark says. Other bytes pass through untouched."""
    for bom, encoding in BOMS:
        if raw.startswith(bom):
            break
    else:
        bom, encoding = b"", "utf-8"
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        text = raw[len(bom) :].decode(encoding, errors)
    except UnicodeError as error:
        raise UnreadableError(str(error)) from None
    return _checked(Source(path, raw, text, encoding, bom, errors))


def _checked(source: Source) -> Source:
    """Some encodings have two forms of one text; an edit must not change what it does not touch."""
    if source.apply(()) != source.raw:
        raise UnreadableError(f"its {source.encoding} does not come back as it was")
    return source
