"""How soon a thread that computes lets another one go on.

One thread of Python runs at a time. One that computes, and never waits, keeps
the others out for Python's switch interval, and the loop has to ask for its
turn again after each of its system calls. With three handlers that compute,
5 ms each time had clients wait for 25 ms on average and 100 ms now and then.
"""

from __future__ import annotations

import math
import sys
from typing import Final

__all__ = ["switch_sooner"]

PYTHONS_DEFAULT: Final = 0.005  # seconds
#: Less would gain nothing more for the loop, and have threads that compute switch for nothing.
INTERVAL: Final = 0.001


def switch_sooner() -> None:
    """Clients are about to share this process with its other threads.

    An interval that the app has chosen stays.
    """
    if math.isclose(sys.getswitchinterval(), PYTHONS_DEFAULT):
        sys.setswitchinterval(INTERVAL)
