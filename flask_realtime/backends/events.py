"""Events that suit who waits for them: a thread, or a greenlet among others in its thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from .patching import green_hub, original, patched_by

if TYPE_CHECKING:
    from ..server.ports import Event

__all__ = ["check_may_wait", "make_any_event", "make_event", "wait_readable"]


def check_may_wait() -> None:
    """
    :raises RuntimeError: the caller is an event loop, which must not be blocked.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            "this would block the event loop: in a coroutine, use `await call_async(...)` for call(),"
            " and `await asyncio.sleep(...)`"
        )


def make_event() -> Event:
    """An event for the caller to wait for; any thread may set it.

    :raises RuntimeError: the caller is an event loop, which must not be blocked.
    """
    check_may_wait()
    return make_any_event()


def make_any_event() -> Event:
    """The same for a caller that may block an event loop: one that is not waited for."""
    if green_hub() is not None or patched_by() is not None:
        return _PipeEvent()
    event: Event = original("threading", "Event")()
    return event


def wait_readable(fd: int, timeout: float | None) -> bool:
    """Wait until a descriptor can be read; False where ``timeout`` seconds have passed before.

    In a thread with a hub, the other greenlets run meanwhile.
    """
    hub = None if timeout == 0 else green_hub()  # eventlet gives up before it looks
    if hub == "gevent":
        return _gevent_wait(fd, timeout)
    if hub == "eventlet":
        return _eventlet_wait(fd, timeout)
    poll = original("select", "poll")()
    poll.register(fd, 1)  # POLLIN
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _gevent_wait(fd: int, timeout: float | None) -> bool:
    from gevent import Timeout
    from gevent.socket import wait_read

    expired = Timeout(None)
    try:
        wait_read(fd, timeout, expired)
    except Timeout as error:
        if error is not expired:
            raise
        return False
    return True


def _eventlet_wait(fd: int, timeout: float | None) -> bool:
    from eventlet.hubs import trampoline

    try:
        # Its annotation forgets that any exception will do.
        trampoline(fd, read=True, timeout=timeout, timeout_exc=_Expired)  # pyright: ignore[reportArgumentType]
    except _Expired:
        return False
    return True


class _Expired(Exception):
    """The time of a wait has passed."""


class _PipeEvent:
    """An event between threads of which some have hubs: readiness of a pipe is what all can wait for."""

    _reader = _writer = -1

    def __init__(self) -> None:
        self._flag = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def set(self) -> None:
        """See :class:`.ports.Event`."""
        self._flag = True
        with contextlib.suppress(OSError):
            os.write(self._writer, b"\0")

    def wait(self, timeout: float | None = None) -> bool:
        """See :class:`.ports.Event`; the bytes stay, so that all who wait are woken."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._flag:
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or not self._wait_once(left):
                break
        return self._flag

    def _wait_once(self, timeout: float | None) -> bool:
        reader = os.dup(self._reader)  # eventlet lets one greenlet at a time wait for a descriptor
        try:
            return wait_readable(reader, timeout)
        finally:
            os.close(reader)

    def __del__(self, close: Any = os.close) -> None:
        if self._reader >= 0:  # the process may have been out of descriptors
            close(self._reader)
            close(self._writer)
