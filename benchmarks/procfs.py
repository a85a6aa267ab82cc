"""What Linux tells of a server's processes (see ``man 5 proc``), and what it allows them."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "allow_descriptors",
    "busy_seconds",
    "cpu_seconds",
    "open_files",
    "process_tree",
    "rss_bytes",
    "runnable",
]

TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds: all times in /proc are multiples of it
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
CPUCLOCK_SCHED = 2


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
    """User and system time of the tree, to the nanosecond; that of threads which have ended included."""
    return sum(time.clock_gettime(_cpu_clock(process)) for process in process_tree(pid))


def _cpu_clock(pid: int) -> int:
    """What the C library's ``clock_getcpuclockid`` returns. /proc has ticks of 10 ms, too coarse here."""
    return (~pid << 3) | CPUCLOCK_SCHED


def runnable(pid: int) -> bool:
    """Whether a thread of the tree has something to do, be it that it waits for a processor."""
    for process in process_tree(pid):
        for status in Path(f"/proc/{process}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # the thread has just ended
                # The second field is the program's name in parentheses, and may hold anything.
                if status.read_text().rpartition(")")[2].split()[0] == "R":
                    return True
    return False


def busy_seconds() -> float:
    """What all CPUs of the machine have done; what a hypervisor has taken from it counts, too."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * TICK


def rss_bytes(pid: int) -> int:
    """Resident memory of the tree; pages that its processes share are counted for each of them."""
    return (
        sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in process_tree(pid))
        * PAGE
    )


def open_files() -> int:
    """How many files and sockets a process may ask for: a client is one."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def allow_descriptors() -> None:
    """Let this process, and those that it starts, open as many as they may."""
    most = open_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
