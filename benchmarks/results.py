"""What a run has found: every single value, and where it was run. It is kept as JSON."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec

__all__ = ["Entrant", "Failure", "Results", "Series"]


class Entrant(msgspec.Struct, frozen=True):
    """A server that took part."""

    key: str
    family: str
    name: str

    def __str__(self) -> str:
        return f"{self.family}, {self.name}"


class Series(msgspec.Struct):
    """The values of one figure, one for each repeat.

    :param clients: how many there were, where a cell measures with several numbers of clients; else 0.
    :param others: CPUs that other processes have used meanwhile, for each repeat.
    :param limited: the generator could do no more: it is at least this.
    """

    server: str
    cell: str
    metric: str
    clients: int
    values: list[float] = msgspec.field(default_factory=list)
    others: list[float] = msgspec.field(default_factory=list)
    limited: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """The distance of the extremes, as a fraction of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


class Failure(msgspec.Struct):
    """A cell that has no figures, and why."""

    server: str
    cell: str
    message: str


class Results(msgspec.Struct):
    """Of one run."""

    machine: dict[str, str]
    versions: dict[str, str]
    repeats: int
    seconds: float
    servers: list[Entrant]
    series: list[Series] = msgspec.field(default_factory=list)
    failures: list[Failure] = msgspec.field(default_factory=list)

    def find(self, server: str, cell: str, metric: str, clients: int = 0) -> Series | None:
        for series in self.series:
            if (series.server, series.cell, series.metric, series.clients) == (server, cell, metric, clients):
                return series
        return None

    def has(self, cell: str) -> bool:
        """Whether any server took part in a cell."""
        return any(s.cell == cell for s in self.series) or any(f.cell == cell for f in self.failures)

    def failed(self, server: str, cell: str) -> bool:
        return any((failure.server, failure.cell) == (server, cell) for failure in self.failures)

    def levels(self, cell: str) -> list[int]:
        """The numbers of clients that a cell was measured with."""
        return sorted({series.clients for series in self.series if series.cell == cell})

    def add(
        self, server: str, cell: str, metric: str, clients: int, value: float, others: float, *, limited: bool
    ) -> None:
        """The value of one more repeat."""
        series = self.find(server, cell, metric, clients)
        if series is None:
            series = Series(server, cell, metric, clients)
            self.series.append(series)
        series.values.append(value)
        series.others.append(others)
        series.limited = series.limited or limited

    def fail(self, server: str, cell: str, message: str) -> None:
        """A mistake in one repeat is enough: the cell has no figures."""
        self.failures.append(Failure(server, cell, message))
        self.series = [s for s in self.series if (s.server, s.cell) != (server, cell)]

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(self) + b"\n")

    @classmethod
    def read(cls, file: Path) -> Results:
        """:raises msgspec.ValidationError: it is not a file of results."""
        return msgspec.json.decode(file.read_bytes(), type=cls)
