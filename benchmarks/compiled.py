"""The package as a wheel holds it: with the modules of the hot path compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from .errors import BenchmarkError
from .progress import say
from .servers import OURS, ROOT, Server

__all__ = ["compiled", "install"]


def compiled(server: Server, package: Path) -> Server:
    """The same server, of ours with the package in this folder."""
    return replace(server, package=package) if server.family == OURS else server


def install(folder: Path) -> None:
    """Build the wheel and unpack it, which takes about a minute.

    :raises BenchmarkError: it can't be compiled.
    """
    say("compiling")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", f"--target={folder}", "."]
    result = subprocess.run(pip, cwd=ROOT, env={**os.environ, "FLASK_REALTIME_COMPILE": "1"}, check=False)
    if result.returncode:
        raise BenchmarkError("the wheel could not be compiled; it needs a C compiler and Python's headers")
