"""The instruction counts: paths do what they say, and what is said of their counts is right.

Valgrind itself is asked once, for a path that is nothing but a loop.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.counting import __main__, counted, kept, paths, valgrind, world, yardstick
from benchmarks.counting.frames import BINARY, frame, masked
from benchmarks.counting.kept import Counts, Verdict
from flask_realtime.protocol.websocket import WebSocketConnection

linux = pytest.mark.skipif(sys.platform != "linux", reason="drives an epoll")


def counts(
    interpreter: str = "CPython 3.11.7 x86_64", /, yardstick: int = 1000, **instructions: int
) -> Counts:
    return Counts(interpreter, {"flask": "3.1.3"}, {"yardstick": yardstick, **instructions})


# What is counted


@linux
@pytest.mark.parametrize("path", paths.PATHS, ids=lambda path: path.name)
def test_a_path_gets_its_replies(path: paths.Path) -> None:
    threads = threading.active_count()
    path.run(3)
    assert threading.active_count() == threads


def test_names_are_apart() -> None:
    names = [path.name for path in (paths.YARDSTICK, *paths.PATHS)]
    assert len(set(names)) == len(names)
    assert paths.YARDSTICK.name == kept.YARDSTICK


def test_the_yardstick_delivers_everything() -> None:
    # Each text is in a box of its own, with a header of two bytes, and waits there until there are four.
    one, other = 2 + len("hello, everybody"), 2 + len("and to you!")
    assert yardstick.run(4) == (one + other) * (1 + 2 + 3 + 4) + (0 + 1 + 2 + 3)


@linux
def test_a_wrong_reply_is_noticed() -> None:
    course = partial(paths.exchange, [masked(b'42["echo",1]')], [frame(b'42["echo",2]')])
    with pytest.raises(world.WrongReply, match="instead of"):
        paths.in_world(course, 1)


@linux
def test_a_reply_that_does_not_come_is_noticed() -> None:
    course = partial(paths.exchange, [masked(b'42["nobody",1]')], [frame(b'42["echo",2]')])
    with pytest.raises(world.WrongReply, match="b'' instead of"):
        paths.in_world(course, 1)


def test_a_reply_may_come_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    client = world.Client(ours)
    with theirs:
        assert not client.has(b"reply")
        theirs.send(b"re")
        assert not client.has(b"reply")
        theirs.send(b"ply")
        assert client.has(b"reply")
        theirs.send(b"replyre")
        with pytest.raises(world.WrongReply, match="b'replyre' instead of b'reply'"):
            client.has(b"reply")
    client.close()


@linux
def test_a_client_that_gets_no_answer_to_its_handshake_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "CONNECT", masked(b"3"))
    with pytest.raises(world.WrongReply, match="no b'40"):
        paths.in_world(paths.echo(1), 1)


@linux
def test_a_thread_is_noticed() -> None:
    done = threading.Event()

    def course(place: world.World, rounds: int) -> world.Script:
        threading.Thread(target=done.wait).start()
        yield world.TURN

    try:
        with pytest.raises(world.WrongReply, match="thread"):
            paths.in_world(course, 1)
    finally:
        done.set()


@linux
def test_time_passes_only_where_a_script_lets_it() -> None:
    seen: list[float] = []

    def course(place: world.World, rounds: int) -> world.Script:
        clients = yield from place.connect(1)
        seen.append(place.loop.now())
        yield world.TURN
        seen.append(place.loop.now())
        while not clients[0].has(frame(b"2")):
            yield world.SLEEP
        seen.append(place.loop.now())
        yield from place.disconnect(clients)

    paths.in_world(course, 1)
    assert seen == [1000.0, 1000.0, 1025.0]


def test_ids_are_the_same_in_each_world() -> None:
    def ids() -> list[str]:
        with world.same_ids():
            return [secrets.token_urlsafe(15) for _ in range(3)]

    assert ids() == ids()
    assert secrets.token_urlsafe(15) not in ids()
    assert len(set(ids())) == 3


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 1024, 65535])
def test_frames_are_websocket_frames(size: int) -> None:
    connection = WebSocketConnection(max_message_size=100_000)
    text = "x" * size
    assert connection.receive_data(masked(text.encode())) == [text]
    assert connection.receive_data(masked(text.encode(), BINARY)) == [text.encode()]
    assert connection.encode_text(text.encode()) == frame(text.encode())
    assert connection.encode_binary(text.encode()) == frame(text.encode(), BINARY)


# The process that is counted


def test_the_package_is_imported_from_source(tmp_path: Path) -> None:
    # Beside each module of the copy lies what an interpreter would take before it.
    script = """
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from benchmarks.counting import counted
(counted.ROOT / "flask_realtime" / ("config" + EXTENSION_SUFFIXES[0])).write_bytes(b"not a library")
{prepare}
import flask_realtime
counted.check_plain()
print(sys.modules["flask_realtime.config"].__file__, any(sys.modules.get(n) for n in counted.OPTIONAL))
"""
    root = copy_of_tree(tmp_path)
    taken = python(root, script.format(prepare="counted.only_source()"))
    assert taken.stdout.split() == [str(root / "flask_realtime" / "config.py"), "False"], taken.stderr
    assert python(root, script.format(prepare="")).returncode != 0


def test_a_package_from_elsewhere_is_refused(tmp_path: Path) -> None:
    root = copy_of_tree(tmp_path)
    script = f"""
