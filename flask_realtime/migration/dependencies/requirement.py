"""One requirement on Flask-SocketIO, as PEP 508 and pip write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..finding import NOTE, TODO, Finding
from ..source import Edit, Source
from ..words import NEW_PACKAGE, OLD_PACKAGE, REQUIRED, canonical

__all__ = ["NAME", "Dependency", "Rewritten", "like", "replace_requirements"]

CLAUSE = r"(?:===|[=~!<>]=|[<>])\s*[\w.*+!-]+"
#: the name of any package at the beginning of a requirement
NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?(?![\w.-]*://)")
REQUIREMENT = re.compile(
    rf"""
    (?P<name> flask[-_.]+socketio ) (?![\w.-])
    \s* (?P<extras> \[ [^\]]* \] )?
    \s* \(? \s* (?P<version> {CLAUSE} (?: \s*,\s* {CLAUSE} )* )? \s* \)?
    \s* (?P<rest> .* )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
#: a marker, a comment, an option of pip, or a line that goes on
HARMLESS = re.compile(r";|\#|\\(?:\r\n|\r|\n)|--(?!hash)[a-z]|$")


class Dependency(NamedTuple):
    """A package that a file requires, and where."""

    name: str
    path: str
    line: int


@dataclass(frozen=True)
class Rewritten:
    """What becomes of one file."""

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    #: all that it requires, before the edits
    dependencies: tuple[Dependency, ...] = ()


def like(name: str) -> str:
    """Our package's name, in capitals and with the separator as theirs was written."""
    new = "Flask-Realtime" if any(c.isupper() for c in name) else NEW_PACKAGE
    return new.replace("-", "_") if "_" in name else new


def replace_requirements(source: Source, path: str, spans: Iterable[tuple[int, int]]) -> Rewritten:
    """Replace Flask-SocketIO among some requirements.

    :param spans: where they are: each begins with the requirement itself.
    """
    spans = list(spans)
    dependencies = tuple(_dependencies(source, path, spans))
    theirs = [match for start, end in spans if (match := REQUIREMENT.match(source.text, start, end))]
    if any(dependency.name == NEW_PACKAGE for dependency in dependencies):
        return Rewritten((), tuple(_both(source, path, match) for match in theirs), dependencies)
    edits: list[Edit] = []
    findings: list[Finding] = []
    for match in theirs:
        if HARMLESS.match(match["rest"]) and "--hash" not in match["rest"]:
            edits += _edits(match)
            findings += _lost(source, path, match)
        else:
            findings.append(_by_hand(source, path, match))
    return Rewritten(tuple(edits), tuple(findings), dependencies)


def _dependencies(source: Source, path: str, spans: Iterable[tuple[int, int]]) -> Iterator[Dependency]:
    for start, end in spans:
        match = NAME.match(source.text, start, end)
        if match:
            yield Dependency(canonical(match[0]), path, source.line_of(start))


def _edits(match: re.Match[str]) -> Iterator[Edit]:
    yield Edit(*match.span("name"), like(match["name"]))
    if match["extras"]:
        yield Edit(*match.span("extras"), "")
    if match["version"]:
        yield Edit(*match.span("version"), f">={REQUIRED}")


def _lost(source: Source, path: str, match: re.Match[str]) -> Iterator[Finding]:
    line = source.line_of(match.start())
    if match["extras"]:
        what = f"{match['name']}{match['extras']}: the extras are left out"
        yield Finding(path, line, "extras", NOTE, what, "Ours are named in docs/deployment.md.")
    if match["version"] and match["version"].startswith("=="):
        what = f"{match['version']} was one version, >={REQUIRED} is not"
        yield Finding(path, line, "pin", NOTE, what, "Pin it again, as you do for the others.")


def _both(source: Source, path: str, match: re.Match[str]) -> Finding:
    line = source.line_of(match.start())
    what = f"{match['name']} and {NEW_PACKAGE} are both required"
    return Finding(path, line, "both-required", TODO, what, f"Remove the requirement on {OLD_PACKAGE}.")


def _by_hand(source: Source, path: str, match: re.Match[str]) -> Finding:
    what = "with hashes" if "--hash" in match["rest"] else "from an address, or in an unusual form"
    advice = (
        "Compile the file anew." if "--hash" in match["rest"] else f"Replace it by {like(match['name'])}."
    )
    line = source.line_of(match.start())
    return Finding(path, line, "requirement", TODO, f"{match['name']} {what}", advice)
