"""A project in a folder of its own, for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from migration.project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def migrated(project: Project) -> Callable[[str, str], str]:
    """What ``--write`` makes of one file; a second time, nothing more."""

    def migrated(name: str, content: str) -> str:
        project.add({name: content})
        project.run("--write")
        after = project.read(name)
        assert not project.report()["changes"]
        return after

    return migrated
