"""What the slow handlers do."""

from __future__ import annotations

import time

__all__ = ["compute"]


def compute(seconds: float) -> None:
    """Keep a processor at work, in Python."""
    end = time.perf_counter() + seconds
    total = 0
    while time.perf_counter() < end:
        for number in range(1_000):
            total += number * number
