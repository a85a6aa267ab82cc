"""Which backend a process needs: greenlets where threads are greenlets, else threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .green import GreenBackend
from .patching import patched_by
from .threads import ThreadsBackend

if TYPE_CHECKING:
    from ..server.ports import Backend

__all__ = ["choose_backend"]


def choose_backend(handlers: int, current: Backend | None = None) -> ThreadsBackend | GreenBackend:
    """The backend for WSGI servers in this process.

    The answer changes when gevent or eventlet patches the process; a server may do so after the app
    was imported.

    :param handlers: how many handlers may run at once.
    :param current: kept if it is still right.
    """
    library = patched_by()
    if isinstance(current, (ThreadsBackend, GreenBackend)) and current.name == (
        library or ThreadsBackend.name
    ):
        return current
    return ThreadsBackend(handlers) if library is None else GreenBackend(library, handlers)
