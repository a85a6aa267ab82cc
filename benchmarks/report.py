"""Writes what a run has found: for the terminal, and as files, those of the documentation among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import BenchmarkError
from .results import Results
from .servers import ROOT
from .tables import sections

__all__ = ["DOCS", "IMAGES", "markdown", "terminal", "update_docs"]

DOCS = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images" / "benchmarks"
BEGIN, END = "<!-- results: written by `python -m benchmarks` -->", "<!-- end of results -->"


def terminal(results: Results) -> str:
    """All tables."""
    parts = [f"{title}\n\n{table}" for _, title, table in sections(results)]
    return "\n\n".join([*parts, *_failures(results)])


def markdown(results: Results, plots: Mapping[str, Path], folder: Path) -> str:
    """All tables and plots.

    :param plots: what :func:`.plots.draw` has drawn.
    :param folder: of the file that this is for.
    """
    parts = [_conditions(results)]
    for key, title, table in sections(results):
        parts.append(f"### {title}\n\n{table}")
        if key in plots:
            plot = plots[key].relative_to(folder)
            parts.append(f"![{title}]({plot.as_posix()})\n\n[as PNG]({plot.with_suffix('.png').as_posix()})")
    return "\n\n".join([*parts, *_failures(results)])


def _conditions(results: Results) -> str:
    others = [value for series in results.series for value in series.others]
    machine = ", ".join(f"{name}: {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    busy = f" Other processes had up to {max(others):.2f} processors meanwhile." if others else ""
    medians = f"Medians of up to {results.repeats} repeats; in brackets (maximum − minimum) / median."
    if results.repeats == 1:
        medians = "One run, without repeats: what differs little differs by chance."
    return f"{medians}{busy}\n\nMachine: {machine}.\n\nVersions: {versions}."


def _failures(results: Results) -> Iterator[str]:
    if results.failures:
        names = {server.key: str(server) for server in results.servers}
        lines = [f"- {names[f.server]}, {f.cell}: {f.message}" for f in results.failures]
        yield "\n".join(["Errors:", "", *lines])


def update_docs(file: Path, text: str) -> None:
    """Put the results between the marks of a page.

    :raises BenchmarkError: it has none.
    """
    page = file.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{file} has no place for results")
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
