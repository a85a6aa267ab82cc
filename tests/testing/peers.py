"""The test client and a real client, driven by the same words."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

import socketio
from acceptance.wire import TIMEOUT
from flask import Flask
from python_client import Client

from flask_realtime import SocketIOTestClient

#: (namespace, event, arguments)
Event = tuple[str, str, list[Any]]


class Peer(ABC):
    """A client in one or several namespaces."""

    #: by namespace: what came with the refusal
    refusals: dict[str, Any]

    @abstractmethod
    def emit(self, event: str, *args: Any, namespace: str = "/") -> None: ...

    @abstractmethod
    def call(self, event: str, *args: Any, namespace: str = "/") -> Any:
        """The acknowledgement: one value, or a list of several; None too where it is empty."""

    @abstractmethod
    def answer(self, event: str, value: Any) -> None:
        """Acknowledge an event with this."""

    @abstractmethod
    def sid(self, namespace: str = "/") -> str: ...

    @abstractmethod
    def events(self, namespace: str = "/") -> list[Event]:
        """What has come since the last call, by namespace; an ack in this one says that all is here."""

    @abstractmethod
    def wait_for(self, event: str, namespace: str = "/") -> list[Any]: ...

    @abstractmethod
    def left(self, namespace: str) -> str:
        """Wait until it is no longer connected; why."""

    @abstractmethod
    def disconnect(self) -> None: ...


class TestPeer(Peer):
    """The test client."""

    __test__ = False

    def __init__(self, app: Flask, namespaces: list[str], auth: Any = None) -> None:
        first, *others = self.namespaces = namespaces
        self.client: SocketIOTestClient = app.extensions["socketio"].test_client(app, first, auth=auth)
        for namespace in others:
            self.client.connect(namespace, auth=auth)
        self.refusals = self.client.refusals

    def emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        try:
            self.client.emit(event, *args, namespace=namespace)
        except RuntimeError as error:
            if error.args[0] != "raised on purpose":  # what a test sees, and no client
                raise

    def call(self, event: str, *args: Any, namespace: str = "/") -> Any:
        answer = self.client.emit(event, *args, callback=True, namespace=namespace)
        return None if answer == [] else answer

    def answer(self, event: str, value: Any) -> None:
        for namespace in self.namespaces:
            self.client.answer(event, value, namespace)

    def sid(self, namespace: str = "/") -> str:
        return self.client.get_sid(namespace)

    def events(self, namespace: str = "/") -> list[Event]:
        self.call("echo-ack", namespace=namespace)
        items = [
            item
            for name in sorted(self.namespaces)
            if self.client.is_connected(name)
            for item in self.client.get_received(name)
        ]
        return [(item["namespace"], item["name"], item["args"]) for item in items]

    def wait_for(self, event: str, namespace: str = "/") -> list[Any]:
        args: list[Any] = self.client.wait_for(event, namespace)["args"]
        return args

    def left(self, namespace: str) -> str:
        return self.client.wait_for_disconnect(namespace)

    def disconnect(self) -> None:
        self.client.close()


class RealPeer(Peer):
    """python-socketio's client."""

    def __init__(
        self, url: str, namespaces: list[str], auth: Any = None, transport: str = "websocket", **options: Any
    ) -> None:
        self.client = Client(transport, reconnection=False, **options)
        self.refusals: dict[str, Any] = {}
        self._early: list[tuple[Any, ...]] = []
        with suppress(socketio.exceptions.ConnectionError):
            self.client.connect(url, namespaces, auth)
        while (refusal := self._find("connect_error")) is not None:
            self.refusals[refusal[0]] = refusal[2]

    def _find(self, event: str, namespace: str | None = None, timeout: float = 0) -> tuple[Any, ...] | None:
        """The first event of this name; those before it are kept."""
        for index, item in enumerate(self._early):
            if item[1] == event and namespace in (None, item[0]):
                return self._early.pop(index)
        with suppress(queue.Empty):
            while True:
                item = self.client.events.get(timeout=timeout) if timeout else self.client.events.get_nowait()
                if item[1] == event and namespace in (None, item[0]):
                    return item
                self._early.append(item)
        return None

    def emit(self, event: str, *args: Any, namespace: str = "/") -> None:
        self.client.emit(event, *args, namespace=namespace)

    def call(self, event: str, *args: Any, namespace: str = "/") -> Any:
        answer = self.client.call(event, *args, namespace=namespace)
        answer = list(answer) if isinstance(answer, tuple) else answer
        return None if answer == [] else answer

    def answer(self, event: str, value: Any) -> None:
        self.client.answers[event] = value

    def sid(self, namespace: str = "/") -> str:
        return self.client.sid(namespace)

    def events(self, namespace: str = "/") -> list[Event]:
        self.call("echo-ack", namespace=namespace)
        while not self.client.events.empty():
            self._early.append(self.client.events.get())
        items, self._early = self._early, []
        items.sort(key=lambda item: item[0])
        return [(item[0], item[1], list(item[2:])) for item in items]

    def wait_for(self, event: str, namespace: str = "/") -> list[Any]:
        item = self._find(event, namespace, TIMEOUT)
        assert item is not None, f"no {event}"
        return list(item[2:])

    def left(self, namespace: str) -> str:
        return str(self.wait_for("disconnect", namespace)[0])

    def disconnect(self) -> None:
        self.client.close()
