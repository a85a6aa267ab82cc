"""How our gevent server handles requests: as gevent's own handler does, in fewer steps.

Two polling requests are made for each event, so what each costs counts. Most
of it was spent on the request's headers, which gevent gives to the standard
library's parser for e-mail, and on a second packet for the response's body.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent.pywsgi import WSGIHandler

from ..backends.takeover import PROMPT

__all__ = ["ENVIRON", "PromptHandler"]

#: for the server's basic environ: responses are written at once
ENVIRON = {PROMPT: True}
#: A header that means the same to everybody: a token, a colon and a value in one line (RFC 9110, section 5).
PLAIN = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0\x0b\x0c\x1c-\x1e\x85]*)\r\n")
MOST_LINES = 100  # what the standard library has always taken, the empty one included
LONGEST_LINE = 65536
#: bytes of a body that are copied to be sent in one packet with its headers
COPIED = 16384

if TYPE_CHECKING:

    class GeventHandler:
        """What is used here of gevent's class, which has no annotations."""

        socket: socket.socket

        def handle(self) -> None: ...

        def MessageClass(self, rfile: Any, *args: Any) -> Any: ...

        def _write_with_headers(self, data: bytes) -> None: ...

        def _sendall(self, data: bytes) -> None: ...

else:
    GeventHandler = WSGIHandler


class PromptHandler(GeventHandler):
    """Reads plain headers, and writes a response, in one go each.

    What is out of the ordinary is left to gevent.
    """

    _gathered: list[bytes] | None = None

    def handle(self) -> None:
        """All requests of a connection."""
        with contextlib.suppress(OSError):  # a Unix socket has no such option
            # The client's delayed acknowledgement would hold back what is sent in several packets.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle()

    def MessageClass(self, rfile: Any, *args: Any) -> Any:
        """The headers of a request, read from ``rfile``."""
        lines: list[bytes] = []
        headers: Any = None
        for _ in range(MOST_LINES):
            line = rfile.readline(LONGEST_LINE + 1)
            if line == b"\r\n":
                return _message_class() if headers is None else headers
            lines.append(line)
            plain = PLAIN.fullmatch(line)
            if plain is None:
                break
            if headers is None:
                headers = _message_class()
            headers.set_raw(plain[1].decode("ascii"), plain[2].decode("latin-1"))
        return super().MessageClass(_Replay(lines, rfile.readline), *args)

    def _write_with_headers(self, data: bytes) -> None:
        gathered: list[bytes] = []
        self._gathered = gathered
        try:
            super()._write_with_headers(data)
        finally:
            self._gathered = None
        for piece in [b"".join(gathered)] if len(data) <= COPIED else gathered:
            self._sendall(piece)

    def _sendall(self, data: bytes) -> None:
        if self._gathered is None:
            super()._sendall(data)
        else:
            self._gathered.append(data)


#: the class of what gevent parses
_message_class: Any = type(WSGIHandler.headers)


class _Replay:
    """A stream of which some lines have been read."""

    def __init__(self, lines: list[bytes], readline: Callable[[int], bytes]) -> None:
        self._lines = lines[::-1]
        self._readline = readline

    def readline(self, limit: int) -> bytes:
        """The next line."""
        return self._lines.pop() if self._lines else self._readline(limit)
