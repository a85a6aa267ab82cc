"""Acknowledgements that a client owes."""

from __future__ import annotations

from typing import Any

from flask_realtime.server.acks import PendingAcks


def receiver(values: list[Any] | None) -> None:
    """Nobody."""


def test_ids_begin_at_1_and_are_never_used_again() -> None:
    acks = PendingAcks(10)
    assert acks.new_id() == 1
    assert acks.register(1, receiver) is None
    assert acks.pop(1) is receiver
    assert acks.new_id() == 2


def test_an_id_is_good_once() -> None:
    acks = PendingAcks(10)
    acks.register(acks.new_id(), receiver)
    assert acks.pop(1) is receiver
    assert acks.pop(1) is None
    assert acks.pop(99) is None


def test_beyond_the_limit_the_oldest_is_given_up() -> None:
    acks = PendingAcks(2)
    receivers = [lambda values, n=n: None for n in range(4)]
    assert acks.register(acks.new_id(), receivers[0]) is None
    assert acks.register(acks.new_id(), receivers[1]) is None
    assert acks.register(acks.new_id(), receivers[2]) is receivers[0]
    acks.pop(2)
    assert acks.register(acks.new_id(), receivers[3]) is None
    assert list(acks.receivers) == [3, 4]


def test_all_are_forgotten_at_the_end() -> None:
    acks = PendingAcks(10)
    receivers = [lambda values, n=n: None for n in range(3)]
    for r in receivers:
        acks.register(acks.new_id(), r)
    assert acks.forget_all() == receivers
    assert acks.forget_all() == []
    assert acks.pop(1) is None
