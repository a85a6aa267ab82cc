"""Servers in memory, see ``engine_driver``."""

from __future__ import annotations

from engine_driver import make_world, world

__all__ = ["make_world", "world"]
