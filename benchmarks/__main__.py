"""``python -m benchmarks``: run the benchmarks and print their tables."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from . import micro, server


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 where something could not be measured."""
    options = _parser().parse_args(arguments)
    results: dict[str, object] = {"python": platform.python_version(), "machine": platform.machine()}
    try:
        if options.which in ("micro", "all"):
            results["micro"] = _micro(options)
        if options.which in ("server", "all"):
            results["server"] = _server(options)
    except server.BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    finally:
        if options.json is not None:
            options.json.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    return 0


def _micro(options: argparse.Namespace) -> list[dict[str, object]]:
    timings = micro.run(options.repeats or (3 if options.quick else 7), 0.02 if options.quick else 0.2)
    print(micro.report(timings), end="\n\n")
    return [timing.as_dict() for timing in timings]


def _server(options: argparse.Namespace) -> list[dict[str, object]]:
    plan = server.QUICK if options.quick else server.FULL
    servers = server.available_servers(options.peer_python, plan.idle)
    figures = server.run(servers, plan, options.repeats or 3)
    print(server.report(figures))
    return [figure.as_dict() for figure in figures]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure Flask-Realtime.")
    parser.add_argument("which", nargs="?", choices=["micro", "server", "all"], default="all")
    parser.add_argument("--repeats", type=_positive, metavar="N", help="of each figure (micro: 7, server: 3)")
    parser.add_argument("--quick", action="store_true", help="less of everything: rough figures, soon")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value here too")
    parser.add_argument(
        "--peer-python",
        metavar="PATH",
        default=sys.executable,
        help="an interpreter that has Flask-SocketIO, if this one has not",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
