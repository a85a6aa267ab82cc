"""The chat: its page (``views``) and its events (``events``).

Importing ``events`` registers the handlers, as importing ``views`` defines the routes.
"""

from __future__ import annotations

from . import events
from .views import blueprint

__all__ = ["blueprint", "events"]
