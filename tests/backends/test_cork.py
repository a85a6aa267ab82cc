"""The cork on a server's socket: while it is on, what is written is gathered."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
from asgi_driver import play, played

from flask_realtime.backends.asgi_server import transports_of
from flask_realtime.backends.cork import Cork

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="others have no such option")


async def connect(serve: Callable[..., Any], open_connection: Callable[[Any], Any]) -> tuple[Any, Any]:
    """The server's transport, and the client's."""
    accepted: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            if not accepted.done():
                accepted.set_result(transport)

    server = await serve(Protocol)
    client, _ = await open_connection(server.sockets[0].getsockname())
    transport = await accepted
    server.close()
    return transport, client


async def connect_tcp() -> tuple[Any, Any]:
    loop = asyncio.get_running_loop()
    return await connect(
        lambda protocol: loop.create_server(protocol, "127.0.0.1", 0),
        lambda address: loop.create_connection(asyncio.Protocol, *address),
    )


def is_corked(transport: Any) -> bool:
    return bool(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK))


def run(kind: str, test: Callable[[], Any]) -> None:
    if kind == "asyncio":
        play(test)
    else:
        uvloop = pytest.importorskip("uvloop")
        loop = uvloop.new_event_loop()
        loop.run_until_complete(asyncio.wait_for(test(), 30))
        loop.close()


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_it_is_on_within_its_block(kind: str) -> None:
    async def test() -> None:
        transport, client = await connect_tcp()
        cork = Cork.of(transport)
        assert cork is not None
        assert not is_corked(transport)
        with contextlib.suppress(ValueError), cork:
            assert is_corked(transport)
            raise ValueError
        assert not is_corked(transport)
        transport.close()
        client.close()
        with cork:
            pass

    run(kind, test)


@played
async def test_no_other_socket_has_one(tmp_path: Any) -> None:
    loop = asyncio.get_running_loop()
    transport, client = await connect(
        lambda protocol: loop.create_unix_server(protocol, str(tmp_path / "socket")),
        lambda address: loop.create_unix_connection(asyncio.Protocol, address),
    )
    assert Cork.of(transport) is None
    transport.close()
    client.close()


def test_where_none_is_found() -> None:
    class Owner:
        transport = object()

        async def send(self, event: dict[str, Any]) -> None: ...

    class Lost:
        def get_extra_info(self, name: str) -> None:
            return None

    owner = Owner()
    assert list(transports_of(owner.send)) == [owner.transport]
    assert Cork.of(owner.transport) is None
    assert Cork.of(Lost()) is None
