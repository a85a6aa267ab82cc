"""The backend of greenlets, in processes that gevent and eventlet have patched."""

from __future__ import annotations

from typing import Any

import pytest
from backends.script import APP, every_library, run_part, run_script

SETUP = """
import os, signal, sys, threading, time
import LIBRARY as green
from flask_realtime.backends.choice import choose_backend
from flask_realtime.backends.patching import green_hub, native_thread, original
from extension.test_async_handlers import until

main = native_thread()
really_sleep = original("time", "sleep")
start = original("_thread", "start_new_thread")
backend = choose_backend(2)
assert backend.name == "LIBRARY"

def in_thread(function):
    # in a real one
    start(function, ())

def in_pool(function):
    # in a thread of the hub's own pool
    if "LIBRARY" == "gevent":
        green.get_hub().threadpool.spawn(function)
    else:
        import eventlet.tpool
        green.spawn(eventlet.tpool.execute, function)

def in_greenlet(function):
    green.spawn(function)

def here(function):
    function()

WAYS = [here, in_greenlet, in_thread, in_pool]
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        green.sleep(0.001)

green.spawn(tick)
backend.loop()
"""


def run(script: str, library: str) -> str:
    return run_script(script, library, setup=(APP + SETUP).replace("LIBRARY", library))


PAUSES = """
from flask_realtime.backends import pauses as pauses_module

def make_pauses():
    return pauses_module.Pauses(backend.name, backend.loop().call_soon)

class Waiter:
    # a greenlet that has begun to wait
    def __init__(self, pauses):
        self.pause = pauses.begin()
        self.greenlet = green.spawn(self.run)
        self.done = False
        before = pauses.waiting
        until(lambda: pauses.waiting > before)

    def run(self):
        self.pause.wait()
        self.done = True
"""

