"""``environment.yml``: the part for pip is changed, conda's own is named."""

from __future__ import annotations

import re

from ..finding import TODO, Finding
from ..source import Source
from .requirement import Rewritten, replace_requirements

__all__ = ["rewrite_conda"]

ENTRY = re.compile(r"^([ \t]*)-[ \t]+([\"']?)([^\r\n#\"']+)", re.MULTILINE)
THEIRS = re.compile(r"(?:[\w-]+::)?flask[-_.]socketio(?![\w.-])", re.IGNORECASE)


def rewrite_conda(source: Source, path: str) -> Rewritten:
    """Replace the requirement under ``- pip:``."""
    spans: list[tuple[int, int]] = []
    findings: list[Finding] = []
    pip_indent: int | None = None
    for match in ENTRY.finditer(source.text):
        indent, entry = len(match[1]), match[3].strip()
        if pip_indent is not None and indent <= pip_indent:
            pip_indent = None
        if re.fullmatch(r"pip[ \t]*:", entry):
            pip_indent = indent
        elif pip_indent is not None:
            spans.append((match.start(3), match.start(3) + len(entry)))
        elif THEIRS.match(entry):
            findings.append(
                Finding(
                    path,
                    source.line_of(match.start(3)),
                    "requirement",
                    TODO,
                    f"{entry}: a package of conda",
                    "Remove it, and put Flask-Realtime under `- pip:`.",
                )
            )
    found = replace_requirements(source, path, spans)
    return Rewritten(found.edits, found.findings + tuple(findings), found.dependencies)
