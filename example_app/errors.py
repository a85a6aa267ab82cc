"""What can go wrong by somebody's doing, told in words for that person."""

from __future__ import annotations


class ConfigurationError(Exception):
    """The application can't start like this. For the person who starts it."""


class ChatError(Exception):
    """The request can't be carried out. For the user: its text goes into the ack and onto the page."""
