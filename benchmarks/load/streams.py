"""What is sent and what must come back, as bytes on the wire, built before anything is measured.

Every request has a number and the number of its client, and all of a stream are equally long. So a connection
is checked by comparing what it receives with a slice of the stream, and a reply that is wrong, missing,
doubled, out of order or another client's differs from that slice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .wire import BINARY, client_frame, server_frame

__all__ = ["Stream", "acks", "binary_echoes", "broadcasts", "echoes", "text_event"]

ROUND_BYTES = 400_000  # about how long the replies of a stream are, before it begins again
ROUND = 500  # messages at most
FIRST = 100_000  # numbers have as many digits, all of them
FIRST_CLIENT = 10_000
ROW = '{"id":%d,"name":"row %d","price":2.25,"tags":["a","b"],"sold":true}'

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class Stream:
    """Requests and their replies, which begin again after ``count``.

    Both have more at the end than ``count``, so that a slice never has to go round.
    """

    requests: bytes
    request_size: int
    replies: bytes
    reply_size: int
    count: int

    @classmethod
    def of(cls, pairs: Sequence[Pair], depth: int) -> Stream:
        """:param depth: how many may be under way."""
        request_sizes, reply_sizes = ({len(part) for part in parts} for parts in zip(*pairs, strict=True))
        (request_size,), (reply_size,) = request_sizes, reply_sizes
        assert depth <= len(pairs)
        around = [*pairs, *pairs[:depth]]
        return cls(
            b"".join(request for request, _ in around),
            request_size,
            b"".join(reply for _, reply in around),
            reply_size,
            len(pairs),
        )

    @classmethod
    def numbered(cls, make: Callable[[int], Pair], depth: int) -> Stream:
        """As many as fit :data:`ROUND_BYTES`."""
        longest = max(map(len, make(FIRST)))
        count = max(depth + 2, min(ROUND, ROUND_BYTES // longest))
        return cls.of([make(FIRST + i) for i in range(count)], depth)


def text_event(name: str, data: object) -> bytes:
    """An event as all of the servers write it: compact JSON."""
    return b"42" + json.dumps([name, data], separators=(",", ":")).encode()


def json_object(number: int, client: int, size: int) -> str:
    """A JSON object of so many bytes; a larger one has rows, as an answer from a database has."""
    head = f'{{"number":{number},"client":{FIRST_CLIENT + client}'
    tail = ',"text":"%s"}'
    rows: list[str] = []
    room = size - len(head) - len(tail) + 2
    if size >= 512:
        room -= len(',"rows":[]')
        while room > (length := len(row := ROW % (len(rows), len(rows))) + 1):
            rows.append(row)
            room -= length
        head += f',"rows":[{",".join(rows)}]'
        room += bool(rows)  # there is a comma less than there are rows
    assert room >= 0, "too small for its numbers"
    return head + tail % ("x" * room)


def echoes(client: int, depth: int, size: int, name: str = "echo") -> Stream:
    """Events with a JSON object, and the same events in return."""

    def make(number: int) -> Pair:
        event = f'42["{name}",{json_object(number, client, size)}]'.encode()
        return client_frame(event), server_frame(event)

    return Stream.numbered(make, depth)


def acks(client: int, depth: int, size: int) -> Stream:
    """Events with a JSON object, and acknowledgements that have it."""

    def make(number: int) -> Pair:
        data = json_object(number, client, size)
        return (
            client_frame(f'42{number}["ack",{data}]'.encode()),
            server_frame(f"43{number}[{data}]".encode()),
        )

    return Stream.numbered(make, depth)


def binary_echoes(client: int, depth: int, size: int) -> Stream:
    """Events with binary data, and the same in return: two frames each way."""
    head = b'451-["echo",{"_placeholder":true,"num":0}]'
    filler = bytes(range(256)) * (size // 256 + 1)

    def make(number: int) -> Pair:
        data = (b"%d %d " % (number, FIRST_CLIENT + client) + filler)[:size]
        return (
            client_frame(head) + client_frame(data, BINARY),
            server_frame(head) + server_frame(data, BINARY),
        )

    return Stream.numbered(make, depth)


def broadcasts(group: int, size: int, room: str | None = None) -> Stream:
    """Events for everybody, or for a room, which all of its members receive.

    :param group: takes the place of the client's number: who receives another group's message notices.
    """
    name = "broadcast" if room is None else "room"

    def make(number: int) -> Pair:
        data = json_object(number, group, size)
        arguments = data if room is None else f'"{room}",{data}'
        return (
            client_frame(f'42["{name}",{arguments}]'.encode()),
            server_frame(f'42["{name}",{data}]'.encode()),
        )

    return Stream.numbered(make, depth=1)
