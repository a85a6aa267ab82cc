"""What gevent and eventlet have done to this process, and how to get behind it.

Both replace parts of the standard library, at any moment of a process's life.
The loop needs the real things (sockets that never switch greenlets, ``epoll``,
native threads' locks), so it asks for them here, when it needs them.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["green_hub", "native_thread", "original", "patched_by", "start_thread", "throw_into_main"]


def patched_by() -> str | None:
    """Whose threads this process has: ``"gevent"``, ``"eventlet"``, or None where they are real."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return "eventlet"
    return None


@cache  # what was found before a patch is what is found behind it
def original(module: str, name: str) -> Any:
    """An attribute of a module of the standard library, as it was before any patching; None for none."""
    gevent = sys.modules.get("gevent.monkey")
    eventlet = sys.modules.get("eventlet.patcher")
    try:
        if eventlet is not None and eventlet.already_patched:
            return getattr(eventlet.original(module), name)
        if gevent is not None:
            return gevent.get_original(module, name)
        return getattr(importlib.import_module(module), name)
    except AttributeError:
        return None


def native_thread() -> int:
    """The operating system's thread that runs this, whatever greenlet it is in."""
    ident: int = original("_thread", "get_ident")()
    return ident


def green_hub() -> str | None:
    """Whose hub runs in this thread: then to block it is to block all its greenlets."""
    gevent = sys.modules.get("gevent._hub_local")
    if gevent is not None and gevent.get_hub_if_exists() is not None:
        return "gevent"
    eventlet = sys.modules.get("eventlet.hubs")
    if eventlet is not None and getattr(eventlet._threadlocal, "hub", None) is not None:
        return "eventlet"
    return None


def throw_into_main(error: BaseException) -> None:
    """Raise an error in the main greenlet of a patched process, soon.

    What a signal handler raises would hit whichever greenlet runs at the moment.
    """
    if patched_by() == "gevent":
        hub = sys.modules["gevent"].get_hub()
        hub.loop.run_callback_threadsafe(hub.parent.throw, error)  # which wakes the hub
    else:
        hub = importlib.import_module("eventlet.hubs").get_hub()
        hub.schedule_call_global(0, hub.greenlet.parent.throw, error)
        _wake_eventlet(hub)


def start_thread(function: Callable[[], object], name: str) -> None:
    """Run a function in a thread, or a greenlet where threads are greenlets. Also from a signal handler."""
    library = patched_by()
    if library is None:
        threading.Thread(target=function, name=name, daemon=True).start()
    elif not _in_main_thread():
        # A real thread in a patched process: if it has a hub at all, it may be inside an event loop.
        original("_thread", "start_new_thread")(function, ())
    elif library == "gevent":
        gevent = sys.modules["gevent"]
        gevent.get_hub().loop.run_callback_threadsafe(gevent.spawn_raw, function)  # which wakes the hub
    else:
        sys.modules["eventlet"].spawn_n(function)
        _wake_eventlet(importlib.import_module("eventlet.hubs").get_hub())


def _in_main_thread() -> bool:
    # After a fork, `main_thread()` still gives the parent's number; Linux gives this one the process's.
    return threading.get_native_id() in (os.getpid(), threading.main_thread().native_id)


def _wake_eventlet(hub: Any) -> None:
    """Have the hub look at its timers: a signal handler runs inside its sleep, which goes on afterwards."""
    reader, writer = os.pipe()
    os.close(writer)  # the end of file is readable

    def woken(fd: int) -> None:
        hub.remove(listener)
        os.close(fd)

    listener = hub.add(hub.READ, reader, woken, lambda *_: None, lambda: None)
