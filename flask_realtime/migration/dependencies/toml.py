"""Where the keys and strings of a TOML file are.

Python's own ``tomllib`` gives values without positions, and Python 3.10 has none.
This one checks nothing: whoever uses the file will.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["Item", "TOMLError", "scan"]

TOKEN = re.compile(
    r"""
      (?P<blank> [ \t]+ | \#[^\r\n]* )
    | (?P<newline> \r\n | \n | \r )
    | (?P<string> \"{3} (?: \\. | [^\\] )*? \"{3,5} | '{3} .*? '{3,5}
                | \" (?: \\. | [^\"\\\r\n] )* \" | ' [^'\r\n]* ' )
    | (?P<mark> [\[\]{}=,.] )
    | (?P<bare> [^\s\[\]{}=,.\"'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


class TOMLError(ValueError):
    """It can't be followed."""


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class Item(NamedTuple):
    """A key, or a string among its values."""

    #: the keys that lead there, its own included
    path: tuple[str, ...]
    is_key: bool
    #: where it is, without quotes
    start: int
    end: int


def scan(text: str) -> list[Item]:
    """The keys and the strings of a file, in order.

    :raises TOMLError: it is no TOML.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), Token("end", "", len(text), len(text))]
        self._at = 0
        self._items: list[Item] = []

    def scan(self) -> list[Item]:
        table: tuple[str, ...] = ()
        while self._peek().kind != "end":
            if self._peek().text == "[":
                self._skip("[")
                table = self._keys(())
                self._expect("]")
                self._skip("]")
            else:
                self._pair(table)
        return self._items

    def _pair(self, table: tuple[str, ...]) -> None:
        path = self._keys(table)
        self._expect("=")
        self._value(path)

    def _keys(self, path: tuple[str, ...]) -> tuple[str, ...]:
        while True:
            token = self._next()
            if token.kind not in ("bare", "string"):
                raise TOMLError(f"no key: {token.text!r}")
            start, end = _inside(token)
            path = (*path, token.text[start - token.start : end - token.start])
            self._items.append(Item(path, True, start, end))
            if self._peek().text != ".":
                return path
            self._next()

    def _value(self, path: tuple[str, ...]) -> None:
        token = self._next()
        if token.kind == "string":
            self._items.append(Item(path, False, *_inside(token)))
        elif token.text == "[":
            self._several("]", lambda: self._value(path))
        elif token.text == "{":
            self._several("}", lambda: self._pair(path))
        elif token.kind == "bare":
            # A number or a date: it may have points, and a date a blank.
            while self._peek_here().kind == "bare" or self._peek_here().text == ".":
                self._next()
        else:
            raise TOMLError(f"no value: {token.text!r}")

    def _several(self, end: str, one: Callable[[], None]) -> None:
        while self._peek().text != end:
            one()
            self._skip(",")
        self._next()

    def _expect(self, text: str) -> None:
        token = self._next()
        if token.text != text:
            raise TOMLError(f"{token.text!r} in place of {text!r}")

    def _skip(self, mark: str) -> None:
        while self._peek().text == mark:
            self._at += 1

    def _peek(self) -> Token:
        """The next token, on whatever line."""
        while self._tokens[self._at].kind == "newline":
            self._at += 1
        return self._tokens[self._at]

    def _peek_here(self) -> Token:
        """The next token, if it is on this line; else the line's end."""
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind == "end":
            raise TOMLError("the file ends within a value")
        self._at += 1
        return token


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise TOMLError(f"not to be read: {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup != "blank":
            yield Token(str(match.lastgroup), match[0], *match.span())


def _inside(token: Token) -> tuple[int, int]:
    """Where a string is, without its quotes; a bare key as it is."""
    if token.kind != "string":
        return token.start, token.end
    quotes = 3 if token.text.startswith(('"""', "'''")) and len(token.text) >= 6 else 1
    return token.start + quotes, token.end - quotes
