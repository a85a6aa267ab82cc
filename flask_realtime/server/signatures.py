"""What is seen of the app's functions before they are called.

How many arguments a connect or disconnect handler takes is found out when it is
registered, from its signature; a ``TypeError`` inside a handler is just an
error of that handler.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..types import Handler

__all__ = ["check_handler", "fitted", "is_async", "positional_capacity"]

EVERYTHING = 1_000


def positional_capacity(handler: Callable[..., Any]) -> int:
    """How many positional arguments ``handler`` takes; a large number for ``*args``.

    A decorator's ``*args`` are taken to be passed on: then what it has wrapped counts.
    """
    try:
        parameters = inspect.signature(handler, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):
        return EVERYTHING  # a builtin without a signature: hand it all
    own = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return own
    wrapped = getattr(handler, "__wrapped__", None)
    if wrapped is None:
        return EVERYTHING
    bound = 1 if inspect.ismethod(handler) else 0  # ``__wrapped__`` of a method is the bare function
    return max(own, positional_capacity(wrapped) - bound)


def is_async(function: Any) -> bool:
    """Whether a call gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 (its signature is wanted, not whether it is there)
    )


def fitted(handler: Handler) -> Handler:
    """A handler of ``connect`` (``disconnect``) that takes ``auth`` (``reason``), for one that may not."""
    if positional_capacity(handler):
        return handler

    async def without_argument_async(argument: object) -> Any:
        return await handler()

    def without_argument(argument: object) -> Any:
        return handler()

    return without_argument_async if is_async(handler) else without_argument


def check_handler(handler: Any) -> None:
    """
    :raises TypeError: it can't be called, or gives an asynchronous generator.
    """
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
    if inspect.isasyncgenfunction(handler) or inspect.isasyncgenfunction(
        getattr(handler, "__call__", None)  # noqa: B004 (as above)
    ):
        name = getattr(handler, "__name__", type(handler).__name__)
        raise TypeError(f"{name}: a handler can't be an asynchronous generator")
