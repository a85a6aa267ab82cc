"""Where the handlers of a test's clients run: in the thread of the test.

A test wants to go on when a handler has returned, so its clients have no pool.
What their handlers are to do is put here, and whoever drives a client does it.
Events may come from anywhere meanwhile (background tasks, other threads, the
event loop); who waits for one is woken.
"""

from __future__ import annotations

import _thread
import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .events import make_any_event
from .memory import MemoryBackend

if TYPE_CHECKING:
    from ..server.ports import Backend, Event

__all__ = ["Stage"]

STEP = 0.01  # seconds of a virtual clock


class Stage:
    """Work of the clients of one server: what one client does to another is done when its call returns."""

    def __init__(self) -> None:
        self._works: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        # How deep each thread (or greenlet) is in work.
        self._depths: Counter[int] = Counter()
        self._waiting: list[Event] = []

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Have somebody run it, soon. From any thread."""
        self._works.append((function, args))
        self.notify()

    def notify(self) -> None:
        """Something has happened that somebody may wait for. From any thread; never blocks."""
        for event in self._waiting.copy():
            event.set()

    def run(self) -> None:
        """Run what was submitted, until nothing is left. What it raises passes through."""
        thread = _thread.get_ident()
        while True:
            try:
                function, args = self._works.popleft()
            except IndexError:
                return
            self._depths[thread] += 1
            try:
                function(*args)
            finally:
                self._depths[thread] -= 1
                if not self._depths[thread]:
                    del self._depths[thread]
                self.notify()

    def settle(self) -> None:
        """Run what was submitted, unless this thread does so further up, or is an event loop.

        Then it is done when the handler has returned that runs here now.
        """
        if self.may_wait:
            self.run()

    @property
    def may_wait(self) -> bool:
        """Whether the caller is neither inside a handler nor an event loop, for which others may wait."""
        return not self._depths[_thread.get_ident()] and asyncio._get_running_loop() is None

    def wait(self, condition: Callable[[], object], backend: Backend, timeout: float | None = None) -> bool:
        """Run what is submitted until ``condition()`` holds; False if it does not within ``timeout`` seconds.

        :param condition: asked whenever something has happened here.
        :param backend: whose time it is: that of a virtual clock passes by itself.
        """
        virtual = isinstance(backend, MemoryBackend)
        now = backend.now if virtual else time.monotonic
        deadline = None if timeout is None else now() + timeout
        while True:
            # Before the look, so that nothing that happens after it is missed.
            woken = make_any_event()
            self._waiting.append(woken)
            try:
                self.run()
                if condition():
                    return True
                left = None if deadline is None else deadline - now()
                if left is not None and left <= 0:
                    return False
                if virtual:
                    backend.lend(STEP)
                else:
                    woken.wait(left)
            finally:
                self._waiting.remove(woken)
