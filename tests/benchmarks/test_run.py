"""Servers are measured, and what was measured is shown. How long anything takes is not looked at."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("uses epoll and /proc", allow_module_level=True)

from benchmarks import __main__, cells, micro, progress, report, runner, servers, tables, timing
from benchmarks.cells import CELLS, Cell, Plan
from benchmarks.errors import BenchmarkError
from benchmarks.load.programs import Connects, Echo, Groups, Growth, Memory, Polling, Slow
from benchmarks.results import Entrant, Failure, Results
from benchmarks.servers import SERVERS, Server

Require = Callable[[str, object], None]
BY_KEY = {server.key: server for server in SERVERS}


@pytest.fixture(autouse=True)
def _short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WARM", 0.02)


# Running


def tiny(cell: Cell, *, fresh: bool = False) -> Cell:
    """The same with as little as it can do, and without a server of its own for it."""
    program = cell.program
    match program:
        case Echo():
            program = replace(program, clients=2)
        case Groups():
            program = replace(program, groups=min(2, program.groups), members=2)
        case Polling():
            program = replace(program, clients=2)
        case Connects():
            program = replace(program, clients=3, rounds=2)
        case Memory():
            program = Memory((3,))
        case Growth():
            program = Growth((3,), sample=4, warm_ups=0)
        case Slow():
            program = replace(program, idle=2, lasting=0.05, ping_interval=0.2)
    environ = tuple((name, "0.2" if cell.key == "slow" else value) for name, value in cell.environ)
    return replace(cell, program=program, environ=environ, servers=None, clients=10, fresh=fresh)


def measured(server: Server, keys: list[str], require: Require, fresh: str = "") -> Results:
    require(f"for {server}: {', '.join(servers.missing(server))}", not servers.missing(server))
    plan = Plan([tiny(CELLS[key], fresh=key == fresh) for key in keys], [server], repeats=1, seconds=0.05)
    results = runner.new_results(plan)
    runner.run(plan, results)
    assert results.failures == []
    return results


def test_every_cell(require: Require) -> None:
    results = measured(BY_KEY["threads"], list(CELLS), require, fresh="slow")
    assert {series.cell for series in results.series} == set(CELLS)
    assert all(len(series.values) == len(series.others) == 1 for series in results.series)
    assert results.levels("growth") == [3]
    figures = {series.metric for series in results.series if series.cell == "growth"}
    assert figures == set(tables.OPERATIONS)
    costs = [series.median for series in results.series if series.metric in ("cpu", "rate", "p50")]
    assert min(costs) > 0
    shown = report.terminal(results)
    assert all(table.title in shown for table in tables.TABLES)
    assert "error" not in shown


@pytest.mark.parametrize("key", ["uvicorn-async", "flask-socketio-gevent", "python-socketio", "node"])
def test_every_handler(key: str, require: Require) -> None:
    """Of each library, and the coroutines."""
    measured(BY_KEY[key], ["ack-1", "binary-1k", "broadcast-100", "rooms", "slow"], require)


@pytest.mark.parametrize("server", [s for s in SERVERS if s.key != "threads"], ids=lambda server: server.key)
def test_every_server(server: Server, require: Require) -> None:
    measured(server, ["echo-1", "polling"], require)


def test_a_mistake_is_an_error_and_never_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the cells after it are measured, on another process of the server."""
    cheat = replace(BY_KEY["threads"], command=servers.python("-c", CHEAT))
    chosen = [tiny(CELLS[key]) for key in ("echo-1", "ack-1", "echo-10")]
    plan = Plan(chosen, [cheat], repeats=2, seconds=0.05)
    results = runner.new_results(plan)
    runner.run(plan, results)
    assert [(f.server, f.cell) for f in results.failures] == [("threads", "ack-1")]
    assert "instead of" in results.failures[0].message
    assert {series.cell: len(series.values) for series in results.series if series.metric == "cpu"} == {
        "echo-1": 2,
        "echo-10": 2,
    }
    shown = report.terminal(results)
    assert "error" in tables.shown(results, "threads", "ack-1", "cpu", 0)
    assert f"- {cheat}, ack-1: " in shown


