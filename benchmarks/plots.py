"""The plots of a run, as PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from .results import Entrant, Results, Series
from .tables import COMPANIES, OPERATIONS, TABLES, Column, Table, rounded

__all__ = ["draw"]

WIDTH = 10.0  # inches
DPI = 110
# The same results give the same file.
SETTINGS: Any = {
    "svg.hashsalt": "Flask-Realtime",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
# Told apart by those who see fewer colours, too.
FAMILIES = {
    "Flask-Realtime": ("#0b3c8c", "#1f5fc4", "#3d82e6", "#6ba3f0", "#8fbdf5", "#b4d4fa"),
    "Flask-SocketIO": ("#b3480b", "#e07b39"),
    "python-socketio": ("#8a6d00",),
    "Node socket.io": ("#4a4a4a",),
}
MARKERS = "osD^v<>Ph*"
#: the tables that are drawn as bars
BARS = {"messages", "rates", "latency", "sizes", "deliveries", "delivery-rates", "connections"}


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """All plots for which there are figures.

    :return: the SVG file of each, by the key of its table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Path] = {}
    with mpl.rc_context(SETTINGS):
        for key, figure in _figures(results).items():
            for kind, metadata in METADATA.items():
                file = folder / f"{key}.{kind}"
                figure.savefig(file, metadata=metadata, dpi=DPI, facecolor="white")
                if kind == "svg":
                    drawn[key] = file
                    _strip(file)
    return drawn


def _strip(file: Path) -> None:
    """Spaces at the ends of lines, which version control complains about."""
    file.write_text("\n".join(line.rstrip() for line in file.read_text().split("\n")))


def _figures(results: Results) -> dict[str, Figure]:
    figures: dict[str, Figure | None] = {
        table.key: _bars(results, table) for table in TABLES if table.key in BARS
    }
    figures["growth"] = _growth(results)
    figures["slow-latency"] = _slow(results)
    return {key: figure for key, figure in figures.items() if figure is not None}


def colours(servers: Sequence[Entrant]) -> dict[str, str]:
    """Shades of one colour for each family."""
    shades = {family: list(found) for family, found in FAMILIES.items()}
    return {server.key: shades[server.family].pop(0) for server in servers}


def error_of(series: Series) -> tuple[float, float]:
    """From the median down to the least value, and up to the greatest."""
    return series.median - min(series.values), max(series.values) - series.median


