"""``python -m flask_realtime``: the commands of ``flask realtime`` where ``flask`` itself does not start."""

from __future__ import annotations

from .cli import realtime

if __name__ == "__main__":
    realtime(prog_name="python -m flask_realtime")