# It acknowledges what it was not sent.
CHEAT = """
import sys
from benchmarks.apps import flask_app
flask_app.socketio.on_event("ack", lambda data: {**data, "number": 1})
flask_app.main(int(sys.argv[1]))
"""


def test_a_server_that_does_not_start() -> None:
    server = replace(BY_KEY["threads"], command=servers.python("-c", "raise SystemExit('no, thanks')"))
    plan = Plan([tiny(CELLS["echo-1"]), tiny(CELLS["slow"], fresh=True)], [server], repeats=2, seconds=0.05)
    results = runner.new_results(plan)
    runner.run(plan, results)
    message = "it did not start: no, thanks"
    assert results.failures == [Failure("threads", cell, message) for cell in ("echo-1", "slow")]


def test_lines_instead_of_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress(10) as shown:
        for cell in ("a", "b"):
            shown.begin("one", cell)
            shown.end(2)
        shown.begin("two", "a")
    assert capsys.readouterr().err == "one\ntwo\n"


def test_bar(capsys: pytest.CaptureFixture[str], require: Require) -> None:
    require("rich", _installed("rich"))
    from benchmarks.progress_bar import bar

    with bar(10) as shown:
        shown.begin("a server", "a cell")
        shown.end(5)
    written = capsys.readouterr().err
    assert "a server: a cell" in written
    assert "50%" in written


# What takes part


def test_keys_are_known() -> None:
    keys = set(BY_KEY)
    assert len(keys) == len(SERVERS)
    for cell in CELLS.values():
        assert set(cell.servers or ()) <= keys
    shown = {column.cell for table in tables.TABLES for column in table.columns}
    assert shown | {"growth"} == set(CELLS)


def test_who_takes_part() -> None:
    threads = BY_KEY["flask-socketio-threads"]
    assert CELLS["memory-1000"].takes_part(threads)
    assert not CELLS["memory-10000"].takes_part(threads)
    assert not CELLS["growth"].takes_part(BY_KEY["gthread"])
    assert CELLS["echo-1"].takes_part(BY_KEY["gthread"])


def test_few_open_files() -> None:
    assert cells.within(CELLS["growth"], 100_000) == CELLS["growth"]
    fewer = cells.within(CELLS["growth"], 4_096)
    assert fewer is not None
    assert isinstance(fewer.program, Growth)
    assert fewer.program.levels == (100, 300, 1_000, 3_000)
    memory = cells.within(CELLS["memory-10000"], 4_096)
    assert memory is not None
    assert memory.program == Memory((1_000, 3_000))
    assert cells.within(CELLS["broadcast-1000"], 1_024) is None


# Showing


def some_results() -> Results:
    """As if everything had been measured, twice."""
    shown = [BY_KEY[key] for key in ("threads", "flask-socketio-gevent", "node")]
    entrants = [Entrant(s.key, s.family, s.name) for s in shown]
    results = Results({"processor": "quick"}, {"Python": "3"}, 2, 1.0, entrants)
    metrics = {(c.cell, c.metric, c.clients) for table in tables.TABLES for c in table.columns}
    metrics |= {("growth", operation, level) for operation in tables.OPERATIONS for level in (100, 1_000)}
    metrics |= {("memory-10000", "memory", 1_000)}
    for place, server in enumerate(shown):
        for cell, metric, clients in sorted(metrics):
            for value in (10.0, 11.0):
                results.add(
                    server.key, cell, metric, clients, value * (place + 1), 0.25, limited=cell == "ack-1"
                )
    return results


