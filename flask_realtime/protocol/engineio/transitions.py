"""The life of an Engine.IO session as a table.

An input that the table does not list for a state is illegal there; what that
means (a 400, a closed websocket) is decided by the caller that sees the
:class:`IllegalTransition`.

The ladder of an upgrade (Engine.IO protocol, "Upgrade"): a second connection
asks for the websocket transport (``UPGRADE_REQUESTED``), sends ``2probe``
(``PROBED``) and then ``5`` (``UPGRADED``). Until that last packet the session
lives on polling; a failure on any rung brings it back there.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

__all__ = ["TRANSITIONS", "IllegalTransition", "Input", "State", "next_state"]


class State(Enum):
    """Where a session stands."""

    POLLING = "polling"
    UPGRADING = "upgrading"  # a websocket has connected; polling still carries everything
    PROBED = "probed"  # the probe was answered; polls are released empty, data is kept
    WEBSOCKET = "websocket"
    CLOSING = "closing"  # we have closed; what is queued, and the close, may still be fetched
    CLOSED = "closed"

    # Members are keys of hot-path look-ups; Enum's own hash is a Python function.
    if not TYPE_CHECKING:
        __hash__ = object.__hash__


class Input(Enum):
    """What can happen to it."""

    UPGRADE_REQUESTED = "upgrade requested"
    PROBED = "probe received"
    UPGRADED = "upgrade packet received"
    UPGRADE_FAILED = "upgrade failed"
    CLOSE = "we close"
    END = "end"

    if not TYPE_CHECKING:
        __hash__ = object.__hash__


TRANSITIONS: dict[State, dict[Input, State]] = {
    State.POLLING: {
        Input.UPGRADE_REQUESTED: State.UPGRADING,
        Input.CLOSE: State.CLOSING,
        Input.END: State.CLOSED,
    },
    State.UPGRADING: {
        Input.PROBED: State.PROBED,
        Input.UPGRADE_FAILED: State.POLLING,
        Input.CLOSE: State.CLOSING,
        Input.END: State.CLOSED,
    },
    State.PROBED: {
        Input.UPGRADED: State.WEBSOCKET,
        Input.UPGRADE_FAILED: State.POLLING,
        Input.CLOSE: State.CLOSING,
        Input.END: State.CLOSED,
    },
    State.WEBSOCKET: {
        Input.CLOSE: State.CLOSING,
        Input.END: State.CLOSED,
    },
    State.CLOSING: {
        # A client that is climbing the last rung polls no more: it can be told there only.
        Input.UPGRADED: State.CLOSING,
        Input.UPGRADE_FAILED: State.CLOSING,
        Input.END: State.CLOSED,
    },
    State.CLOSED: {},
}


class IllegalTransition(Exception):
    """The input has no row for this state."""


def next_state(state: State, happened: Input) -> State:
    """The state after ``happened``.

    :raises IllegalTransition: where the table has no such row.
    """
    try:
        return TRANSITIONS[state][happened]
    except KeyError:
        raise IllegalTransition(f"{happened.value} while {state.value}") from None
