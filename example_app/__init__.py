"""A small chat: the example application of Flask-Realtime.

Rooms, who is here, typing, private messages, files, history for newcomers, and a page that shows when it has
lost the server and catches up when it is back. Run it with one of::

    python -m example_app
    flask --app example_app run
    gunicorn --threads 8 'example_app:create_app()'

Who is here is kept in memory, so it runs in one process. The history is in SQLite and outlives it.

How it is laid out, as any Flask application with Flask-Realtime may be:

================== ==================================================================================
``__init__.py``    the application factory, ``create_app()``
``__main__.py``    the command line
``config.py``      the settings, their defaults, and the check that they make sense
``extensions.py``  ``socketio``: created here without an application, bound to it by the factory
``errors.py``      ``ChatError``: what a user did wrong, in words for that user
``presence.py``    who is here and in which rooms: shared state, one object per application
``store.py``       rooms and history in SQLite, one connection per application context
``chat/``          the feature: ``views.py`` (HTTP), ``events.py`` (Socket.IO), ``payloads.py`` (input)
``templates/``     the page
``static/``        its style and its scripts, with the official Socket.IO client and no other library
================== ==================================================================================

Every setting can be given in the environment with the prefix ``FLASK_``, for example ``FLASK_DATABASE`` and
``FLASK_CLIENT_JS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import chat, config, presence, store
from .extensions import socketio

__all__ = ["create_app"]


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """Make the application.

    Settings come from :mod:`example_app.config`, then from the environment, then from ``settings``; the later
    ones win. Raises :class:`example_app.errors.ConfigurationError` where they can't work.
    """
    app = Flask(__name__)
    config.load(app, settings or {})
    store.init_app(app)
    presence.init_app(app)
    app.register_blueprint(chat.blueprint)
    socketio.init_app(app)
    return app
