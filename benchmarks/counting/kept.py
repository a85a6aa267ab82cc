"""The counts that are kept in the repository, and what is said of new ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["KEPT", "MARGIN", "WIDE_MARGIN", "YARDSTICK", "Comparison", "Counts", "Line", "Verdict", "compare"]

KEPT = Path(__file__).with_name("counts.json")
YARDSTICK = "yardstick"

#: Of one source, on one build of the interpreter, runs are equal. But where objects lie in memory, which any
#: change may move, one layout differs from another by up to 1.6 %; the mean of two, by less.
MARGIN = 0.03
#: Another build of the same version has been up to 8 % off, after it was scaled by the yardstick.
WIDE_MARGIN = 0.15
#: How much the yardstick may differ on what is still the same build of a version.
SAME_BUILD = 0.01


@dataclass(frozen=True)
class Counts:
    """What was counted with one interpreter.

    :param interpreter: such as ``"CPython 3.11.7 x86_64"``.
    :param packages: the versions of those that are counted too.
    :param instructions: of one operation of each path.
    """

    interpreter: str
    packages: dict[str, str]
    instructions: dict[str, int]

    @property
    def yardstick(self) -> int:
        """Of the yardstick: how dear this build is."""
        return self.instructions[YARDSTICK]

    @property
    def series(self) -> str:
        """Such as ``"CPython 3.11 x86_64"``: others of the same series can be compared."""
        name, version, machine = self.interpreter.split()
        return f"{name} {version.rpartition('.')[0]} {machine}"


class Verdict(Enum):
    """What is said of a path."""

    SAME = ""
    DEARER = "DEARER"
    CHEAPER = "cheaper"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Line:
    """A path, and what it costs.

    :param kept: what was kept, scaled to this build; None where nothing was.
    """

    name: str
    now: int | None
    kept: int | None
    verdict: Verdict

    @property
    def change(self) -> float | None:
        """As a fraction of what was kept."""
        return None if self.now is None or not self.kept else self.now / self.kept - 1


@dataclass(frozen=True)
class Comparison:
    """New counts beside those that were kept.

    :param margin: a change beyond it is one.
    """

    now: Counts
    kept: Counts
    margin: float
    lines: list[Line]

    def names(self, *verdicts: Verdict) -> list[str]:
        """The paths of which this is said."""
        return [line.name for line in self.lines if line.verdict in verdicts]

    @property
    def same_build(self) -> bool:
        """The interpreter is one whose counts were kept."""
        return self.margin == MARGIN

    @property
    def moved_packages(self) -> list[str]:
        """Packages that have another version now: ``"flask 3.1.2 -> 3.1.3"``."""
        return [
            f"{name} {self.kept.packages.get(name, '?')} -> {version}"
            for name, version in self.now.packages.items()
            if self.kept.packages.get(name) != version
        ]


def compare(now: Counts, all_kept: Iterable[Counts]) -> Comparison | None:
    """Compare with the counts of the most similar interpreter; None where there is none of its series."""
    series = [counts for counts in all_kept if counts.series == now.series]
    if not series:
        return None
    kept = min(series, key=lambda counts: abs(counts.yardstick / now.yardstick - 1))
    scale = now.yardstick / kept.yardstick
    same_build = kept.interpreter == now.interpreter and abs(scale - 1) <= SAME_BUILD
    margin = MARGIN if same_build else WIDE_MARGIN
    names = sorted({*now.instructions, *kept.instructions} - {YARDSTICK})
    lines = [
        _line(name, now.instructions.get(name), kept.instructions.get(name), scale, margin) for name in names
    ]
    return Comparison(now, kept, margin, lines)


def _line(name: str, now: int | None, kept: int | None, scale: float, margin: float) -> Line:
    if kept is None:
        return Line(name, now, None, Verdict.NEW)
    kept = round(kept * scale)
    if now is None:
        return Line(name, None, kept, Verdict.GONE)
    if now > kept * (1 + margin):
        return Line(name, now, kept, Verdict.DEARER)
    if now < kept * (1 - margin):
        return Line(name, now, kept, Verdict.CHEAPER)
    return Line(name, now, kept, Verdict.SAME)


# The file: an object for each interpreter, a line for each path


def load(file: Path) -> list[Counts]:
    """What is kept in this file; nothing where there is none."""
    if not file.exists():
        return []
    return [
        Counts(interpreter, entry["packages"], entry["instructions"])
        for interpreter, entry in json.loads(file.read_text()).items()
    ]


def save(file: Path, all_kept: Iterable[Counts]) -> None:
    """Keep these."""
    entries = {
        counts.interpreter: {"instructions": counts.instructions, "packages": counts.packages}
        for counts in all_kept
    }
    file.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