PARTS = {
    "from everywhere": """
for submit in (backend.submit, backend.assist):
    for way in WAYS:
        seen = []
        way(lambda: submit(lambda *args: seen.append((args, native_thread())), 1, "a"))
        until(lambda: seen)
        assert seen == [((1, "a"), main)], (way, seen)
""",
    "in order and never more than allowed": """
for way in WAYS:
    started, running, most, done = [], 0, 0, 0

    def work(number):
        global running, most, done
        started.append(number)
        running += 1
        most = max(most, running)
        time.sleep(0.001 * (number % 3))
        running -= 1
        done += 1

    def submit_all():
        for number in range(40):
            backend.submit(work, number)

    way(submit_all)
    until(lambda: done == 40)
    assert started == list(range(40)), (way, started)
    assert most == 2, (way, most)
    assert backend._pool._greenlets <= 2
""",
    "a full pool does not hold our own work back": """
stop = []
for _ in range(2):
    backend.submit(lambda: until(lambda: stop))
waiting, assisted = [], []
backend.submit(waiting.append, 1)
backend.assist(assisted.append, 1)
until(lambda: assisted)
assert waiting == []
stop.append(1)
until(lambda: waiting)
""",
    "whatever a handler raises": """
import logging
logging.getLogger("flask_realtime").addHandler(logging.NullHandler())
logging.getLogger("flask_realtime").propagate = False

def fail(error):
    raise error

done = []
for error in (LookupError, SystemExit, KeyboardInterrupt, SystemExit(3)):
    for _ in range(3):
        backend.submit(fail, error)
    backend.submit(done.append, error)
until(lambda: len(done) == 4)
backend.assist(fail, LookupError)
backend.assist(done.append, 1)
until(lambda: len(done) == 5)
""",
    "and join": """
for way in WAYS:
    results = []

    def work(*args, **kwargs):
        results.append((args, kwargs, native_thread() == main))
        time.sleep(0.02)
        results.append("done")

    def spawn():
        task = backend.spawn(work, 1, a=2)
        task.join(0.001)
        results.append("not yet" if "done" not in results else "too long")
        task.join()
        results.append("joined")

    way(spawn)
    until(lambda: "joined" in results)
    assert [r for r in results if r != "not yet"] == [((1,), {"a": 2}, True), "done", "joined"]
    assert "not yet" in results
""",
    "are not bounded": """
stop, begun = [], []
tasks = [backend.spawn(lambda: (begun.append(1), until(lambda: stop))) for _ in range(20)]
until(lambda: len(begun) == 20)
handled = []
backend.submit(handled.append, 1)
until(lambda: handled)
stop.append(1)
for task in tasks:
    task.join(5)
""",
    "one that fails is logged and joined": """
import logging
records = []
class Handler(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())
logging.getLogger("flask_realtime").addHandler(Handler())
logging.getLogger("flask_realtime").propagate = False

def fail():
    raise LookupError("on purpose")

backend.spawn(fail).join(5)
assert records == ["error in a background task"]
""",
    "sleeping lets others run": """
for wait in (backend.sleep, backend.lend):
    for way in (here, in_greenlet):
        done = []

        def work():
            before, began = ticks, time.monotonic()
            wait(0.03)
            done.append((ticks - before > 5, 0.025 < time.monotonic() - began < 1))

        way(work)
        until(lambda: done)
        assert done == [(True, True)], (wait, way, done)
""",
    "sleeping in a real thread": """
for way in (in_thread, in_pool):
    done = []

    def work():
        began = time.monotonic()
        backend.sleep(0.03)
        done.append((0.025 < time.monotonic() - began < 1, green_hub()))

    before = ticks
    way(work)
    until(lambda: done)
    assert done[0][0]
    if way is in_thread:
        assert done[0][1] is None
    assert ticks - before > 5
""",
    "a pause ends when it is woken, from everywhere": PAUSES
    + """
pauses = make_pauses()
for way in WAYS:
    waiters = [Waiter(pauses) for _ in range(3)]
    assert pauses.waiting == 3
    way(waiters[1].pause.wake)
    until(lambda: waiters[1].done)
    assert not waiters[0].done and not waiters[2].done
    for waiter in waiters:
        way(waiter.pause.wake)
        way(waiter.pause.wake)
    until(lambda: pauses.waiting == 0)
    until(lambda: all(waiter.done for waiter in waiters))
""",
    "a pause that was woken before it began": PAUSES
    + """
pauses = make_pauses()
for way in WAYS:
    waiter = pauses.begin()
    done = []
    way(lambda: (waiter.wake(), done.append(1)))
    until(lambda: done)
    waiter.wait()
    assert pauses.waiting == 0
""",
    "a pause ends by itself": PAUSES
    + """
pauses, usual = make_pauses(), pauses_module.PAUSE
pauses_module.PAUSE = 0.01
waiter = Waiter(pauses)
until(lambda: waiter.done)
pauses_module.PAUSE = usual
assert pauses.waiting == 0
""",
    "a wake that comes too late disturbs nobody": PAUSES
    + """
pauses = make_pauses()
resumed = []

def work(pause):
    pause.wait()
    resumed.append("from the pause")
    green.sleep(0.05)
    resumed.append("from the sleep")

for way in WAYS:
    resumed.clear()
    pause = pauses.begin()
    green.spawn(work, pause)
    until(lambda: pauses.waiting)
    pause.wake()
    until(lambda: resumed)
    began = ticks
    way(pause.wake)
    until(lambda: len(resumed) == 2)
    assert ticks - began > 5, "it has slept"
""",
    "a greenlet that is killed in its pause": PAUSES
    + """
pauses = make_pauses()
waiter = Waiter(pauses)
waiter.greenlet.kill()
until(lambda: pauses.waiting == 0)
waiter.pause.wake()
green.sleep(0.01)
assert not waiter.done
""",
    "not more than enough pauses": PAUSES
    + """
pauses, usual = make_pauses(), pauses_module.MOST
assert usual == 500
pauses_module.MOST = 3
pauses = make_pauses()
pauses_module.MOST = usual
waiters = [Waiter(pauses) for _ in range(3)]
assert pauses.begin() is None
waiters[0].pause.wake()
until(lambda: waiters[0].done)
assert pauses.begin() is not None
for waiter in waiters:
    waiter.pause.wake()
until(lambda: pauses.waiting == 0)
""",
    "half of gunicorn's connections at most": PAUSES
    + """
class Worker:
    __module__ = "gunicorn.workers.ggevent"
    alive = True
    worker_connections = 4

    def handle_exit(self, *args):
        pass

previous = signal.signal(signal.SIGTERM, Worker().handle_exit)
pauses = make_pauses()
signal.signal(signal.SIGTERM, previous)
waiters = [Waiter(pauses) for _ in range(2)]
assert pauses.begin() is None
for waiter in waiters:
    waiter.pause.wake()
until(lambda: pauses.waiting == 0)
""",
    "pauses are for servers with a greenlet for each request": PAUSES
    + """
import socket
sock, other = socket.socketpair()

class Input:
    rfile = None

    def get_socket(self):
        return sock

class AsyncWorker:
    __module__ = "gunicorn.workers.base_async"

class Worker(AsyncWorker):
    __module__ = "gunicorn.workers.ggevent"
    alive = True

    def handle_exit(self, *args):
        pass

class ThreadWorker:
    __module__ = "gunicorn.workers.gthread"
    alive = True
    handle_exit = Worker.handle_exit

def pauses(environ, worker=None):
    fresh = type(backend)(backend.name, 2)
    previous = signal.getsignal(signal.SIGTERM)
    if worker is not None:
        signal.signal(signal.SIGTERM, worker.handle_exit)
    try:
        return fresh.pause(environ) is not None
    finally:
        signal.signal(signal.SIGTERM, previous)

assert pauses({"eventlet.input": Input()})
assert pauses({"gunicorn.socket": sock}, Worker())
assert not pauses({"gunicorn.socket": sock}, ThreadWorker())
assert not pauses({"gunicorn.socket": sock})
assert not pauses({"werkzeug.socket": sock})
assert not pauses({"uwsgi.version": b"2.0"})
""",
    "pauses are for the hub's thread": """
class Input:
    def get_socket(self):
        return None

environ = {"eventlet.input": Input()}
fresh = type(backend)(backend.name, 2)
begun = []
assert fresh.pause(environ) is not None
in_thread(lambda: begun.append(fresh.pause(environ)))
until(lambda: begun)
assert begun == [None]
""",
    "events": """
for setter in WAYS:
    for waiter in (in_greenlet, in_thread):
        events, woken = [], []

        def wait():
            events.append(backend.event())
            woken.append(events[0].wait(5))

        waiter(wait)
        until(lambda: events)
        setter(events[0].set)
        until(lambda: woken)
        assert woken == [True], (setter, waiter)
""",
    "the lock holds real threads back": """
lock = backend.lock()
order = []
with lock, lock:
    in_thread(lambda: (lock.acquire(), order.append("thread"), lock.release()))
    really_sleep(0.02)
    order.append("main")
until(lambda: len(order) == 2)
assert order == ["main", "thread"]
""",
    "emits of real threads arrive": """
client = Client(app, socketio.current_server).connect()
emit = lambda n: socketio.emit("event", n)
for n, way in enumerate(WAYS):
    way(lambda: emit(n))
    until(lambda: len(client.events) == n + 1)
assert client.events == [["event", n] for n in range(len(WAYS))]

# many of them at once, each in its order
def burst(name):
    for number in range(100):
        socketio.emit("burst", [name, number])
for name in "abc":
    in_thread(lambda name=name: burst(name))
burst("main")
until(lambda: len(client.events) == len(WAYS) + 400)
for name in ("a", "b", "c", "main"):
    numbers = [args[1] for event, args in client.events[len(WAYS):] if args[0] == name]
    assert numbers == list(range(100)), (name, numbers)
client.close()
until(lambda: not socketio.current_server.engine.work_pending)
""",
    "a call of a real thread": """
client = Client(app, socketio.current_server).connect()
for n, way in enumerate([in_greenlet, in_thread, in_pool]):
    answers = []
    way(lambda: answers.append(socketio.call("question", n, to=client.sid, timeout=5)))
    until(lambda: len(client.requests()) == n + 1)
    before = ticks
    time.sleep(0.01)
    assert ticks > before
    client.send(f'43{client.requests()[n][0]}["answer {n}"]')
    until(lambda: answers)
    assert answers == [f"answer {n}"], (way, answers)
client.close()
until(lambda: not socketio.current_server.engine.work_pending)
""",
    "two handlers at once at most": """
small = Flask("small")
io = SocketIO(small, handler_threads=2, handler_patience=0.0)
running = most = done = 0

@io.on("event")
def handler(number):
    global running, most, done
    running += 1
    most = max(most, running)
    time.sleep(0.002)
    running -= 1
    done += 1

clients = [Client(small, io.current_server).connect() for _ in range(5)]
for number in range(10):
    for client in clients:
        client.emit("event", number)
until(lambda: done == 50)
assert most == 2, most
for client in clients:
    client.close()
until(lambda: not io.current_server.engine.work_pending)
""",
}


