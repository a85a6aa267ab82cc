"""``python -m benchmarks.load Echo '{"depth": 10}' --port 5000 --pid 4711``: prints figures, as JSON."""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Sequence
from typing import Any

from ..procfs import allow_descriptors
from .faults import Fault
from .loop import Loop
from .metering import rest
from .programs import PROGRAMS
from .target import Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one program. The exit status: 0, or 1 where the server made a mistake."""
    options = _parser().parse_args(arguments)
    allow_descriptors()
    gc.disable()  # all that is under way is known, and a process lasts for one program
    program = PROGRAMS[options.program](**_settings(options.settings))
    target = Target(options.port, options.pid, options.seconds, not options.unordered)
    try:
        with Loop() as loop:
            rest(loop, target.pid)  # it may still be busy with what was before
            report = program.run(loop, target)
    except (Fault, OSError) as error:
        print(f"benchmarks.load: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report.as_dict()))
    return 0


def _settings(text: str) -> dict[str, Any]:
    settings = json.loads(text)
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.load", description="Load a server.")
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("settings", nargs="?", default="{}", help="of the program, as JSON")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's first process")
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure (default: %(default)s)")
    parser.add_argument("--unordered", action="store_true", help="replies may come in any order")
    return parser


if __name__ == "__main__":
    sys.exit(main())
