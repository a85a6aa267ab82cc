"""The examples of docs/testing.md are a project; its tests pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text("utf-8")
BLOCK = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    files = dict(BLOCK.findall(PAGE))
    assert PAGE.count("```python") == len(files)
    for name, source in files.items():
        (pytester.path / name).write_text(source, "utf-8")
    pytester.syspathinsert()
    return pytester


def test_the_examples_pass(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-v")
    result.assert_outcomes(passed=len(re.findall(r"^ *def test_", PAGE, re.MULTILINE)))


def test_what_the_page_names_is_there() -> None:
    from flask_realtime import SocketIOTestClient, testing

    for name in re.findall(r"`client\.(\w+)", PAGE):
        assert hasattr(SocketIOTestClient, name) or name in ("refusals", "disconnect_reasons"), name
    assert {"ClientFactory", "LiveServer"} <= vars(testing).keys()
