"""A poll that waits in a coroutine of an ASGI server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..server.asgi_types import Receive, Send
from ..server.ports import Poll
from .asgi_server import abort_connection
from .bell import Bell

__all__ = ["HeldPoll"]

logger: logging.Logger = logging.getLogger("flask_realtime")

CallSoon = Callable[[Callable[[], object]], None]


class HeldPoll:
    """A long-poll that a coroutine waits with, as long as it takes.

    A context manager: what it has started ends with the block.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, call_soon: CallSoon, receive: Receive, send: Send
    ) -> None:
        self._bell = Bell(loop)
        self._send = send
        self.poll: Poll = Poll(lambda: call_soon(self._bell.ring))
        self._loop = loop
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        #: the client has gone
        self.gone: bool = False

    def watch(self) -> None:
        """Notice from now on when the client goes."""
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except Exception:
            logger.debug("a poll's connection was lost", exc_info=True)
        self.gone = True
        self._bell.ring()

    async def write(self, response: Awaitable[None], seconds: float) -> bool:
        """Write the response; False where the client has gone, or has not read it within ``seconds``."""
        self.watch()
        try:
            await asyncio.wait_for(response, seconds)
        except asyncio.TimeoutError:
            abort_connection(self._send)
            return False
        return not self.gone

    async def wait(self) -> bool:
        """Until there is an answer; False where the client has gone before."""
        self.watch()
        await self._bell.wait()
        return not self.gone

    def __enter__(self) -> HeldPoll:
        return self

    def __exit__(self, *error: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
