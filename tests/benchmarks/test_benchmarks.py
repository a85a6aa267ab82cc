"""The benchmarks run, and find their own mistakes. How long anything takes is not looked at."""

from __future__ import annotations

import gc
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import __main__, micro, server, timing

TINY = server.Plan(seconds=0.05, clients=2, listeners=3, idle=4)
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """What a cell leaves behind is found in its own test."""
    yield
    gc.collect()


@pytest.mark.parametrize("cell", list(micro.cells()), ids=lambda cell: cell.name)
def test_micro_cell(cell: timing.Cell) -> None:
    result = timing.measure(cell, repeats=2, seconds=0)
    assert len(result.values) == 2
    assert cell.name in micro.report([result])


@linux
@pytest.mark.parametrize("kind", server.OUR_SERVERS, ids=str)
def test_every_cell_of_a_server(kind: server.Server, require: Callable[[str, object], None]) -> None:
    require("gunicorn", not server.missing_modules(kind))
    figures = server.run([kind], TINY, repeats=1)
    assert [f.cell for f in figures] == TINY.cells()
    assert all(len(f.values) == 1 for f in figures)
    assert str(kind) in server.report(figures)


@linux
def test_a_server_without_socketio_is_an_error() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as site:
        threading.Thread(target=site.serve_forever).start()
        try:
            with pytest.raises(server.BenchmarkError, match="no WebSocket"):
                server._load(server.OUR_SERVERS[0], TINY.cells()[0], site.server_port, pid=1, seconds=0.05)
        finally:
            site.shutdown()


def test_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(micro, "cells", lambda: iter([timing.Cell("nothing", lambda: int)]))
    file = tmp_path / "results.json"
    assert __main__.main(["micro", "--quick", "--repeats=2", f"--json={file}"]) == 0
    assert "nothing" in capsys.readouterr().out
    assert len(json.loads(file.read_text())["micro"][0]["values"]) == 2
