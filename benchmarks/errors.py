"""What ends the benchmarks, or a part of them."""

from __future__ import annotations

__all__ = ["BenchmarkError"]


class BenchmarkError(Exception):
    """A server did not start, or answered wrongly; or this machine can't be measured on."""
