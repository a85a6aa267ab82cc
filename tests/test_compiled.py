"""What setup.py has compiled is fit for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def compiled() -> list[str]:
    """The list in setup.py, which can't be imported: it would build."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            names = node.value
            assert isinstance(names, ast.Call)
            assert isinstance(names.func, ast.Attribute)
            return str(ast.literal_eval(names.func.value)).split()
    raise AssertionError("setup.py has no list of what is compiled")


@pytest.mark.parametrize("module", compiled())
def test_nothing_compiled_is_a_coroutine(module: str) -> None:
    """Cancelled, it would throw into others in the way that Python 3.12 has deprecated."""
    tree = ast.parse((ROOT / f"flask_realtime/{module}.py").read_text())
    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)] == []
