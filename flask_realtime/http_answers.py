"""What answers a request: in a connect handler it refuses the client.

``abort(401)``, say, or the redirect of a decorator that is made for views. To let the client in would be the
opposite of what was meant.
"""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.sansio.response import Response

from .exceptions import ConnectionRefusedError

__all__ = ["checked", "refusal"]


def refusal(error: HTTPException) -> ConnectionRefusedError:
    """``abort(401, "Log in first")``: ``{"message": "Log in first", "data": {"code": 401}}``."""
    if error.response is not None and error.code is None:
        return _refusal_by(error.response)
    return ConnectionRefusedError(str(error.description or error.name), {"code": error.code})


def checked(result: Any) -> Any:
    """What a connect handler has returned.

    :raises ConnectionRefusedError: it is a response.
    """
    if isinstance(result, Response):
        raise _refusal_by(result)
    return result


def _refusal_by(response: Any) -> ConnectionRefusedError:
    data = {"code": response.status_code}
    if "Location" in response.headers:
        data["location"] = response.headers["Location"]
    return ConnectionRefusedError(response.status, data)
