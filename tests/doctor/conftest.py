"""``flask realtime doctor`` in a clean place: nothing of this machine or of the other tests is found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_realtime import SocketIO
from flask_realtime.cli import realtime
from flask_realtime.doctor.checks import patching, proxies, workers

Diagnose = Callable[..., dict[str, Any]]
VARIABLES = (
    "WEB_CONCURRENCY",
    "GUNICORN_CMD_ARGS",
    "FORWARDED_ALLOW_IPS",
    "FLASK_RUN_WITH_THREADS",
    *workers.WORKER_VARIABLES,
    *proxies.PLATFORMS,
)


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in (
        *patching.BLOCKING,
        "flask_socketio",
        "flask_sqlalchemy",
        "flask_realtime.adapters.redis",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[..., Flask]:
    """An app with nothing to find, apart from the options and the config that are given."""

    def make_app(config: dict[str, Any] | None = None, **options: Any) -> Flask:
        app = Flask("app", root_path=os.fspath(tmp_path))
        app.config.update({"SECRET_KEY": "not empty", **(config or {})})
        SocketIO(app, **{"async_mode": "threading", **options})
        return app

    return make_app


@pytest.fixture
def diagnose() -> Diagnose:
    """The findings for an app by their codes, as the command prints them."""

    def diagnose(app: Flask, *arguments: str) -> dict[str, Any]:
        arguments = arguments or ("--port", "0")
        result = app.test_cli_runner().invoke(realtime, ["doctor", "--json", *arguments])
        findings = {finding["code"]: finding for finding in json.loads(result.stdout)["findings"]}
        errors = [finding for finding in findings.values() if finding["severity"] == "error"]
        assert result.exit_code == bool(errors)
        return findings

    return diagnose
