"""An inbox's turns in the event loop: there the app's coroutine functions run, in the order of their events.

It stays as it is where its neighbours are compiled: a compiled coroutine that is cancelled throws into what
it awaits in the way that Python 3.12 has deprecated.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .inbox import Inbox

__all__ = ["ASYNC_BURST", "take_turn"]

#: after how many coroutines of one client the event loop's other tasks have their turn
ASYNC_BURST = 10


class _Breather:
    """Awaited, it lets the other tasks of the event loop run."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def take_turn(inbox: Inbox, turn: int) -> None:
    """:meth:`.Inbox.run` for coroutine functions."""
    engine = inbox.engine
    done = 0
    while True:
        with engine.lock:
            if done:
                inbox.count_finished()
            work = inbox.next_async(turn)
        if work is None:
            return
        try:
            await work()
            done += 1
            if done % ASYNC_BURST == 0 and inbox.queue:
                await _Breather()
        except BaseException:  # CancelledError too
            inbox.abandon(turn)
            raise
