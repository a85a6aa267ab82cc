"""What ``docs/migrating.md`` says of the differences, tried with both extensions."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from requiring import Require
from servers import PACKAGE_PATH

SCRIPT = Path(__file__).with_name("behaviour.py")
BEFORE = Path(__file__).parent / "before"
#: with Flask-SocketIO, here
OUTCOMES = {
    "emit_none": ([], [None]),
    "emit_nothing": ([], []),
    "emit_none_of_a_namespace": ([], []),
    "emit_to_nobody": (["secret"], None),
    "emit_several_in_a_handler": ("TypeError", [1, 2]),
    "emit_date": (False, True),
    "emit_decimal": (False, True),
    "emit_uuid": (False, True),
    "emit_set": (False, True),
    "emit_point": (False, True),
    "unknown_option": (True, "TypeError"),
    "option_in_the_config": (20000, 7000),
    "half_a_second": (0, 500),
    "type_error_in_disconnect": (
        "type_error_in_disconnect.<locals>.disconnect() missing 1 required positional argument: 'reason'",
        "the handler's own",
    ),
    "forwarded_scheme": (200, 403),
    "another_origin": (400, 403),
    "credentials_for_any_origin": ("true", None),
    "jsonp": (200, 400),
    "twenty_packets": (1, 21),
    "unknown_namespace": ('44/nope,"Unable to connect"', '44/nope,{"message":"Invalid namespace"}'),
    "event_named_connect": (["connect", "connect", "after"], ["connect"]),  # ours ends the session
    "redirect_in_connect": (True, False),
    "abort_in_a_handler": ("Forbidden", {"error": {"message": "not for you", "data": {"code": 403}}}),
    "lost_session": (0, 1),
    "length_of_sid": (20, 16),
    "json_of_another_server": ('0{"SID"', '0{"sid"'),
}


def behaviour_of(extension: str) -> dict[str, Any]:
    """In a process of its own: they have one name in common, ``app.extensions["socketio"]``."""
    result = subprocess.run(
        [sys.executable, str(SCRIPT), extension],
        env={**os.environ, "PYTHONPATH": PACKAGE_PATH},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    outcomes: dict[str, Any] = json.loads(result.stdout)
    nan = outcomes.pop("emit_nan")
    assert (nan is None) == (extension == "flask_realtime")  # theirs is NaN, which no browser can read
    return outcomes


def test_here() -> None:
    assert behaviour_of("flask_realtime") == {name: ours for name, (_, ours) in OUTCOMES.items()}


@pytest.fixture
def flask_socketio(require: Require) -> None:
    require("Flask-SocketIO", importlib.util.find_spec("flask_socketio"))


@pytest.mark.usefixtures("flask_socketio")
def test_with_flask_socketio() -> None:
    assert behaviour_of("flask_socketio") == {name: theirs for name, (theirs, _) in OUTCOMES.items()}


@pytest.mark.usefixtures("flask_socketio")
def test_the_project_of_the_tests_is_one_of_flask_socketio() -> None:
    """``before/`` works with it: its own tests pass, as they do after the migration."""
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "check_chat.py"],
        cwd=BEFORE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "6 passed" in result.stdout
