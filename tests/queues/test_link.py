"""The two tasks around a channel: nobody waits for the broker, and its loss is noticed."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from acceptance import wire as tests_wire
from queues.memory_channel import Broker, MemoryChannel

from flask_realtime.adapters import wire
from flask_realtime.backends.link import QueueLink, close_links, outage
from flask_realtime.backends.link import publisher as publisher_module
from flask_realtime.backends.link.subscriber import Subscriber

wait_until = tests_wire.wait_until
MakeLink = Callable[..., QueueLink]


@pytest.fixture
def broker() -> Broker:
    return Broker()


def bodies(messages: list[bytes]) -> list[bytes]:
    return [bytes(wire.unseal(message).body) for message in messages]


def listening(link: QueueLink) -> list[bytes]:
    """Start listening, and wait until that works; what will be heard."""
    heard: list[bytes] = []
    link.listen(lambda data: heard.append(bytes(wire.unseal(data).body)))
    wait_until(lambda: link.listening)
    return heard


def test_what_one_publishes_all_hear_in_order(make_link: MakeLink, broker: Broker) -> None:
    one, other = make_link(MemoryChannel(broker)), make_link(MemoryChannel(broker))
    heard, heard_too = listening(one), listening(other)
    sent = [b"%d" % number for number in range(500)]
    for body in sent:
        one.publish(body)
    wait_until(lambda: len(heard_too) == 500 and len(heard) == 500)
    assert heard == heard_too == sent
    assert one.stats() == {"queue_connected": 1, "queue_pending": 0}


def test_order_of_each_thread_is_kept(make_link: MakeLink, broker: Broker) -> None:
    link = make_link(MemoryChannel(broker))
    heard = listening(link)

    def publish(source: int) -> None:
        for number in range(200):
            link.publish(b"%d:%d" % (source, number))

    threads = [threading.Thread(target=publish, args=(source,)) for source in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(heard) == 800)
    for source in range(4):
        own = [body for body in heard if body.startswith(b"%d:" % source)]
        assert own == [b"%d:%d" % (source, number) for number in range(200)]
    numbers = [wire.unseal(message).number for message in broker.published]
    assert numbers == list(range(1, 801))


def test_nothing_connects_before_it_is_needed(make_link: MakeLink, broker: Broker) -> None:
    link = make_link(MemoryChannel(broker))
    assert link.stats() == {"queue_connected": 0, "queue_pending": 0}
    link.publish(b"x")
    wait_until(lambda: broker.published)
    assert broker.listened == 0


def test_a_lost_broker_is_waited_for_by_nobody(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link(MemoryChannel(broker))
    heard = listening(link)
    broker.up = False
    wait_until(lambda: not link.listening)
    for number in range(50):
        link.publish(b"%d" % number)
    assert link.stats() == {"queue_connected": 0, "queue_pending": 50}
    broker.up = True
    wait_until(lambda: link.stats() == {"queue_connected": 1, "queue_pending": 0})
    wait_until(lambda: broker.published)
    assert bodies(broker.published) == [b"%d" % number for number in range(50)]
    assert set(heard) <= set(bodies(broker.published))
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "no connection (ConnectionError: the broker is down)" in line]) == 1
    assert len([line for line in lines if "connected again after" in line]) == 1


def test_what_waits_is_bounded_and_the_newest_is_kept(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.up = False
    link = make_link(MemoryChannel(broker), limit=10)
    for number in range(100):
        link.publish(b"%d" % number)
    assert link.stats()["queue_pending"] == 10
    wait_until(lambda: "90 messages for other processes were dropped" in caplog.text)
    broker.up = True
    wait_until(lambda: len(broker.published) == 10)
    assert bodies(broker.published) == [b"%d" % number for number in range(90, 100)]


def test_what_waits_is_bounded_in_bytes(
    make_link: MakeLink, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "MAX_PENDING_BYTES", 1000)
    broker.up = False
    link = make_link(MemoryChannel(broker))
    for _ in range(100):
        link.publish(b"x" * 300)
    assert link.stats()["queue_pending"] == 3
    link.publish(b"x" * 3000)
    assert link.stats()["queue_pending"] == 1
    broker.up = True


def test_a_message_that_the_broker_refuses_does_not_hold_up_the_others(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.largest, broker.up = 100, False
    link = make_link(MemoryChannel(broker))
    sent = [b"1", b"x" * 200, b"2", b"x" * 300, b"3"]
    for body in sent:
        link.publish(body)
    broker.up = True
    wait_until(lambda: link.stats()["queue_pending"] == 0)
    assert bodies(broker.published) == [b"1", b"2", b"3"]
    assert caplog.text.count("a message can't be published: too large") == 2
    link.publish(b"4")
    wait_until(lambda: len(broker.published) == 4)


def test_a_subscription_that_died_in_silence_is_made_anew(
    make_link: MakeLink, broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Subscriber, "silence", 0.05)
    monkeypatch.setattr(Subscriber, "echo_within", 0.05)
    link = make_link(MemoryChannel(broker))
    listening(link)
    broker.deaf = True
    wait_until(lambda: "the subscription is dead" in caplog.text)
    broker.deaf = False
    wait_until(lambda: link.listening and link.stats()["queue_connected"])
    assert broker.listened >= 2
    assert len(broker.subscriptions) == 1


def test_silence_alone_is_no_death(
    make_link: MakeLink, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subscriber, "silence", 0.02)
    link = make_link(MemoryChannel(broker))
    listening(link)
    wait_until(lambda: len(broker.published) >= 3)
    assert bodies(broker.published) == [b""] * len(broker.published)
    assert broker.listened == 1


def test_what_fails_again_and_again_is_tried_less_and_less(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(outage, "time", clock)
    backoff = outage.Backoff(lambda: False)
    waits = []
    for works_for in (None, None, 1.0, 1.0, 1.0, 1.0, 1.0, 11.0, None):
        if works_for is not None:
            backoff.succeeded()
            clock.now += works_for
            backoff.succeeded()
        start = clock.now
        backoff.wait()
        waits.append(round(clock.now - start, 1))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 0.1, 0.2]


class Clock:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_message_that_cannot_be_handled_does_not_end_the_subscription(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    link = make_link(MemoryChannel(broker))
    heard: list[bytes] = []

    def receive(data: bytes) -> None:
        heard.append(data)
        raise RuntimeError("on purpose")

    link.listen(receive)
    wait_until(lambda: link.listening)
    link.publish(b"1")
    link.publish(b"2")
    wait_until(lambda: len(heard) == 2)
    assert link.listening
    assert "on purpose" in caplog.text


def test_whoever_waits_for_the_subscription_is_told(make_link: MakeLink, broker: Broker) -> None:
    link = make_link(MemoryChannel(broker))
    told: list[bool] = []
    link.when_listening(lambda: told.append(link.listening))
    assert told == []
    link.listen(lambda data: None)
    wait_until(lambda: told)
    assert told == [True]
    link.when_listening(lambda: told.append(link.listening))
    assert told == [True, True]


def test_whoever_waits_for_a_broker_that_is_down_goes_on(make_link: MakeLink, broker: Broker) -> None:
    broker.up = False
    link = make_link(MemoryChannel(broker))
    told: list[bool] = []
    link.when_listening(lambda: told.append(link.listening))
    link.listen(lambda data: None)
    wait_until(lambda: told)
    link.when_listening(lambda: told.append(link.listening))
    assert told == [False, False]


def test_close_publishes_what_waits_and_ends_the_tasks(make_link: MakeLink, broker: Broker) -> None:
    link = make_link(MemoryChannel(broker))
    listening(link)
    origin = link.origin
    for _ in range(100):
        link.publish(b"x")
    close_links()
    assert len(broker.published) == 100
    wait_until(lambda: not broker.subscriptions and not broker.connections)
    assert not link.listening
    listening(link)  # a server that starts again
    link.publish(b"again")
    wait_until(lambda: len(broker.published) == 101)
    assert link.origin != origin


def test_close_does_not_wait_for_a_broker_that_is_down(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_realtime.backends.link.publisher.FLUSH_LOST", 0.1)
    broker.up = False
    link = make_link(MemoryChannel(broker))
    link.publish(b"x")
    wait_until(lambda: "no connection" in caplog.text)
    link.close()
    assert "1 messages for other processes could not be published before the end" in caplog.text


def test_what_an_object_has_published_goes_out_when_it_is_dropped(broker: Broker) -> None:
    """Tasks make an object each, emit once, and forget it: nothing of it may be left."""
    threads = threading.active_count()
    broker.up = False
    for _ in range(3):
        QueueLink(MemoryChannel(broker), logging.getLogger("flask_realtime"), 100).publish(b"x")
    gc.collect()
    broker.up = True
    wait_until(lambda: len(broker.published) == 3)
    wait_until(lambda: threading.active_count() <= threads)
    assert broker.connections == 0
    assert not publisher_module.running


def test_at_the_end_of_the_interpreter_no_thread_is_needed(
    make_link: MakeLink, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*args: Any) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr("threading.Thread.start", no_thread)
    link = make_link(MemoryChannel(broker))
    link.publish(b"last words")
    assert link.stats()["queue_pending"] == 1
    link.flush()
    assert bodies(broker.published) == [b"last words"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_nothing_of_its_parent(make_link: MakeLink, broker: Broker) -> None:
    link = make_link(MemoryChannel(broker))
    listening(link)
    broker.up = False
    link.publish(b"the parent's")
    origin = link.origin
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        state = [link.origin != origin, not link.listening, link.stats()["queue_pending"] == 0]
        os.write(writer, b"%d" % all(state))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 10) == b"1"
    os.close(reader)
    broker.up = True
    wait_until(lambda: len(broker.published) == 1)
    assert link.origin == origin


def test_log_lines_hold_the_name_of_the_channel(
    make_link: MakeLink, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.up = False
    link = make_link(MemoryChannel(broker))
    with caplog.at_level(logging.WARNING):
        link.publish(b"x")
        wait_until(lambda: caplog.records)
    assert caplog.records[0].getMessage().startswith("message queue MemoryChannel 'memory': ")
    broker.up = True
