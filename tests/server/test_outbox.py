"""The bounded send queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.server.message import Message
from flask_realtime.server.outbox import Outbox, OutboxLimits

WIDE = OutboxLimits(1 << 30, 1 << 30)


def message(size: int = 1, attachments: int = 0) -> Message:
    return Message.of(b"4" * size, (b"x" * size,) * attachments)


def filled(*sizes: int) -> tuple[Outbox, list[Message]]:
    outbox, messages = Outbox(), [message(size) for size in sizes]
    for m in messages:
        assert outbox.append(m, WIDE)
    return outbox, messages


def test_an_empty_one() -> None:
    outbox = Outbox()
    assert (outbox.bytes, outbox.packets, outbox.waiting) == (0, 0, False)
    assert outbox.take(100) == []
    outbox.commit()
    assert outbox.bytes == 0


def test_what_is_taken_stays_counted_until_it_is_committed() -> None:
    outbox, messages = filled(10, 20)
    assert list(outbox.take(1000)) == messages
    assert (outbox.bytes, outbox.packets, outbox.waiting) == (30, 2, False)
    outbox.commit()
    assert (outbox.bytes, outbox.packets, outbox.waiting) == (0, 0, False)


def test_what_comes_after_the_taking_is_not_committed() -> None:
    outbox, _ = filled(10, 20)
    outbox.take(1000)
    late = message(5)
    outbox.append(late, WIDE)
    assert outbox.waiting
    outbox.commit()
    assert (outbox.bytes, outbox.packets) == (5, 1)
    assert list(outbox.take(1000)) == [late]


@pytest.mark.parametrize(
    ("max_bytes", "expected"), [(0, 1), (1, 1), (10, 1), (29, 1), (30, 2), (59, 2), (60, 3), (61, 3)]
)
def test_at_least_one_is_taken_and_then_up_to_the_limit(max_bytes: int, expected: int) -> None:
    outbox, messages = filled(10, 20, 30)
    assert list(outbox.take(max_bytes)) == messages[:expected]
    assert outbox.waiting == (expected < 3)


@pytest.mark.parametrize(("max_packets", "expected"), [(1, 1), (2, 1), (3, 2), (5, 2), (6, 3), (7, 3)])
def test_packets_of_one_message_are_not_parted(max_packets: int, expected: int) -> None:
    outbox = Outbox()
    for attachments in (1, 0, 2):
        outbox.append(message(1, attachments), WIDE)
    assert len(outbox.take(1000, max_packets)) == expected


def test_a_limit_of_bytes_and_of_packets() -> None:
    outbox = Outbox()
    limits = OutboxLimits(100, 3)
    assert outbox.append(message(50), limits)
    assert outbox.append(message(50), limits)
    assert not outbox.append(message(1), limits)
    outbox = Outbox()
    for _ in range(3):
        assert outbox.append(message(), limits)
    assert not outbox.append(message(), limits)


def test_attachments_count_as_packets_and_bytes() -> None:
    outbox = Outbox()
    outbox.append(message(10, attachments=2), WIDE)
    assert (outbox.bytes, outbox.packets) == (30, 3)


def test_a_message_alone_is_accepted_whatever_its_size() -> None:
    outbox = Outbox()
    assert outbox.append(message(1000), OutboxLimits(10, 1))
    assert not outbox.append(message(1), OutboxLimits(10, 1))


def test_a_message_that_is_being_written_counts() -> None:
    outbox = Outbox()
    limits = OutboxLimits(100, 10)
    outbox.append(message(90), limits)
    outbox.take(1000)
    assert not outbox.append(message(20), limits)


def test_clear() -> None:
    outbox, _ = filled(1, 2)
    outbox.take(1)
    outbox.clear()
    assert (outbox.bytes, outbox.packets, outbox.waiting) == (0, 0, False)
    outbox.commit()
    assert outbox.take(10) == []


@given(st.lists(st.tuples(st.sampled_from("atc"), st.integers(0, 50))))
def test_whatever_happens_everything_comes_out_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox()
    put: list[Message] = []
    got: list[Message] = []
    taken: list[Message] = []
    for step, size in steps:
        if step == "a":
            put.append(message(size + 1, attachments=size % 3))
            outbox.append(put[-1], WIDE)
        elif step == "t" and not taken:
            taken = list(outbox.take(size))
        elif step == "c" and taken:
            outbox.commit()
            got, taken = got + taken, []
        left = put[len(got) :]
        assert outbox.bytes == sum(m.size for m in left)
        assert outbox.packets == sum(m.packets for m in left)
        assert outbox.waiting == (len(left) > len(taken))
    assert [id(m) for m in got] == [id(m) for m in put[: len(got)]]
