"""What a check yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SEVERITIES", "Finding", "Severity"]

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that one should know."""

    #: what kind of thing it is; it stays the same from version to version
    code: str
    severity: Severity
    what: str
    #: what users of the app see of it
    consequence: str
    advice: str
