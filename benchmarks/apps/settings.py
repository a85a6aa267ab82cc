"""What a server is told in its environment."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["EXTENSION", "HANDLERS", "MODE", "options"]

#: the module that the Flask app is built on
EXTENSION = os.environ.get("BENCHMARK_EXTENSION", "flask_realtime")
#: ``plain`` or ``async``
HANDLERS = os.environ.get("BENCHMARK_HANDLERS", "plain")
#: the extension's async_mode
MODE = os.environ.get("BENCHMARK_MODE", "threading")


def options() -> dict[str, Any]:
    """Of heartbeats; all else is as each library has it by default."""
    interval = os.environ.get("BENCHMARK_PING_INTERVAL")
    return {} if interval is None else {"ping_interval": float(interval), "ping_timeout": 20}
