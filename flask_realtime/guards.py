"""Decorators that let an event's handler run for some clients only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import flask

from .exceptions import EventRefusedError
from .hooks import Hook
from .server.signatures import is_async

if TYPE_CHECKING:
    from .server.ports import Backend

__all__ = ["Guard", "guard", "login_required", "role_required"]

H = TypeVar("H", bound=Callable[..., Any])


class Guard:
    """Decorates handlers; refuses their events where a predicate is not true (see :func:`guard`)."""

    def __init__(self, predicate: Callable[[], Any], message: str, data: Any = None) -> None:
        self._hook = Hook.of(predicate)
        self._refusal = (message,) if data is None else (message, data)
        #: the same as a function that can be a ``before_event`` hook
        self.check: Callable[[], Any] = self._check_async if self._hook.is_async else self._check

    def __call__(self, handler: H) -> H:
        """Guard a handler, or a method of a namespace. Goes below ``@socketio.on(...)``."""

        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self._check()
            return handler(*args, **kwargs)

        @functools.wraps(handler)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            await self._check_async()
            return await handler(*args, **kwargs)

        return cast("H", guarded_async if is_async(handler) else guarded)

    def _check(self) -> None:
        self._require(self._hook.run(_backend()))

    async def _check_async(self) -> None:
        self._require(await self._hook.run_async(_backend()))

    def _require(self, allowed: Any) -> None:
        if not allowed:
            raise EventRefusedError(*self._refusal)


def guard(predicate: Callable[[], Any], message: str = "Not allowed", data: Any = None) -> Guard:
    """Run a handler only where ``predicate()`` is true; else the event is refused.

    ::

        @socketio.on("publish")
        @guard(lambda: g.user.may_publish, "You may not publish")
        def publish(article): ...

    A refused client gets ``{"error": {"message": ..., "data": ...}}`` as the acknowledgement, if it wants
    one; on ``connect`` its connection is refused. For all events of a namespace,
    ``socketio.before_event(namespace="/admin")(guard(...).check)``.

    :param predicate: a function, or a coroutine function, without arguments; it runs in the event's context.
    :param message: what the client is told.
    :param data: more that the client is told.
    """
    return Guard(predicate, message, data)


def _is_logged_in() -> bool:
    return bool(_current_user().is_authenticated)


#: Run a handler only for users that are logged in with Flask-Login (see :func:`guard`).
login_required: Guard = Guard(_is_logged_in, "Login required")


def role_required(
    *roles: str, of: Callable[[], Iterable[Any]] | None = None, message: str = "Not allowed"
) -> Guard:
    """Run a handler only for users that have one of these roles (see :func:`guard`).

    :param of: the roles of the current user: names, or objects with a ``name``. Unless given, they are
        looked for where Flask-Login's ``current_user`` has them: ``has_role(name)``, ``roles`` or ``role``.
    :raises ValueError: no role.
    """
    if not roles:
        raise ValueError("role_required() needs a role")

    def has_role() -> bool:
        if of is not None:
            return _have(of(), roles)
        user = _current_user()
        if hasattr(user, "has_role"):
            return any(user.has_role(role) for role in roles)
        # An anonymous user has neither.
        return _have(getattr(user, "roles", None) or [getattr(user, "role", None)], roles)

    return Guard(has_role, message)


def _have(present: Iterable[Any], wanted: tuple[str, ...]) -> bool:
    return any(getattr(role, "name", role) in wanted for role in present)


def _current_user() -> Any:
    try:
        from flask_login import current_user
    except ImportError as error:
        raise RuntimeError("this guard asks Flask-Login: pip install flask-login, or use guard()") from error
    return current_user


def _backend() -> Backend:
    backend: Backend = flask.current_app.extensions["socketio"].current_server.backend
    return backend
