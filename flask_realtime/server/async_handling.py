"""What a server does for the app's coroutine functions, in the event loop that they run in.

It stays as it is where its neighbours are compiled, for the same reason as :mod:`.async_turns`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import SocketState
from .dispatcher import NOT_HANDLED, arguments
from .work import FAILURE, awaited

if TYPE_CHECKING:
    from ..protocol.socketio import Packet
    from ..types import AckCallback, Sid
    from .client import Socket
    from .dispatcher import Match
    from .handling import HandlingServer, Outcome
    from .server import Server

__all__ = ["call", "run_callback", "run_connect", "run_disconnect", "run_event"]


async def run_connect(server: HandlingServer, socket: Socket, auth: Any, match: Match | None) -> None:
    """Run a ``connect`` handler."""
    server.finish_connect(socket, await _outcome(server, socket, match, "connect", [auth]))


async def run_disconnect(server: HandlingServer, socket: Socket, reason: str, match: Match | None) -> None:
    """Run a ``disconnect`` handler."""
    server.finish_disconnect(socket, await _outcome(server, socket, match, "disconnect", [reason]))


async def run_event(server: HandlingServer, socket: Socket, packet: Packet, match: Match | None) -> None:
    """Run an event's handler."""
    if socket.state is SocketState.GONE:  # its connect was refused
        return
    try:
        data = packet.data
        if match is None:
            value = await _call_handler(server, socket, None, data[0], data[1:])
        else:
            args = data if match.event == "*" else data[1:]
            value = await server.runner.run_async(socket, match.handler, match.event, args, match.group)
    except BaseException as error:  # noqa: BLE001 (the app may raise anything; the server passes it on)
        server.finish_event(socket, packet, (None, error))
    else:
        if packet.id is not None:
            server.finish_event(socket, packet, (value, None))


async def run_callback(server: Server, socket: Socket, callback: AckCallback, values: list[Any]) -> None:
    """Run the callback of an emit."""
    try:
        await callback(*values)
    except FAILURE as error:
        server.callback_failed(socket, error)


async def call(
    server: Server, data: list[Any], namespace: str, sid: Sid, timeout: float | None, ignore_queue: bool
) -> Any:
    """See :meth:`.Server.call_async`."""
    done = server.backend.async_event()
    pending = server.begin_call(data, namespace, sid, done, ignore_queue)
    try:
        in_time = await done.wait(timeout)
    except BaseException:  # cancelled
        server.abandon_call(pending)
        raise
    return server.finish_call(pending, in_time, timeout)


async def _outcome(
    server: HandlingServer, socket: Socket, match: Match | None, event: str, args: list[Any]
) -> Outcome:
    try:
        return await _call_handler(server, socket, match, event, args), None
    except BaseException as error:  # noqa: BLE001 (as above)
        return None, error


async def _call_handler(
    server: HandlingServer, socket: Socket, match: Match | None, event: str, args: list[Any]
) -> Any:
    if match is not None:
        return await server.runner.run_async(
            socket, match.handler, match.event, arguments(match, event, args), match.group
        )
    obj = server.dispatcher.find_namespace(socket.namespace)
    result = NOT_HANDLED
    if obj is not None:
        result = await awaited(obj.trigger_event(event, socket.sid, *args))
    if server.is_still_attended(socket, event, result):
        attended = await server.runner.run_async(socket, _nothing, event, args)
        result = attended if result is NOT_HANDLED or attended is False else result
    return result


async def _nothing(argument: object) -> None:
    """In the place of a handler of ``connect`` or ``disconnect``."""
