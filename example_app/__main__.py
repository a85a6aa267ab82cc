"""``python -m example_app``: serve the chat."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from . import create_app
from .errors import ConfigurationError
from .extensions import socketio


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted. The exit status: 0, or 1 where it could not start."""
    options = _parser().parse_args(arguments)
    paths = {"DATABASE": options.database, "CLIENT_JS": options.client_js}
    try:
        app = create_app({name: path for name, path in paths.items() if path is not None})
        _check_port(options.host, options.port)
    except (ConfigurationError, OSError) as error:
        print(f"example_app: {error}", file=sys.stderr)
        return 1
    print(f"The chat is at http://{options.host}:{options.port}", flush=True)
    # Where nothing better is installed this is Werkzeug's server, which is quite good enough for an example.
    socketio.run(app, options.host, options.port, debug=options.debug, allow_unsafe_werkzeug=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m example_app", description="A small chat.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5000, help="the port to listen on (default: %(default)s)")
    parser.add_argument("--database", type=Path, metavar="PATH", help="the SQLite file of the history")
    parser.add_argument("--client-js", type=Path, metavar="PATH", help="serve this copy of socket.io.min.js")
    parser.add_argument("--debug", action="store_true", help="reload when a source file changes")
    return parser


def _check_port(host: str, port: int) -> None:
    """Try to listen, to say what is wrong in one line whichever server is then used."""
    if "WERKZEUG_RUN_MAIN" in os.environ:  # the reloader's child, for which its parent may already listen
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OSError(f"can't listen on {host}:{port}: {reason}") from error


if __name__ == "__main__":
    sys.exit(main())
