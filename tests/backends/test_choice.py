"""Which backend a process has, and when it changes."""

from __future__ import annotations

import textwrap
from typing import ClassVar

import pytest
from backends.script import APP, every_library, run_script
from flask import Flask

from flask_realtime import SocketIO
from flask_realtime.backends import choice
from flask_realtime.backends.choice import choose_backend
from flask_realtime.backends.memory import MemoryBackend
from flask_realtime.backends.threads import ThreadsBackend


class TestUnpatched:
    def test_threads(self) -> None:
        backend = choose_backend(4)
        assert isinstance(backend, ThreadsBackend)
        assert backend.name == "threading"
        assert choose_backend(4, backend) is backend
        assert choose_backend(4) is not backend

    def test_another_kind_is_not_kept(self) -> None:
        other = MemoryBackend()
        assert isinstance(choose_backend(4, other), ThreadsBackend)
        other.close()

    def test_of_an_app(self) -> None:
        app = Flask("app")
        socketio = SocketIO(app)
        backend = socketio.current_server.backend
        app.test_client().get("/socket.io/?EIO=4&transport=bogus")
        assert socketio.current_server.backend is backend

    def test_greenlets_go_when_threads_are_real(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As a child of a patched process could see it."""
        pytest.importorskip("gevent")
        monkeypatch.setattr(choice, "patched_by", lambda: "gevent")
        green = choose_backend(4)
        assert green.name == "gevent"
        assert choose_backend(4, green) is green
        monkeypatch.setattr(choice, "patched_by", lambda: None)
        assert choose_backend(4, green).name == "threading"


@every_library
class TestPatched:
    def test_from_the_start(self, library: str) -> None:
        script = f"""
            from flask_realtime.backends.choice import choose_backend
            backend = choose_backend(3)
            assert backend.name == socketio.current_server.backend.name == socketio.async_mode == "{library}"
            assert choose_backend(3, backend) is backend
        """
        run_script(script, library, setup=APP)

    #: PATCH comes late, and complains of it
    LATE = """
        import contextlib, io, logging, warnings
        logging.disable()

        def patch():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                PATCH

        def ask(times=1):
            for _ in range(times):
                reply = app.test_client().get("/socket.io/?EIO=4&transport=bogus")
                assert reply.status_code == 400, reply

        engine = socketio.current_server.engine
        assert engine.backend.name == "threading"
    """
    PATCH: ClassVar[dict[str, str]] = {
        "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
        "eventlet": "import eventlet; eventlet.monkey_patch()",
    }

    def script(self, library: str, rest: str) -> str:
        return textwrap.dedent(self.LATE).replace("PATCH", self.PATCH[library]) + textwrap.dedent(rest)

    def test_after_the_app_was_made(self, library: str) -> None:
        rest = f"""
            patch()
            assert engine.backend.name == "threading"
            ask()
            assert engine.backend.name == "{library}"
            chosen = engine.backend
            ask(2)
            assert engine.backend is chosen is socketio.current_server.backend
            assert engine.now.__self__ is chosen

            native = original("_thread", "get_ident")
            main = native()

            @socketio.on("plain")
            def plain():
                return native() == main

            @socketio.on("later")
            async def later():
                await asyncio.sleep(0)
                return native() != main

            client = Client(app, socketio.current_server).connect()
            assert client.call("plain") == [True]
            assert client.call("later") == [True]
            client.close()
            until(lambda: not engine.work_pending)
        """
        run_script(self.script(library, rest), setup=APP)

    def test_not_while_sessions_are_alive(self, library: str) -> None:
        rest = """
            socketio.on("event")(lambda: 1)
            client = socketio.test_client(app)
            before = engine.backend
            patch()
            ask()
            assert engine.backend is before
            assert client.emit("event", callback=True) == 1
            client.disconnect()
        """
        run_script(self.script(library, rest), setup=APP)
