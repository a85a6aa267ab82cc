"""What the query string of an Engine.IO request asks for.

Source: Engine.IO protocol v4, heading "Transports > HTTP long-polling > Query parameters"; the error codes
are those that the official server puts into the JSON body of a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from flask_realtime.protocol.errors import RemoteProtocolError, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOL_VERSION = "4"
"""The only revision of Engine.IO that is spoken, as the ``EIO`` parameter names it."""

MAX_QUERY_FIELDS = 100
"""How many parameters a query string may have."""

_ONCE_ONLY = ("EIO", "transport", "sid", "j")
#: a query string in which nothing is encoded, as clients send it
_PLAIN = re.compile(r"[A-Za-z]+=[A-Za-z0-9._-]*(?:&[A-Za-z]+=[A-Za-z0-9._-]*)*")
_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ErrorCode(IntEnum):
    """Why a request was refused: the ``code`` of the refusal's JSON body."""

    TRANSPORT_UNKNOWN = 0
    SESSION_UNKNOWN = 1
    BAD_HANDSHAKE_METHOD = 2
    BAD_REQUEST = 3
    FORBIDDEN = 4
    UNSUPPORTED_VERSION = 5


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """A request that is in order as far as the request alone can tell.

    :param method: the HTTP method; GET where there is no ``sid``, else GET or POST.
    :param transport: one of the server's transports.
    :param sid: the session that the client says it has, or None for a handshake. It is well-formed; whether
        there is such a session, and whether it is on this transport, is for the server to look up.
    :param query: all parameters; of a repeated one, the last value.
    """

    method: str
    transport: str
    sid: str | None
    query: Mapping[str, str]


def parse_request(method: str, query_string: str, *, transports: Sequence[str]) -> EngineRequest:
    """Check an Engine.IO request, in the order in which the official server does.

    :param method: the HTTP method, in capitals.
    :param query_string: what follows the ``?``, still percent-encoded.
    :param transports: the names of the transports that the server offers.
    :raises RemoteProtocolError: with status 400 and one of :class:`ErrorCode`.
    """
    query = _parse_query(query_string) if "sid" in query_string else _parse_handshake(query_string)
    transport = query.get("transport")
    if transport is None or transport not in transports:
        raise _refusal(ErrorCode.TRANSPORT_UNKNOWN, "Transport unknown")
    sid = query.get("sid")
    _check_method(method, sid)
    if query.get("EIO") != PROTOCOL_VERSION:
        raise _refusal(ErrorCode.UNSUPPORTED_VERSION, "Unsupported protocol version")
    return EngineRequest(method, transport, sid, query)


def _parse_query(query_string: str) -> dict[str, str]:
    fields = _split_query(query_string)
    query = dict(fields)
    if len(query) < len(fields):
        _check_repeated(fields)
    if "j" in query:
        raise _refusal(ErrorCode.BAD_REQUEST, "Bad request: JSONP polling (parameter 'j') is not supported")
    return query


#: The handshakes of most clients are alike; of those that are not, this keeps little.
_parse_handshake = lru_cache(8)(_parse_query)


def _split_query(query_string: str) -> list[tuple[str, str]]:
    if query_string.count("&") < MAX_QUERY_FIELDS and _PLAIN.fullmatch(query_string) is not None:
        # What parse_qsl() would give, in a fifth of its time.
        parted = [field.partition("=") for field in query_string.split("&")]
        return [(name, value) for name, _, value in parted]
    try:
        # An empty sid is a malformed one, not a missing one: blank values count.
        return parse_qsl(query_string, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise _refusal(ErrorCode.BAD_REQUEST, "Bad request: too many query parameters") from error


def _check_repeated(fields: list[tuple[str, str]]) -> None:
    # Two values could be read differently by a proxy, which routes by the sid, and by us.
    names = [name for name, _ in fields]
    for name in _ONCE_ONLY:
        if names.count(name) > 1:
            raise _refusal(ErrorCode.BAD_REQUEST, f"Bad request: more than one parameter {name!r}")


def _check_method(method: str, sid: str | None) -> None:
    if sid is None:
        if method != "GET":
            raise _refusal(ErrorCode.BAD_HANDSHAKE_METHOD, "Bad handshake method")
    elif _SID.fullmatch(sid) is None:
        raise _refusal(ErrorCode.SESSION_UNKNOWN, "Session ID unknown")
    elif method not in ("GET", "POST"):
        raise _refusal(ErrorCode.BAD_REQUEST, f"Bad request: method {excerpt(method)}")


def _refusal(code: ErrorCode, message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, code=code, status=400)
