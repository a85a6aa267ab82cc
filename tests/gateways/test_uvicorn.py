"""Frames that are written to uvicorn's own transport, with the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgi_driver import eventually, play
from flask import Flask

from flask_realtime import EngineIO
from flask_realtime.backends.uvicorn_server import ATTRIBUTES, MODULE, FrameWriter

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip(MODULE)
websockets = pytest.importorskip("websockets")


class World:
    """An Engine.IO echo on uvicorn, in the loop of the test."""

    def __init__(self, port: int, sessions: list[Any], reasons: list[str]) -> None:
        self.sessions = sessions
        self.reasons = reasons
        self._url = f"ws://127.0.0.1:{port}/engine.io/?EIO=4&transport=websocket"

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
        """A client, and its session."""
        known = len(self.sessions)
        async with websockets.connect(
            self._url, max_size=None, ping_interval=None, close_timeout=0.5, **options
        ) as client:
            assert str(await client.recv())[0] == "0"
            await eventually(lambda: len(self.sessions) > known)
            yield client, self.sessions[known]


def serve(test: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a test while uvicorn serves."""

    async def run() -> None:
        app = Flask("echo")
        engineio = EngineIO(app, **options)
        sessions: list[Any] = []
        reasons: list[str] = []
        engineio.on_connect(sessions.append)
        engineio.on_message(lambda session, data: session.send(data))
        engineio.on_disconnect(lambda session, reason: reasons.append(str(reason)))
        config = uvicorn.Config(
            engineio.asgi_app(app), port=0, ws="websockets-sansio", lifespan="off", log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            await test(World(port, sessions, reasons))
        finally:
            server.should_exit = True
            await serving

    play(run)


def frames_of(session: Any) -> FrameWriter | None:
    frames: FrameWriter | None = session._session.transport._frames
    return frames


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_arrive_whole_and_in_order(compression: str | None) -> None:
    async def test(world: World) -> None:
        async with world.connected(compression=compression) as (client, session):
            assert (frames_of(session) is None) == (compression == "deflate")
            sent = ["4", "4text", b"", b"\x00\x01", "4" + "é" * 40_000, b"x" * 200_000] * 5
            for message in sent:
                await client.send(message)
            assert [await client.recv() for _ in sent] == sent

    serve(test)


def test_a_client_that_reads_nothing_is_sent_away_and_others_notice_nothing() -> None:
    async def test(world: World) -> None:
        # A client's buffers take some megabytes.
        async with (
            world.connected(compression=None, max_queue=1) as (_, session),
            world.connected(compression=None) as (other, _),
        ):
            frames = frames_of(session)
            assert frames is not None
            for _ in range(40):
                for _ in range(50):
                    session.send("x" * 10_000)
                await other.send("4hello")
                assert await other.recv() == "4hello"
            assert not frames.ready
            await eventually(lambda: world.reasons == ["transport error"])
            assert not frames.ready

    serve(test, write_timeout=0.5, max_queued_bytes=100_000_000)


def test_a_client_that_reads_late_gets_everything() -> None:
    async def test(world: World) -> None:
        async with world.connected(compression=None, max_queue=1) as (client, session):
            frames = frames_of(session)
            assert frames is not None
            for number in range(40):
                session.send(f"{number}" + "x" * 500_000)
            await eventually(lambda: not frames.ready)
            received = [str(await client.recv()) for _ in range(40)]
            assert [message.rstrip("x") for message in received] == [f"4{number}" for number in range(40)]
            await client.send("4again")
            assert await client.recv() == "4again"
            assert frames.ready

    serve(test, max_queued_bytes=100_000_000)


def test_nothing_is_written_behind_a_close() -> None:
    async def test(world: World) -> None:
        async with world.connected(compression=None) as (client, session):
            frames = frames_of(session)
            assert frames is not None
            session.send("last")
            session.close()
            session.send("too late")
            assert await client.recv() == "4last"
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert not frames.ready
            assert client.close_code == 1000

    serve(test)


def test_a_server_that_is_not_as_it_was_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World) -> None:
        async with world.connected(compression=None) as (client, session):
            send = session._session.transport._send
            assert FrameWriter.of(send) is not None
            protocol = send.__self__
            assert FrameWriter.of(lambda event: send(event)) is None, "a middleware is to see each event"
            for name in ATTRIBUTES:
                with monkeypatch.context() as patch:
                    patch.delattr(protocol, name)
                    assert FrameWriter.of(send) is None
            await client.send("4hello")
            assert await client.recv() == "4hello"

    serve(test)
