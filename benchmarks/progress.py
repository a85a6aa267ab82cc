"""Tells on stderr how far a run is: a bar with the time left, or lines where stderr is no terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

__all__ = ["Lines", "Progress", "progress", "say"]


class Progress(Protocol):
    """Steps are as long as they are expected to take."""

    def begin(self, server: str, cell: str) -> None: ...

    def end(self, seconds: float) -> None: ...


class Lines:
    """A line when another server begins."""

    def __init__(self) -> None:
        self._server = ""

    def begin(self, server: str, cell: str) -> None:
        if server != self._server:
            self._server = server
            say(server)

    def end(self, seconds: float) -> None:
        pass


@contextlib.contextmanager
def progress(total: float) -> Iterator[Progress]:
    """:param total: seconds that all steps are expected to take."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    try:
        from .progress_bar import bar
    except ImportError:  # rich is part of the extra "bench"
        yield Lines()
        return
    with bar(total) as shown:
        yield shown


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
