"""A server and its clients in one thread, at a time that stands still.

The engine, the loop and the sockets are the real ones, and so is the way in: each client's request goes
through the app, which takes its connection over. What is replaced is what would make two runs differ: the
clock, the pools of threads, the thread that looks on, and the system's random numbers.

This is the one module here that knows how the package is built.
"""

from __future__ import annotations

import io
import random
import secrets
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder

from flask_realtime import SocketIO, emit, join_room, leave_room
from flask_realtime.backends.clock import LoopClock
from flask_realtime.backends.loop import Loop
from flask_realtime.backends.pollers import EpollPoller
from flask_realtime.backends.process_loop import ProcessLoop
from flask_realtime.backends.supervision import ThreadSupervisor
from flask_realtime.backends.threads import ThreadsBackend
from flask_realtime.server.ports import Scheduler

from .frames import CLOSE, frame, masked

__all__ = ["SLEEP", "TURN", "Client", "Script", "World", "WrongReply"]

#: What clients do: between two steps the loop has a turn, waiting for the time to pass or not.
Script = Generator[bool, None, None]
TURN = False
SLEEP = True
#: turns in which a reply has to come
PATIENCE = 5
#: more than any reply; for much more, memory would have to be had from the system
READ_SIZE = 16384


class WrongReply(Exception):
    """The server has not said what it should, so what it costs says nothing."""


# What is replaced


class Clock:
    """Seconds that pass only when nothing else is to be done."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Playing(EpollPoller):
    """A poller that has the clients take their next step instead of waiting."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.script: Iterator[bool] = iter(())
        self.stop: Callable[[], None] = lambda: None

    def poll(self, timeout: float | None) -> Any:
        sleep = next(self.script, None)
        if sleep is None:
            self.stop()
        elif sleep:
            if timeout is None:
                raise WrongReply("the loop waits for nothing")
            self._clock.seconds += timeout
        return super().poll(0)


class Onlooker(ThreadSupervisor):
    """The supervisor of a loop that is busy, without its thread: no handler here waits."""

    def _start(self) -> None:
        self._resting = False
        self.watches = True


class OneThread(ThreadsBackend):
    """The backend of threads, without any: what is for the pools is done in the loop's next turn."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        super().__init__(1)
        self.stopwatch = clock  # under valgrind, on a busy machine, any handler would be taken for a slow one
        self._process_loop = ProcessLoop(_no_thread)
        self._process_loop.running = loop

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        self.loop().call_soon(partial(function, *args))

    def assist(self, function: Callable[..., None], *args: Any) -> None:
        self.loop().call_soon(partial(function, *args))

    def keep(self, scheduler: Scheduler) -> None:
        self.loop().keep(scheduler)  # and nothing is drained at exit


def _no_thread(run: Callable[[], None]) -> None:
    raise AssertionError("the loop is run where it was made")


@contextmanager
def same_ids() -> Iterator[None]:
    """Ids are the same in each run: where they fall in a hash table decides what a look-up costs."""
    original = secrets.token_bytes
    secrets.token_bytes = random.Random(7).randbytes  # type: ignore[assignment]
    try:
        yield
    finally:
        secrets.token_bytes = original


# The server and its clients


def make_app() -> tuple[Flask, SocketIO]:
    """An app with a handler for each path."""
    app = Flask("counted")
    app.config["SECRET_KEY"] = "not a secret"
    socketio = SocketIO(app)
    socketio.on_event("connect", lambda auth=None: None)
    socketio.on_event("disconnect", lambda reason: None)
    socketio.on_event("echo", lambda data: emit("echo", data))
    socketio.on_event("ack", lambda data: data)
    socketio.on_event("everybody", lambda data: emit("everybody", data, broadcast=True))
    socketio.on_event("stay", _stay)
    socketio.on_event("visit", _visit)
    return app, socketio


def _stay(rooms: list[str]) -> int:
    for room in rooms:
        join_room(room)
    return len(rooms)


def _visit(rooms: list[str]) -> int:
    for room in rooms:
        join_room(room)
        leave_room(room)
    return len(rooms)


class Client:
    """The other end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._recv = sock.recv
        self.send = sock.send
        self.close = sock.close
        self._received = b""
        self._missed = 0

    def read(self) -> bytes:
        """All that has come."""
        try:
            return self._recv(READ_SIZE)
        except BlockingIOError:
            return b""

    def until(self, part: bytes) -> Script:
        """Wait until this has come, in whatever.

        :raises WrongReply: it does not come in some turns.
        """
        for _ in range(PATIENCE):
            self._received += self.read()
            if part in self._received:
                self._received = b""
                return
            yield TURN
        raise WrongReply(f"no {part!r} in {self._received[:200]!r}")

    def has(self, expected: bytes) -> bool:
        """Exactly this has come since the last reply.

        :raises WrongReply: something else has, or nothing for some turns.
        """
        try:
            data = self._recv(READ_SIZE)  # not read(): a client should cost little
        except BlockingIOError:
            data = b""
        if data == expected and not self._received:  # almost always
            self._missed = 0
            return True
        self._received += data
        self._missed += 1
        if self._received == expected:
            self._received = b""
            self._missed = 0
            return True
        if not expected.startswith(self._received) or self._missed > PATIENCE:
            raise WrongReply(f"{self._received[:200]!r} instead of {expected[:200]!r}")
        return False


