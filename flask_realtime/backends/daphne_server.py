"""What we ask of daphne beyond ASGI.

Its ``send`` never waits, so that a client that does not read would fill the memory; what it reads it puts
into a queue without a limit; and it leaves out empty messages and most close codes. But ``send`` is a partial
with the connection's protocol object as its argument, and Twisted's producers and autobahn's protocol have
public methods for all of that.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

from ..server.asgi_types import Event, Send

__all__ = ["DaphneConnection", "daphne_sender"]


def daphne_sender(send: Send) -> Send:
    """``send``, or what to use in its place where it is daphne's: a method of :class:`DaphneConnection`."""
    daphne = sys.modules.get("daphne.server")
    if daphne is None or not isinstance(send, partial) or not send.args:
        return send
    if not isinstance(getattr(send.func, "__self__", None), daphne.Server):
        return send
    return DaphneConnection(send, send.args[0]).send


class DaphneConnection:
    """A client's connection. Of its transport it is the push producer: it is told when the buffer is full.

    :param send: daphne's.
    :param protocol: of daphne: a websocket, or an HTTP request.
    """

    def __init__(self, send: Send, protocol: Any) -> None:
        self._send = send
        self._protocol = protocol
        self._registered = False
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def transport(self) -> Any:
        """Twisted's; None where the connection is over."""
        return getattr(self._protocol, "transport", None)

    async def send(self, event: Event) -> None:
        """Send it, when the client has read most of what was sent before."""
        kind = event["type"]
        if kind == "websocket.send" or event.get("more_body"):
            self._register(kind)
        await self._writable.wait()
        if kind == "http.response.body" and not event.get("more_body"):
            self._unregister()
        if not self._say(kind, event):
            await self._send(event)

    def _say(self, kind: str, event: Event) -> bool:
        """Say what daphne's own function would not."""
        protocol = self._protocol
        if not kind.startswith("websocket.") or protocol.state != protocol.STATE_OPEN:
            return False
        if event.get("bytes") == b"":
            protocol.sendMessage(b"", True)
        elif kind == "websocket.close":
            protocol.sendCloseFrame(event["code"])
        else:
            return False
        return True

    def _register(self, kind: str) -> None:
        if self._registered:
            return
        self._registered = True
        if kind == "websocket.send":
            # That of the HTTP channel, which has no part in it any more. Autobahn removes ours at the end.
            self._protocol.unregisterProducer()
        if self.transport is not None:
            self._protocol.registerProducer(self, True)

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            # Of a request whose connection was lost.
            if getattr(self._protocol, "channel", None) is not None:
                self._protocol.unregisterProducer()

    # Twisted's IPushProducer: called by the transport

    def pauseProducing(self) -> None:
        """Its buffer is full."""
        self._writable.clear()

    def resumeProducing(self) -> None:
        """Its buffer is empty."""
        self._writable.set()

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._writable.set()

    # Called by us

    def pause_reading(self) -> None:
        """Take no more from the client."""
        if self.transport is not None:
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Go on."""
        if self.transport is not None:
            self.transport.resumeProducing()
