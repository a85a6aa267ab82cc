"""A Socket.IO server that makes one mistake, to see whether the load generator notices it."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator

from benchmarks.load.wire import ACCEPT, WS_PONG, server_frame

__all__ = ["MISTAKES", "FaultyServer", "Peer", "running"]

PING = server_frame(b"2")


class Peer(socketserver.StreamRequestHandler):
    """One client of it."""

    server: FaultyServer
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while self.rfile.readline() != b"\r\n":
            pass
        self.write(
            f"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode()
            + server_frame(b'0{"sid":"x"}')
        )
        with contextlib.suppress(OSError):
            while frame := self._read_frame():
                self.server.receive(self, *frame)

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.request.sendall(data)

    def _read_frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 0x7F
        assert length < 127, "the tests send small messages"
        if length == 126:
            length = int.from_bytes(self.rfile.read(2), "big")
        mask = self.rfile.read(4)
        return head[0] & 0xF, bytes(byte ^ mask[i & 3] for i, byte in enumerate(self.rfile.read(length)))


Mistake = Callable[[Peer, bytes], None]


class FaultyServer(socketserver.ThreadingTCPServer):
    """It echoes, acknowledges and broadcasts rightly, but for one message.

    :param mistake: handles the reply, or the last delivery, of the message with the number ``at``.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, mistake: Mistake, at: int) -> None:
        super().__init__(("127.0.0.1", 0), Peer)
        self.peers: list[Peer] = []
        self.pongs = 0
        self._mistake = mistake
        self._at = at
        self._events = 0
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def receive(self, peer: Peer, opcode: int, message: bytes) -> None:
        with self._lock:
            if opcode == WS_PONG:
                assert message == b"hi"
            elif message == b"40":
                peer.write(server_frame(b'40{"sid":"y"}'))
                self.peers.append(peer)
            elif message == b"3":
                self.pongs += 1
            elif message.startswith(b'42["broadcast"'):
                self._answer(message, self.peers)
            elif message.startswith(b'42["'):
                self._answer(message, [peer])
            else:
                identity, _, data = message[2:].partition(b'["ack",')
                self._answer(b"43" + identity + b"[" + data, [peer])

    def _answer(self, reply: bytes, receivers: list[Peer]) -> None:
        self._events += 1
        *others, last = receivers
        for peer in others:
            peer.write(server_frame(reply))
        if self._events == self._at:
            self._mistake(last, reply)
        else:
            last.write(server_frame(reply))


def well(peer: Peer, reply: bytes) -> None:
    peer.write(server_frame(reply))


def well_in_pieces(peer: Peer, reply: bytes) -> None:
    """With pings before and after, and nothing in one piece."""
    for byte in PING + b"\x89\x02hi" + server_frame(reply) + PING:
        peer.write(bytes([byte]))


def lose(peer: Peer, reply: bytes) -> None:
    pass


def double(peer: Peer, reply: bytes) -> None:
    peer.write(server_frame(reply) * 2)


def corrupt(peer: Peer, reply: bytes) -> None:
    peer.write(server_frame(reply.replace(b"x", b"y", 1)))


def mix_up_clients(peer: Peer, reply: bytes) -> None:
    peer.write(server_frame(reply.replace(b'"client":1', b'"client":2')))


def repeat_the_first(peer: Peer, reply: bytes) -> None:
    """Answer as if the message were one that was answered long ago."""
    number = reply.index(b'"number":') + len(b'"number":')
    peer.write(server_frame(reply[:number] + b"100000" + reply[number + 6 :]))


def reorder(peer: Peer, reply: bytes) -> None:
    """The reply comes after the next one, in which it is hidden here."""
    peer_write = peer.write

    def write(data: bytes) -> None:
        peer.write = peer_write  # type: ignore[method-assign]
        peer.write(data + server_frame(reply))

    peer.write = write  # type: ignore[method-assign]


def say_more(peer: Peer, reply: bytes) -> None:
    peer.write(server_frame(reply) + server_frame(b'42["news",1]'))


def hang_up(peer: Peer, reply: bytes) -> None:
    peer.request.shutdown(2)


def close_politely(peer: Peer, reply: bytes) -> None:
    peer.write(b"\x88\x02\x03\xe8")


MISTAKES: tuple[Mistake, ...] = (
    lose,
    double,
    corrupt,
    mix_up_clients,
    repeat_the_first,
    reorder,
    say_more,
    hang_up,
    close_politely,
)


@contextlib.contextmanager
def running(mistake: Mistake, at: int) -> Iterator[FaultyServer]:
    with FaultyServer(mistake, at) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
