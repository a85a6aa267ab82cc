"""The contract app behind a proxy.

``APP_PROXY_FIX=1`` puts ``ProxyFix`` around it, as docs/proxies.md says. ``whereabouts``, an event and a
route, tells what the app knows about a client, and which process answers.
"""

from __future__ import annotations

import os
from typing import Any

from contract import app
from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix


def whereabouts() -> dict[str, Any]:
    return {
        "address": request.remote_addr,
        "origin": request.host_url.rstrip("/"),
        "pid": os.getpid(),
        # of the connection that the proxy has made to us: the same port is the same connection
        "peer_port": request.environ.get("REMOTE_PORT"),
    }


app.add_url_rule("/whereabouts", view_func=whereabouts)
app.extensions["socketio"].on_event("whereabouts", whereabouts)

if os.environ.get("APP_PROXY_FIX") == "1":
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
