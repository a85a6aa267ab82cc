"""Events and readiness: whoever waits is woken, and others in its thread go on meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pytest
from backends.script import PATCHES, every_library, run_part, run_script, until

from flask_realtime.backends.events import make_event, wait_readable

Pipe = tuple[int, int]


class TestInPlainThreads:
    def test_set_by_another_thread(self) -> None:
        event = make_event()
        threading.Timer(0.01, event.set).start()
        assert event.wait(5) is True
        assert event.wait(0) is True
        assert event.wait() is True

    @pytest.mark.parametrize("timeout", [0, 0.02])
    def test_timeout(self, timeout: float) -> None:
        event = make_event()
        started = time.monotonic()
        assert event.wait(timeout) is False
        assert timeout <= time.monotonic() - started < 1
        event.set()
        assert event.wait(timeout) is True

    def test_many_waiters(self) -> None:
        event = make_event()
        woken: list[bool] = []
        threads = [threading.Thread(target=lambda: woken.append(event.wait(5))) for _ in range(10)]
        for thread in threads:
            thread.start()
        event.set()
        event.set()
        until(lambda: len(woken) == 10)
        assert all(woken)

    def test_not_in_an_event_loop(self) -> None:
        async def make() -> None:
            make_event()

        with pytest.raises(RuntimeError, match=r"await call_async\(.*await asyncio\.sleep\("):
            asyncio.run(make())


class TestReadable:
    @pytest.fixture
    def pipe(self) -> Iterator[Pipe]:
        reader, writer = os.pipe()
        yield reader, writer
        os.close(reader)
        os.close(writer)

    def test_it_is(self, pipe: Pipe) -> None:
        os.write(pipe[1], b"x")
        assert wait_readable(pipe[0], 5) is True
        assert wait_readable(pipe[0], None) is True
        assert wait_readable(pipe[0], 0) is True

    @pytest.mark.parametrize("timeout", [0, 0.02])
    def test_it_is_not(self, pipe: Pipe, timeout: float) -> None:
        started = time.monotonic()
        assert wait_readable(pipe[0], timeout) is False
        assert timeout * 0.9 <= time.monotonic() - started < 1

    @pytest.mark.parametrize("timeout", [None, 5])
    def test_it_becomes_so(self, pipe: Pipe, timeout: float | None) -> None:
        threading.Timer(0.01, lambda: os.write(pipe[1], b"x")).start()
        assert wait_readable(pipe[0], timeout) is True


#: a greenlet that counts while others wait, and a real thread's way to act later
GREENLETS = """
import asyncio, os, time
import LIBRARY as green
from flask_realtime.backends.events import make_event, wait_readable
from flask_realtime.backends.patching import green_hub, original, patched_by

HUB
assert green_hub() == "LIBRARY"
really_sleep = original("time", "sleep")
start = original("_thread", "start_new_thread")
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        green.sleep(0.001)

def later(function, *args):
    def work():
        really_sleep(0.04)
        function(*args)
    start(work, ())

def others_ran(wait, *args):
    before = ticks
    result = wait(*args)
    assert ticks - before > 8, ticks - before
    return result

def until(condition):
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        green.sleep(0.001)

green.spawn(tick)
green.sleep(0)
"""
EVENTS = """
event = make_event()
later(event.set)
assert others_ran(event.wait, 5) is True
assert event.wait(0) is True and event.wait() is True and event.wait(None) is True

event = make_event()
later(event.set)
assert others_ran(event.wait) is True

event = make_event()
assert event.wait(0) is False
started = time.monotonic()
assert others_ran(event.wait, 0.03) is False
assert 0.03 <= time.monotonic() - started < 1

# set by another greenlet, and again after a timeout
green.spawn(event.set)
assert event.wait(5) is True

# a greenlet sets, a real thread waits
seen = []
def wait_in_thread():
    event = make_event()
    events.append(event)
    seen.append(event.wait(5))
events = []
start(wait_in_thread, ())
until(lambda: events)
events[0].set()
until(lambda: seen)
assert seen == [True]

# a real thread waits for an event of ours
event = make_event()
start(lambda: seen.append(event.wait(5)), ())
really_sleep(0.01)
event.set()
until(lambda: len(seen) == 2)
assert seen == [True, True]

async def make():
    make_event()

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(make())
except RuntimeError as error:
    assert "call_async" in str(error)
else:
    raise AssertionError("made in an event loop")
loop.close()
"""
MANY_WAITERS = """
event = make_event()
woken = []
for _ in range(5):
    green.spawn(lambda: woken.append(event.wait(5)))
green.sleep(0.01)
later(event.set)
until(lambda: len(woken) == 5)
assert woken == [True] * 5
assert event.wait(0)
"""
READABLE = """
reader, writer = os.pipe()
assert wait_readable(reader, 0) is False
assert others_ran(wait_readable, reader, 0.03) is False
later(os.write, writer, b"x")
assert others_ran(wait_readable, reader, 5) is True
assert wait_readable(reader, None) is True
os.read(reader, 1)
later(os.write, writer, b"x")
assert others_ran(wait_readable, reader, None) is True
os.read(reader, 1)
later(os.close, writer)
assert others_ran(wait_readable, reader, 5) is True

# Somebody else's timeout passes through.
Timeout = green.Timeout
reader, writer = os.pipe()
expired = Timeout.start_new(0.01) if "LIBRARY" == "gevent" else Timeout(0.01)
try:
    wait_readable(reader, 5)
except Timeout as error:
    assert error is expired
else:
    raise AssertionError("the timeout was lost")
assert wait_readable(reader, 0.01) is False  # and nothing of it is left
"""
WITHOUT_WAITING = """
reader, writer = os.pipe()
assert wait_readable(reader, 0) is False
os.write(writer, b"x")
assert wait_readable(reader, 0) is True
"""
DESCRIPTORS = """
def count():
    return len(os.listdir("/proc/self/fd"))

before = count()
for _ in range(100):
    event = make_event()
    event.set()
    assert event.wait(1)
del event
green.sleep(0.01)  # gevent closes descriptors a little later
assert count() <= before, (before, count())
"""

PARTS = {
    "events": EVENTS,
    "many waiters": MANY_WAITERS,
    "readable": READABLE,
    "readable without waiting": WITHOUT_WAITING,
    "descriptors": DESCRIPTORS,
}


@every_library
@pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
@pytest.mark.parametrize("part", PARTS)
def test_among_greenlets(library: str, patched: bool, part: str) -> None:
    hub = {"gevent": "green.get_hub()", "eventlet": "import eventlet.hubs; eventlet.hubs.get_hub()"}[library]
    setup = GREENLETS.replace("HUB", hub).replace("LIBRARY", library)
    assert library in PATCHES
    parts = {name: script.replace("LIBRARY", library) for name, script in PARTS.items()}
    run_part(part, parts, library if patched else "", setup)


@every_library
def test_a_thread_of_its_own_has_no_hub(library: str) -> None:
    """The hub of one thread says nothing about the others."""
    script = """
        import threading
        seen = []

        def work():
            seen.append(green_hub())
            event = make_event()
            seen.append(type(event))
            threading.Timer(0.01, event.set).start()
            seen.append(event.wait(5))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [None, threading.Event, True], seen
    """
    hub = {"gevent": "green.get_hub()", "eventlet": "import eventlet.hubs; eventlet.hubs.get_hub()"}[library]
    run_script(script, setup=GREENLETS.replace("HUB", hub).replace("LIBRARY", library))
