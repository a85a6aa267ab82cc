"""A proxy in front: what the app has to know of it, and what it would cut off."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from werkzeug.middleware.proxy_fix import ProxyFix

from ...gateways.wsgi import SocketMiddleware
from ..finding import Finding
from ..situation import Situation
from .origins import listed_origins
from .text import listed

__all__ = [
    "PLATFORMS",
    "PROXIES",
    "check_body_limit",
    "check_ping",
    "check_proxy_fix",
    "check_proxy_fix_order",
]

PROXIES = "docs/proxies.md"
#: variables of platforms that put a proxy in front
PLATFORMS = {
    "DYNO": "Heroku",
    "RENDER": "Render",
    "FLY_APP_NAME": "Fly.io",
    "RAILWAY_ENVIRONMENT": "Railway",
    "K_SERVICE": "Cloud Run",
    "WEBSITE_SITE_NAME": "Azure",
}
PROXY_TIMEOUT = 60
PROXY_BODY = 1024 * 1024


def check_proxy_fix(s: Situation) -> Iterator[Finding]:
    fixes = [layer for layer in s.layers if isinstance(layer, ProxyFix)]
    if not s.endpoints:
        return
    if not fixes:
        yield from _missing_proxy_fix(s)
    elif not any(fix.x_proto for fix in fixes):
        yield Finding(
            "proxy-fix-proto",
            "warning",
            "ProxyFix with x_proto=0: the app does not learn that clients use https",
            "Pages on https:// are foreign origins to it: 403, unless cors_allowed_origins names them.",
            "ProxyFix(app.wsgi_app, x_for=1, x_proto=1), with the number of proxies.",
        )


def _missing_proxy_fix(s: Situation) -> Iterator[Finding]:
    signs = list(_signs_of_a_proxy(s))
    if not signs:
        return
    yield Finding(
        "no-proxy-fix",
        "note",
        f"there seems to be a proxy in front ({listed(signs)}), but the app has no ProxyFix",
        "Without it a page on https:// is a foreign origin, 403; and handlers see the proxy's address.",
        "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1), if there is one"
        f" that sets these headers ({PROXIES}).",
    )


def _signs_of_a_proxy(s: Situation) -> Iterator[str]:
    config = s.app.config
    if config.get("PREFERRED_URL_SCHEME") == "https":
        yield "PREFERRED_URL_SCHEME is https"
    if config.get("SESSION_COOKIE_SECURE"):
        yield "SESSION_COOKIE_SECURE is set"
    if s.environ.get("FORWARDED_ALLOW_IPS"):
        yield "FORWARDED_ALLOW_IPS is set"
    if "--forwarded-allow-ips" in s.environ.get("GUNICORN_CMD_ARGS", ""):
        yield "GUNICORN_CMD_ARGS has --forwarded-allow-ips"
    yield from (f"this is {name}" for variable, name in PLATFORMS.items() if s.environ.get(variable))
    own = (config.get("SERVER_NAME") or "").partition(":")[0].lower()
    for endpoint in s.endpoints:
        for origin in listed_origins(endpoint.config.cors_allowed_origins):
            parts = urlsplit(origin) if own and origin.startswith("https://") else None
            if parts is not None and (parts.netloc.partition(":")[0].lower() == own):
                yield f"cors_allowed_origins has {origin}, the app's own name"


def check_proxy_fix_order(s: Situation) -> Iterator[Finding]:
    kinds = [kind for layer in s.layers for kind in (SocketMiddleware, ProxyFix) if isinstance(layer, kind)]
    if ProxyFix in kinds and kinds[0] is SocketMiddleware:
        yield Finding(
            "proxy-fix-order",
            "warning",
            "ProxyFix is under another middleware, and Socket.IO's requests don't pass through it",
            "Your views learn what the proxy says, Socket.IO does not: pages on https:// get 403.",
            "Make ProxyFix the outermost middleware, or wrap app.wsgi_app in it before the others do.",
        )


def check_ping(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        config = endpoint.config
        silence = config.ping_interval + config.ping_interval_grace + config.ping_timeout
        if silence > PROXY_TIMEOUT:
            yield Finding(
                "ping-and-proxy",
                "note",
                f"{endpoint.kind}: ping_interval + ping_timeout is {silence:g} s",
                f"Most proxies give up a connection after {PROXY_TIMEOUT} s of silence:"
                " WebSockets break, and polls end with 504.",
                "Keep the sum below the proxy's read timeout (nginx: proxy_read_timeout).",
            )


def check_body_limit(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        size = endpoint.config.max_http_buffer_size
        if size > PROXY_BODY:
            yield Finding(
                "body-limit",
                "note",
                f"{endpoint.kind}: max_http_buffer_size is {size}, above nginx's own limit of 1 MiB",
                "Behind nginx big messages over polling get 413, and the client disconnects.",
                "In nginx, client_max_body_size of at least that.",
            )
