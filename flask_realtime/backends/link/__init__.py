"""The way to other processes: two background tasks around a channel of a broker.

``publisher.py`` sends what waits, ``subscriber.py`` hears what others send, ``outage.py`` knows
whether both get through, and ``link.py`` starts and ends them.
"""

from __future__ import annotations

from .link import QueueLink, close_links

__all__ = ["QueueLink", "close_links"]
