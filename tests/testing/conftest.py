"""Projects of users, whose tests are run by a pytest of their own."""

from __future__ import annotations

import pytest

APP = """
import pytest
from flask import Flask, request, session
from flask_realtime import SocketIO, ConnectionRefusedError, emit

socketio = SocketIO()
log = []


def create_app():
    app = Flask("users")
    app.config.update(SECRET_KEY="only for tests", TESTING=True)
    socketio.init_app(app)

    @app.get("/login/<user>")
    def login(user):
        session["user"] = user
        return "ok"

    return app


@socketio.on("connect")
def connect(auth):
    if auth == {"refuse": "me"}:
        raise ConnectionRefusedError("as you wish")


@socketio.on("disconnect")
def disconnect(reason):
    log.append(reason)


@socketio.on("echo")
def echo(*args):
    emit("echoed", args)
    return args


@socketio.on("user")
def user():
    return session.get("user")


@socketio.on("connect", namespace="/chat")
def connect_chat():
    emit("welcome")
"""
CONFTEST = """
import pytest
import users


@pytest.fixture
def app():
    return users.create_app()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with an app, ``users.py``, and a conftest with the fixture ``app``."""
    pytester.makepyfile(users=APP)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.syspathinsert()
    return pytester
