"""Numbers that clients have recorded while their server is stopped, and what has to be true of them then.

The app writes a number to a file, emits it back and acks it; a client sends 0, 1, 2... in each session. What
the file says against what the client has seen tells whether anything was lost, repeated or out of order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acceptance import wire
from acceptance.wire import ACK, EVENT, Closed, Polling, SioPacket, SocketIO
from matrix.conftest import PATIENT
from matrix.crowd import Crowd, CrowdClient
from servers import RunningServer, ServerKind, start

__all__ = [
    "GOING_AWAY",
    "Exchange",
    "PollingExchange",
    "Recording",
    "check_complete",
    "check_polling",
    "exchange_numbers",
    "recording",
    "terminate_in_traffic",
]

GOING_AWAY = 1001
IN_FLIGHT = 3
PAUSE = 0.1
"""Between two numbers of a client, on average: the server should be busy, not overwhelmed."""
PATIENCE = 15.0
MOMENT = 2.0


@dataclass
class Exchange:
    """What one client has seen in one session."""

    sid: str
    acks: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    """Those whose POST was answered with 200; nobody says so of a WebSocket's."""

    def event_received(self, packet: SioPacket) -> None:
        event, number = packet.data
        assert (packet.kind, event) == (EVENT, "recorded"), packet
        self.events.append(number)


