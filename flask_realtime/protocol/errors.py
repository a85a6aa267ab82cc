"""The one error of the protocol layer: the peer broke a rule.

Whose fault it is and how to answer are in the exception's type and fields
(a local mistake, such as data that can't be serialised, stays a ``TypeError``
or ``ValueError`` in the caller).
"""

from __future__ import annotations


class RemoteProtocolError(Exception):
    """The client sent something that its protocol does not allow.

    :param message: one sentence for the log and for the client. It never
        holds more than a short excerpt of what the client sent.
    :param code: the Engine.IO error code (0 to 5) that a refused HTTP request
        carries in its JSON body.
    :param status: the HTTP status of a refused request.
    :param close_code: the WebSocket close code (RFC 6455, section 7.4) where
        the rule was broken on a WebSocket.
    """

    def __init__(self, message: str, *, code: int = 3, status: int = 400, close_code: int = 1002) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.close_code = close_code


def excerpt(value: object, limit: int = 120) -> str:
    """The ``repr`` of something a client sent, cut so that it fits a log line."""
    if isinstance(value, (str, bytes)):
        value = value[: limit + 1]
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
