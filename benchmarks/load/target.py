"""What a program is told of the server, and what it tells in return."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from .metering import Usage

__all__ = ["Figure", "Report", "Target"]


@dataclass(frozen=True)
class Target:
    """The server to load.

    :param pid: its first process.
    :param seconds: how long to measure; before it, a part of that is warm-up.
    :param ordered: whether it promises to answer a client's events in their order.
    """

    port: int
    pid: int
    seconds: float = 1.0
    ordered: bool = True

    @property
    def warm_up(self) -> float:
        return self.seconds * 0.3


@dataclass(frozen=True)
class Figure:
    """One value.

    :param clients: how many there were, where a program measures with several numbers of clients.
    :param limited: it is the generator's figure rather than the server's, which could do more.
    """

    metric: str
    value: float
    clients: int = 0
    limited: bool = False


@dataclass
class Report:
    """What a program has measured."""

    figures: list[Figure] = field(default_factory=list)
    #: CPUs that others than server and generator have used; of several windows, the most
    others: float = 0.0

    def add(self, metric: str, value: float, clients: int = 0, *, limited: bool = False) -> None:
        self.figures.append(Figure(metric, value, clients, limited))

    def add_cost(self, usage: Usage, operations: int, clients: int = 0, *, per_second: bool = True) -> None:
        """CPU of the server for each operation, and operations per second."""
        self.add("cpu", usage.server * 1e6 / operations, clients)
        if per_second:
            self.add("rate", operations / usage.seconds, clients, limited=usage.generator_limits)
        self.saw(usage)

    def saw(self, usage: Usage) -> None:
        self.others = max(self.others, usage.others)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)
