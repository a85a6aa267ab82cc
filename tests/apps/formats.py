"""An app whose events show what arrives as what, in both directions; started as ``contract.py`` is."""

from __future__ import annotations

import monkey_patching  # noqa: F401 - before anything that it replaces

# isort: split
import datetime
import importlib.util
import uuid
from decimal import Decimal
from typing import Any

from app_options import command_line, configure_logging, socketio_options
from flask import Flask

from flask_realtime import SocketIO, emit

MOMENT = datetime.datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=datetime.timezone.utc)
#: What a client may ask for, by name.
VALUES: dict[str, Any] = {
    "aware": MOMENT,
    "east": MOMENT.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=45))),
    "naive": MOMENT.replace(tzinfo=None),
    "day": MOMENT.date(),
    "long ago": datetime.datetime(1583, 10, 15, tzinfo=datetime.timezone.utc),
    "uuid": uuid.UUID(int=1),
    "decimal": Decimal("1.50"),
    "integers": [0, 127, 128, 255, 256, 2**16, 2**31, 2**32, 2**53 - 1, -1, -32, -33, -129, -(2**53) + 1],
    "too large for JavaScript": [2**63 - 1, -(2**63)],
    "floats": [0.1, 1e300, -5e-324, 3.0],
    "not a number": [float("nan"), float("inf"), -float("inf")],
    "binary": [b"", b"\x00", bytes(range(8)), bytes(300), bytearray(b"12"), memoryview(b"12345")[::2]],
    "keys": {2: "int", None: "null", True: "bool", "__proto__x": "text"},
    "nothing": [None, {"a": None}, (), {}],
}


def create_app() -> Flask:
    configure_logging()
    app = Flask("formats")
    socketio = SocketIO(app, **socketio_options())

    @socketio.on("make")
    def make(name: str) -> Any:
        return [VALUES[name]]

    @socketio.on("show")
    def show(*args: Any) -> list[str]:
        """What arrived, as Python writes it."""
        return [repr(value) for value in args]

    @socketio.on("echo")
    def echo(*args: Any) -> Any:
        return args

    @socketio.on("ask")
    def ask() -> None:
        emit("question", callback=lambda *answer: emit("answered", [repr(value) for value in answer]))

    @app.route("/healthz")
    def healthz() -> str:
        return "ok"

    return app


app = create_app()
socketio: SocketIO = app.extensions["socketio"]
asgi_app = socketio.asgi_app(app) if importlib.util.find_spec("a2wsgi") else None

if __name__ == "__main__":
    port, options = command_line()
    socketio.run(app, host="127.0.0.1", port=port, **options)
