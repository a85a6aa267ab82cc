"""Handlers in the loop: what is quick runs there, and what waits does not hold it up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import pytest
from acceptance.wire import wait_until
from backends.script import APP, every_library, run_script
from extension.live import SocketIOClient, serve
from flask import Flask

from flask_realtime import SocketIO, emit
from flask_realtime.backends.loop import READ, Loop
from flask_realtime.backends.loop import Connection as LoopConnection
from flask_realtime.backends.pollers import make_poller
from flask_realtime.backends.supervision import LOOK_EVERY, ThreadSupervisor

PATIENCE = 5.0


class Work:
    """A run that does what the test says, in the thread where it is done."""

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self.during = during
        self.thread = ""
        self.done = threading.Event()
        self.told = threading.Event()

    def run(self, turn: int) -> None:
        raise AssertionError("the loop runs what is quick")

    def run_here(self, turn: int) -> None:
        self.thread = threading.current_thread().name
        try:
            self.during()
        finally:
            self.done.set()

    def held_up(self) -> None:
        self.told.set()


class Connection(LoopConnection):
    """Reading from it brings some work."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop
        self.ours, self.theirs = socket.socketpair()
        self.works: list[Work] = []
        loop.call_soon(lambda: loop.register(self.ours, READ, self))

    def bring(self, *works: Work) -> None:
        self.works = list(works)
        self.theirs.send(b"x")

    def handle_events(self, mask: int) -> None:
        self.ours.recv(100)
        works, self.works = self.works, []
        for work in works:
            assert self.loop.take((work, 1))

    def flush(self) -> None: ...

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(make_poller(None), supervise=ThreadSupervisor)
    threading.Thread(target=loop.run, name="first leader", daemon=True).start()
    yield loop
    loop.stop()


@pytest.fixture
def make_connection(loop: Loop) -> Iterator[Callable[[], Connection]]:
    made: list[Connection] = []

    def make() -> Connection:
        made.append(Connection(loop))
        return made[-1]

    yield make
    for connection in made:
        loop.call_soon(lambda connection=connection: loop.unregister(connection.ours))
    done = threading.Event()
    loop.call_soon(done.set)
    assert done.wait(PATIENCE)
    for connection in made:
        connection.close()


Make = Callable[[], Connection]


def test_what_is_quick_runs_in_the_loop(make_connection: Make) -> None:
    works = [Work() for _ in range(3)]
    make_connection().bring(*works)
    for work in works:
        assert work.done.wait(PATIENCE)
        assert work.thread == "first leader"
        assert not work.told.is_set()


def test_a_loop_that_is_held_up_is_taken_over(loop: Loop, make_connection: Make) -> None:
    go = threading.Event()
    waiting, behind = Work(lambda: go.wait(PATIENCE)), Work()
    connection, other = make_connection(), make_connection()
    # Behind it in the same turn, and in a later one.
    connection.bring(waiting, behind)
    assert behind.done.wait(PATIENCE)
    assert waiting.told.is_set()
    assert behind.thread == "flask-realtime-loop"
    later = Work()
    other.bring(later)
    assert later.done.wait(PATIENCE)
    assert later.thread == "flask-realtime-loop"
    assert not waiting.done.is_set()
    go.set()
    assert waiting.done.wait(PATIENCE)
    again = Work()
    connection.bring(again)
    assert again.done.wait(PATIENCE)
    assert again.thread == "flask-realtime-loop", "who was held up does not lead any more"


def test_it_can_be_taken_over_again_and_again(make_connection: Make) -> None:
    before = _loop_threads()
    go = threading.Event()
    connection = make_connection()
    waiting = [Work(lambda: go.wait(PATIENCE)) for _ in range(5)]
    last = Work()
    connection.bring(*waiting, last)
    assert last.done.wait(PATIENCE)
    assert all(work.told.is_set() and not work.done.is_set() for work in waiting)
    go.set()
    assert all(work.done.wait(PATIENCE) for work in waiting)
    wait_until(lambda: len(_loop_threads() - before) == 2, what="one leads, one looks on; the others end")


def _loop_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name in ("flask-realtime-loop", "first leader")}


def test_who_was_held_up_leaves_while_another_run_is_done(make_connection: Make) -> None:
    go = threading.Event()
    leader: list[threading.Thread] = []
    left: list[bool] = []

    def wait() -> None:
        leader.append(threading.current_thread())
        go.wait(PATIENCE)

    def let_it_return() -> None:
        go.set()
        leader[0].join(PATIENCE)
        left.append(not leader[0].is_alive())

    connection = make_connection()
    waiting, returning, behind = Work(wait), Work(let_it_return), Work()
    connection.bring(waiting, returning, behind)
    assert behind.done.wait(PATIENCE)
    assert left == [True], "it does not go on with the loop"
    assert behind.thread == "flask-realtime-loop"


