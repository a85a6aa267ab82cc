"""Brokers for tests, each a process of the test's own where it can be."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import kombu
from acceptance import wire
from servers import free_port

REDIS_SERVER = shutil.which("redis-server")
RABBITMQ = ("127.0.0.1", 5672)
RABBITMQ_URL = "amqp://guest:guest@127.0.0.1:5672//"


class Redis:
    """A Redis server on a port of its own, which can be killed, frozen and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.socket = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert REDIS_SERVER is not None
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--unixsocket", str(self.socket), "--dir", str(self._folder)]
        self._process = subprocess.Popen([REDIS_SERVER, *options], stdout=subprocess.DEVNULL)
        wire.wait_until(lambda: self._answers(b"PING\r\n", b"+PONG"), what="Redis answers")

    def _answers(self, command: bytes, answer: bytes) -> bool:
        try:
            return self.command(command).startswith(answer)
        except OSError:
            return False

    def command(self, line: bytes) -> bytes:
        """The answer to an inline command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(line)
            return connection.recv(65536)

    def subscribers(self, channel: str) -> int:
        """How many listen."""
        answer = self.command(f"PUBSUB NUMSUB {channel}\r\n".encode())
        return int(answer.rstrip().rpartition(b":")[2])

    def kill(self) -> None:
        """End it without notice."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It keeps its connections, and answers no more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """At the end of the test."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


@contextlib.contextmanager
def redis_server() -> Iterator[Redis]:
    """A Redis server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = Redis(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def rabbitmq_answers() -> bool:
    """Whether somebody speaks AMQP at the usual place."""
    try:
        with socket.create_connection(RABBITMQ, timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
    except OSError:
        return False


def delete_exchanges(*names: str) -> None:
    """Leave nothing of these channels in RabbitMQ, which forgets no exchange by itself."""
    with kombu.Connection(RABBITMQ_URL) as connection:
        for name in names:
            kombu.Exchange(name)(connection.default_channel).delete()


@contextlib.contextmanager
def redis_sentinel(redis: Redis) -> Iterator[int]:
    """A sentinel that knows a Redis server as ``main``; its port."""
    assert REDIS_SERVER is not None
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {redis.port} 1\n"
        )
        process = subprocess.Popen([REDIS_SERVER, str(file), "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            wire.wait_until(lambda: _accepts(port), what="the sentinel answers")
            yield port
        finally:
            process.kill()
            process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Swallow:
    """What a forwarder lets disappear."""

    def __init__(self) -> None:
        self._dead: set[socket.socket] = set()
        self._subscribed: set[socket.socket] = set()

    def subscriptions(self) -> None:
        """From now on, everything on the connections that have subscribed."""
        self._dead |= self._subscribed

    def takes(self, client: socket.socket, data: bytes) -> bool:
        """Whether some bytes on a client's connection get no further."""
        if b"SUBSCRIBE" in data:
            self._subscribed.add(client)
        return client in self._dead


@contextlib.contextmanager
def forwarder(
    host: str, port: int, swallow: Swallow | None = None
) -> Iterator[tuple[int, Callable[[], None]]]:
    """A TCP forwarder to a broker that is not ours to stop: its port, and what cuts all its connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = []
    swallowed = swallow or Swallow()

    def pump(source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not swallowed.takes(client, data):
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                broker = socket.create_connection((host, port))
                open_sockets.extend((client, broker))
                for pair in ((client, broker), (broker, client)):
                    threading.Thread(target=pump, args=(*pair, client), daemon=True).start()

    def cut() -> None:
        for sock in open_sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], cut
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        cut()
        thread.join(5)
        for sock in open_sockets:
            sock.close()
