"""The connections below the clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..types import DisconnectReason

if TYPE_CHECKING:
    import logging

    from ..extension import SocketIO
    from ..server.engine import Engine
    from ..server.session import Session

__all__ = ["Connection", "Connections", "ConnectionsById"]


class Connection:
    """One connection. Its id is a secret between the client and the server."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def sid(self) -> str:
        """Its id."""
        return self._session.sid

    @property
    def upgraded(self) -> bool:
        """It is on a websocket, since its beginning or by an upgrade."""
        return self._session.transport is not None

    @property
    def connected(self) -> bool:
        """It lives: messages are accepted in both directions."""
        return self._session.alive

    @property
    def closed(self) -> bool:
        """It is over."""
        return self._session.ended

    def close(self, wait: bool = True, abort: bool = False) -> None:
        """Close it, with all clients that it carries. Never waits.

        :param wait: accepted for compatibility.
        :param abort: drop what is queued for it; otherwise that goes out first.
        """
        with self._session.engine.lock:
            if abort:
                self._session.end(DisconnectReason.SERVER_DISCONNECT)
            else:
                self._session.close()

    def __repr__(self) -> str:
        # The id would let others take the connection over: not in full in a log.
        transport = "websocket" if self.upgraded else "polling"
        return f"<Connection {self.sid[:6]}... on {transport}>"


class ConnectionsById(Mapping[str, Connection]):
    """The living connections, by their ids."""

    def __init__(self, engine: Engine) -> None:
        self._sessions = engine.sessions

    def __getitem__(self, eio_sid: str) -> Connection:
        return Connection(self._sessions[eio_sid])

    def __iter__(self) -> Iterator[str]:
        return iter(self._sessions.copy())

    def __len__(self) -> int:
        return len(self._sessions)

    def __repr__(self) -> str:
        return repr(list(self.values()))


class Connections:
    """``socketio.server.eio``: the connections of this process, and the options that concern them."""

    def __init__(self, socketio: SocketIO) -> None:
        self._socketio = socketio

    @property
    def _engine(self) -> Engine:
        return self._socketio.current_server.engine

    @property
    def sockets(self) -> ConnectionsById:
        """The living connections, by their ids (``manager.eio_sid_from_sid`` gives them)."""
        return ConnectionsById(self._engine)

    def transport(self, sid: str) -> str:
        """``"polling"`` or ``"websocket"``.

        :param sid: the connection's id.
        :raises KeyError: there is none with this id.
        """
        return self._engine.sessions[sid].transport_name

    def disconnect(self, sid: str | None = None) -> None:
        """Close a connection, or all of them. One that has gone is ignored."""
        connections = self.sockets
        for eio_sid in list(connections) if sid is None else [sid]:
            connection = connections.get(eio_sid)
            if connection is not None:
                connection.close()

    @property
    def async_mode(self) -> str:
        """As :attr:`.SocketIO.async_mode`."""
        return self._socketio.async_mode

    @property
    def logger(self) -> logging.Logger:
        """Where it logs."""
        return self._engine.logger

    # Options

    @property
    def ping_interval(self) -> float:
        """Seconds."""
        return self._engine.config.ping_interval

    @property
    def ping_interval_grace_period(self) -> float:
        """Seconds."""
        return self._engine.config.ping_interval_grace

    @property
    def ping_timeout(self) -> float:
        """Seconds."""
        return self._engine.config.ping_timeout

    @property
    def max_http_buffer_size(self) -> int:
        """Bytes."""
        return self._engine.config.max_http_buffer_size

    @property
    def transports(self) -> list[str]:
        """The option."""
        return list(self._engine.config.transports)

    @property
    def allow_upgrades(self) -> bool:
        """The option."""
        return self._engine.config.allow_upgrades

    @property
    def http_compression(self) -> bool:
        """The option."""
        return self._engine.config.http_compression

    @property
    def compression_threshold(self) -> int:
        """Bytes."""
        return self._engine.config.compression_threshold

    @property
    def cookie(self) -> str | dict[str, Any] | None:
        """The option, as it was given."""
        cookie = self._engine.config.cookie
        return None if cookie is None else cookie.option

    @property
    def cors_allowed_origins(self) -> Any:
        """The option, as it was given."""
        return self._engine.config.cors_allowed_origins

    @property
    def cors_credentials(self) -> bool:
        """The option."""
        return self._engine.config.cors_credentials
