"""Compares what a connection receives with what it has to receive."""

from __future__ import annotations

from collections.abc import Callable

from .faults import Fault
from .streams import Stream
from .wire import control_frame

__all__ = ["Checker", "Ordered", "Quiet", "Unordered"]

Send = Callable[[bytes], object]


class Checker:
    """What has been received of a connection, and what may come next.

    Pings may stand between any two messages. They are answered here.

    :param send: sends bytes to the server.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held = b""

    def expect(self, first: int, count: int) -> None:
        """So many requests are about to be sent, from this one of the stream on."""

    def feed(self, data: bytes) -> int:
        """How many replies the data completes.

        :raises Fault: it is not what must come.
        """
        data = self._held + data
        self._held = b""
        replies = 0
        while data:
            control = control_frame(data) if self._between() else None
            if control is None:
                taken, complete = self._take(data)
                replies += complete
            else:
                taken, answer = control
                if answer:
                    self.ping_received(answer)
            if not taken:
                self._held = data
                break
            data = data[taken:]
        return replies

    def ping_received(self, answer: bytes) -> None:
        self._send(answer)

    def _between(self) -> bool:
        """Whether a frame may begin here."""
        return True

    def _take(self, data: bytes) -> tuple[int, int]:
        """Take bytes from the beginning: how many (0: more are needed), and how many replies are complete."""
        raise Fault(f"nobody waits for {data[:200]!r}")


class Quiet(Checker):
    """Nothing but pings may come."""


class Ordered(Checker):
    """The replies of a stream, in its order."""

    def __init__(self, send: Send, stream: Stream) -> None:
        super().__init__(send)
        self._replies = stream.replies
        self._size = stream.reply_size
        self._round = stream.reply_size * stream.count
        self._position = 0
        self._awaited = 0  # bytes

    def expect(self, first: int, count: int) -> None:
        self._awaited += count * self._size

    def feed(self, data: bytes) -> int:
        length = len(data)
        position = self._position
        # A single byte of a next frame may as well be the first of a ping.
        if (
            self._held
            or length > self._awaited
            or (position + length) % self._size == 1
            or not self._replies.startswith(data, position)
        ):
            return super().feed(data)
        return self._advance(length)

    def _advance(self, length: int) -> int:
        self._awaited -= length
        end = self._position + length
        replies = end // self._size - self._position // self._size
        self._position = end % self._round
        return replies

    def _between(self) -> bool:
        return self._position % self._size == 0

    def _take(self, data: bytes) -> tuple[int, int]:
        part = data[: self._size - self._position % self._size]
        if not self._awaited:
            raise Fault(f"nobody waits for {data[:200]!r}")
        if not self._replies.startswith(part, self._position):
            expected = self._replies[self._position : self._position + len(part)]
            raise Fault(f"{part[:200]!r} instead of {expected[:200]!r}")
        return len(part), self._advance(len(part))


class Unordered(Checker):
    """The replies of a stream, each exactly once; for servers that do not promise an order."""

    def __init__(self, send: Send, stream: Stream) -> None:
        super().__init__(send)
        self._stream = stream
        self._awaited: set[bytes] = set()

    def expect(self, first: int, count: int) -> None:
        size, replies = self._stream.reply_size, self._stream.replies
        for start in range(first * size, (first + count) * size, size):
            self._awaited.add(replies[start : start + size])

    def _take(self, data: bytes) -> tuple[int, int]:
        size = self._stream.reply_size
        if len(data) < size and self._awaited:
            return 0, 0
        reply = data[:size]
        if reply not in self._awaited:
            raise Fault(f"nobody waits for {reply[:200]!r}")
        self._awaited.remove(reply)
        return size, 1
