"""A project in the current folder, and the command that looks at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from flask_realtime.cli import realtime

__all__ = ["Project"]


@dataclass(frozen=True)
class Project:
    """The current folder."""

    root: Path

    def add(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self, *arguments: str) -> Result:
        """``flask realtime migrate`` with some arguments."""
        result = CliRunner().invoke(realtime, ["migrate", *arguments], catch_exceptions=False)
        assert result.exit_code in (0, 1), result.output
        return result

    def report(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("--json", *arguments).stdout)
        return found

    def codes(self) -> dict[str, dict[str, Any]]:
        """The findings by their codes; the last of each."""
        return {finding["code"]: finding for finding in self.report()["findings"]}

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()
