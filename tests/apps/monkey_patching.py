"""Imported before anything else: ``APP_PATCH`` names the library that replaces what blocks."""

from __future__ import annotations

import os

match os.environ.get("APP_PATCH"):
    case "gevent":
        from gevent import monkey

        monkey.patch_all()
    case "eventlet":
        import eventlet

        eventlet.monkey_patch()
