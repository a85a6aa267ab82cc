"""``python -m benchmarks.counting``: count, compare with what is kept, and fail where a path has moved."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import kept, valgrind
from .kept import Comparison, Counts, Line, Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 where something has moved or could not be counted."""
    options = _parser().parse_args(arguments)
    if not valgrind.available():
        required = os.environ.get("REQUIRE_ALL") == "1" or options.update
        print(f"counting: {'FAILED' if required else 'SKIPPED'}: valgrind is not installed", file=sys.stderr)
        return 1 if required else 0
    try:
        counted = [valgrind.count(python=python) for python in options.python or [sys.executable]]
    except valgrind.CountingError as error:
        print(f"counting: {error}", file=sys.stderr)
        return 1
    before = kept.load(options.file)
    reports = [report(counts, kept.compare(counts, before), options.update) for counts in counted]
    print("\n\n".join(text for text, _ in reports))
    if options.update:
        _keep(options.file, before, counted)
    return 0 if options.update or all(passed for _, passed in reports) else 1


def _keep(file: Path, before: Sequence[Counts], counted: Sequence[Counts]) -> None:
    # The others were counted with other source: to compare with them would say nothing of a change to come.
    kept.save(file, counted)
    dropped = {counts.interpreter for counts in before} - {counts.interpreter for counts in counted}
    if dropped:
        print(f"\nNo longer kept, for they were not counted now: {'; '.join(sorted(dropped))}.")


def report(counts: Counts, comparison: Comparison | None, updated: bool = False) -> tuple[str, bool]:
    """What is said of these counts, and whether they may stand."""
    if comparison is None:
        said = (
            "Kept from now on." if updated else "NOT COMPARED: nothing is kept for this series; see --update."
        )
        lines = [Line(name, count, None, Verdict.NEW) for name, count in sorted(counts.instructions.items())]
        return f"{table(counts.interpreter, lines)}\n{said}", True
    said = "Kept from now on." if updated else "\n".join(_conclusions(comparison))
    return f"{table(counts.interpreter, comparison.lines)}\n{said}", _passed(comparison)


def _passed(comparison: Comparison) -> bool:
    # Whoever has another build can't lower what is kept for this one.
    tolerated = {Verdict.SAME} if comparison.same_build else {Verdict.SAME, Verdict.CHEAPER}
    return all(line.verdict in tolerated for line in comparison.lines)


def table(interpreter: str, lines: Sequence[Line]) -> str:
    """A line for each path."""
    width = max(len(line.name) for line in lines)
    rows = [f"{interpreter}\n{'instructions':{width}}  {'now':>9}  {'kept':>9}  change"]
    for line in lines:
        now, before = (f"{value:,}" if value is not None else "-" for value in (line.now, line.kept))
        change = "-" if line.change is None else f"{line.change:+.1%}"
        rows.append(f"{line.name:{width}}  {now:>9}  {before:>9}  {change:>6}  {line.verdict.value}".rstrip())
    return "\n".join(rows)


def _conclusions(comparison: Comparison) -> list[str]:
    margin = f"{comparison.margin:.0%}"
    said = []
    if not comparison.same_build:
        said.append(
            f"Another build than that of {comparison.kept.interpreter}, whose counts are kept:"
            f" scaled by the yardstick, and with a margin of {margin} instead of {kept.MARGIN:.0%}."
        )
    dearer, cheaper = comparison.names(Verdict.DEARER), comparison.names(Verdict.CHEAPER)
    if dearer:
        said.append(f"DEARER by more than {margin}: {'; '.join(dearer)}. If it has to be, run with --update.")
    if cheaper:
        said.append(
            f"Cheaper by more than {margin}: {'; '.join(cheaper)}. Run with --update, so that it stays so."
        )
    if comparison.names(Verdict.NEW, Verdict.GONE):
        said.append("The paths are not those that are kept: run with --update.")
    if (dearer or cheaper) and comparison.moved_packages:
        said.append(f"It may not be ours: {', '.join(comparison.moved_packages)}.")
    return said or [f"All within {margin}."]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.counting", description="Count the instructions of the main paths."
    )
    parser.add_argument("--update", action="store_true", help="keep these counts, and no others, from now on")
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="count with this interpreter, which needs Flask and msgspec; may be repeated (this one)",
    )
    parser.add_argument("--file", type=Path, default=kept.KEPT, help="where counts are kept (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
