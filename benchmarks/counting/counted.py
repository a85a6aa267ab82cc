"""The process that runs under valgrind: ``python -m benchmarks.counting.counted LAYOUT NAME...``.

It forks a child for each run, so that none meets what another has left behind, while Python is started and
Flask imported once only. Valgrind counts each child apart (and what its parent has done before too, which the
difference of two children takes away again).
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import paths

__all__ = ["ROOT", "check_plain", "interpreter", "main", "move", "only_source", "packages"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "flask_realtime"
#: the extra "speed"
OPTIONAL = ("websockets",)


def main(layout: int, names: Sequence[str]) -> int:
    """Run these paths.

    :param layout: how objects lie in memory: see :func:`move`.

    Prints JSON: a line that says what runs them, and one for each child, ``[pid, name, rounds]``.
    """
    moved = move(layout)
    only_source()
    from . import paths

    check_plain()
    print(json.dumps({"interpreter": interpreter(), "packages": packages()}), flush=True)
    chosen = [path for path in (paths.YARDSTICK, *paths.PATHS) if path.name in names]
    runs = [(path, rounds) for path in chosen for rounds in (path.warm_up, path.warm_up + path.rounds)]
    gc.collect()
    gc.freeze()  # what the imports have made is not looked at again whenever the collector comes
    status = _fork_all(runs, len(os.sched_getaffinity(0)))
    del moved  # it had to be there until now
    return status


def move(layout: int) -> list[object]:
    """Have what is made from now on lie elsewhere in memory, while this lives.

    The interpreter has tables that are addressed by where an object lies, and by the number of a type. What
    falls on one place there is a matter of luck, and costs instructions; another layout has other luck.
    """
    names = [sys.intern("x" * (size % 56 + 1) + str(size)) for size in range(layout * 331)]
    types: list[object] = [type("Type", (), {}) for _ in range(layout * 97)]
    for each in types:
        getattr(each, "anything", None)  # it is numbered when something is first looked up
    return [*names, *types]


def only_source() -> None:
    """Import the package from this tree's source, even where compiled modules lie beside it.

    And without the optional libraries that replace parts of it: they are installed here and not there.
    """
    for name in OPTIONAL:
        sys.modules[name] = None  # type: ignore[assignment] # an ImportError for whoever asks
    sys.path.insert(0, str(ROOT))
    inside = str(ROOT / PACKAGE)

    def finder(directory: str) -> FileFinder:
        if directory != inside and not directory.startswith(inside + os.sep):
            raise ImportError(directory)
        return FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)


def check_plain() -> None:
    """
    :raises SystemExit: the package comes from elsewhere, or is compiled.
    """
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.partition(".")[0] == PACKAGE and not (
            file.startswith(str(ROOT) + os.sep) and file.endswith(".py")
        ):
            raise SystemExit(f"{name} is {file}: what is counted is the source in {ROOT}")


def interpreter() -> str:
    """Such as ``"CPython 3.11.7 x86_64"``."""
    return f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"


def packages() -> dict[str, str]:
    """The versions of the packages whose instructions are counted too."""
    return {name: metadata.version(name) for name in ("flask", "msgspec", "werkzeug")}


def _fork_all(runs: list[tuple[paths.Path, int]], at_once: int) -> int:
    failed = running = 0
    for path, rounds in runs:
        if running == at_once:
            failed += _ended()
            running -= 1
        print(json.dumps([_fork(path, rounds), path.name, rounds]), flush=True)
        running += 1
    for _ in range(running):
        failed += _ended()
    return 1 if failed else 0


def _fork(path: paths.Path, rounds: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        path.run(rounds)
    except BaseException:  # noqa: BLE001 (nothing of the parent's may be done in a child)
        # In one piece: another child may have something to say at the same moment.
        os.write(2, f"{path.name}, {rounds} rounds: {traceback.format_exc()}".encode())
        os._exit(1)
    os._exit(0)


def _ended() -> bool:
    """Wait for a child; whether it has failed."""
    return os.wait()[1] != 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
