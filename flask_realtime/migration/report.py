"""What the command prints: the diff, the findings, the summary; or JSON."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from .finding import NOTE, TODO, Finding
from .project import Change, Plan

__all__ = ["as_dict", "diff", "in_words", "summary"]


def diff(change: Change) -> Iterator[bytes]:
    """A unified diff, as ``git apply`` and ``patch -p1`` take it; in the file's own bytes."""
    name = change.shown.lstrip("/").encode("utf-8", "surrogateescape")
    name += b"\t" if b" " in name else b""  # what ends a name with blanks
    lines = difflib.diff_bytes(
        difflib.unified_diff,
        _lines(change.before),
        _lines(change.after),
        b"a/" + name,
        b"b/" + name,
    )
    for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"


def _lines(data: bytes) -> list[bytes]:
    """Lines as diff and patch know them: only ``\\n`` ends one."""
    *lines, last = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])


def in_words(findings: list[Finding]) -> Iterator[str]:
    """The findings: what is to be done first, then the notes."""
    for severity, title in ((TODO, "To do by hand"), (NOTE, "Notes")):
        chosen = [finding for finding in findings if finding.severity == severity]
        if chosen:
            yield f"{title}:"
            for finding in chosen:
                yield f"  {finding.where}: {finding.what} [{finding.code}]"
                yield f"    > {finding.advice}"
            yield ""


def summary(plan: Plan, written: bool) -> str:
    """One line."""
    places = sum(change.edits for change in plan.changes)
    if not plan.changes:
        changed = "nothing to change"
    else:
        verb = "changed" if written else "would change"
        changed = f"{verb} {places} place{_s(places)} in {len(plan.changes)} file{_s(len(plan.changes))}"
        if not written:
            changed += " (--write does it)"
    counts = Counter(finding.severity for finding in plan.findings)
    notes = f", {counts[NOTE]} note{_s(counts[NOTE])}" if counts[NOTE] else ""
    return f"{plan.files} file{_s(plan.files)} looked at: {changed}; {counts[TODO]} to do by hand{notes}."


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def as_dict(plan: Plan, written: bool) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "files": plan.files,
        "written": written,
        "changes": [
            {
                "path": change.shown,
                "edits": change.edits,
                "diff": b"".join(diff(change)).decode("utf-8", "replace"),
            }
            for change in plan.changes
        ],
        "findings": [asdict(finding) for finding in plan.findings],
    }