def _grid(panels: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes[:panels]


# Bars: a panel for each column of a table


def _bars(results: Results, table: Table) -> Figure | None:
    columns = [column for column in table.columns if _servers_of(results, column)]
    if not columns:
        return None
    servers = [s for s in results.servers if any(s in _servers_of(results, column) for column in columns)]
    figure, axes = _grid(len(columns), min(3, len(columns)), 0.9 + 0.2 * len(servers))
    for number, (column, axis) in enumerate(zip(columns, axes, strict=True)):
        _bar_panel(axis, results, column, servers, names=number % 3 == 0)
        axis.set_xlabel(table.unit or column.title)
        axis.set_title(column.title if table.unit else "")
    figure.suptitle(table.title)
    return figure


def _servers_of(results: Results, column: Column) -> list[Entrant]:
    return [s for s in results.servers if _find(results, s, column) is not None]


def _find(results: Results, server: Entrant, column: Column) -> Series | None:
    return results.find(server.key, column.cell, column.metric, column.clients)


def _bar_panel(
    axis: Axes, results: Results, column: Column, servers: Sequence[Entrant], *, names: bool
) -> None:
    shades = colours(results.servers)
    most = 0.0
    for place, server in enumerate(servers):
        series = _find(results, server, column)
        if series is None:
            continue
        low, high = error_of(series)
        most = max(most, series.median + high)
        axis.barh(place, series.median, xerr=[[low], [high]], color=shades[server.key], ecolor="#222222")
        text = f" {'≥ ' if series.limited else ''}{rounded(series.median)}"
        axis.annotate(text, (series.median + high, place), va="center", fontsize=8)
    axis.set_yticks(
        range(len(servers)), [str(server) for server in servers] if names else [""] * len(servers)
    )
    axis.invert_yaxis()
    axis.set_xlim(0, most * 1.25 or 1)


# Lines: a panel for each operation


def _growth(results: Results) -> Figure | None:
    levels = results.levels("growth")
    if not levels:
        return None
    panels = [("growth", operation, title, "µs") for operation, title in OPERATIONS.items()]
    if memory := results.levels("memory-10000"):
        panels.append(("memory-10000", "memory", "memory per idle client", "KiB"))
    figure, axes = _grid(len(panels), 4, 2.5)
    for (cell, metric, title, unit), axis in zip(panels, axes, strict=True):
        _lines(axis, results, cell, metric)
        _growth_axis(axis, levels if cell == "growth" else memory, title, unit)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Server CPU of one more, by the number of clients")
    return figure


def _lines(axis: Axes, results: Results, cell: str, metric: str) -> None:
    shades = colours(results.servers)
    for place, server in enumerate(results.servers):
        points = [results.find(server.key, cell, metric, level) for level in results.levels(cell)]
        found = [point for point in points if point is not None]
        if found:
            _line(axis, found, shades[server.key], MARKERS[place], str(server))


def _line(axis: Axes, points: Sequence[Series], colour: str, marker: str, label: str) -> None:
    low, high = zip(*map(error_of, points), strict=True)
    axis.errorbar(
        [point.clients for point in points],
        [point.median for point in points],
        yerr=[low, high],
        color=colour,
        marker=marker,
        markersize=4,
        capsize=2,
        label=label,
    )


def _growth_axis(axis: Axes, levels: Sequence[int], title: str, unit: str) -> None:
    axis.set_title(title)
    axis.set_xscale("log")
    axis.set_xticks(levels, [_short(level) for level in levels])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_ylim(bottom=0)
    axis.set_xlabel("clients")
    axis.set_ylabel(unit)


def _short(level: int) -> str:
    return f"{level // 1000}k" if level >= 1_000 else str(level)


# Dots: what slow handlers do to fast ones and to heartbeats


def _slow(results: Results) -> Figure | None:
    servers = [s for s in results.servers if results.find(s.key, "slow", "alone p99") is not None]
    if not servers:
        return None
    figure, axes = _grid(3, 3, 1.5 + 0.25 * len(servers))
    panels = (
        ("p50", "echo, median latency"),
        ("p99", "echo, 99 % latency"),
        ("heartbeat", "latest heartbeat"),
    )
    for number, ((metric, title), axis) in enumerate(zip(panels, axes, strict=True)):
        for place, company in enumerate(COMPANIES):
            found = [results.find(server.key, "slow", f"{company} {metric}") for server in servers]
            _dots(axis, found, ("#3d82e6", "#2a9d55", "#c2410c")[place], MARKERS[place], company)
        axis.set_yticks(range(len(servers)), [str(s) for s in servers] if not number else [""] * len(servers))
        axis.set_ylim(len(servers) - 0.5, -0.5)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(_plain))
        axis.set_xlabel("ms")
        axis.set_title(title)
        axis.grid(axis="y", color="#dddddd")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Beside slow handlers")
    return figure


def _dots(axis: Axes, points: Sequence[Series | None], colour: str, marker: str, company: str) -> None:
    label = {
        "alone": "alone",
        "sleep": "beside handlers that sleep",
        "compute": "beside handlers that compute",
    }
    places = [place for place, point in enumerate(points) if point is not None]
    found = [point for point in points if point is not None]
    low, high = zip(*map(error_of, found), strict=True)
    axis.errorbar(
        [max(point.median, LEAST) for point in found],
        places,
        xerr=[low, high],
        color=colour,
        marker=marker,
        linestyle="none",
        capsize=2,
        label=label[company],
    )


LEAST = 0.01  # ms: zero has no place on a logarithmic axis


def _plain(value: float, position: object) -> str:
    return f"{value:g}"
