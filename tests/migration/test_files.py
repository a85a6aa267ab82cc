"""Which files are looked at, and how they are written."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from migration.project import Project

from flask_realtime.migration import look_at, write

SOURCE = "import flask_socketio\n"
REWRITTEN = "import flask_realtime\n"


@pytest.mark.parametrize(
    "name",
    [
        "node_modules/x/a.py",
        ".git/hooks/a.py",
        ".hidden/a.py",
        "lib/python3.11/site-packages/a.py",
        "app/vendor/a.py",
        "app/_vendor/a.py",
        "app/__pycache__/a.py",
        "x.egg-info/requires.txt",
        "image.png",
        "notes.txt",
    ],
)
def test_what_is_not_the_projects_own(project: Project, name: str) -> None:
    project.add({name: SOURCE})
    report = project.report()
    assert (report["files"], report["changes"], report["findings"]) == (0, [], [])


@pytest.mark.parametrize("mark", ["pyvenv.cfg", ".git/HEAD", "conda-meta/history"])
def test_environments_and_other_repositories(project: Project, mark: str) -> None:
    project.add({f"inner/{mark}": "", "inner/a.py": SOURCE})
    assert project.report()["files"] == 0


def test_the_root_may_be_any_of_these(project: Project) -> None:
    project.add({".git/HEAD": "", "vendor/app/.git": "", "vendor/app/a.py": SOURCE, "b.py": SOURCE})
    assert [change["path"] for change in project.report()["changes"]] == ["b.py"]
    assert [change["path"] for change in project.report("vendor/app")["changes"]] == ["vendor/app/a.py"]


def test_files_and_folders_can_be_named(project: Project) -> None:
    project.add({"a/x.py": SOURCE, "a/y.py": SOURCE, "b/z.py": SOURCE})
    paths = [change["path"] for change in project.report("b", "a/y.py", "a/y.py", "b/z.py")["changes"]]
    assert paths == ["a/y.py", "b/z.py"]


def test_a_project_elsewhere(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.py"
    elsewhere.write_text(SOURCE)
    assert [change["path"] for change in project.report(str(elsewhere))["changes"]] == [elsewhere.as_posix()]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_left_alone(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.py").write_text(SOURCE)
    (project.root / "folder").symlink_to(outside)
    (project.root / "b.py").symlink_to(outside / "a.py")
    (project.root / "loop").symlink_to(project.root)
    (project.root / "broken.py").symlink_to("nowhere")
    project.run("--write")
    project.run("--write", "b.py", "folder")
    assert (project.root / "b.py").is_symlink()
    assert (outside / "a.py").read_text() == SOURCE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_what_is_no_file_is_not_read(project: Project) -> None:
    os.mkfifo(project.root / "a.py")  # to read it would wait for ever
    assert project.report()["files"] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize("mode", [0o755, 0o600, 0o664, 0o444])
def test_permissions_stay(project: Project, mode: int) -> None:
    project.add({"manage.py": SOURCE})
    path = project.root / "manage.py"
    path.chmod(mode)
    project.run("--write")
    assert path.read_text() == REWRITTEN
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [entry.name for entry in project.root.iterdir()] == ["manage.py"]


def test_a_file_that_has_changed_meanwhile_is_not_written(project: Project) -> None:
    project.add({"a.py": SOURCE})
    [change] = look_at([project.root]).changes
    project.add({"a.py": SOURCE + "x = 1\n"})
    finding = write(change)
    assert finding is not None
    assert (finding.code, finding.severity) == ("not-written", "todo")
    assert project.read("a.py") == SOURCE + "x = 1\n"


def test_a_file_that_can_not_be_written_stays_whole(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: object, target: object) -> None:
        raise PermissionError(13, "Permission denied")

    project.add({"a.py": SOURCE, "b.py": SOURCE})
    monkeypatch.setattr(os, "replace", replace)
    result = project.run("--write")
    assert result.exit_code == 1
    assert "a.py: not written: Permission denied" in result.output
    assert "b.py: not written: Permission denied" in result.output
    assert project.read("a.py") == SOURCE
    assert sorted(path.name for path in project.root.iterdir()) == ["a.py", "b.py"]


def test_a_large_tree(project: Project) -> None:
    """Files without any of the words are not parsed; this would take minutes otherwise."""
    large = "x = [\n" + "    [1, 2, (3, 4)],\n" * 20_000 + "]\n"
    project.add({f"data/{n}.py": large for n in range(40)})
    project.add({f"pages/{n}/index.html": "<p>" * 1000 for n in range(1000)})
    project.add({"a.py": SOURCE})
    report = project.report()
    assert report["files"] == 1041
    assert len(report["changes"]) == 1


def test_paths_are_shown_from_the_current_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add({"src/app/a.py": SOURCE, "README.md": "flask-socketio"})
    monkeypatch.chdir(project.root / "src")
    assert [change["path"] for change in project.report()["changes"]] == ["app/a.py"]
    [finding] = project.report("..")["findings"]
    assert finding["path"] == (Path(project.root) / "README.md").as_posix()
