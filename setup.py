"""The hot path, compiled where a wheel is built: its modules as they are, by mypyc. The rest is in setup.cfg.

Without a C compiler, on another Python than CPython and in an editable install the same modules run as
Python. ``FLASK_REALTIME_COMPILE=0`` has them do so everywhere; with ``1``, a wheel that can't be compiled is
an error.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

#: What an event passes through. Their neighbours stay as they are for a reason: mypyc knows no limit of
#: recursion (simplifier.py and binary.py follow an app's data), lays out a subclass of one of C's classes
#: wrongly (work.py), and has coroutine functions that are not known as such (signatures.py) and throw into
#: others in the way that Python 3.12 has deprecated (async_handling.py, async_turns.py); its objects have no
#: weak references (handle.py), and no interpreted class can be derived from its classes (pollers.py,
#: clock.py, memory.py).
COMPILED = """
    protocol/engineio/packet
    protocol/engineio/payload
    protocol/engineio/session
    protocol/socketio/decoder
    protocol/socketio/encoder
    protocol/socketio/packet
    protocol/socketio/plain
    protocol/socketio/rules
    protocol/socketio/serializer
    protocol/websocket/connection
    protocol/websocket/fragments
    protocol/websocket/frames
    protocol/websocket/masking
    server/client
    server/dispatcher
    server/engine
    server/handling
    server/heartbeat
    server/inbox
    server/message
    server/outbox
    server/outgoing
    server/pace
    server/server
    server/session
    server/tracing
    server/tracing_server
    backends/connections
    backends/loop
    backends/schedulers
    functions
""".split()

WISH = os.environ.get("FLASK_REALTIME_COMPILE", "")


def leave(error: BaseException) -> None:
    """What is to be compiled stays Python."""
    print(f"flask_realtime is not compiled, and works without: {error}", file=sys.stderr)


class BuildOrLeave(build_ext):
    """All of them or none: a part of them would not work."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            if WISH == "1":
                raise
            leave(error)
            for output in self.get_outputs():
                with contextlib.suppress(FileNotFoundError):
                    Path(output).unlink()
            self.extensions = []


def extensions() -> list[Extension]:
    """C for what is to be compiled, if anything is."""
    compiling = {"bdist_wheel", "build_ext"} & {*sys.argv}
    if WISH == "0" or not compiling or sys.implementation.name != "cpython":
        return []
    try:
        from mypyc.build import mypycify

        return mypycify(
            ["--config-file=pyproject.toml", *(f"flask_realtime/{module}.py" for module in COMPILED)],
            opt_level="2",
            debug_level="0",
            group_name="flask_realtime",
        )
    except (ImportError, SystemExit) as error:  # it leaves the process where there is an error of types
        if WISH == "1":
            raise
        leave(error)
        return []


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOrLeave})
