"""Which web server ``run()`` starts, and why."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from flask_realtime.exceptions import UnsupportedOptionError
from flask_realtime.servers import choice
from flask_realtime.servers.choice import Choice, choose_server, is_installed

EVERYTHING = frozenset({"gevent", "eventlet", "gunicorn"})
Process = Callable[..., None]


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers' modules need not be importable: only their options are asked for."""
    options = {
        "gevent": {"spawn", "log", "handler_class"},
        "eventlet": {"log", "keepalive", "socket_timeout"},
        "gunicorn": {"threads", "timeout", "keepalive"},
        "werkzeug": {"threaded", "processes", "request_handler"},
    }

    class Module:
        def __init__(self, name: str) -> None:
            self.OPTIONS = frozenset(options[name])

    monkeypatch.setattr(Choice, "_module", lambda self: Module(self.name))
    monkeypatch.setattr(choice.importlib.metadata, "version", lambda name: "1.2")


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """``process({"gunicorn"}, patched="gevent")``: what is installed, and who has patched."""

    def process(installed: frozenset[str] | set[str] = frozenset(), patched: str | None = None) -> None:
        monkeypatch.setattr(choice, "is_installed", lambda name: name in installed)
        monkeypatch.setattr(choice, "patched_by", lambda: patched)

    return process


def subsets() -> list[frozenset[str]]:
    return [frozenset(s) for n in range(4) for s in itertools.combinations(sorted(EVERYTHING), n)]


#: whoever has patched is installed
PROCESSES = [(s, patched) for s in subsets() for patched in (None, *sorted(s - {"gunicorn"}))]


def chosen(mode: str | None, debug: bool = False, **options: Any) -> str:
    return choose_server(mode, debug, options).name


@pytest.mark.parametrize(("installed", "patched"), PROCESSES)
@pytest.mark.parametrize("debug", [False, True])
class TestEveryProcess:
    @pytest.fixture(autouse=True)
    def consistent(self, installed: frozenset[str], patched: str | None, process: Process) -> None:
        process(installed, patched)

    def test_without_a_mode(self, installed: frozenset[str], patched: str | None, debug: bool) -> None:
        expected = patched
        if expected is None:
            expected = next((name for name in ("gevent", "eventlet") if name in installed), None)
        if expected is None:
            expected = "gunicorn" if "gunicorn" in installed and not debug else "werkzeug"
        assert chosen(None, debug) == expected

    def test_threading(self, installed: frozenset[str], patched: str | None, debug: bool) -> None:
        gunicorn = "gunicorn" in installed and not debug and patched is None
        assert chosen("threading", debug) == ("gunicorn" if gunicorn else "werkzeug")

    @pytest.mark.parametrize("mode", ["gevent", "eventlet"])
    def test_greenlets(self, installed: frozenset[str], patched: str | None, debug: bool, mode: str) -> None:
        if mode not in installed:
            with pytest.raises(UnsupportedOptionError, match=rf"{mode} is not installed.*\[{mode}\]"):
                chosen(mode, debug)
        elif patched in (None, mode):
            assert chosen(mode, debug) == mode
        else:
            with pytest.raises(RuntimeError, match=f"{patched} has patched this process"):
                chosen(mode, debug)

    def test_uwsgi(self, installed: frozenset[str], patched: str | None, debug: bool) -> None:
        with pytest.raises(RuntimeError, match="the uwsgi command"):
            chosen("gevent_uwsgi", debug)


class TestReasons:
    @pytest.mark.parametrize(
        ("mode", "installed", "patched", "debug", "why"),
        [
            ("gevent", EVERYTHING, None, False, "async_mode says so"),
            (None, EVERYTHING, "eventlet", False, "eventlet has patched this process"),
            (None, EVERYTHING, None, False, "gevent is installed"),
            (None, {"eventlet"}, None, False, "eventlet is installed"),
            (None, {"gunicorn"}, None, False, "neither gevent nor eventlet is installed, gunicorn is"),
            (None, set(), None, False, "neither gevent nor eventlet is installed"),
            ("threading", EVERYTHING, None, False, "async_mode is threading, gunicorn is installed"),
            ("threading", EVERYTHING, None, True, "async_mode is threading, debug mode"),
            ("threading", EVERYTHING, "gevent", False, "async_mode is threading"),
        ],
    )
    def test_why(
        self,
        process: Process,
        mode: str | None,
        installed: set[str],
        patched: str | None,
        debug: bool,
        why: str,
    ) -> None:
        process(installed, patched)
        assert choose_server(mode, debug, {}).why.startswith(why)

    def test_title_and_mode(self) -> None:
        assert Choice("gevent", "").title == "gevent 1.2"
        assert Choice("gunicorn", "").title == "gunicorn 1.2, threads"
        modes = {name: Choice(name, "").async_mode for name in ("gevent", "eventlet", "gunicorn", "werkzeug")}
        assert modes == {
            "gevent": "gevent",
            "eventlet": "eventlet",
            "gunicorn": "threading",
            "werkzeug": "threading",
        }


class TestOptions:
    def test_those_of_the_server(self, process: Process) -> None:
        process(EVERYTHING)
        assert chosen(None, spawn=1, log=None) == "gevent"
        assert chosen("eventlet", keepalive=False) == "eventlet"
        assert chosen("threading", threads=3) == "gunicorn"

    def test_werkzeugs_options_ask_for_werkzeug(self, process: Process) -> None:
        process({"gunicorn"})
        found = choose_server("threading", False, {"threaded": True})
        assert (found.name, found.why) == ("werkzeug", "async_mode is threading, the options are Werkzeug's")

    @pytest.mark.parametrize(
        ("mode", "options", "message"),
        [
            ("gevent", {"spwan": 1}, r"unknown option 'spwan' for gevent 1\.2; did you mean 'spawn'\?"),
            ("gevent", {"threads": 1}, r"unknown option 'threads' for gevent 1\.2$"),
            ("threading", {"thread": 1}, r"for gunicorn 1\.2, threads; did you mean 'threads'\?"),
            ("threading", {"threaded": True, "timeout": 1}, r"unknown option 'timeout' for werkzeug 1\.2"),
            ("eventlet", {"zzz": 1}, r"run\(\): unknown option 'zzz' for eventlet 1\.2$"),
        ],
    )
    def test_unknown_ones(self, process: Process, mode: str, options: dict[str, Any], message: str) -> None:
        process(EVERYTHING)
        with pytest.raises(TypeError, match=message):
            choose_server(mode, False, options)


def test_is_installed() -> None:
    assert is_installed("werkzeug")
    assert not is_installed("no_such_package")


@pytest.mark.parametrize("name", ["gevent", "eventlet", "gunicorn", "werkzeug"])
def test_real_modules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has options, and a class; eventlet's import would warn, and pollute this process."""
    monkeypatch.undo()
    if name in ("gevent", "eventlet"):
        from pathlib import Path

        source = Path(choice.__file__).with_name(f"{name}.py").read_text()
        assert "OPTIONS = frozenset(" in source
        assert f"class {choice.CLASSES[name]}:" in source
        return
    pytest.importorskip(name)
    real = Choice(name, "")
    assert real.options
    assert hasattr(real._module(), choice.CLASSES[name])
    assert real.title.startswith(f"{name} ")
