"""``python -m benchmarks``: run the benchmarks; print their tables, and write tables, plots and values."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from . import report, runner
from .cells import CELLS, QUICK, SIZES, Cell, Plan, plan, within
from .compiled import compiled, install
from .errors import BenchmarkError
from .procfs import allow_descriptors, open_files
from .progress import say
from .results import Results
from .servers import ROOT, SERVERS, Server, missing

FOLDER = ROOT / "build" / "benchmarks"
RESULTS = "results.json"
COMPILED = ROOT / "build" / "benchmarks-compiled"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 where something could not be measured; 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (BenchmarkError, OSError, msgspec.ValidationError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as shells have it


# The commands


def _run(options: argparse.Namespace) -> int:
    runner.check_machine()
    allow_descriptors()
    chosen = _plan(options)
    if options.compiled:
        install(COMPILED)
    results = runner.new_results(chosen)
    folder = report.IMAGES if options.docs else options.out
    try:
        runner.run(chosen, results)
    finally:
        results.write(folder / RESULTS)
    _publish(results, folder, docs=options.docs)
    return 1 if results.failures else 0


def _plan(options: argparse.Namespace) -> Plan:
    chosen = options.servers or [s for s in SERVERS if s.key in SIZES or not options.quick]
    servers = [server for server in chosen if _installed(server)]
    if not servers:
        raise BenchmarkError("none of the servers is installed")
    if options.compiled:
        servers = [compiled(server, COMPILED) for server in servers]
    keys = options.cells or (QUICK if options.quick else tuple(CELLS))
    repeats = options.repeats or (1 if options.quick else 3)
    return _fitting(plan(servers, keys, repeats, quick=options.quick))


def _installed(server: Server) -> bool:
    lacking = missing(server)
    if lacking:
        say(f"left out: {server}: {' and '.join(lacking)} not installed")
    return not lacking


def _fitting(whole: Plan) -> Plan:
    """Without what needs more open files than a process may have."""
    files = open_files()
    cells: list[Cell] = []
    for cell in whole.cells:
        fitting = within(cell, files)
        if fitting != cell:
            say(
                f"{'left out' if fitting is None else 'less'}: {cell.key}: a process may open {files:,} files"
            )
        if fitting is not None:
            cells.append(fitting)
    return Plan(cells, whole.servers, whole.repeats, whole.seconds)


def _plot(options: argparse.Namespace) -> int:
    results = Results.read(options.file)
    folder = report.IMAGES if options.docs else options.out
    results.write(folder / RESULTS)
    _publish(results, folder, docs=options.docs)
    return 0


def _publish(results: Results, folder: Path, *, docs: bool) -> None:
    """The tables on the terminal, and everything as files."""
    print(report.terminal(results))
    page = report.DOCS if docs else folder / "results.md"
    text = report.markdown(results, _draw(results, folder), page.parent)
    if docs:
        report.update_docs(page, text)
    else:
        page.write_text(text + "\n")
    say(f"written: {page} and {folder}")


def _draw(results: Results, folder: Path) -> dict[str, Path]:
    try:
        from .plots import draw
    except ImportError as error:
        say(f"left out: the plots: {error}")
        return {}
    return draw(results, folder)


def _micro(options: argparse.Namespace) -> int:
    from . import micro

    timings = micro.run(options.repeats or (3 if options.quick else 7), 0.02 if options.quick else 0.2)
    print(micro.report(timings))
    if options.json is not None:
        values = [timing.as_dict() for timing in timings]
        options.json.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    return 0


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Measure Flask-Realtime beside other Socket.IO servers."
    )
    parser.set_defaults(command=_run)
    parser.add_argument("--quick", action="store_true", help="less of everything: rough figures, soon")
    parser.add_argument("--repeats", type=_positive, metavar="N", help="of each figure (default: 3)")
    parser.add_argument("--cells", type=_cells, metavar="A,B", help=f"some only, of {', '.join(CELLS)}")
    names = ", ".join(server.key for server in SERVERS)
    parser.add_argument("--servers", type=_servers, metavar="A,B", help=f"some only, of {names}")
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="measure what a wheel holds, not the source (see setup.py)",
    )
    _add_output(parser)
    commands = parser.add_subparsers(title="other commands", metavar="")
    plot = commands.add_parser("plot", help="draw plots and tables again, from the values of a run")
    plot.set_defaults(command=_plot)
    plot.add_argument("file", type=Path, metavar=RESULTS)
    _add_output(plot)
    micro = commands.add_parser("micro", help="time single steps of the package, in one process")
    micro.set_defaults(command=_micro)
    micro.add_argument("--quick", action="store_true", help="rough figures, soon")
    micro.add_argument("--repeats", type=_positive, metavar="N", help="of each figure (default: 7)")
    micro.add_argument("--json", type=Path, metavar="FILE", help="write every value here too")
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=FOLDER, metavar="FOLDER", help="for the files (default: build/benchmarks)"
    )
    parser.add_argument("--docs", action="store_true", help="into docs/benchmarks.md and its images instead")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _cells(text: str) -> list[str]:
    return [key for key in CELLS if key in _known(text, CELLS)]


def _servers(text: str) -> list[Server]:
    names = _known(text, [server.key for server in SERVERS])
    return [server for server in SERVERS if server.key in names]


def _known(text: str, names: Sequence[str] | dict[str, Cell]) -> list[str]:
    """The names of a list, all of which have to be known."""
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in names]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
