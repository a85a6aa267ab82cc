"""The opening handshake, RFC 6455, section 4.2.

The request's head has been read by somebody else, who lends us a look-up for
its headers; the answer is bytes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha1

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt

from .deflate import DeflateParameters

Headers = Callable[[str], str | None]
"""Gives the value of the header with this name, or None. Several headers of
one name are one value, joined by commas."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

# 16 bytes in base64: the last character before the padding carries two bits of them.
_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LINE_BREAK = re.compile(r"[\r\n\0]")
_SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


class HandshakeError(RemoteProtocolError):
    """The request is no handshake that can be accepted.

    :param headers: the headers that the refusal has to carry.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = 3,
        status: int = 400,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.headers = headers


@dataclass(frozen=True)
class Handshake:
    """A handshake that may be accepted: what the answer says.

    :param accept: the value of ``Sec-WebSocket-Accept``.
    :param deflate: the agreed compression, or None.
    """

    accept: str
    deflate: DeflateParameters | None = None

    def response(self, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """The whole head of the 101 response, the empty line included.

        :param headers: more ``(name, value)`` pairs, a cookie for instance.
        :raises ValueError: a name is no token, a value holds CR, LF or NUL or
            is not latin-1.
        """
        fields = [("Sec-WebSocket-Accept", self.accept)]
        if self.deflate is not None:
            fields.append(("Sec-WebSocket-Extensions", self.deflate.response_value()))
        fields.extend(headers)
        lines = "".join([_header_line(name, value) for name, value in fields])
        return f"{_SWITCHING}{lines}\r\n".encode("latin-1")


def accept_key(key: str) -> str:
    """The answer to a ``Sec-WebSocket-Key`` (section 4.2.2, step 5.4)."""
    return b64encode(sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def is_upgrade(headers: Headers) -> bool:
    """Does the request ask for a WebSocket? It may still be refused."""
    upgrade = headers("Upgrade")
    return upgrade is not None and (upgrade == "websocket" or "websocket" in _tokens(upgrade))


def check_handshake(method: str, headers: Headers, *, deflate: bool = False) -> Handshake:
    """Check a request against section 4.2.1.

    :param method: the HTTP method.
    :param headers: the look-up for the request's headers.
    :param deflate: agree to permessage-deflate where the client offers it.
    :raises HandshakeError: the request breaks a rule. ``status`` is 405 for the
        method, 426 for the version, else 400.
    """
    _check_method(method)
    _check_upgrade(headers)
    _check_version(headers("Sec-WebSocket-Version"))
    _check_no_body(headers)
    key = _check_key(headers("Sec-WebSocket-Key"))
    agreed = DeflateParameters.negotiate(headers("Sec-WebSocket-Extensions")) if deflate else None
    return Handshake(accept_key(key), agreed)


def _check_method(method: str) -> None:
    # 4.1: "The method of the request MUST be GET".
    if method != "GET":
        message = f"A WebSocket handshake is a GET request, not {excerpt(method)}"
        raise HandshakeError(message, code=2, status=405, headers=(("Allow", "GET"),))


def _check_upgrade(headers: Headers) -> None:
    # 4.2.1: "An |Upgrade| header field containing the value "websocket"", and
    # "A |Connection| header field that includes the token "Upgrade"".
    if not is_upgrade(headers):
        raise HandshakeError(f"Upgrade must be websocket, not {excerpt(headers('Upgrade'))}")
    if "upgrade" not in _tokens(headers("Connection")):
        raise HandshakeError(f"Connection must be Upgrade, not {excerpt(headers('Connection'))}")


def _check_version(version: str | None) -> None:
    # 4.4: a server that does not speak the version answers with those that it speaks.
    if _stripped(version) != "13":
        raise HandshakeError(
            f"Sec-WebSocket-Version must be 13, not {excerpt(version)}",
            status=426,
            headers=(("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")),
        )


def _check_no_body(headers: Headers) -> None:
    # A body's bytes would be read as frames: what a proxy takes for a body must not be ours.
    if _stripped(headers("Content-Length")) not in ("", "0") or headers("Transfer-Encoding"):
        raise HandshakeError("A WebSocket handshake has no body")


def _check_key(key: str | None) -> str:
    # 4.2.1: "a base64-encoded value that, when decoded, is 16 bytes in length".
    value = _stripped(key)
    if not _KEY.fullmatch(value):
        raise HandshakeError(f"Sec-WebSocket-Key must be 16 bytes in base64, not {excerpt(key)}")
    return value


def _stripped(value: str | None) -> str:
    return (value or "").strip(" \t")


def _tokens(value: str | None) -> list[str]:
    return [token.strip(" \t").lower() for token in (value or "").split(",")]


def _header_line(name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name) or _LINE_BREAK.search(value):
        raise ValueError(f"not a header: {excerpt(name)}: {excerpt(value)}")
    return f"{name}: {value}\r\n"