import sys
sys.path.insert(0, {str(counted.ROOT)!r})
import flask_realtime
from benchmarks import counting
counting.__path__[:] = [{str(root / "benchmarks" / "counting")!r}]
from benchmarks.counting import counted
counted.check_plain()
"""
    refused = python(root, script)
    assert refused.returncode == 1
    assert "what is counted is the source in" in refused.stderr


def copy_of_tree(directory: Path) -> Path:
    for package in ("flask_realtime", "benchmarks"):
        shutil.copytree(counted.ROOT / package, directory / package)
    return directory


def python(root: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_each_run_is_a_child_and_a_failure_is_said(tmp_path: Path) -> None:
    script = """
import sys
from benchmarks.counting import counted, paths
good = paths.Path("good", range, 1, 1, 2)
bad = paths.Path("bad", [].index, 1, 1, 2)
paths.YARDSTICK, paths.PATHS = good, (bad,)
sys.exit(counted.main(0, sys.argv[1:]))
"""
    command = [sys.executable, "-c", script]
    good = subprocess.run([*command, "good"], cwd=counted.ROOT, capture_output=True, text=True)
    assert good.returncode == 0, good.stderr
    about, *runs = map(json.loads, good.stdout.splitlines())
    assert about == {"interpreter": counted.interpreter(), "packages": counted.packages()}
    assert [run[1:] for run in runs] == [["good", 1], ["good", 3]]
    assert runs[0][0] != runs[1][0]
    bad = subprocess.run([*command, "good", "bad"], cwd=counted.ROOT, capture_output=True, text=True)
    assert bad.returncode == 1
    assert "bad, 3 rounds: Traceback" in bad.stderr


# Valgrind


def test_a_round_is_the_difference_of_two_runs() -> None:
    assert valgrind.difference([(30, 9_000), (10, 5_000)]) == 200


def test_what_cachegrind_writes() -> None:
    assert valgrind.instructions("desc: I1 cache\nfn=main\n0 17\nsummary: 17\n") == 17
    with pytest.raises(valgrind.CountingError, match="no summary"):
        valgrind.instructions("desc: I1 cache\n")


@pytest.mark.slow
def test_valgrind_counts_the_same_again(require: Callable[[str, object], None]) -> None:
    require("valgrind", valgrind.available())
    short = dataclasses.replace(paths.YARDSTICK, warm_up=50, rounds=100)
    first, second = valgrind.count([short]), valgrind.count([short])
    assert first.interpreter == counted.interpreter()
    assert first.packages == counted.packages()
    assert first.yardstick > 1000
    assert abs(first.yardstick / second.yardstick - 1) < kept.MARGIN


def test_a_path_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    result = subprocess.CompletedProcess((), 1, stdout="", stderr="no such path\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: result)
    with pytest.raises(valgrind.CountingError, match=r"no such path\n.*status 1"):
        valgrind.count()


# What is said


def verdicts(comparison: kept.Comparison | None) -> dict[str, Verdict]:
    assert comparison is not None
    return {line.name: line.verdict for line in comparison.lines}


def test_verdicts() -> None:
    before = counts(same=1000, much=1000, little=1000, gone=1000)
    now = counts(same=1030, much=1031, little=969, new=1)
    assert verdicts(kept.compare(now, [before])) == {
        "gone": Verdict.GONE,
        "little": Verdict.CHEAPER,
        "much": Verdict.DEARER,
        "new": Verdict.NEW,
        "same": Verdict.SAME,
    }


def test_what_is_kept_is_scaled_by_the_yardstick() -> None:
    comparison = kept.compare(counts(yardstick=992, echo=992), [counts(yardstick=1000, echo=1000)])
    assert comparison is not None
    assert comparison.same_build
    assert comparison.lines == [kept.Line("echo", 992, 992, Verdict.SAME)]
    assert comparison.lines[0].change == 0


@pytest.mark.parametrize(
    ("interpreter", "yardstick"),
    [("CPython 3.11.2 x86_64", 880), ("CPython 3.11.2 x86_64", 1000), ("CPython 3.11.7 x86_64", 989)],
)
def test_another_build_has_a_wide_margin(interpreter: str, yardstick: int) -> None:
    before = counts(yardstick=1000, echo=1000)
    inside = kept.compare(counts(interpreter, yardstick=yardstick, echo=yardstick * 114 // 100), [before])
    beyond = kept.compare(counts(interpreter, yardstick=yardstick, echo=yardstick * 116 // 100), [before])
    assert verdicts(inside) == {"echo": Verdict.SAME}
    assert verdicts(beyond) == {"echo": Verdict.DEARER}
    assert inside is not None
    assert not inside.same_build


def test_the_most_similar_build_of_the_series_is_taken() -> None:
    debian = counts("CPython 3.11.2 x86_64", yardstick=880, echo=880)
    others = [
        counts("CPython 3.11.7 x86_64", yardstick=1000, echo=1),
        counts("CPython 3.12.1 x86_64", yardstick=880, echo=1),
        counts("CPython 3.11.2 aarch64", yardstick=880, echo=1),
        counts("PyPy 3.11.2 x86_64", yardstick=880, echo=1),
    ]
    comparison = kept.compare(debian, [*others, debian])
    assert comparison is not None
    assert comparison.kept == debian
    assert kept.compare(debian, others[1:]) is None


def test_packages_that_have_moved() -> None:
    now = Counts("CPython 3.11.7 x86_64", {"flask": "3.2", "werkzeug": "3.1"}, {"yardstick": 1})
    comparison = kept.compare(now, [counts(yardstick=1)])
    assert comparison is not None
    assert comparison.moved_packages == ["flask 3.1.3 -> 3.2", "werkzeug ? -> 3.1"]


def test_the_file_is_what_was_saved(tmp_path: Path) -> None:
    file = tmp_path / "counts.json"
    assert kept.load(file) == []
    one, other = counts(b=2, a=1), counts("CPython 3.12.1 x86_64", a=3)
    kept.save(file, [other, one])
    assert kept.load(file) == [one, other]
    lines = [line.strip() for line in file.read_text().splitlines()]
    assert lines.index('"a": 1,') == lines.index('"b": 2,') - 1, "a line for each path, in order"


def test_what_is_kept_in_the_repository() -> None:
    names = {path.name for path in (paths.YARDSTICK, *paths.PATHS)}
    everything = kept.load(kept.KEPT)
    assert everything
    assert all(set(entry.instructions) == names for entry in everything)


# The command


class Command:
    """``python -m benchmarks.counting``, with what valgrind would have counted.

    :param file: where counts are kept.
    """

    def __init__(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.file = file
        self.counted = [counts(echo=1000)]
        self.pythons: list[str] = []
        self._capsys = capsys
        monkeypatch.setattr(valgrind, "available", lambda: True)
        monkeypatch.setattr(valgrind, "count", self._count)

    def _count(self, python: str) -> Counts:
        self.pythons.append(python)
        return self.counted[len(self.pythons) - 1]

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Its exit status, and what it has printed."""
        self.pythons.clear()
        status = __main__.main([*arguments, "--file", str(self.file)])
        captured = self._capsys.readouterr()
        return status, captured.out + captured.err


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path / "counts.json", monkeypatch, capsys)


