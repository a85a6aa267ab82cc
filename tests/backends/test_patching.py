"""What gevent and eventlet have done to a process, and how to get behind it."""

from __future__ import annotations

import _thread
import os
import select
import selectors
import signal
import socket
import threading
import time
from typing import Any

import pytest
from backends.script import PATCHES, every_library, run_script, until

from flask_realtime.backends.patching import green_hub, native_thread, original, patched_by, start_thread

#: what the package asks for
NAMES = {
    ("_thread", "allocate_lock"): _thread.allocate_lock,
    ("_thread", "get_ident"): _thread.get_ident,
    ("_thread", "start_new_thread"): _thread.start_new_thread,
    ("select", "epoll"): select.epoll,
    ("select", "poll"): select.poll,
    ("selectors", "DefaultSelector"): selectors.DefaultSelector,
    ("socket", "getaddrinfo"): socket.getaddrinfo,
    ("socket", "socket"): socket.socket,
    ("socket", "socketpair"): socket.socketpair,
    ("threading", "Event"): threading.Event,
    ("time", "sleep"): time.sleep,
}


class TestUnpatched:
    def test_by_nobody(self) -> None:
        assert patched_by() is None
        assert green_hub() is None

    @pytest.mark.parametrize("name", NAMES, ids=".".join)
    def test_originals_are_what_is_there(self, name: tuple[str, str]) -> None:
        assert original(*name) is NAMES[name]

    def test_what_a_platform_does_not_have(self) -> None:
        """As ``select.epoll`` on macOS."""
        assert original("select", "no_such_thing") is None

    def test_native_thread(self) -> None:
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(native_thread()))
        thread.start()
        thread.join(5)
        assert seen == [thread.ident]
        assert native_thread() == threading.get_ident()

    def test_start_thread(self) -> None:
        seen: list[Any] = []
        start_thread(lambda: seen.append(threading.current_thread()), "its-name")
        until(lambda: seen)
        assert seen[0].name == "its-name"
        assert seen[0].daemon
        assert seen[0] is not threading.current_thread()

    def test_start_thread_in_a_signal_handler(self) -> None:
        seen: list[int] = []
        previous = signal.signal(
            signal.SIGUSR1, lambda *args: start_thread(lambda: seen.append(native_thread()), "x")
        )
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: seen)
        finally:
            signal.signal(signal.SIGUSR1, previous)
        assert seen != [native_thread()]


CHECKS = """
import importlib, sys
NAMES = [
    ("_thread", "allocate_lock"), ("_thread", "get_ident"), ("_thread", "start_new_thread"),
    ("select", "epoll"), ("select", "poll"), ("socket", "getaddrinfo"),
    ("socket", "socket"), ("socket", "socketpair"), ("threading", "Event"), ("time", "sleep"),
]

def check_originals():
    for module, name in NAMES:
        found = original(module, name)
        assert callable(found), (module, name)
        assert not found.__module__.startswith(("gevent", "eventlet")), (module, name, found.__module__)

def check_missing():
    assert original("select", "no_such_thing") is None

def check_real():
    # None of these may switch to another greenlet.
    sleep = original("time", "sleep")
    import _thread
    switched = []
    green.spawn(switched.append, 1)
    sleep(0.01)
    ours, theirs = original("socket", "socketpair")()
    # gevent's original makes two of its patched ones.
    ours = original("socket", "socket")(fileno=ours.detach())
    if patched_by() == "gevent":  # eventlet's is of no use, and nobody asks for it
        with original("selectors", "DefaultSelector")() as selector:
            selector.register(ours, 1)
            assert selector.select(0.01) == []
            theirs.send(b"x")
            assert len(selector.select(1)) == 1
            assert ours.recv(1) == b"x"
    ours.settimeout(0.01)
    try:
        ours.recv(1)
    except TimeoutError:
        pass
    ours.close()
    theirs.close()
    poll = original("select", "poll")()
    assert poll.poll(5) == []
    epoll = original("select", "epoll")()
    assert epoll.poll(0.01) == []
    epoll.close()
    idents = []
    original("_thread", "start_new_thread")(lambda: idents.append(native_thread()), ())
    while not idents:
        sleep(0.001)
    assert idents != [native_thread()]
    lock = original("_thread", "allocate_lock")()
    lock.acquire()
    assert lock.acquire(timeout=0.01) is False
    assert switched == []
    green.sleep(0)
    assert switched == [1]

def check_all():
    check_originals()
    check_real()
"""
#: a server accepts connections: eventlet's hub can't be woken while nobody waits for any descriptor
LISTEN = (
    "ends = socket.socketpair(); threading.Thread(target=ends[0].recv, args=(1,), daemon=True).start();"
    " time.sleep(0.001)"
)
IMPORT = "from flask_realtime.backends.patching import green_hub, native_thread, original, patched_by\n"


