"""What an app has run around its events, as Flask has functions run around requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from .context.http_answers import refuses
from .exceptions import EventRefusedError
from .server.signatures import check_handler, is_async
from .server.work import FAILURE, awaited, completed, in_thread

if TYPE_CHECKING:
    from .context import EventScope
    from .server.ports import Backend
    from .types import Handler

__all__ = ["Hook", "HookTable", "HookedCall", "Hooks"]


class Hook(NamedTuple):
    """A function, or a coroutine function, of the app."""

    function: Handler
    is_async: bool

    @classmethod
    def of(cls, function: Handler) -> Hook:
        """
        :raises TypeError: it can't be called.
        """
        check_handler(function)
        return cls(function, is_async(function))

    def run(self, backend: Backend, *args: Any) -> Any:
        """Its result, in a thread."""
        return completed(backend, self.function(*args))

    async def run_async(self, backend: Backend, *args: Any) -> Any:
        """Its result, in a coroutine, which a plain function must not hold up."""
        if self.is_async:
            return await self.function(*args)
        return await awaited(await in_thread(backend, partial(self.function, *args)))


@dataclass(eq=False)
class Hooks:
    """The hooks of all namespaces, or of one, each in the order of registration."""

    before: list[Hook] = field(default_factory=list)
    connect: list[Hook] = field(default_factory=list)
    after: list[Hook] = field(default_factory=list)
    teardown: list[Hook] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.before or self.connect or self.after or self.teardown)


class HookTable:
    """The hooks of an app, or of a group of its events."""

    def __init__(self) -> None:
        #: None: those of all namespaces
        self.by_namespace: dict[str | None, Hooks] = {}
        #: a group's error handler
        self.error: Handler | None = None

    def of(self, namespace: str | None) -> Hooks:
        """Those of a namespace (None or ``'*'``: of all), to be added to."""
        return self.by_namespace.setdefault(None if namespace == "*" else namespace, Hooks())

    def around(self, namespace: str) -> list[Hooks]:
        """The hooks of an event, from the outermost: all that there are."""
        if not self.by_namespace:
            return []
        return [hooks for hooks in (self.by_namespace.get(None), self.by_namespace.get(namespace)) if hooks]


class HookedCall:
    """One run of an event's handler, with hooks around it.

    In Flask's order: ``before`` from the outermost to the innermost; then a
    client that connects passes ``connect``; then the handler, unless one of
    them has answered; then ``after``, and in any case ``teardown``, from the
    innermost to the outermost and the last registered first.

    A client that connects is let in only where all that could refuse it have been asked: neither an answer
    of ``before`` nor an error handler stands for them, and ``after`` can't undo a refusal.

    :param around: the hooks, from the outermost.
    :param message: the event's name.
    :param scope: the client's.
    """

    def __init__(self, around: list[Hooks], message: str, scope: EventScope) -> None:
        self._around = around
        self._message = message
        self._connects = message == "connect"
        self._scope = scope
        self._backend = scope.server.backend

    def run(self, settle: Callable[..., Any], handler: Handler, *args: Any) -> Any:
        """The handler's result, as the hooks leave it.

        :param settle: runs a function with the app's error handlers around it.
        """
        error: BaseException | None = None
        try:
            result = self._settled(settle(self._answer, handler, *args))
            for hook in self._inside_out("after"):
                result = self._final(result, hook.run(self._backend, result))
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            for hook in self._inside_out("teardown"):
                try:
                    hook.run(self._backend, error)
                except FAILURE as failure:
                    self._teardown_failed(hook, failure)
            error = None  # else it would hold this frame, which holds it

    async def run_async(self, settle: Callable[..., Awaitable[Any]], handler: Handler, *args: Any) -> Any:
        """:meth:`run` for a coroutine function."""
        error: BaseException | None = None
        try:
            result = self._settled(await settle(self._answer_async, handler, *args))
            for hook in self._inside_out("after"):
                result = self._final(result, await hook.run_async(self._backend, result))
            return result
        except BaseException as raised:
            error = raised
            raise
        finally:
            for hook in self._inside_out("teardown"):
                try:
                    await hook.run_async(self._backend, error)
                except FAILURE as failure:
                    self._teardown_failed(hook, failure)
            error = None

    def _answer(self, handler: Handler, *args: Any) -> Any:
        for hook in self._outside_in("before"):
            try:
                answer = hook.run(self._backend)
            except EventRefusedError:
                if self._message != "disconnect":  # there is nothing to refuse
                    raise
            else:
                if self._is_answer(answer):
                    return self._instead(answer)
        if self._connects:
            for hook in self._outside_in("connect"):
                if refuses(refusal := hook.run(self._backend, *args)):
                    return refusal
            self._scope.admitted = True
        return handler(*args)

    async def _answer_async(self, handler: Handler, *args: Any) -> Any:
        for hook in self._outside_in("before"):
            try:
                answer = await hook.run_async(self._backend)
            except EventRefusedError:
                if self._message != "disconnect":  # there is nothing to refuse
                    raise
            else:
                if self._is_answer(answer):
                    return self._instead(answer)
        if self._connects:
            for hook in self._outside_in("connect"):
                if refuses(refusal := await hook.run_async(self._backend, *args)):
                    return refusal
            self._scope.admitted = True
        return await handler(*args)

    def _is_answer(self, result: Any) -> bool:
        # A client that has gone has gone: nobody can keep the app from hearing of it.
        return result is not None and self._message != "disconnect"

    def _instead(self, answer: Any) -> Any:
        """What comes of the event where a ``before`` hook has answered it: no client is let in by that."""
        return False if self._connects and not refuses(answer) else answer

    def _settled(self, result: Any) -> Any:
        """What comes of the handler, or of that of its error."""
        return result if not self._connects or self._scope.admitted or refuses(result) else False

    def _final(self, result: Any, changed: Any) -> Any:
        """A result as an ``after`` hook has left it."""
        return result if self._connects and refuses(result) else changed

    def _outside_in(self, kind: str) -> list[Hook]:
        return [hook for hooks in self._around for hook in getattr(hooks, kind)]

    def _inside_out(self, kind: str) -> list[Hook]:
        return self._outside_in(kind)[::-1]

    def _teardown_failed(self, hook: Hook, failure: Exception | SystemExit) -> None:
        """The other functions still have their turn."""
        self._scope.server.logger.error(
            "a teardown_event function failed: %r", hook.function, exc_info=failure
        )
