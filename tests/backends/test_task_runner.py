"""Coroutines in one task: in their order, each for itself, and nobody waits for another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from asgi_driver import eventually, play, played

from flask_realtime.backends.task_runner import TaskRunner, rest_of


class Writer:
    """Notes that it was asked to write, and what it then has to wait for."""

    def __init__(self, flush: Callable[[], Any]) -> None:
        self.flush = flush


def make_runner() -> TaskRunner:
    return TaskRunner(asyncio.get_running_loop())


class TestRunning:
    @played
    async def test_what_does_not_wait_shares_a_task(self) -> None:
        runner = make_runner()
        seen: list[tuple[object, asyncio.Task[Any] | None]] = []

        async def handle(number: int) -> None:
            seen.append((number, asyncio.current_task()))

        runner.submit_writer(Writer(lambda: seen.append(("write", asyncio.current_task()))))
        for number in range(3):
            runner.submit(handle, number)
        assert not seen, "nothing is begun by whoever submits it"
        await eventually(lambda: len(seen) == 4)
        assert [what for what, _ in seen] == [0, 1, 2, "write"]
        assert len({task for _, task in seen}) == 1
        assert seen[0][1] not in (None, asyncio.current_task())

    @played
    async def test_what_waits_keeps_its_task_and_holds_up_nobody(self) -> None:
        runner = make_runner()
        go = asyncio.Event()
        tasks: list[asyncio.Task[Any] | None] = []
        done: list[str] = []

        async def wait() -> None:
            tasks.append(asyncio.current_task())
            await go.wait()
            await asyncio.sleep(0)
            tasks.append(asyncio.current_task())
            done.append("waited")

        async def handle() -> None:
            done.append("handled")

        runner.submit(wait)
        runner.submit(handle)
        runner.submit_writer(Writer(lambda: done.append("written")))
        await eventually(lambda: len(done) == 2)
        runner.submit(handle)
        await eventually(lambda: len(done) == 3)
        go.set()
        await eventually(lambda: len(done) == 4)
        assert done == ["handled", "written", "handled", "waited"]
        assert tasks[0] is tasks[1]

    @played
    async def test_a_writer_that_waits_holds_up_nobody(self) -> None:
        runner = make_runner()
        go = asyncio.Event()
        done: list[str] = []

        async def rest() -> None:
            await go.wait()
            done.append("the rest")

        runner.submit_writer(Writer(rest))
        runner.submit_writer(Writer(lambda: done.append("other")))
        await eventually(lambda: done)
        go.set()
        await eventually(lambda: len(done) == 2)
        assert done == ["other", "the rest"]

    @played
    async def test_what_is_submitted_meanwhile_lets_the_loop_read(self) -> None:
        runner = make_runner()
        left = 50
        done = asyncio.Event()
        others: list[int] = []

        async def handle() -> None:
            nonlocal left
            left -= 1
            if left:
                runner.submit(handle)
            else:
                done.set()

        def other() -> None:
            others.append(left)
            if left:
                asyncio.get_running_loop().call_soon(other)

        runner.submit(handle)
        other()
        await done.wait()
        assert len(others) >= 50

    @played
    async def test_from_threads(self) -> None:
        runner = make_runner()
        done: list[str] = []

        async def handle() -> None:
            done.append("handled")

        def submit() -> None:
            for _ in range(500):
                runner.submit(handle)
                runner.submit_writer(Writer(lambda: done.append("written")))

        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        submit()
        await eventually(lambda: len(done) == 5000)

    @played
    async def test_a_task_that_is_cancelled_before_it_begins(self) -> None:
        runner = make_runner()
        before = asyncio.all_tasks()
        done: list[int] = []

        async def handle() -> None:
            done.append(1)

        runner.submit(handle)
        for task in asyncio.all_tasks() - before:
            task.cancel()
        await eventually(lambda: done)

    @played
    async def test_a_loop_that_starts_tasks_at_once(self) -> None:
        if sys.version_info < (3, 12):
            pytest.skip("eager tasks came with Python 3.12")
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        runner = make_runner()
        done: list[int] = []

        async def handle() -> None:
            done.append(1)

        runner.submit(handle)
        assert not done, "whoever submits may hold a lock"
        await eventually(lambda: done)

    def test_after_the_end_of_the_loop(self) -> None:
        runners: list[TaskRunner] = []

        async def test() -> None:
            runners.append(make_runner())

        play(test)
        runners[0].submit_writer(Writer(lambda: None))


class TestEachForItself:
    @played
    async def test_context_variables(self) -> None:
        variable = ContextVar("variable", default="nothing")
        runner = make_runner()
        variable.set("of whoever submits")
        seen: list[str] = []

        async def leave(wait: bool) -> None:
            seen.append(variable.get())
            variable.set("left behind")
            if wait:
                await asyncio.sleep(0)
                await asyncio.create_task(asyncio.sleep(0))
            seen.append(variable.get())

        for wait in (False, True, False):
            runner.submit(leave, wait)
        await eventually(lambda: len(seen) == 6)
        assert sorted(seen) == ["left behind"] * 3 + ["nothing"] * 3

    @pytest.mark.parametrize("wait", [False, True])
    @played
    async def test_who_cancels_its_own_task_hits_nobody_else(self, wait: bool) -> None:
        runner = make_runner()
        ends: list[str] = []

        async def cancel() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if wait:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    ends.append("cancelled")
                    raise

        async def handle() -> None:
            await asyncio.sleep(0)
            ends.append("handled")

        runner.submit(cancel)
        runner.submit(handle)
        runner.submit(handle)
        await eventually(lambda: ends.count("handled") == 2)
        assert ends.count("cancelled") == wait

    @pytest.mark.parametrize("wait", [False, True])
    @pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
    def test_what_it_raises(
        self, error: type[BaseException], wait: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.ERROR)

        async def test() -> None:
            runner = make_runner()
            done: list[int] = []

            async def fail() -> None:
                if wait:
                    await asyncio.sleep(0)
                done.append(0)
                raise error("on purpose")

            async def handle() -> None:
                done.append(1)

            runner.submit(fail)
            runner.submit(handle)
            await eventually(lambda: sorted(done) == [0, 1])

        play(test)
        assert ("on purpose" in caplog.text) == (error is ValueError)

    def test_a_writer_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        async def test() -> None:
            runner = make_runner()
            done: list[int] = []
            runner.submit_writer(Writer(lambda: 1 / 0))
            runner.submit_writer(Writer(lambda: done.append(1)))
            await eventually(lambda: done)

        play(test)
        assert "ZeroDivisionError" in caplog.text

    @played
    async def test_a_timeout_inside(self) -> None:
        runner = make_runner()
        ends: list[str] = []

        async def handle(seconds: float) -> None:
            try:
                if sys.version_info >= (3, 11):
                    async with asyncio.timeout(0.01):
                        await asyncio.sleep(seconds)
                else:
                    await asyncio.wait_for(asyncio.sleep(seconds), 0.01)
                ends.append("in time")
            except (TimeoutError, asyncio.TimeoutError):
                ends.append("timeout")

        for seconds in (0, 10, 0):
            runner.submit(handle, seconds)
        await eventually(lambda: len(ends) == 3)
        assert sorted(ends) == ["in time", "in time", "timeout"]

    def test_who_ends_the_loop_leaves_the_others_their_turn(self) -> None:
        done: list[int] = []

        async def fail() -> None:
            raise KeyboardInterrupt

        async def handle() -> None:
            done.append(1)

        loop = asyncio.new_event_loop()

        async def submit() -> None:
            runner = TaskRunner(loop)
            runner.submit(fail)
            runner.submit(handle)
            await asyncio.sleep(5)

        task = loop.create_task(submit())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        loop.run_until_complete(asyncio.sleep(0.01))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()
        assert done == [1]
        # Of the task that has failed, asyncio complains when it is collected: here, for in the midst of
        # ast.parse() Python 3.11 can't have that.
        gc.collect()


class TestRest:
    @played
    async def test_the_result_comes_after_several_waits(self) -> None:
        async def work() -> str:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return "result"

        begun = work()
        assert await rest_of(begun, begun.send(None)) == "result"

    @pytest.mark.parametrize("again", [False, True])
    @played
    async def test_what_is_thrown_reaches_the_coroutine(self, again: bool) -> None:
        async def work() -> str:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                if again:
                    await asyncio.sleep(0.001)
                return "cancelled"
            return ""

        async def resume() -> str:
            begun = work()
            return await rest_of(begun, begun.send(None))

        task = asyncio.create_task(resume())
        await asyncio.sleep(0.001)
        task.cancel()
        assert await task == "cancelled"
