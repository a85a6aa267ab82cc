"""The pytest plugin, in projects of users."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: the other plugin that many Flask projects have is left out, but where it is the point
WITHOUT = ("-p", "no:flask")


def run(project: pytest.Pytester, test: str, *args: str) -> pytest.RunResult:
    """What pytest says of a test file."""
    project.makepyfile(test_it=textwrap.dedent(test))
    return project.runpytest_inprocess("-p", "no:cacheprovider", *(args or WITHOUT))


class TestClients:
    def test_several_in_one_test(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import users

            def test_it(socketio_client):
                one, two = socketio_client(), socketio_client(namespace="/chat", auth={"a": 1})
                assert one.emit("echo", 1, callback=True) == 1
                assert two.wait_for("welcome", "/chat")
                two.connect()
                users.socketio.emit("to all")
                assert one.wait_for("to all") == two.wait_for("to all")

            def test_they_were_disconnected():
                assert users.log == ["client disconnect"] * 2
                assert users.socketio.stats()["sessions"] == 0
            """,
        )
        result.assert_outcomes(passed=2)

    def test_with_the_session_of_a_flask_client(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            def test_it(app, socketio_client):
                http = app.test_client()
                http.get("/login/ada")
                assert socketio_client(flask_test_client=http).emit("user", callback=True) == "ada"
            """,
        )
        result.assert_outcomes(passed=1)

    def test_the_app_may_have_any_scope(self, project: pytest.Pytester) -> None:
        project.makeconftest(
            """
            import pytest
            import users

            @pytest.fixture(scope="session")
            def app():
                app = users.create_app()
                with app.app_context():
                    yield app
            """
        )
        result = run(
            project,
            """
            import pytest

            @pytest.mark.parametrize("n", [1, 2])
            def test_it(socketio_client, socketio_server, n):
                assert socketio_client().emit("echo", n, callback=True) == n
            """,
        )
        result.assert_outcomes(passed=2)

    def test_in_a_class_of_unittest(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import unittest
            import pytest

            class TestIt(unittest.TestCase):
                @pytest.fixture(autouse=True)
                def clients(self, socketio_client):
                    self.client = socketio_client()

                def test_it(self):
                    self.assertEqual(self.client.emit("echo", 1, callback=True), 1)
            """,
        )
        result.assert_outcomes(passed=1)

    def test_a_fixture_of_the_same_name_goes_first(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import pytest
            import users

            @pytest.fixture
            def socketio_client(app):
                return users.socketio.test_client(app)

            def test_it(socketio_client):
                assert socketio_client.emit("echo", 1, callback=True) == 1
            """,
        )
        result.assert_outcomes(passed=1)

    def test_the_types_can_be_named(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            from flask_realtime import SocketIO, SocketIOTestClient
            from flask_realtime.testing import ClientFactory, LiveServer

            def test_it(socketio_client: ClientFactory, socketio_server: LiveServer) -> None:
                client: SocketIOTestClient = socketio_client()
                assert isinstance(socketio_client, ClientFactory)
                assert isinstance(socketio_server, LiveServer)
                assert isinstance(socketio_client.socketio, SocketIO)
            """,
        )
        result.assert_outcomes(passed=1)


class TestServer:
    def test_with_a_real_client(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import socketio
            import users

            def test_it(socketio_server, socketio_client):
                assert socketio_server.url == f"http://127.0.0.1:{socketio_server.port}"
                with socketio.SimpleClient() as real:
                    real.connect(socketio_server.url, transports=["websocket"])
                    assert real.call("echo", 1) == 1
                    assert real.receive(timeout=5) == ["echoed", 1]
                    client = socketio_client()
                    users.socketio.emit("to all", "text")
                    assert real.receive(timeout=5) == ["to all", "text"]
                    assert client.wait_for("to all")["args"] == ["text"]
            """,
        )
        result.assert_outcomes(passed=1)

    def test_it_is_stopped_with_clients_still_there(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import socket
            import users
            from extension.live import SocketIOClient

            ports = []

            def test_it(socketio_server):
                ports.append(socketio_server.port)
                users.client = SocketIOClient(socketio_server.url)

            def test_after():
                assert users.log == ["transport close"]
                with socket.socket() as sock:
                    assert sock.connect_ex(("127.0.0.1", ports[0])) != 0
                users.client.close()
            """,
        )
        result.assert_outcomes(passed=2)


