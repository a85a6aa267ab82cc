"""Test clients of one app, as many as a test needs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..extension import SocketIO

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from ..test_client import SocketIOTestClient
    from .connection import QueryString

__all__ = ["ClientFactory"]


class ClientFactory:
    """Makes test clients when it is called, and closes them all at the end of its ``with`` block.

    ::

        with ClientFactory(app) as client:
            ada, bob = client(auth={"name": "Ada"}), client("/chat")

    :param app: the app.
    :raises RuntimeError: it has no SocketIO.
    """

    def __init__(self, app: Flask) -> None:
        socketio = app.extensions.get("socketio")
        if not isinstance(socketio, SocketIO):
            raise RuntimeError("the app has no SocketIO: call init_app(app) first")
        self.app = app
        #: the extension object
        self.socketio = socketio
        self._clients = ExitStack()

    def __call__(
        self,
        namespace: str | None = None,
        query_string: QueryString = None,
        headers: Any = None,
        auth: Any = None,
        flask_test_client: FlaskClient | None = None,
        *,
        check: bool = True,
    ) -> SocketIOTestClient:
        """A new client, connected (the arguments are those of :class:`.SocketIOTestClient`).

        :param check: False where the connection may be refused.
        :raises RuntimeError: it was refused; the message says why.
        """
        client = self.socketio.test_client(
            self.app, namespace, query_string, headers, auth, flask_test_client
        )
        self._clients.callback(client.close)
        if check:
            client.get_sid(namespace)  # which says why there is none
        return client

    def close(self) -> None:
        """Close the clients, the last one first.

        What a handler has raised that no call has passed on, a disconnect handler for instance, is raised.
        """
        self._clients.close()

    def __enter__(self) -> ClientFactory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
