"""The thread for quick handlers: it is taken over when one holds it up, and ends where nothing comes."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest
from acceptance.wire import wait_until
from asgi_driver import eventually, played
from backends.test_supervision import PATIENCE, Work

from flask_realtime.backends import quick_runner
from flask_realtime.backends.asyncio import AsyncioBackend
from flask_realtime.backends.quick_runner import QuickRunner


@pytest.fixture(autouse=True)
def _short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test is left for long."""
    monkeypatch.setattr(quick_runner, "IDLE", 0.2)


@pytest.fixture
def runner() -> QuickRunner:
    return QuickRunner()


def threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name in ("flask-realtime-quick", "flask-realtime-loop")}


def test_one_thread_runs_what_is_quick(runner: QuickRunner) -> None:
    order: list[int] = []
    works = [Work(lambda number=number: order.append(number)) for number in range(10)]  # type: ignore[misc]
    assert all(runner.submit((work, 1)) for work in works)
    for work in works:
        assert work.done.wait(PATIENCE)
        assert work.thread == "flask-realtime-quick"
        assert not work.told.is_set()
    assert order == list(range(10))


def test_one_that_is_held_up_is_taken_over(runner: QuickRunner) -> None:
    go = threading.Event()
    waiting, also, behind = Work(lambda: go.wait(PATIENCE)), Work(lambda: go.wait(PATIENCE)), Work()
    for work in (waiting, also, behind):
        assert runner.submit((work, 1))
    assert behind.done.wait(PATIENCE)
    assert waiting.told.is_set()
    assert also.told.is_set()
    assert not waiting.done.is_set()
    go.set()
    assert waiting.done.wait(PATIENCE)
    after = Work()
    assert runner.submit((after, 1))
    assert after.done.wait(PATIENCE)
    assert after.thread == "flask-realtime-loop", "who was held up does not lead any more"


def test_who_was_held_up_leaves_however_late_its_successor_comes(
    runner: QuickRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    held_up: list[threading.Thread] = []
    left: list[bool] = []
    depose = runner.depose

    def wait() -> None:
        held_up.append(threading.current_thread())
        go.wait(PATIENCE)

    def depose_late() -> None:
        go.set()
        held_up[0].join(PATIENCE)
        left.append(not held_up[0].is_alive())
        depose()

    monkeypatch.setattr(quick_runner, "IDLE", 2 * PATIENCE)
    monkeypatch.setattr(runner, "depose", depose_late)
    waiting, behind = Work(wait), Work()
    assert runner.submit((waiting, 1))
    assert runner.submit((behind, 1))
    assert behind.done.wait(2 * PATIENCE)
    assert left == [True], "it runs nothing more"
    assert behind.thread == "flask-realtime-loop"
    monkeypatch.setattr(quick_runner, "IDLE", 0.2)
    last = Work()
    assert runner.submit((last, 1))
    assert last.done.wait(PATIENCE)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_it_raises_ends_nothing(
    runner: QuickRunner, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("on purpose")

    failing, after = Work(fail), Work()
    assert runner.submit((failing, 1))
    assert runner.submit((after, 1))
    assert after.done.wait(PATIENCE)
    assert after.thread == "flask-realtime-quick"
    assert "on purpose" in caplog.text


def test_what_a_run_leaves_in_context_variables_is_not_for_others(runner: QuickRunner) -> None:
    variable = ContextVar("variable", default="nothing")
    seen: list[str] = []
    last = Work(lambda: seen.append(variable.get()))
    assert runner.submit((Work(lambda: variable.set("something")), 1))
    assert runner.submit((last, 1))
    assert last.done.wait(PATIENCE)
    assert seen == ["nothing"]


def test_it_ends_where_nothing_comes_and_starts_again(runner: QuickRunner) -> None:
    before = threads()
    first, second = Work(), Work()
    assert runner.submit((first, 1))
    assert first.done.wait(PATIENCE)
    wait_until(lambda: not threads() - before, what="both threads end")
    assert runner.submit((second, 1))
    assert second.done.wait(PATIENCE)


def test_nothing_is_taken_where_no_thread_can_be_started(
    runner: QuickRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        if thread.name in allowed:
            started.append(thread.name)
            start(thread)
        else:
            raise RuntimeError("can't start new thread")

    allowed: tuple[str, ...] = ()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_some)
        assert not runner.submit((Work(), 1)), "nobody looks on"
        allowed = ("flask-realtime-loop",)
        assert not runner.submit((Work(), 1)), "nobody runs it"
    work = Work()
    assert runner.submit((work, 1))
    assert work.done.wait(PATIENCE)


@played
async def test_the_event_loop_goes_on_meanwhile() -> None:
    backend = AsyncioBackend(2)
    go = threading.Event()
    work = Work(lambda: go.wait(PATIENCE))
    backend.submit_here(work, 1)
    await eventually(work.told.is_set)
    await asyncio.sleep(0)
    go.set()
    await eventually(work.done.is_set)
