"""What answers a request, ``abort(401)`` say, or the redirect of a decorator that is made for views.

In a handler it refuses the event; in a connect handler, the client: to let it in would be the opposite of
what was meant.
"""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response

from ..exceptions import EventRefusedError

__all__ = ["HTTPRefusedError", "check", "is_refusal", "original", "refusal", "refuses"]


class HTTPRefusedError(EventRefusedError):
    """What :func:`refusal` makes of an HTTP error, which is its cause."""


def original(error: Exception) -> Exception:
    """The HTTP error, where this is what was made of it."""
    cause = error.__cause__
    return cause if isinstance(error, HTTPRefusedError) and isinstance(cause, Exception) else error


def is_refusal(error: HTTPException) -> bool:
    """Whether it is meant for the client, as the status says; ``abort(500)`` is a failure."""
    code = error.code if error.response is None else error.response.status_code
    return code is None or code < 500


def refusal(error: HTTPException) -> HTTPRefusedError:
    """For ``abort(401, "Log in first")``: the message ``"Log in first"``, and ``{"code": 401}``.

    To be called in the event's context: the text may be a translation that is made when it is asked for.
    """
    if error.code is None and error.response is not None:
        return _refusal_by(error.response)
    return HTTPRefusedError(str(error.description or error.name), {"code": error.code})


def refuses(result: Any) -> bool:
    """Whether a client that connects is refused by what its connect handler has returned."""
    return result is False or isinstance(result, Response)


def check(result: Any) -> None:
    """What a connect handler has returned.

    :raises HTTPRefusedError: it is a response.
    """
    if isinstance(result, Response):
        raise _refusal_by(result)


def _refusal_by(response: Any) -> HTTPRefusedError:
    data = {"code": response.status_code}
    if "Location" in response.headers:
        data["location"] = response.headers["Location"]
    return HTTPRefusedError(response.status, data)