def _request(method: str, query: str, headers: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    builder = EnvironBuilder("/socket.io/", query_string=query, method=method, headers=headers)
    return builder.get_environ()


UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
CONNECT = masked(b"40")
GOODBYE = masked(b"41") + masked(b"\x03\xe8", CLOSE)
FAREWELL = frame(b"\x03\xe8", CLOSE)


class World:
    """One server."""

    def __init__(self) -> None:
        clock = Clock()
        self._poller = Playing(clock)
        self.loop = Loop(self._poller, LoopClock(clock), Onlooker)
        self._poller.stop = self.loop.stop
        self.app, self.socketio = make_app()
        self.socketio.current_server.engine.use(OneThread(self.loop, clock))
        self._upgrade = _request("GET", "EIO=4&transport=websocket", UPGRADE)
        self._clients: list[Client] = []
        self._fault: WrongReply | None = None

    def play(self, script: Script) -> None:
        """Run the loop until the clients are through with their script.

        :raises WrongReply: the server did something else.
        """
        threads = threading.active_count()
        self._poller.script = self._to_its_end(script)
        with same_ids():
            self.loop.run()
        if self._fault is not None:
            raise self._fault
        if threading.active_count() != threads:
            raise WrongReply("a thread was started, whose work would come and go in the count")

    def _to_its_end(self, script: Script) -> Script:
        try:
            yield from script
        except WrongReply as fault:
            self._fault = fault
        for client in self._clients:
            client.close()
        yield TURN  # in which the server closes its ends

    # Scripts for :meth:`play` to be made of

    def connect(self, count: int) -> Generator[bool, None, list[Client]]:
        """So many WebSockets, each connected to the main namespace."""
        fresh = [self._open() for _ in range(count)]
        yield TURN
        for client in fresh:
            yield from client.until(b"HTTP/1.1 101 ")
            client.send(CONNECT)
        yield TURN
        for client in fresh:
            yield from client.until(b'40{"sid":')
        return fresh

    def _open(self) -> Client:
        ours, theirs = socket.socketpair()
        with theirs:  # the server closes it, when its app has left it a dead end
            environ = {**self._upgrade, "werkzeug.socket": theirs, "wsgi.input": io.BytesIO()}
            self._call(environ)
        client = Client(ours)
        self._clients.append(client)
        return client

    def disconnect(self, clients: Sequence[Client]) -> Script:
        """All of them leave, as a client should."""
        for client in clients:
            client.send(GOODBYE)
        for client in clients:
            while not client.has(FAREWELL):
                yield TURN
            client.close()
            self._clients.remove(client)
        yield TURN

    def exchange(self, clients: Sequence[Client], request: bytes, reply: bytes) -> Script:
        """Each sends the request, and gets the reply."""
        for client in clients:
            client.send(request)
        yield TURN
        for client in clients:
            while not client.has(reply):
                yield TURN

    # Long-polling

    def _call(self, environ: dict[str, Any]) -> bytes:
        """A request, as a WSGI server makes it; the body of its response."""
        statuses: list[str] = []

        def start_response(
            status: str, headers: object, exc_info: object = None
        ) -> Callable[[bytes], object]:
            statuses.append(status)
            return lambda data: None

        chunks = self.app(environ, start_response)
        body = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        if not statuses or statuses[0][:3] not in ("200", "101"):
            raise WrongReply(f"{statuses}: {body[:200]!r}")
        return body

    def poller(self) -> PollingClient:
        """A client on long-polling, its session open."""
        opened = self._call(_request("GET", "EIO=4&transport=polling"))
        sid = opened.partition(b'"sid":"')[2].partition(b'"')[0].decode()
        return PollingClient(self._call, f"EIO=4&transport=polling&sid={sid}")


class PollingClient:
    """A client on long-polling.

    :param call: makes a request of its environ.
    :param query: names its session.
    """

    def __init__(self, call: Callable[[dict[str, Any]], bytes], query: str) -> None:
        self._call = call
        self._get = _request("GET", query)
        self._post = _request("POST", query)

    def get(self) -> bytes:
        """What the server has to say."""
        return self._call(self._get.copy())

    def post(self, payload: bytes) -> None:
        """Say this."""
        length = str(len(payload))
        body = self._call({**self._post, "wsgi.input": io.BytesIO(payload), "CONTENT_LENGTH": length})
        if body != b"ok":
            raise WrongReply(f"{body[:200]!r} to a POST")