@every_library
class TestPatched:
    @pytest.mark.parametrize("first", ["patched", "imported", "everything"])
    def test_whatever_comes_first(self, library: str, first: str) -> None:
        patch = PATCHES[library]
        # What is imported before it can't be patched in all places, of which both complain.
        quiet = 'warnings.filterwarnings("ignore", "Monkey-patching")\n'
        if first != "patched":
            patch = patch.replace("\n", "\n    ").replace(
                "import",
                "import contextlib, io\nwith contextlib.redirect_stderr(io.StringIO()):\n    import",
                1,
            )
        script = (
            {
                "patched": patch + IMPORT,
                "imported": quiet + IMPORT + "assert patched_by() is None\n" + patch,
                "everything": quiet + "import flask_realtime, socket, ssl, threading, selectors\n"
                "from flask_realtime.backends import threads, green, lifecycle\n" + IMPORT + patch,
            }[first]
            + f"""
import {library} as green
assert patched_by() == "{library}"
green.sleep(0)
assert green_hub() == "{library}"
check_all()
hubs = []
original("_thread", "start_new_thread")(lambda: hubs.append((green_hub(), patched_by())), ())
while not hubs:
    green.sleep(0.001)
assert hubs == [(None, "{library}")], hubs
assert original("_thread", "get_ident")() == native_thread()
"""
        )
        run_script("", setup=CHECKS + script)

    def test_imported_but_not_patched(self, library: str) -> None:
        """Also with its monkey at hand, as many a library imports it."""
        module = {"gevent": "gevent.monkey", "eventlet": "eventlet.patcher"}[library]
        script = f"""
import {library} as green, {module}, socket, threading, time
{IMPORT}
assert patched_by() is None
for name in NAMES:
    assert original(*name) is getattr(importlib.import_module(name[0]), name[1]), name
"""
        run_script("", setup=CHECKS + script)

    def test_patched_in_part(self, library: str) -> None:
        """Sockets alone don't make greenlets of threads."""
        patch = {
            "gevent": "import gevent.monkey as m\nm.patch_socket()\n",
            "eventlet": "import eventlet\neventlet.monkey_patch(socket=True, thread=False)\n",
        }[library]
        script = f"""
{IMPORT}
import {library} as green
assert patched_by() is None
check_originals()
"""
        run_script("", setup=CHECKS + patch + script)

    @pytest.mark.parametrize("patched", [False, True], ids=["unpatched", "patched"])
    def test_what_a_platform_does_not_have(self, library: str, patched: bool) -> None:
        """As ``select.epoll`` on macOS, where ``make_poller`` must find None."""
        module = {"gevent": "gevent.monkey", "eventlet": "eventlet.patcher"}[library]
        script = f"import {module}\n" + IMPORT + "check_missing()\n"
        run_script("", library if patched else "", setup=CHECKS + script)

    def test_start_thread(self, library: str) -> None:
        """A greenlet of the main thread, also when a signal comes while all greenlets sleep."""
        script = """
            import os, signal, socket, threading, time
            from flask_realtime.backends.patching import native_thread, original, start_thread
            LISTEN
            seen = []
            start_thread(lambda: seen.append(native_thread()), "x")
            time.sleep(0.01)
            assert seen == [native_thread()]

            times = []
            def handle(signum, frame):
                start_thread(lambda: times.append(time.monotonic()), "x")
            signal.signal(signal.SIGALRM, handle)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            began = time.monotonic()
            time.sleep(0.8)
            assert times and times[0] - began < 0.5, [t - began for t in times]
            ends[1].send(b"x")
            time.sleep(0.01)
            for end in ends:
                end.close()
        """
        run_script(script.replace("LISTEN", LISTEN), library)

    def test_start_thread_in_a_real_thread(self, library: str) -> None:
        """As ``socketio.stop()`` in an ``async def`` handler does."""
        script = """
            import time
            from flask_realtime.backends.patching import green_hub, native_thread, original, start_thread
            seen, hubs = [], []

            def work():
                start_thread(lambda: seen.append(native_thread()), "x")
                hubs.append(green_hub())

            original("_thread", "start_new_thread")(work, ())
            deadline = time.monotonic() + 1
            while not seen and time.monotonic() < deadline:
                time.sleep(0.005)
            assert len(seen) == 1, "it did not run"
            assert hubs == [None], "a hub that nobody runs is left in that thread"
        """
        run_script(script, library)

    def test_throw_into_main(self, library: str) -> None:
        """While the main greenlet sleeps, and another one runs when the signal comes."""
        script = """
            import signal, socket, threading, time
            from flask_realtime.backends.patching import throw_into_main
            LISTEN

            class Stop(BaseException):
                pass

            def busy():
                while not stopped:
                    end = time.monotonic() + 0.005
                    while time.monotonic() < end:
                        pass
                    time.sleep(0)

            stopped = []
            for other in (lambda: None, busy):
                thread = threading.Thread(target=other)
                thread.start()
                error = Stop()
                signal.signal(signal.SIGALRM, lambda *args: throw_into_main(error))
                signal.setitimer(signal.ITIMER_REAL, 0.03)
                began = time.monotonic()
                try:
                    time.sleep(5)
                except Stop as raised:
                    assert raised is error
                else:
                    raise AssertionError("not thrown")
                assert time.monotonic() - began < 1
            stopped.append(1)
            thread.join(5)
            ends[1].send(b"x")
            time.sleep(0.01)
            for end in ends:
                end.close()
        """
        run_script(script.replace("LISTEN", LISTEN), library)


@every_library
def test_stopping_the_server_from_a_coroutine(library: str) -> None:
    """``socketio.stop()`` in an ``async def`` handler ends ``run()``."""
    script = f"""
        import asyncio, os, sys, threading, time
        import logging
        from flask import Flask
        from flask_realtime import SocketIO
        from extension.live import SocketIOClient
        from flask_realtime.servers.listening import listen

        app = Flask("app")
        socketio = SocketIO(app, drain_timeout=0.5)

        @socketio.on("stop")
        async def stop():
            socketio.stop()

        sock = listen("127.0.0.1", 0)
        url = "http://127.0.0.1:%d" % sock.getsockname()[1]

        def client():
            with SocketIOClient(url) as one:
                one.emit("stop")
                time.sleep(6)
            print("still runs", flush=True)
            os._exit(1)

        threading.Thread(target=client, daemon=True).start()
        sys.stderr = open(os.devnull, "w")
        socketio.run(app, sock=sock)
        print("stopped")
        assert socketio.async_mode == "{library}"
    """
    assert run_script(script, library) == "stopped\n"
