"""The tables of a run, in Markdown that a terminal shows well, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .results import Results

__all__ = ["COMPANIES", "OPERATIONS", "TABLES", "Column", "Table", "rendered", "sections"]


@dataclass(frozen=True)
class Column:
    """One figure of each server."""

    title: str
    cell: str
    metric: str
    clients: int = 0


@dataclass(frozen=True)
class Table:
    """Figures of one kind.

    :param key: names its plot.
    :param unit: of the axis of its plot, where all columns have the same.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    unit: str = ""


MESSAGES = (
    ("echo, depth 1", "echo-1"),
    ("echo, depth 10", "echo-10"),
    ("ack, depth 1", "ack-1"),
    ("ack, depth 10", "ack-10"),
    ("polling echo", "polling"),
)
SIZES = (
    ("JSON, 64 B", "echo-10"),
    ("JSON, 1 KiB", "json-1k"),
    ("JSON, 64 KiB", "json-64k"),
    ("binary, 64 B", "binary-64"),
    ("binary, 1 KiB", "binary-1k"),
    ("binary, 64 KiB", "binary-64k"),
)
DELIVERIES = (
    ("broadcast to 100", "broadcast-100"),
    ("broadcast to 1,000", "broadcast-1000"),
    ("100 rooms of 10", "rooms"),
)
#: of a cell "growth"
OPERATIONS = {
    "connect": "connect",
    "disconnect": "disconnect",
    "join": "join a room",
    "leave": "leave a room",
    "room": "delivery of a room broadcast",
    "broadcast": "delivery of a broadcast to all",
    "echo": "echo",
}
#: of a cell "slow": what the fast handlers are beside
COMPANIES = ("alone", "sleep", "compute")
BESIDE = {"alone": "alone", "sleep": "beside sleepers", "compute": "beside computers"}


def _columns(cells: Sequence[tuple[str, str]], metric: str) -> tuple[Column, ...]:
    return tuple(Column(title, cell, metric) for title, cell in cells)


def _beside(metric: str) -> tuple[Column, ...]:
    return tuple(Column(BESIDE[company], "slow", f"{company} {metric}") for company in COMPANIES)


TABLES = (
    Table("messages", "Server CPU per message, µs", _columns(MESSAGES, "cpu"), "µs"),
    Table("rates", "Messages per second", _columns(MESSAGES, "rate"), "messages/s"),
    Table(
        "latency",
        "Latency at depth 1, 50 clients, ms",
        (
            Column("echo, median", "echo-1", "p50"),
            Column("echo, 99 %", "echo-1", "p99"),
            Column("ack, median", "ack-1", "p50"),
            Column("ack, 99 %", "ack-1", "p99"),
        ),
        "ms",
    ),
    Table("sizes", "Server CPU per message by size, µs", _columns(SIZES, "cpu"), "µs"),
    Table("deliveries", "Server CPU per delivery, µs", _columns(DELIVERIES, "cpu"), "µs"),
    Table("delivery-rates", "Deliveries per second", _columns(DELIVERIES, "rate"), "deliveries/s"),
    Table(
        "connections",
        "Connections",
        (
            Column("connects/s", "connects", "rate"),
            Column("CPU per connect, µs", "connects", "cpu"),
            Column("CPU per disconnect, µs", "connects", "disconnect"),
            Column("KiB per idle client, 1,000", "memory-1000", "memory", 1_000),
            Column("KiB per idle client, 10,000", "memory-10000", "memory", 10_000),
        ),
    ),
    Table("slow-latency", "Echo beside slow handlers: 99 % latency, ms", _beside("p99"), "ms"),
    Table("slow-median", "Echo beside slow handlers: median latency, ms", _beside("p50"), "ms"),
    Table("heartbeats", "Heartbeats beside slow handlers: latest, ms", _beside("heartbeat"), "ms"),
    Table("dropped", "Clients that were dropped beside slow handlers, of 25", _beside("dropped")),
)


def sections(results: Results) -> Iterator[tuple[str, str, str]]:
    """Key, title and Markdown of each table that has figures."""
    for table in TABLES:
        columns = [column for column in table.columns if results.has(column.cell)]
        if columns:
            head = ["", *(column.title for column in columns)]
            yield table.key, table.title, rendered([head, *_rows(results, columns)])
    if levels := results.levels("growth"):
        head = ["", *(f"{level:,}" for level in levels)]
        title = "Server CPU of one more, by the number of clients, µs"
        yield "growth", title, rendered([head, *_growth_rows(results, levels)])


def _rows(results: Results, columns: Sequence[Column]) -> Iterator[list[str]]:
    for server in results.servers:
        cells = [shown(results, server.key, c.cell, c.metric, c.clients) for c in columns]
        if any(cells):
            yield [str(server), *cells]


def _growth_rows(results: Results, levels: Sequence[int]) -> Iterator[list[str]]:
    for operation, name in OPERATIONS.items():
        for server in results.servers:
            cells = [shown(results, server.key, "growth", operation, level) for level in levels]
            if any(cells):
                yield [f"{name}: {server}", *cells]


def shown(results: Results, server: str, cell: str, metric: str, clients: int) -> str:
    """Median and spread; nothing where the server does not take part."""
    if results.failed(server, cell):
        return "error"
    series = results.find(server, cell, metric, clients)
    if series is None:
        return ""
    text = f"{'≥ ' if series.limited else ''}{rounded(series.median)}"
    return f"{text} ({series.spread:.0%})" if len(series.values) > 1 else text


def rounded(value: float) -> str:
    """Three digits or more."""
    return f"{value:,.{0 if value >= 100 or value == 0 else 1 if value >= 10 else 2}f}"


def rendered(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    filled = [[cell or "–" if column else cell for column, cell in enumerate(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    head, *body = (
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in filled
    )
    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([head, rule, *body])
