"""The bounded send queue of one session.

A message stays counted until its bytes have been written (*taken*, then
*committed*), so the bound holds for what waits here and for what a driver is
just writing.
"""

from __future__ import annotations

import sys

from .message import Message

__all__ = ["Outbox", "OutboxLimits"]


class OutboxLimits:
    """What may wait for one client: bytes and packets."""

    __slots__ = ("max_bytes", "max_packets")

    def __init__(self, max_bytes: int, max_packets: int) -> None:
        self.max_bytes: int = max_bytes
        self.max_packets: int = max_packets


class Outbox:
    """Messages in the order of their emits."""

    __slots__ = ("bytes", "messages", "packets", "taken")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.bytes: int = 0
        self.packets: int = 0
        #: how many of the messages a driver is writing
        self.taken: int = 0

    def append(self, message: Message, limits: OutboxLimits) -> bool:
        """Queue a message; False where the limits forbid it.

        A limit says how far a client may be behind, not how large a message may
        be: one that is too large by itself, and first, does not count.
        """
        self.bytes += message.size
        self.packets += message.packets
        self.messages.append(message)
        if self.bytes <= limits.max_bytes and self.packets <= limits.max_packets:
            return True
        first = self.messages[0]
        if len(self.messages) == 1:
            return True
        too_large = first.size > limits.max_bytes
        return (
            too_large and self.packets <= limits.max_packets and self.bytes - first.size <= limits.max_bytes
        )

    @property
    def waiting(self) -> bool:
        """Something is queued that no driver has taken."""
        return len(self.messages) > self.taken

    def take(self, max_bytes: int, max_packets: int = sys.maxsize) -> list[Message]:
        """The next messages to write, at least one if any, within about ``max_bytes`` and ``max_packets``.

        They stay in the queue until :meth:`commit`. Nothing else may be taken
        in between.
        """
        messages = self.messages
        if self.bytes <= max_bytes and self.packets <= max_packets:
            self.taken = len(messages)
            return messages
        count = 0
        for message in messages:
            max_bytes -= message.size
            max_packets -= message.packets
            if count and (max_bytes < 0 or max_packets < 0):
                break
            count += 1
        self.taken = count
        return messages[:count]

    def commit(self) -> None:
        """What was taken has been written whole."""
        if self.taken == len(self.messages):
            self.messages = []
            self.bytes = self.packets = self.taken = 0
            return
        done = self.messages[: self.taken]
        del self.messages[: self.taken]
        self.taken = 0
        for message in done:
            self.bytes -= message.size
            self.packets -= message.packets

    def clear(self) -> None:
        """Drop everything."""
        self.messages = []
        self.bytes = self.packets = self.taken = 0
