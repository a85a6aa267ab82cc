"""``cors_allowed_origins``: what it means, and what no browser sends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ..finding import Finding
from ..situation import Situation

__all__ = ["check_origins", "in_words", "listed_origins"]

UNUSUAL = re.compile(r"/$|^http:.*:80$|^https:.*:443$|[A-Z]")


def listed_origins(allowed: Any) -> list[str]:
    if allowed is None or callable(allowed):
        return []
    return [allowed] if isinstance(allowed, str) else [str(origin) for origin in allowed]


def in_words(allowed: Any) -> str:
    """What ``cors_allowed_origins`` means."""
    if allowed is None:
        return "same origin"
    if callable(allowed):
        return f"what {getattr(allowed, '__qualname__', repr(allowed))}() allows"
    origins = listed_origins(allowed)
    if not origins:
        return "any (the check is off, no CORS headers)"
    return "any" if "*" in origins else ", ".join(origins)


def check_origins(s: Situation) -> Iterator[Finding]:
    for endpoint in s.endpoints:
        allowed = endpoint.config.cors_allowed_origins
        origins = listed_origins(allowed)
        if "*" in origins or (not origins and allowed is not None and not callable(allowed)):
            yield _any_origin(endpoint.kind, in_words(allowed))
        else:
            yield from (f for origin in origins for f in _origin_mistakes(endpoint.kind, origin))


def _any_origin(kind: str, words: str) -> Finding:
    return Finding(
        "any-origin",
        "note",
        f"{kind}: cors_allowed_origins is {words}",
        "Any page of the web may connect from a visitor's browser. Polls from other origins carry no cookies,"
        " so no Flask session; a WebSocket carries those that SameSite does not hold back.",
        "List the origins, or trust no cookie: let clients send a token (io({auth: ...})).",
    )


def _origin_mistakes(kind: str, origin: str) -> Iterator[Finding]:
    what = _why_never(origin)
    if what:
        yield Finding(
            "origin-never",
            "error",
            f"{kind}: cors_allowed_origins has {origin!r}: {what}",
            "No browser's Origin header is ever equal to it, so pages that it is meant for get 403.",
            _origin_advice(origin),
        )
    elif UNUSUAL.search(origin):
        yield Finding(
            "origin-spelling",
            "note",
            f"{kind}: cors_allowed_origins has {origin!r}, which no browser writes like that",
            "It is understood here, but not by others that compare it (a proxy, Flask-CORS).",
            "Lower case, without a slash at the end and without the scheme's own port.",
        )


def _why_never(origin: str) -> str:
    """What keeps an entry from being equal to any origin; empty where nothing does."""
    if origin == "null":
        return "pages without an origin (sandboxes, files) can't be listed"
    if "," in origin or " " in origin:
        return "several origins, or a blank, in one string"
    scheme, separator, rest = origin.partition("://")
    if not separator:
        return "no scheme"
    if scheme.lower() in ("ws", "wss"):
        return "the origin is the page's, so http or https"
    if "*" in rest:
        return "patterns are not understood"
    if rest.rstrip("/").partition("/")[1] or "?" in rest or "#" in rest:
        return "an origin has no path"
    return _why_no_host(origin)


def _why_no_host(origin: str) -> str:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return "not a host and a port"
    if not parts.hostname or parts.username is not None or port == 0:
        return "not a host and a port"
    return ""


def _origin_advice(origin: str) -> str:
    if origin == "null" or "*" in origin:
        return "A function: cors_allowed_origins=lambda origin, environ: ..."
    if "," in origin or " " in origin:
        return "A list of strings; from an environment variable, value.split(',')."
    return "Scheme, host, and the port if it is not the scheme's own: 'https://www.example.com'."
