"""The table of a session's life."""

from __future__ import annotations

import pytest

from flask_realtime.protocol.engineio.transitions import (
    TRANSITIONS,
    IllegalTransition,
    Input,
    State,
    next_state,
)

#: every row, once more and by hand
EXPECTED = {
    (State.POLLING, Input.UPGRADE_REQUESTED): State.UPGRADING,
    (State.POLLING, Input.CLOSE): State.CLOSING,
    (State.POLLING, Input.END): State.CLOSED,
    (State.UPGRADING, Input.PROBED): State.PROBED,
    (State.UPGRADING, Input.UPGRADE_FAILED): State.POLLING,
    (State.UPGRADING, Input.CLOSE): State.CLOSING,
    (State.UPGRADING, Input.END): State.CLOSED,
    (State.PROBED, Input.UPGRADED): State.WEBSOCKET,
    (State.PROBED, Input.UPGRADE_FAILED): State.POLLING,
    (State.PROBED, Input.CLOSE): State.CLOSING,
    (State.PROBED, Input.END): State.CLOSED,
    (State.WEBSOCKET, Input.CLOSE): State.CLOSING,
    (State.WEBSOCKET, Input.END): State.CLOSED,
    (State.CLOSING, Input.UPGRADED): State.CLOSING,
    (State.CLOSING, Input.UPGRADE_FAILED): State.CLOSING,
    (State.CLOSING, Input.END): State.CLOSED,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("happened", Input)
def test_every_state_with_every_input(state: State, happened: Input) -> None:
    expected = EXPECTED.get((state, happened))
    if expected is None:
        with pytest.raises(IllegalTransition, match=f"^{happened.value} while {state.value}$"):
            next_state(state, happened)
    else:
        assert next_state(state, happened) is expected


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_every_state_can_be_reached_and_left() -> None:
    reached = {State.POLLING}
    for _ in State:
        reached |= {after for state in reached for after in TRANSITIONS[state].values()}
    assert reached == set(State)
    assert [state for state in State if Input.END not in TRANSITIONS[state]] == [State.CLOSED]


def test_nothing_leads_back_from_the_end() -> None:
    assert TRANSITIONS[State.CLOSED] == {}
    assert set(TRANSITIONS[State.CLOSING].values()) == {State.CLOSING, State.CLOSED}