class TestFailures:
    def test_a_refused_client_fails_the_test_and_says_why(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            def test_refused(socketio_client):
                socketio_client(auth={"refuse": "me"})

            def test_unknown(socketio_client):
                socketio_client("/nowhere")

            def test_expected(socketio_client):
                client = socketio_client(auth={"refuse": "me"}, check=False)
                assert client.refusals == {"/": {"message": "as you wish"}}
            """,
        )
        result.assert_outcomes(passed=1, failed=2)
        result.stdout.fnmatch_lines(
            [
                "E *RuntimeError: not connected: refused with {'message': 'as you wish'}",
                "E *RuntimeError: not connected: refused with {'message': 'Invalid namespace'}",
            ]
        )

    def test_no_app(self, project: pytest.Pytester) -> None:
        project.makeconftest("")
        result = run(project, "def test_it(socketio_client): pass")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*fixture 'app' not found*"])

    @pytest.mark.parametrize("fixture", ["socketio_client", "socketio_server"])
    def test_an_app_without_socketio(self, project: pytest.Pytester, fixture: str) -> None:
        project.makeconftest(
            """
            import pytest
            from flask import Flask

            @pytest.fixture
            def app():
                return Flask("bare")
            """
        )
        result = run(project, f"def test_it({fixture}): pass")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["E *RuntimeError: the app has no SocketIO: call init_app(app) first"])

    def test_an_event_that_does_not_come(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            def test_it(socketio_client):
                client = socketio_client()
                client.emit("echo", 1)
                client.wait_for("ecoed", timeout=0.01)
            """,
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["E *TimeoutError: no 'ecoed' in namespace '/' within 0.01 s; what has come: 'echoed'"]
        )

    def test_a_disconnect_handler_that_fails_when_all_is_over(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import users

            def test_it(socketio_client):
                users.socketio.on_event("disconnect", lambda: 1 / 0)
                socketio_client()
                socketio_client()

            def test_the_others_were_closed_too():
                assert users.socketio.stats()["sessions"] == 0
            """,
        )
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["E *ZeroDivisionError*"])

    def test_a_test_that_fails_closes_its_clients(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            """
            import users

            def test_it(socketio_client):
                socketio_client()
                assert False

            def test_after():
                assert users.log == ["client disconnect"]
            """,
        )
        result.assert_outcomes(passed=1, failed=1)


class TestCosts:
    """pytest imports the plugin in every run of every project."""

    def test_nothing_is_imported_before_it_is_used(self, project: pytest.Pytester) -> None:
        project.makeconftest("")
        project.makepyfile(
            """
            import sys

            def test_it():
                assert "pytest_flask_realtime" in sys.modules
                assert not {"flask_realtime", "flask", "werkzeug", "msgspec"} & sys.modules.keys()
            """
        )
        result = project.runpytest_subprocess(*WITHOUT)
        result.assert_outcomes(passed=1)

    def test_its_module_imports_pytest_alone(self) -> None:
        script = (
            "import sys, pytest, collections.abc, typing; before = set(sys.modules);"
            " import pytest_flask_realtime; print(*(set(sys.modules) - before))"
        )
        output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert output.stdout.split() == ["pytest_flask_realtime"]

    def test_the_fixtures_are_listed_with_what_they_do(self, project: pytest.Pytester) -> None:
        result = project.runpytest_subprocess("--fixtures", *WITHOUT)
        result.stdout.fnmatch_lines(
            [
                "socketio_client -- *pytest_flask_realtime.py*",
                "    Makes connected test clients of your ``app``*",
                "socketio_server -- *pytest_flask_realtime.py*",
                "    Your ``app`` on a real port*",
            ]
        )

    def test_pytest_is_no_dependency_of_the_package(self) -> None:
        needed = importlib.metadata.requires("Flask-Realtime") or []
        assert not [name for name in needed if name.startswith("pytest") and "extra ==" not in name]
        for path in (ROOT / "flask_realtime").rglob("*.py"):
            assert "import pytest" not in path.read_text("utf-8"), path

    def test_it_can_be_switched_off(self, project: pytest.Pytester) -> None:
        result = run(
            project,
            "def test_it(socketio_client): pass",
            "-p",
            "no:flask",
            "-p",
            "no:flask_realtime",
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*fixture 'socketio_client' not found*"])


class TestBesidePytestFlask:
    """It has fixtures of its own, ``client`` and ``live_server`` among them, and pushes contexts."""

    @pytest.fixture(autouse=True)
    def _installed(self, require: Callable[[str, object], None]) -> None:
        names = {point.name for point in importlib.metadata.entry_points(group="pytest11")}
        require("pytest-flask", "flask" in names)

    def test_both_work(self, project: pytest.Pytester) -> None:
        project.makeini("[pytest]\n")  # it warns of things of its own
        result = run(
            project,
            """
            import flask

            def test_clients(client, socketio_client):
                client.get("/login/ada")
                assert flask.request.path == "/login/ada"  # its client keeps the context
                one, two = socketio_client(flask_test_client=client), socketio_client()
                assert one.emit("user", callback=True) == "ada"
                assert two.emit("user", callback=True) == []
                assert flask.request.path == "/login/ada"

            def test_a_server(socketio_server, socketio_client, client):
                assert client.get("/login/ada").status_code == 200
                assert socketio_server.url.startswith("http://127.0.0.1:")
                assert socketio_client().emit("echo", 1, callback=True) == 1
            """,
            "--verbose",
        )
        result.assert_outcomes(passed=2)

    def test_its_names_are_its_own(self, project: pytest.Pytester) -> None:
        result = project.runpytest_subprocess("--fixtures")
        lines = result.stdout.lines
        for name in ("client", "live_server", "config"):
            assert [line for line in lines if line.startswith(f"{name} ") and "pytest_flask/" in line], name
