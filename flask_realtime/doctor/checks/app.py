"""The extension, the server, the port, the session."""

from __future__ import annotations

from collections.abc import Iterator

from flask.sessions import SecureCookieSessionInterface

from ..finding import Finding
from ..situation import Situation

__all__ = [
    "check_cookie_session",
    "check_extension",
    "check_flask_run",
    "check_port",
    "check_run",
    "check_secret_key",
    "check_two_extensions",
]

MIGRATE = "`flask realtime migrate`"


def check_extension(s: Situation) -> Iterator[Finding]:
    if s.endpoints:
        return
    theirs = _is_theirs(s)
    yield Finding(
        "no-extension",
        "error",
        "no SocketIO is attached to this app" + (", only Flask-SocketIO's" if theirs else ""),
        "Flask-SocketIO serves /socket.io/, and nothing of Flask-Realtime is used."
        if theirs
        else "Clients get 404 for /socket.io/, and never connect.",
        f"{MIGRATE} changes the imports."
        if theirs
        else "SocketIO(app), or socketio.init_app(app) in the factory that makes the app;"
        " if it does, --app names another app.",
    )


def check_two_extensions(s: Situation) -> Iterator[Finding]:
    if not s.endpoints or "flask_socketio" not in s.modules:
        return
    users = [f"{name} imports it" for name in s.users_of_flask_socketio[:5]]
    yield Finding(
        "flask-socketio",
        "error" if _is_theirs(s) else "warning",
        f"flask_socketio is {'attached to this app' if _is_theirs(s) else 'imported'} too"
        + (f": {'; '.join(users)}" if users else ""),
        "Its emit() and its SocketIO know nothing of the clients that are connected here: events are lost,"
        " or requests reach the wrong one of the two.",
        f"Import everything from flask_realtime, also in the modules that only emit: {MIGRATE} does it.",
    )


def _is_theirs(s: Situation) -> bool:
    """Whether Flask-SocketIO is what the app finds under their common key."""
    return type(s.app.extensions.get("socketio")).__module__.partition(".")[0] == "flask_socketio"


def check_run(s: Situation) -> Iterator[Finding]:
    if s.server is not None or not s.endpoints or s.endpoints[0].config.async_mode == "gevent_uwsgi":
        return
    yield Finding(
        "no-server",
        "error",
        f"run() refuses: {s.refusal}",
        "The app does not start with socketio.run().",
        "Change async_mode, or what it needs; without async_mode, run() takes what is there.",
    )


def check_port(s: Situation) -> Iterator[Finding]:
    airplay = s.platform == "darwin" and s.port == 5000
    if s.taken:
        hint = " On macOS this may be the AirPlay receiver: switch it off in the settings." if airplay else ""
        yield Finding(
            "port",
            "error",
            s.taken,
            "The app does not start there. If it is the app itself that listens, all is well.",
            f"End the other program, or take another port: socketio.run(app, port=...).{hint}",
        )
    elif airplay:
        yield Finding(
            "airplay",
            "note",
            "on macOS the AirPlay receiver listens on port 5000 too",
            "For the name localhost browsers may reach it instead of the app, and get 403.",
            "Use http://127.0.0.1:5000, another port, or switch it off in the settings.",
        )


def check_secret_key(s: Situation) -> Iterator[Finding]:
    managed = next((e.config.manage_session for e in s.endpoints if e.kind == "SocketIO"), None)
    signed = isinstance(s.app.session_interface, SecureCookieSessionInterface)
    if managed is None or not signed or s.app.secret_key:
        return
    yield Finding(
        "secret-key",
        "note",
        "SECRET_KEY is not set",
        "Views have no session, so that of a handler is empty at first: it does not know who has logged in."
        if managed
        else "There is no session: a handler that writes to it raises an error.",
        "Set SECRET_KEY, or ignore this if nothing uses flask.session.",
    )


def check_cookie_session(s: Situation) -> Iterator[Finding]:
    shared = any(e.kind == "SocketIO" and not e.config.manage_session for e in s.endpoints)
    if (
        not shared
        or not s.app.secret_key
        or not isinstance(s.app.session_interface, SecureCookieSessionInterface)
    ):
        return
    yield Finding(
        "cookie-session",
        "note",
        "manage_session=False, and sessions are in a cookie",
        "What a handler writes to flask.session is lost: an event has no response that could set the cookie.",
        "Ignore this if handlers only read it. Else keep sessions on the server (Flask-Session, say), or"
        " leave manage_session at True, for a session of the connection's own.",
    )


def check_flask_run(s: Situation) -> Iterator[Finding]:
    if s.environ.get("FLASK_RUN_WITH_THREADS", "").lower() in ("0", "false", "f", "no", "n", "off"):
        yield Finding(
            "without-threads",
            "note",
            "FLASK_RUN_WITH_THREADS is off",
            "flask run then answers one request at a time: a slow view holds up all polls and connects.",
            "Remove it; threads are the default.",
        )
