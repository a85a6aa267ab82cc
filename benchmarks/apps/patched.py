"""The Flask app with gevent, in a process that is patched: ``python -m benchmarks.apps.patched PORT``."""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all()

# Everything else is imported by a patched process.
from .flask_app import main  # noqa: E402

if __name__ == "__main__":
    main(int(sys.argv[1]))
