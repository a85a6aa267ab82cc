"""What several checks need to read and write."""

from __future__ import annotations

__all__ = ["listed", "number"]


def listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
