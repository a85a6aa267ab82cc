"""Timing of short functions."""

from __future__ import annotations

import gc
import statistics
import timeit
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Cell", "Timing", "measure"]


@dataclass(frozen=True)
class Cell:
    """One thing to time.

    :param make: sets it up, checks that it does what it should, and returns the function to call.
    :param operations: how many operations one call is.
    """

    name: str
    make: Callable[[], Callable[[], object]]
    operations: int = 1


@dataclass(frozen=True)
class Timing:
    """What a cell took: ns per operation, one value for each repeat."""

    name: str
    values: list[float]

    @property
    def best(self) -> float:
        """The least disturbed repeat: the one to compare."""
        return min(self.values)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def noise(self) -> float:
        """How far the median is above the best, as a fraction of it."""
        return self.median / self.best - 1

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "cell": self.name,
            "unit": "ns",
            "best": self.best,
            "median": self.median,
            "values": self.values,
        }


def measure(cell: Cell, repeats: int, seconds: float) -> Timing:
    """Call the cell's function for about ``seconds`` in each repeat."""
    # timeit switches the garbage collector off; a server has it on, so it is part of the cost.
    timer = timeit.Timer(cell.make(), setup=gc.enable)
    calls = _calls(timer, seconds)
    scale = 1e9 / calls / cell.operations
    return Timing(cell.name, [taken * scale for taken in timer.repeat(repeats, calls)])


def _calls(timer: timeit.Timer, seconds: float) -> int:
    """How many calls take about ``seconds``; finding out is the warm-up."""
    calls = 1
    while (taken := timer.timeit(calls)) < seconds / 4:
        calls *= 4
    return max(1, round(calls * seconds / taken))