def test_nothing_is_kept_yet(command: Command) -> None:
    status, said = command()
    assert status == 0
    assert "NOT COMPARED" in said
    assert not command.file.exists()


def test_keep_and_compare(command: Command) -> None:
    status, said = command("--update")
    assert status == 0
    assert "Kept from now on." in said
    status, said = command()
    assert status == 0
    assert "All within 3%." in said
    assert command.pythons == [sys.executable]


def test_dearer_fails(command: Command) -> None:
    command("--update")
    command.counted = [counts(echo=1100)]
    status, said = command()
    assert status == 1
    assert "echo      1,100      1,000  +10.0%  DEARER" in said
    assert "DEARER by more than 3%: echo." in said


def test_cheaper_fails_until_it_is_kept(command: Command) -> None:
    command("--update")
    command.counted = [counts(echo=900)]
    status, said = command()
    assert status == 1
    assert "Cheaper by more than 3%: echo. Run with --update" in said
    status, said = command("--update")
    assert status == 0
    assert "-10.0%" in said
    assert command()[0] == 0


def test_cheaper_on_another_build_is_well(command: Command) -> None:
    command("--update")
    command.counted = [counts("CPython 3.11.2 x86_64", yardstick=500, echo=400)]
    status, said = command()
    assert status == 0
    assert "Another build than that of CPython 3.11.7 x86_64" in said
    command.counted = [counts("CPython 3.11.2 x86_64", yardstick=500, echo=600)]
    assert command()[0] == 1


