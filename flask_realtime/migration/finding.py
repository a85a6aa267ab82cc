"""What the command names instead of changing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NOTE", "TODO", "Finding", "Severity"]

#: ``todo``: someone has to decide, or do it. ``note``: nothing breaks, but one should know.
Severity = Literal["todo", "note"]
TODO: Severity = "todo"
NOTE: Severity = "note"


@dataclass(frozen=True, order=True)
class Finding:
    """A place in the project, and what to do there."""

    #: from the current folder, if it is in there
    path: str
    #: from 1; 0 for the whole file
    line: int
    #: what kind of thing it is; it stays the same from version to version
    code: str
    severity: Severity
    what: str
    advice: str

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path
