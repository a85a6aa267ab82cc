"""Servers in memory, see ``engine_driver``."""

from __future__ import annotations

from adapters.cluster import cluster
from engine_driver import make_world, world

__all__ = ["cluster", "make_world", "world"]
