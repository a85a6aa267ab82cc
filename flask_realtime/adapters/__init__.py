"""Who is in which room."""

from __future__ import annotations

from .base import Adapter, Member
from .memory import MemoryAdapter

__all__ = ["Adapter", "Member", "MemoryAdapter"]
