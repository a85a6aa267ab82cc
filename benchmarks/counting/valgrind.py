"""Have valgrind count the instructions of each path."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from . import paths
from .counted import ROOT
from .kept import Counts

__all__ = ["CountingError", "available", "count"]

#: Cachegrind without its caches is the fastest of the tools that count: 20 times slower than no valgrind.
TOOL = ("valgrind", "-q", "--tool=cachegrind", "--cache-sim=no")
TIMEOUT = 600  # seconds
#: in how many layouts of memory everything is counted (see :func:`.counted.move`)
LAYOUTS = 2


class CountingError(Exception):
    """Nothing could be counted."""


def available() -> bool:
    """Valgrind is installed."""
    return shutil.which(TOOL[0]) is not None


def count(
    which: Sequence[paths.Path] = (paths.YARDSTICK, *paths.PATHS), python: str = sys.executable
) -> Counts:
    """Instructions of one operation of each path: the mean of several layouts of memory.

    :param python: the interpreter, which needs Flask and msgspec.
    :raises CountingError: a path has failed.
    """
    counted = [_count(which, python, layout) for layout in range(LAYOUTS)]
    means = {path.name: round(fmean(each.instructions[path.name] for each in counted)) for path in which}
    return replace(counted[0], instructions=means)


def _count(which: Sequence[paths.Path], python: str, layout: int) -> Counts:
    operations = {path.name: path.operations for path in which}
    with tempfile.TemporaryDirectory() as directory:
        about, *runs = _run(python, layout, list(operations), directory)
        counted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for pid, name, rounds in runs:
            counted[name].append((rounds, instructions(Path(directory, str(pid)).read_text())))
    return Counts(
        about["interpreter"],
        about["packages"],
        {name: round(difference(runs) / operations[name]) for name, runs in counted.items()},
    )


def difference(runs: list[tuple[int, int]]) -> float:
    """Instructions of a round, of two runs of different lengths: all that they have in common cancels out."""
    (rounds, instructions), (more_rounds, more_instructions) = sorted(runs)
    return (more_instructions - instructions) / (more_rounds - rounds)


def instructions(text: str) -> int:
    """The total of a file that cachegrind has written: its last line is ``summary: N``.

    :raises CountingError: it is another file.
    """
    last = text.rstrip().rpartition("\n")[2]
    word, _, number = last.partition(":")
    if word != "summary":
        raise CountingError(f"cachegrind has written no summary, but {last[:100]!r}")
    return int(number)


def _run(python: str, layout: int, names: list[str], directory: str) -> list[Any]:
    # Where modules are compiled first, objects come to lie elsewhere in memory, and that counts too.
    subprocess.run(
        [python, "-m", "compileall", "-q", "flask_realtime", __package__.replace(".", "/")], cwd=ROOT
    )
    command = [*TOOL, f"--cachegrind-out-file={directory}/%p"]
    command += [python, "-m", f"{__package__}.counted", str(layout), *names]
    result = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=TIMEOUT
    )
    if result.returncode != 0:
        raise CountingError(f"{result.stderr.strip()}\n(exit status {result.returncode})")
    return [json.loads(line) for line in result.stdout.splitlines()]


def _environment() -> dict[str, str]:
    """The same everywhere: nothing of it may choose another way through the code."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
