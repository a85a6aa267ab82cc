"""Which origins may connect, and the headers that tell a browser so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from ..protocol.engineio.request import ErrorCode
from ..protocol.errors import RemoteProtocolError, excerpt

__all__ = ["CORSPolicy"]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
ANY = "*"

Origin = tuple[str, str, int | None]

AllowedOrigins = str | Iterable[str] | Callable[..., bool] | None


def _normalized(origin: str) -> Origin | None:
    """Scheme, host and port of an origin (RFC 6454, section 6.2); None where it is none."""
    # urlsplit drops line breaks and tabs without a word.
    if not origin.isprintable() or " " in origin:
        return None
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname or parts.username is not None:
        return None
    if parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS.get(parts.scheme) if port is None else port


class CORSPolicy:
    """The decision about an origin.

    :param allowed: None for the same origin only, an origin, several, ``'*'``
        for all, an empty list to switch the check off, or a function of the
        origin (or of the origin and the environ).
    :param credentials: browsers may send cookies along.
    """

    def __init__(self, allowed: AllowedOrigins, credentials: bool) -> None:
        self._credentials = credentials
        self._decide: Callable[..., bool] | None = None
        self._listed: set[Origin | None] | None = None
        self._description = "the same origin"
        self.any: bool = False
        self.off: bool = False
        if callable(allowed):
            self._decide = _with_environ(allowed)
            self._description = "what the app's function allows"
        elif allowed is not None:
            origins = [allowed] if isinstance(allowed, str) else list(allowed)
            self.off = not origins
            self.any = ANY in origins
            self._listed = {_normalized(origin.rstrip("/")) for origin in origins} - {None}
            self._description = ", ".join(origins)

    def check(self, origin: str | None, own: str, environ: Any) -> None:
        """
        :param origin: the request's ``Origin``; None where there is none (not a browser, or the same origin).
        :param own: the server's origin as the request sees it, ``scheme://host``.
        :raises RemoteProtocolError: 403, with the origin seen and the one expected.
        """
        if origin is None:
            return
        # An origin is echoed in a header: what could break one is refused, whoever would allow it.
        if origin.isprintable() and (self.off or self.any or self._allows(origin, own, environ)):
            return
        expected = own if self._listed is None and self._decide is None else self._description
        raise RemoteProtocolError(
            f"origin {excerpt(origin)} is not allowed; expected {excerpt(expected, 300)}",
            code=ErrorCode.FORBIDDEN, status=403,
        )  # fmt: skip

    def _allows(self, origin: str, own: str, environ: Any) -> bool:
        if self._decide is not None:
            return bool(self._decide(origin, environ))
        seen = _normalized(origin)
        if seen is None:
            return False
        return seen in self._listed if self._listed is not None else seen == _normalized(own)

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """What a browser must see to accept the answer; the origin has passed :meth:`check`."""
        if self.off:
            return []
        if self.any:
            # Never with credentials: any page could then act as the user.
            return [("Access-Control-Allow-Origin", "*")] if origin is not None else []
        headers = [("Vary", "Origin")]
        if origin is not None:
            headers.append(("Access-Control-Allow-Origin", origin))
            if self._credentials:
                headers.append(("Access-Control-Allow-Credentials", "true"))
        return headers

    @staticmethod
    def preflight_headers(requested: str | None) -> list[tuple[str, str]]:
        """The rest of the answer to a preflight request.

        :param requested: its ``Access-Control-Request-Headers``.
        """
        headers = [("Access-Control-Allow-Methods", "GET, POST, OPTIONS"), ("Access-Control-Max-Age", "600")]
        if requested is not None and requested.isascii() and requested.isprintable():
            headers.append(("Access-Control-Allow-Headers", requested))
        return headers


def _with_environ(function: Callable[..., bool]) -> Callable[..., bool]:
    from ..server.signatures import positional_capacity

    if positional_capacity(function) > 1:
        return function
    return lambda origin, environ: function(origin)
