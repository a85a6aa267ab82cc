"""Which driver a message queue's URL asks for."""

from __future__ import annotations

import importlib
from types import ModuleType
from urllib.parse import urlsplit

from ..exceptions import UnsupportedOptionError
from .channel import Channel

__all__ = ["SCHEMES", "make_channel"]

#: by driver, the schemes of its URLs; a driver is the module and the extra of that name
SCHEMES = {
    "redis": (
        "redis",
        "rediss",
        "unix",
        "redis+socket",
        "redis+sentinel",
        "valkey",
        "valkeys",
        "valkey+sentinel",
    ),
    "kombu": (
        "amqp",
        "amqps",
        "pyamqp",
        "librabbitmq",
        "memory",
        "filesystem",
        "mongodb",
        "pgmq",
        "gcpubsub",
        "qpid",
        "sentinel",
        "sqs",
        "confluentkafka",
    ),
    "kafka": ("kafka",),
    "zmq": ("zmq+tcp",),
}
#: the class in each driver
CLASSES = {"redis": "RedisChannel", "kombu": "KombuChannel", "kafka": "KafkaChannel", "zmq": "ZmqChannel"}


def make_channel(url: str, name: str) -> Channel:
    """A channel of this name on the broker at this URL. Nothing is connected yet.

    :raises UnsupportedOptionError: no driver knows the URL's scheme.
    :raises ImportError: the driver's library is not installed; the error says which extra has it.
    :raises ValueError: the URL makes no sense to the driver.
    """
    scheme, colon, _ = str(url).partition("://")
    for driver, schemes in SCHEMES.items():
        if colon and scheme.lower() in schemes:
            made: Channel = getattr(_driver(driver, scheme), CLASSES[driver])(url, name)
            return made
    known = ", ".join(f"{scheme}://" for schemes in SCHEMES.values() for scheme in schemes)
    raise UnsupportedOptionError(
        f"message_queue: no URL of a known queue, {_shown(url)!r}; known are {known}"
    )


def _driver(driver: str, scheme: str) -> ModuleType:
    try:
        return importlib.import_module(f".{driver}", __package__)
    except ImportError as error:
        raise ImportError(
            f"message_queue: {scheme}:// needs a library that is not installed ({error.name});"
            f" pip install 'flask-realtime[{driver}]'",
            name=error.name,
        ) from error


def _shown(url: object) -> str:
    """A URL without what is secret in it."""
    parts = urlsplit(str(url))
    return str(url) if "@" not in parts.netloc else f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}"