def test_who_was_held_up_leaves_however_late_its_successor_comes(
    loop: Loop, make_connection: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    leader: list[threading.Thread] = []
    left: list[bool] = []
    depose = loop.depose

    def wait() -> None:
        leader.append(threading.current_thread())
        go.wait(PATIENCE)

    def depose_late() -> None:
        go.set()
        leader[0].join(PATIENCE)
        left.append(not leader[0].is_alive())
        depose()

    monkeypatch.setattr(loop, "depose", depose_late)
    connection = make_connection()
    waiting, behind = Work(wait), Work()
    connection.bring(waiting, behind)
    assert behind.done.wait(2 * PATIENCE)
    assert left == [True], "two would lead the loop, and read the same connections"
    assert behind.thread == "flask-realtime-loop"
    later = Work()
    connection.bring(later)
    assert later.done.wait(PATIENCE), "nor has it closed the loop"


def test_what_a_run_leaves_in_context_variables_is_not_for_others(make_connection: Make) -> None:
    variable = ContextVar("variable", default="nothing")
    seen: list[str] = []
    last = Work(lambda: seen.append(variable.get()))
    make_connection().bring(Work(lambda: variable.set("something")), last)
    assert last.done.wait(PATIENCE)
    assert seen == ["nothing"]


def test_what_computes_is_left_behind_too(make_connection: Make) -> None:
    def compute() -> None:
        end = time.monotonic() + 50 * LOOK_EVERY
        while not after.done.is_set() and time.monotonic() < end:
            pass

    computing, after = Work(compute), Work()
    make_connection().bring(computing, after)
    assert after.done.wait(PATIENCE)
    assert computing.told.wait(PATIENCE)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_it_raises_ends_nothing(
    make_connection: Make, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("on purpose")

    after = Work()
    make_connection().bring(Work(fail), after)
    assert after.done.wait(PATIENCE)
    assert "on purpose" in caplog.text


def test_nothing_is_taken_outside_of_reading(loop: Loop, make_connection: Make) -> None:
    assert not loop.take((Work(), 1)), "in another thread"
    taken: list[bool] = []
    work = Work(lambda: taken.append(loop.take((Work(), 1))))
    make_connection().bring(work)
    assert work.done.wait(PATIENCE)
    assert taken == [False]
    unsupervised = Loop(make_poller(None))
    assert not unsupervised.take((Work(), 1))
    unsupervised.stop()
    unsupervised.run()


def test_nothing_is_taken_where_no_thread_looks_on(
    monkeypatch: pytest.MonkeyPatch, make_connection: Make
) -> None:
    go = threading.Event()
    waiting = Work(lambda: go.wait(PATIENCE))
    taken: list[bool] = []
    first, second = make_connection(), make_connection()
    monkeypatch.setattr(second, "handle_events", lambda mask: taken.append(second.loop.take((Work(), 1))))

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        first.bring(waiting)
        assert waiting.told.wait(PATIENCE)
        # Whoever has looked on leads now, and nobody looks on.
        second.theirs.send(b"x")
        wait_until(lambda: taken, what="it is read")
    second.ours.recv(100)
    go.set()
    assert not any(taken)


def test_a_child_leaves_the_parent_s_connections_alone() -> None:
    run_script("""
        import os, threading
        from backends.test_supervision import Connection, PATIENCE, Work
        from flask_realtime.backends.loop import Loop
        from flask_realtime.backends.pollers import make_poller
        from flask_realtime.backends.supervision import ThreadSupervisor

        parent, child, done = os.getpid(), [], []
        loop = Loop(make_poller(None), supervise=ThreadSupervisor)

        def lead():
            loop.run()
            if os.getpid() != parent:
                os._exit(len(done))

        def fork():
            child.append(os.fork())
            if not child[0]:
                loop.abandon()

        connection, last = Connection(loop), Work()
        connection.bring(Work(fork), Work(lambda: done.append(1)), last)
        threading.Thread(target=lead, daemon=True).start()
        assert last.done.wait(PATIENCE)
        assert os.waitpid(child[0], 0)[1] == 0
        assert done == [1]
        """)


def test_a_handler_that_waits_has_its_runs_in_the_pool() -> None:
    app = Flask("app")
    socketio = SocketIO(app, async_mode="threading")

    @socketio.on("quick")
    def quick() -> None:
        emit("ran in", threading.current_thread().name)

    @socketio.on("slow")
    def slow() -> None:
        time.sleep(10 * LOOK_EVERY)
        emit("ran in", threading.current_thread().name)

    def thread_of(event: str) -> str:
        client.emit(event)
        _, name = client.receive_event()
        return str(name)

    with serve(app) as url, SocketIOClient(url) as client:
        assert thread_of("quick") == "flask-realtime-handler", "it has never run before"
        wait_until(lambda: thread_of("quick") == "flask-realtime-loop", what="it is quick")
        assert thread_of("slow") == "flask-realtime-handler"
        assert thread_of("slow") == "flask-realtime-handler"
        # That thread may still have the client's turn when the next event comes.
        wait_until(lambda: thread_of("quick") == "flask-realtime-loop", what="it is quick again")


@every_library
def test_what_hits_the_loop_s_greenlet_does_not_end_it(library: str) -> None:
    left_behind = "Timeout.start_new(0.01)" if library == "gevent" else "Timeout(0.01)"
    script = f"""
        import logging
        import {library} as green
        from extension.live import SocketIOClient, serve
        from flask_realtime.server import pace

        pace.LONG = 10.0  # however busy the machine is, it is quick
        logging.getLogger("flask_realtime").disabled = True
        logging.getLogger("werkzeug").disabled = True
        greenlets = []

        @socketio.on("forget")
        def forget(really):
            if really:
                green.{left_behind}
                greenlets.append(green.getcurrent())
            return 1

        with serve(app) as url, SocketIOClient(url) as client:
            client.transport.send('421["forget", false]')  # it shows that it is quick
            assert client.receive() == "431[1]"
            for _ in range(3):
                client.transport.send('421["forget", true]')
                assert client.receive() == "431[1]"
                green.sleep(0.03)
                green.kill(greenlets[-1])  # it waits for its end, where it is gevent's
            assert len(set(greenlets)) == 3
        """
    run_script(script, library, setup=APP)
