"""The bar of :mod:`.progress`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["bar"]


class Bar:
    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def begin(self, server: str, cell: str) -> None:
        self._shown.update(self._task, description=f"{server}: {cell}")

    def end(self, seconds: float) -> None:
        self._shown.advance(self._task, seconds)


@contextlib.contextmanager
def bar(total: float) -> Iterator[Bar]:
    shown = Progress(
        TextColumn("{task.description:<45}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        refresh_per_second=2,  # a bar that turns faster is work beside the load
        speed_estimate_period=300,
    )
    with shown:
        yield Bar(shown, shown.add_task("", total=total))
