"""What Linux tells of a server's processes in ``/proc`` (see ``man 5 proc``), and what it allows them."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

__all__ = ["allow_descriptors", "cpu_seconds", "rss_bytes"]

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: all times in /proc are multiples of it
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes


def process_tree(pid: int) -> Iterator[int]:
    """A process and all that descend from it (gunicorn's workers are children of its arbiter)."""
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # the thread has just ended
                waiting.extend(map(int, children.read_text().split()))


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, that of threads which have ended included."""
    return sum(_ticks(process) for process in process_tree(pid)) * TICK


def _ticks(pid: int) -> int:
    # The second field is the program's name in parentheses, and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    utime, stime = fields[11:13]
    return int(utime) + int(stime)


def rss_bytes(pid: int) -> int:
    """Resident memory of the tree; pages that its processes share are counted for each of them."""
    return (
        sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in process_tree(pid))
        * PAGE
    )


def allow_descriptors() -> None:
    """Let this process open as many files and sockets as it may ask for: a client is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
