"""Who is in which room, and the way to other processes."""

from __future__ import annotations

from .base import Adapter, Member
from .brokers import make_channel
from .channel import Channel, Connection, RefusedError
from .memory import MemoryAdapter

__all__ = ["Adapter", "Channel", "Connection", "Member", "MemoryAdapter", "RefusedError", "make_channel"]
