"""What a test needs of its machine."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

Require = Callable[[str, object], None]


def found_or_skip(name: str, found: object) -> None:
    """Go on if it was found; else skip the test, or fail it where ``REQUIRE_ALL`` is 1."""
    if found:
        return
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{name} is missing, and REQUIRE_ALL=1 says that nothing may be", pytrace=False)
    pytest.skip(f"{name} is missing")
