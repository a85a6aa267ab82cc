"""Who is in which room, and the way to other processes."""

from __future__ import annotations

from .base import Adapter, Member
from .brokers import make_channel
from .channel import Channel, Connection
from .memory import MemoryAdapter

__all__ = ["Adapter", "Channel", "Connection", "Member", "MemoryAdapter", "make_channel"]