def test_results_are_kept(tmp_path: Path) -> None:
    results = some_results()
    results.fail("node", "echo-1", "a reply was lost")
    file = tmp_path / "folder" / "results.json"
    results.write(file)
    assert Results.read(file) == results
    assert results.find("node", "echo-1", "cpu") is None
    assert "error" in report.terminal(results)


def test_table() -> None:
    results = some_results()
    assert tables.shown(results, "threads", "echo-1", "cpu", 0) == "10.5 (10%)"
    assert tables.shown(results, "threads", "ack-1", "rate", 0) == "≥ 10.5 (10%)"
    assert tables.shown(results, "threads", "nothing", "cpu", 0) == ""
    assert tables.rendered([["", "a"], ["row", "1,000"]]).split("\n") == [
        "|     |     a |",
        "|-----|------:|",
        "| row | 1,000 |",
    ]
    assert [tables.rounded(value) for value in (0, 1.234, 12.34, 1_234)] == ["0", "1.23", "12.3", "1,234"]


def _installed(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None


def test_plots(tmp_path: Path, require: Require) -> None:
    require("matplotlib", _installed("matplotlib"))
    from benchmarks import plots

    drawn = plots.draw(some_results(), tmp_path)
    assert set(drawn) == {*plots.BARS, "growth", "slow-latency"}
    for file in drawn.values():
        assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert file.read_text().startswith("<?xml")


def test_plots_of_few_figures(tmp_path: Path, require: Require) -> None:
    require("matplotlib", _installed("matplotlib"))
    from benchmarks import plots

    results = some_results()
    results.series = [series for series in results.series if series.cell == "echo-1"][:1]
    (first,) = plots.draw(results, tmp_path).values()
    (again,) = plots.draw(results, tmp_path / "again").values()
    assert first.read_text() == again.read_text(), "the same results are drawn in the same way"
    results.series = []
    assert plots.draw(results, tmp_path) == {}


def test_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    image = tmp_path / "images" / "messages.svg"
    report.update_docs(page, report.markdown(some_results(), {"messages": image}, tmp_path))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "(images/messages.svg)" in text
    assert "0.25 processors" in text
    page.write_text("nothing")
    with pytest.raises(BenchmarkError, match="no place"):
        report.update_docs(page, "text")


def test_the_page_of_the_documentation_has_a_place() -> None:
    text = report.DOCS.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


# The command line


def test_run_and_plot_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CELLS, "echo-1", tiny(CELLS["echo-1"]))
    arguments = ["--quick", "--servers=threads", "--cells=echo-1", "--repeats=2", f"--out={tmp_path}"]
    assert __main__.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Server CPU per message" in shown
    assert (tmp_path / "results.md").read_text().count("| Flask-Realtime, Werkzeug |") == 3
    values = json.loads((tmp_path / "results.json").read_text())["series"][0]["values"]
    assert len(values) == 1  # a quick run has no repeats
    again = tmp_path / "again"
    assert __main__.main(["plot", str(tmp_path / "results.json"), f"--out={again}"]) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("arguments", [["--cells=none"], ["--servers=none"], ["--repeats=0"], ["plot"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        __main__.main(arguments)
    assert "usage" in capsys.readouterr().err


def test_a_file_that_has_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    file.write_text("{}")
    assert __main__.main(["plot", str(file)]) == 1
    assert "missing required field" in capsys.readouterr().err


# Single steps


@pytest.mark.parametrize("cell", list(micro.cells()), ids=lambda cell: cell.name)
def test_micro_cell(cell: timing.Cell) -> None:
    result = timing.measure(cell, repeats=2, seconds=0)
    assert len(result.values) == 2
    assert cell.name in micro.report([result])


def test_micro(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro, "cells", lambda: iter([timing.Cell("nothing", lambda: int)]))
    file = tmp_path / "micro.json"
    assert __main__.main(["micro", "--quick", "--repeats=2", f"--json={file}"]) == 0
    assert "nothing" in capsys.readouterr().out
    assert len(json.loads(file.read_text())[0]["values"]) == 2
