"""The app's functions: a handler's run as the inbox takes it, and results that may have to be awaited."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ports import Backend

__all__ = ["FAILURE", "AsyncWork", "Work", "awaited", "completed", "in_thread"]

#: One handler's run. It must not raise.
Work = Callable[[], Any]

#: what one handler may raise without taking others with it
FAILURE = (Exception, SystemExit)


class AsyncWork(partial[Any]):
    """Work that returns a coroutine."""


def completed(backend: Backend, result: Any) -> Any:
    """The result of a function of the app, in a thread.

    A plain function may hide a coroutine function, as a decorator does: then this waits for it.
    """
    if not iscoroutine(result):
        return result

    async def finish() -> Any:
        return await result

    return backend.complete(finish)


async def awaited(result: Any) -> Any:
    """The result of a function of the app, in a coroutine: it may be a plain one, or give an awaitable."""
    return await result if isawaitable(result) else result


async def in_thread(backend: Backend, function: Callable[[], Any]) -> Any:
    """The result of a plain function, in a coroutine that must not wait for it."""
    done = backend.async_event()
    outcome: list[Any] = []
    context = copy_context()

    def work() -> None:
        try:
            outcome.extend((context.run(function), None))
        except BaseException as error:  # noqa: BLE001 (it is raised where the result is awaited)
            outcome.extend((None, error))
        finally:
            done.set()

    backend.submit(work)
    await done.wait()
    value, error = outcome
    if error is not None:
        raise error
    return value
