"""What we ask of uWSGI, through the module ``uwsgi`` that exists in its processes only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import IO, Any

from ..types import Environ

__all__ = ["Descriptor", "at_exit", "check_options", "dead_end", "descriptor"]

#: Options that put something between the descriptor and plain HTTP: TLS, whose keys are in uWSGI's C code,
#: or the records of another protocol. Of several sockets it does not say which one a request has come by.
FOREIGN = frozenset(
    "https-socket https-socket-with-sni suwsgi-socket ssl-socket puwsgi-socket socket-protocol protocol "
    "fastcgi-socket fastcgi-nph-socket scgi-socket scgi-nph-socket".split()
)
#: uWSGI's own HTTP router between client and worker, and what lets websockets through it
ROUTER = frozenset(("http", "httprouter", "https", "https2"))
ROUTER_PASSES = frozenset(("http-websockets", "http-raw-body"))

logger: logging.Logger = logging.getLogger("flask_realtime")


class Descriptor:
    """The connection of a request; the request's own thread or greenlet has to ask."""

    def __init__(self, uwsgi: Any) -> None:
        self._number: int = uwsgi.connection_fd()

    def fileno(self) -> int:
        """Its number, which stays uWSGI's."""
        return self._number


def descriptor(environ: Environ) -> Descriptor | None:
    """The connection of this request, where uWSGI serves it and its bytes are plain ones."""
    uwsgi = _uwsgi() if "uwsgi.version" in environ else None
    if uwsgi is None or not FOREIGN.isdisjoint(uwsgi.opt):
        return None
    if "HTTP_UPGRADE" in environ and _router_is_deaf(uwsgi):
        return None
    return Descriptor(uwsgi)


def _router_is_deaf(uwsgi: Any) -> bool:
    """It lets our 101 pass, and then drops everything that the client says."""
    return not ROUTER.isdisjoint(uwsgi.opt) and ROUTER_PASSES.isdisjoint(uwsgi.opt)


def dead_end() -> IO[bytes]:
    """In the place of its descriptor: uWSGI logs every write that fails, so here they succeed."""
    return open(os.devnull, "r+b", buffering=0)


def check_options() -> None:
    """Say at the start what uWSGI's options leave impossible, where this is uWSGI.

    :raises RuntimeError: it lets no threads run besides its own, so that clients would get no answer.
    """
    uwsgi = _uwsgi()
    if uwsgi is None:
        return
    if not uwsgi.has_threads:
        raise RuntimeError("Flask-Realtime needs threads: start uWSGI with --enable-threads")
    if _router_is_deaf(uwsgi):
        logger.warning("no websockets through uWSGI's http router, only polling: add --http-websockets")
    foreign = sorted(FOREIGN.intersection(uwsgi.opt))
    if foreign:
        logger.warning("no websockets with uWSGI's --%s, only polling", foreign[0])


def at_exit(function: Callable[[], object]) -> None:
    """Have uWSGI, if this is a worker of it, call ``function`` when the worker ends.

    Its gevent loop never runs Python's own exit functions; its others run
    them later, when no thread can be started any more.
    """
    uwsgi = _uwsgi()
    if uwsgi is None:
        return
    previous = getattr(uwsgi, "atexit", None)

    def both() -> None:
        function()
        if previous is not None:
            previous()

    uwsgi.atexit = both


def _uwsgi() -> Any:
    try:
        import uwsgi
    except ImportError:
        return None
    return uwsgi if hasattr(uwsgi, "connection_fd") else None
