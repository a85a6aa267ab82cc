"""What ends a load."""

from __future__ import annotations

__all__ = ["Fault"]


class Fault(Exception):
    """The server did what it must not do, or not what it must."""