@every_library
@pytest.mark.parametrize("part", PARTS)
def test_greenlets(library: str, part: str) -> None:
    run_part(part, PARTS, library, (APP + SETUP).replace("LIBRARY", library))


@every_library
def test_a_task_that_exits_ends_alone(library: str) -> None:
    """As a thread does."""
    script = """
        backend.spawn(sys.exit, 3).join(5)
        time.sleep(0.01)
        done = []
        backend.spawn(done.append, 1).join(5)
        assert done
        print("alive")
    """
    assert run(script, library) == "alive\n"


@every_library
def test_a_handler_that_exits(library: str) -> None:
    script = """
        import logging
        logging.disable()
        socketio.on("exit")(sys.exit)
        socketio.on("fine")(lambda: "here")
        one, other = [Client(app, socketio.current_server).connect() for _ in range(2)]
        one.emit("exit")
        assert one.call("fine") == ["here"]
        assert other.call("fine") == ["here"]
        for client in (one, other):
            client.close()
        until(lambda: not socketio.current_server.engine.work_pending)
        print("alive")
    """
    assert run(script, library) == "alive\n"


@every_library
def test_fork(library: str) -> None:
    """What the parent's greenlets do goes on there; the child begins anew."""
    script = """
        def check():
            seen = []
            backend.submit(seen.append, "submitted")
            backend.spawn(seen.append, "spawned").join(5)
            start(lambda: backend.submit(seen.append, "by a thread"), ())
            until(lambda: len(seen) == 3)
            event = backend.event()
            start(event.set, ())
            assert event.wait(5)

        check()
        parents = backend.loop()
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            try:
                assert backend.loop() is not parents
                check()
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert backend.loop() is parents
        check()
    """
    run(script, library)


def test_the_names_are_those_of_the_option() -> None:
    from flask_realtime.config import ASYNC_MODES

    names: list[Any] = ["threading", "gevent", "eventlet"]
    assert set(names) <= set(ASYNC_MODES)