@dataclass
class Recording:
    """A server with what its app has written down."""

    server: RunningServer
    received_log: Path
    disconnect_log: Path

    def handled(self) -> dict[str, list[int]]:
        """Numbers by sid, in the order in which their handlers ran."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for line in self.received_log.read_text().splitlines():
            entry = json.loads(line)
            numbers[entry["sid"]].append(entry["number"])
        return numbers

    def disconnected(self) -> list[str]:
        return [json.loads(line)["sid"] for line in self.disconnect_log.read_text().splitlines()]


@contextlib.contextmanager
def recording(kind: ServerKind, folder: Path, options: Sequence[str] = ()) -> Iterator[Recording]:
    """A server of the test's own; a client's handlers run one at a time, so that the order is certain."""
    logs = folder / "received", folder / "disconnects"
    env = {"APP_ASYNC_HANDLERS": "0", "APP_RECEIVED_LOG": str(logs[0]), "APP_DISCONNECT_LOG": str(logs[1])}
    with start(kind, "contract", {**PATIENT, **env}, options) as server:
        yield Recording(server, *logs)


class PollingExchange:
    """A client that always has a poll pending, and POSTs numbers meanwhile."""

    def __init__(self, url: str) -> None:
        self.client = SocketIO.connected("polling", url)
        assert isinstance(self.client.transport, Polling)
        self.transport = self.client.transport
        self.exchange = Exchange(self.client.sid)
        self.last_word: object = None
        """What ended it: the close packet ``1``, or an error."""
        self._refusal: Exception | None = None
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._poll, self._post)]
        for thread in self._threads:
            thread.start()

    def _post(self) -> None:
        try:
            for number in itertools.count():
                if self.last_word is not None:
                    return
                self.client.request("record", number)
                self.exchange.accepted.append(number)
                time.sleep(random.uniform(0, 2 * PAUSE))
        except (Closed, OSError) as error:  # refused, or nobody listens any more
            self._refusal = error

    def _poll(self) -> None:
        try:
            while (packet := self._next_packet()) != "1":
                if packet != "6":
                    self._packet_received(wire.decode_sio(packet, self.transport.receive))
            self.last_word = packet
        except (Closed, OSError) as error:
            self.last_word = error

    def _next_packet(self) -> wire.Packet:
        """A refused POST ends the session, too, unless the poll brings something within a moment."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.transport.receive_packet(MOMENT)
            except TimeoutError:
                if self._refusal is not None:
                    raise self._refusal from None
                if time.monotonic() > deadline:
                    raise

    def _packet_received(self, packet: SioPacket) -> None:
        if packet.kind == ACK:
            self.exchange.acks += packet.data
        else:
            self.exchange.event_received(packet)

    def join(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


async def exchange_numbers(client: CrowdClient, exchange: Exchange) -> None:
    """Until the client is closed."""
    client.on_packet = exchange.event_received
    waiting: deque[asyncio.Future[list[int]]] = deque()
    for number in itertools.count():
        if client.closed.done():
            break
        waiting.append(client.request("record", number))
        if len(waiting) == IN_FLIGHT:
            await asyncio.wait([waiting[0]])
        while waiting and waiting[0].done() and not waiting[0].cancelled():
            exchange.acks += waiting.popleft().result()
        await asyncio.sleep(random.uniform(0, 2 * PAUSE))
    exchange.acks += [number for future in waiting if not future.cancelled() for number in future.result()]


async def start_exchanges(crowd: Crowd) -> tuple[list[Exchange], list[asyncio.Task[None]]]:
    exchanges = [Exchange(client.sid) for client in crowd.clients]
    tasks = [
        asyncio.create_task(exchange_numbers(client, exchange))
        for client, exchange in zip(crowd.clients, exchanges, strict=True)
    ]
    return exchanges, tasks


async def all_closed(crowd: Crowd, tasks: list[asyncio.Task[None]]) -> list[Closed]:
    """How each client was told; an error in an exchange is raised here."""
    closed = await asyncio.wait_for(asyncio.gather(*(client.closed for client in crowd.clients)), PATIENCE)
    await asyncio.gather(*tasks)
    return closed


def terminate_in_traffic(recorded: Recording, websockets: int, polling: int) -> None:
    """SIGTERM while clients exchange numbers: all are told, and what was handled has reached its client."""
    server = recorded.server
    with Crowd(server.url) as crowd:
        crowd.run(crowd.add(websockets))
        polling_clients = [PollingExchange(server.url) for _ in range(polling)]
        websocket_exchanges, tasks = crowd.run(start_exchanges(crowd))
        exchanges = [*websocket_exchanges, *(client.exchange for client in polling_clients)]
        wire.wait_until(lambda: all(len(exchange.acks) > 3 for exchange in exchanges), what="all are at work")

        server.terminate()
        deadline = time.monotonic() + PATIENCE

        closed = crowd.run(all_closed(crowd, tasks))
        for client in polling_clients:
            client.join(deadline)
        assert server.wait(max(0.1, deadline - time.monotonic())) == 0, server.log_text()[-2000:]

    assert [reason.code for reason in closed] == [GOING_AWAY] * len(closed)
    handled = recorded.handled()
    for exchange in websocket_exchanges:
        check_complete(exchange, handled[exchange.sid])
    for client in polling_clients:
        check_polling(client.exchange, client.last_word, handled[client.exchange.sid])
    told = [client for client in polling_clients if client.last_word == "1"]
    assert len(told) >= polling / 2, [client.last_word for client in polling_clients]
    assert sorted(recorded.disconnected()) == sorted(exchange.sid for exchange in exchanges)


def check_complete(exchange: Exchange, handled: list[int]) -> None:
    """All that the app has handled has reached the client."""
    assert handled == list(range(len(handled))), "each number once, in order"
    assert exchange.events == handled
    assert exchange.acks == handled


def check_polling(exchange: Exchange, last_word: object, handled: list[int]) -> None:
    """The same, if the client was told by a poll.

    One that was between two polls comes to a worker that does not know it, or to nobody any more, and so
    learns that its session is over. What it has not fetched by then, no ack has promised it.
    """
    assert set(exchange.accepted) <= set(handled), "what was answered with 200 was handled"
    if last_word == "1":
        check_complete(exchange, handled)
        return
    refused = isinstance(last_word, Closed) and "Session ID unknown" in last_word.reason
    assert refused or isinstance(last_word, ConnectionError), repr(last_word)
    assert handled == list(range(len(handled))), "each number once, in order"
    assert exchange.events == handled[: len(exchange.events)]
    assert exchange.acks == handled[: len(exchange.acks)]