def test_other_paths_have_to_be_kept(command: Command) -> None:
    command("--update")
    command.counted = [counts(ack=1000)]
    status, said = command()
    assert status == 1
    assert "The paths are not those that are kept" in said


def test_a_package_is_named_where_counts_have_moved(command: Command) -> None:
    command("--update")
    newer = {"flask": "3.2"}
    command.counted = [dataclasses.replace(counts(echo=1100), packages=newer)]
    assert "It may not be ours: flask 3.1.3 -> 3.2." in command()[1]
    command.counted = [dataclasses.replace(counts(echo=1000), packages=newer)]
    assert "flask" not in command()[1]


def test_several_interpreters(command: Command) -> None:
    command.counted = [counts(echo=1000), counts("CPython 3.12.1 x86_64", echo=2000)]
    assert command("--update", "--python", "python-a", "--python", "python-b")[0] == 0
    assert command.pythons == ["python-a", "python-b"]
    command.counted[1] = counts("CPython 3.12.1 x86_64", echo=3000)
    status, said = command("--python", "python-a", "--python", "python-b")
    assert status == 1
    assert said.count("DEARER by") == 1


def test_what_was_not_counted_now_is_no_longer_kept(command: Command) -> None:
    command.counted = [counts(echo=1000), counts("CPython 3.12.1 x86_64", echo=2000)]
    assert "No longer kept" not in command("--update", "--python", "python-a", "--python", "python-b")[1]
    said = command("--update", "--python", "python-a")[1]
    assert "No longer kept, for they were not counted now: CPython 3.12.1 x86_64." in said
    assert kept.load(command.file) == command.counted[:1]


@pytest.mark.parametrize(("required", "status", "word"), [("", 0, "SKIPPED"), ("1", 1, "FAILED")])
def test_without_valgrind(
    command: Command, monkeypatch: pytest.MonkeyPatch, required: str, status: int, word: str
) -> None:
    monkeypatch.setattr(valgrind, "available", lambda: False)
    monkeypatch.setenv("REQUIRE_ALL", required)
    assert command() == (status, f"counting: {word}: valgrind is not installed\n")
    assert command("--update")[0] == 1


def test_what_can_not_be_counted_fails(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(python: str) -> Counts:
        raise valgrind.CountingError("echo, 70 rounds: Traceback")

    monkeypatch.setattr(valgrind, "count", fail)
    assert command() == (1, "counting: echo, 70 rounds: Traceback\n")
