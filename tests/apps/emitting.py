"""The places in a process that an app may emit from, by name.

Each is a function that is given another one and has it run in that place: at once, or soon.
"""

from __future__ import annotations

import _thread
import asyncio
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from flask_realtime import SocketIO

Work = Callable[[], None]


def in_thread(work: Work) -> None:
    threading.Thread(target=work, daemon=True).start()


def in_native_thread(work: Work) -> None:
    """One of the operating system's, also where ``threading`` gives greenlets."""
    _original_start_new_thread()(work, ())


def _original_start_new_thread() -> Callable[..., Any]:
    if _is_patched("gevent"):
        from gevent import monkey

        start: Callable[..., Any] = monkey.get_original("_thread", "start_new_thread")
    elif _is_patched("eventlet"):
        from eventlet import patcher

        start = patcher.original("_thread").start_new_thread
    else:
        start = _thread.start_new_thread
    return start


def _is_patched(library: str) -> bool:
    if library not in sys.modules:
        return False
    if library == "gevent":
        from gevent import monkey

        return bool(monkey.is_module_patched("threading"))
    from eventlet import patcher

    return bool(patcher.is_monkey_patched("thread"))


def in_gevent(work: Work) -> None:
    """Joined: the greenlets of a thread run while it waits for one."""
    import gevent

    gevent.spawn(work).join()


def in_eventlet(work: Work) -> None:
    import eventlet

    eventlet.spawn(work).wait()


def in_asyncio(work: Work) -> None:
    """A task of an event loop that the app itself runs, in a thread."""

    async def task() -> None:
        work()

    async def main() -> None:
        await asyncio.create_task(task())

    in_native_thread(lambda: asyncio.run(main()))


def in_scheduler(work: Work) -> None:
    """A job that is due now."""
    # the locks that eventlet gives APScheduler know only the thread that they were made in
    thread = threading.get_native_id() if _is_patched("eventlet") else 0
    _scheduler(thread).add_job(work)


@functools.cache
def _scheduler(thread: int) -> Any:
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler()
    scheduler.start()
    return scheduler


class NumberedEmitter:
    """Emits ``numbered``, so many times and in order, to one client from one place.

    :param source: a name in ``SOURCES``, or ``background-task`` or ``here``.
    """

    def __init__(self, socketio: SocketIO, source: str, count: int, sid: str, namespace: str) -> None:
        self.socketio = socketio
        self.source = source
        self.count = count
        self.sid = sid
        self.namespace = namespace

    def start(self) -> None:
        if self.source == "here":
            self.emit_all()
        elif self.source == "background-task":
            self.socketio.start_background_task(self.emit_all)
        else:
            SOURCES[self.source](self.emit_all)

    def emit_all(self) -> None:
        for number in range(self.count):
            self.emit(number)

    def emit(self, number: int) -> None:
        data = {"source": self.source, "i": number}
        self.socketio.emit("numbered", data, to=self.sid, namespace=self.namespace)


SOURCES: dict[str, Callable[[Work], None]] = {
    "thread": in_thread,
    "native-thread": in_native_thread,
    "gevent": in_gevent,
    "eventlet": in_eventlet,
    "asyncio": in_asyncio,
    "scheduler": in_scheduler,
}
