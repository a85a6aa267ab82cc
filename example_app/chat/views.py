"""The page, and the official client where it is served from here."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, render_template, send_file

blueprint = Blueprint("chat", __name__)

# The hash is that of dist/socket.io.min.js in the npm package socket.io-client of this version:
# openssl dgst -sha384 -binary socket.io.min.js | openssl base64 -A
CLIENT_URL = "https://cdn.socket.io/4.8.3/socket.io.min.js"
CLIENT_INTEGRITY = "sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0"

_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' https://cdn.socket.io",
        "style-src 'self'",
        "img-src 'self' blob:",  # previews of the images that people send
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@blueprint.get("/")
def index() -> str:
    """The page."""
    return render_template("chat.html", client_url=CLIENT_URL, client_integrity=CLIENT_INTEGRITY)


@blueprint.get("/socket.io.min.js")
def client_js() -> Response:
    """The local copy of the official client; 404 where there is none."""
    path = current_app.config["CLIENT_JS"]
    if path is None:
        abort(404)
    return send_file(path, mimetype="text/javascript")


@blueprint.after_request
def secure(response: Response) -> Response:
    """Allow the page only what it needs: even a text that slipped through as HTML could run no script."""
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
