"""Acknowledgements that a client owes us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["AckReceiver", "PendingAcks"]

#: called with the acknowledgement's values, or with None when the client has gone
AckReceiver = Callable[[list[Any] | None], None]


class PendingAcks:
    """Callbacks of one socket by ack id. Guarded by the engine's lock.

    :param limit: how many may wait; beyond it the oldest is given up.
    """

    __slots__ = ("_last_id", "_limit", "receivers")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._last_id = 0
        self.receivers: dict[int, AckReceiver] = {}

    def new_id(self) -> int:
        """An id that was not used before."""
        self._last_id += 1
        return self._last_id

    def register(self, ack_id: int, receiver: AckReceiver) -> AckReceiver | None:
        """Wait for an acknowledgement; the receiver that had to be given up for it, if any."""
        self.receivers[ack_id] = receiver
        if len(self.receivers) > self._limit:
            return self.receivers.pop(next(iter(self.receivers)))
        return None

    def pop(self, ack_id: int) -> AckReceiver | None:
        """The receiver of this id, once; None for an id that nobody waits for."""
        return self.receivers.pop(ack_id, None)

    def forget_all(self) -> list[AckReceiver]:
        """The client has gone: everybody who still waits."""
        receivers, self.receivers = list(self.receivers.values()), {}
        return receivers
