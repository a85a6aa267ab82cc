"""The pool of threads for handlers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from flask_realtime.backends import pool
from flask_realtime.backends.pool import ThreadPool


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for something that other threads do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def no_threads_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a test go when it is over."""
    monkeypatch.setattr(pool, "IDLE", 0.2)


def test_it_runs_what_it_is_given() -> None:
    done = threading.Event()
    got: list[object] = []
    threads = ThreadPool(2)
    threads.submit(lambda *args: (got.append(args), done.set()), 1, "a")
    assert done.wait(5)
    assert got == [(1, "a")]


def test_it_is_bounded_and_its_threads_are_used_again() -> None:
    threads = ThreadPool(3)
    running: set[str] = set()
    names: set[str] = set()
    most = 0
    lock = threading.Lock()
    finished = threading.Semaphore(0)

    def work() -> None:
        nonlocal most
        name = str(threading.get_ident())
        with lock:
            running.add(name)
            names.add(name)
            most = max(most, len(running))
        time.sleep(0.002)
        with lock:
            running.discard(name)
        finished.release()

    for _ in range(60):
        threads.submit(work)
    for _ in range(60):
        assert finished.acquire(timeout=5)
    assert most == len(names) == 3


def test_an_idle_thread_takes_the_next_function() -> None:
    threads = ThreadPool(10)
    names: list[str] = []
    for _ in range(5):
        done = threading.Event()
        threads.submit(lambda done=done: (names.append(threading.current_thread().name), done.set()))
        assert done.wait(5)
        until(lambda: threads._idle == 1)
    assert threads._threads == 1


def test_functions_that_block_do_not_hold_back_others() -> None:
    threads = ThreadPool(4)
    release, quick = threading.Event(), threading.Event()
    for _ in range(3):
        threads.submit(release.wait, 5)
    threads.submit(quick.set)
    assert quick.wait(5)
    release.set()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_exception_is_logged_and_its_thread_goes_on(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    threads = ThreadPool(1)
    done = threading.Event()

    def fail() -> None:
        raise error("oops")

    threads.submit(fail)
    threads.submit(done.set)
    assert done.wait(5)
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.ERROR, "error in a handler's thread")
    ]
    assert threads._threads == 1


def test_idle_threads_end() -> None:
    threads = ThreadPool(4)
    barrier = threading.Barrier(4)
    for _ in range(4):
        threads.submit(lambda: barrier.wait(5))
    until(lambda: threads._threads == 0)
    done = threading.Event()
    threads.submit(done.set)
    assert done.wait(5)


def test_nothing_is_lost_while_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE", 0.001)
    threads = ThreadPool(2)
    finished = threading.Semaphore(0)
    for n in range(200):
        threads.submit(finished.release)
        if n % 3 == 0:
            time.sleep(0.001)
    for _ in range(200):
        assert finished.acquire(timeout=5)


def test_an_argument_does_not_live_until_the_next_function_comes() -> None:
    class Thing:
        pass

    import weakref

    thing = Thing()
    gone = weakref.ref(thing)
    threads = ThreadPool(1)
    threads.submit(lambda t: None, thing)
    del thing
    until(lambda: gone() is None)


class TestWithoutNewThreads:
    """As Python 3.12 while it exits."""

    @pytest.fixture(autouse=True)
    def no_new_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", start)

    def test_a_lent_thread_does_the_work(self) -> None:
        threads = ThreadPool(2)
        order: list[int] = []
        threads.submit(order.append, 1)
        threads.submit(order.append, 2)
        assert order == []
        threads.lend(1)
        threads.lend(1)
        assert order == [1, 2]
        threads.lend(0.001)
        assert (threads._threads, threads._waiting) == (0, 0)

    def test_nothing_to_do(self) -> None:
        started = time.monotonic()
        ThreadPool(2).lend(0.02)
        assert time.monotonic() - started >= 0.015
