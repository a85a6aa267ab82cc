"""Clients that come back whenever their session ends, as the client libraries do."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass

from acceptance import wire
from acceptance.wire import Closed, Refused
from matrix.crowd import Crowd, CrowdClient
from matrix.exchange import (
    GOING_AWAY,
    Exchange,
    PollingExchange,
    Recording,
    check_complete,
    check_polling,
    exchange_numbers,
)

PATIENCE = 20.0
RETRY = 0.05
AT_WORK = 3
"""Acks that show that a session works."""


@dataclass
class Session:
    exchange: Exchange
    last_word: object = None
    """What has ended it: a close code, the close packet ``1``, or an error."""


class Traffic:
    """Clients that exchange numbers with a server, one session after another."""

    def __init__(self, recorded: Recording, websockets: int, polling: int) -> None:
        self.recorded = recorded
        #: of each client, in turn
        self.websockets: list[list[Session]] = [[] for _ in range(websockets)]
        self.polling: list[list[Session]] = [[] for _ in range(polling)]
        self._url = recorded.server.url
        self._ending = False

    def __enter__(self) -> Traffic:
        self._crowd = Crowd(self._url).__enter__()
        self._websockets = asyncio.run_coroutine_threadsafe(self._exchange_all(), self._crowd.loop)
        self._threads = [
            threading.Thread(target=self._poll, args=(sessions,), daemon=True) for sessions in self.polling
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending = True
        self._crowd.__exit__(*exc)

    def all_work(self, sessions_each: int = 1) -> bool:
        """Whether each client has had as many sessions, and numbers go to and fro in its latest one."""
        return all(
            len(sessions) >= sessions_each and len(sessions[-1].exchange.acks) > AT_WORK
            for sessions in (*self.websockets, *self.polling)
        )

    def wait_at_work(self, sessions_each: int = 1) -> None:
        wire.wait_until(lambda: self.all_work(sessions_each), PATIENCE, f"all work, session {sessions_each}")

    def end(self) -> None:
        """SIGTERM: nobody comes back any more, and the server exits in good order."""
        self._ending = True
        server = self.recorded.server
        server.terminate()
        self._websockets.result(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a polling client was not told"
        assert server.wait() == 0, server.log_text()[-3000:]

    def check(self) -> None:
        """What was accepted has arrived: once, in order; and each session was ended once."""
        handled = self.recorded.handled()
        for session in (session for sessions in self.websockets for session in sessions):
            assert session.last_word == GOING_AWAY
            check_complete(session.exchange, handled[session.exchange.sid])
        for session in (session for sessions in self.polling for session in sessions):
            check_polling(session.exchange, session.last_word, handled[session.exchange.sid])
        disconnected = self.recorded.disconnected()
        assert len(disconnected) == len(set(disconnected)), "each disconnect handler ran once"
        ours = {session.exchange.sid for each in (*self.websockets, *self.polling) for session in each}
        assert ours <= set(disconnected)

    async def _exchange_all(self) -> None:
        await asyncio.gather(*(self._exchange(sessions) for sessions in self.websockets))

    async def _exchange(self, sessions: list[Session]) -> None:
        while not self._ending:
            try:
                client = await CrowdClient.open(self._url)
            except (Closed, OSError, EOFError):  # by a worker that ends, or while there is none
                await asyncio.sleep(RETRY)
                continue
            self._crowd.clients.append(client)
            session = Session(Exchange(client.sid))
            sessions.append(session)
            await exchange_numbers(client, session.exchange)
            closed = await client.closed
            session.last_word = closed.reason if closed.code is None else closed.code

    def _poll(self, sessions: list[Session]) -> None:
        while not self._ending:
            try:
                client = PollingExchange(self._url)
            except (Closed, Refused, OSError):
                time.sleep(RETRY)
                continue
            session = Session(client.exchange)
            sessions.append(session)
            client.join(time.monotonic() + 3 * PATIENCE)
            session.last_word = client.last_word
