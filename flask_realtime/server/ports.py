"""What the server layer asks of its surroundings, as protocols.

A backend implements :class:`Backend`, :class:`WebSocketTransport` and the wake-up of a :class:`Poll`;
Socket.IO and the raw engine implement :class:`Application`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from ..protocol.errors import RemoteProtocolError
    from ..types import DisconnectReason
    from .message import Message
    from .session import Session

__all__ = [
    "Access",
    "AnyEvent",
    "Application",
    "AsyncEvent",
    "Backend",
    "Event",
    "Host",
    "Joinable",
    "Link",
    "Poll",
    "Runnable",
    "Scheduler",
    "SessionApplication",
    "WebSocketTransport",
]


class Access(Enum):
    """What a web server lets us do with a connection."""

    TAKE = "take"
    BORROW = "borrow"  # only with the server's own thread
    NONE = "none"


class Event(Protocol):
    """A flag that threads (or greenlets) wait for."""

    def set(self) -> None: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class AsyncEvent(Protocol):
    """A flag that a coroutine waits for. Any thread may set it."""

    def set(self) -> None: ...

    async def wait(self, timeout: float | None = None) -> bool: ...


#: as ``AnyStr``: one kind or the other
AnyEvent = TypeVar("AnyEvent", Event, AsyncEvent)


class Lock(Protocol):
    """A re-entrant lock. Where every event passes, to call these takes less time than ``with`` does."""

    def acquire(self) -> bool: ...

    def release(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> None: ...


class Joinable(Protocol):
    """A background task."""

    def join(self, timeout: float | None = None) -> None: ...

    def is_alive(self) -> bool: ...


class Scheduler(Protocol):
    """Something with deadlines that a loop keeps."""

    def next_deadline(self) -> float | None: ...

    def handle_timeouts(self, now: float) -> None: ...


class Runnable(Protocol):
    """Work that has turns."""

    def run(self, turn: int) -> None:
        """Do it, where others can wait for it."""
        ...

    def run_here(self, turn: int) -> None:
        """Do what is quick of it, in the loop."""
        ...

    def held_up(self) -> None:
        """What it is just running has held up the loop. May be called from any thread."""
        ...


class Backend(Protocol):
    """Where waiting happens."""

    #: its name, as ``async_mode`` takes it
    name: str

    def now(self) -> float:
        """Seconds of a monotonic clock that stands still while the loop does."""
        ...

    #: seconds of a clock that does not, to measure how long something takes
    stopwatch: Callable[[], float]

    def lock(self) -> Lock:
        """A new re-entrant lock."""
        ...

    def event(self) -> Event:
        """A new event, not set, for the caller to wait for.

        :raises RuntimeError: the caller runs in an event loop, and must not wait.
        """
        ...

    def async_event(self) -> AsyncEvent:
        """A new event, not set, for the coroutine that calls this."""
        ...

    def submit(self, function: Callable[..., None], *args: Any) -> None:
        """Run ``function`` soon, on a bounded pool; never blocks."""
        ...

    def submit_here(self, runnable: Runnable, turn: int) -> None:
        """Run it after what this thread is just reading, if it is the loop's; else :meth:`submit` it.

        If it waits there, the loop goes on without it, and tells it so.
        """
        ...

    def submit_async(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run a coroutine function soon, in the event loop of the process; never blocks."""
        ...

    def complete(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Run a coroutine function in the event loop, in the caller's context, and wait for its result.

        :raises RuntimeError: the caller is the event loop itself.
        """
        ...

    def assist(self, function: Callable[..., None], *args: Any) -> None:
        """Run some short work of our own soon, whatever the handlers do; never blocks."""
        ...

    def lend(self, seconds: float) -> None:
        """Wait, and let this thread run submitted functions where there is no other for them."""
        ...

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Joinable:
        """Run ``function`` in a thread (or greenlet) of its own."""
        ...

    def sleep(self, seconds: float) -> None:
        """Sleep, as others can work meanwhile.

        :raises RuntimeError: the caller runs in an event loop, and must not wait.
        """
        ...

    def keep(self, scheduler: Scheduler) -> None:
        """Call ``scheduler.handle_timeouts`` when its deadlines come; starts the loop."""
        ...

    def reschedule(self) -> None:
        """A kept scheduler's next deadline has become earlier."""
        ...


class Link(Protocol):
    """The way to the other processes behind a message queue. No method waits."""

    @property
    def origin(self) -> bytes:
        """What others know this process by (see :mod:`..adapters.wire`)."""
        ...

    @property
    def listening(self) -> bool:
        """What others publish reaches us."""
        ...

    def publish(self, body: bytes) -> None:
        """Send a body to everybody who listens, soon, and in the order of the calls."""
        ...

    def listen(self, receive: Callable[[bytes], None]) -> None:
        """From now on, give what is published to ``receive``, in its order, one at a time.

        What this process has published itself comes too.
        """
        ...

    def when_listening(self, function: Callable[[], None]) -> None:
        """Call ``function`` once :attr:`listening` holds, or can't be had soon."""
        ...

    def stats(self) -> dict[str, int]:
        """``queue_connected`` (0 or 1) and ``queue_pending``, the messages that wait to be published."""
        ...


class Host(Protocol):
    """Who drives a session that has no network: a test's client.

    Its handlers run where the host says, and what goes wrong is told to it, instead of the log.
    """

    def __call__(self, function: Callable[..., None], *args: Any) -> None:
        """Run ``function`` soon: handlers of the session. The lock is held."""
        ...

    def settle(self) -> None:
        """Without the lock: run what was submitted before this returns, if this thread may."""
        ...

    def handler_failed(self, error: BaseException) -> None:
        """A handler has raised (with or without the lock)."""
        ...

    def session_refused(self, error: RemoteProtocolError) -> None:
        """A message has broken a rule; the session ends. The lock is held."""
        ...

    def session_ended(self, reason: DisconnectReason) -> None:
        """The session is over. The lock is held."""
        ...


class WebSocketTransport(Protocol):
    """A websocket that carries a session, or wants to."""

    @property
    def blocked(self) -> bool:
        """Bytes wait to be written because the peer does not read."""
        ...

    def wake(self) -> None:
        """The session has something to send, has closed or can read again. Never blocks."""
        ...

    def push(self, message: Message) -> None:
        """Write a message that is not in a session's queue: an answer on the upgrade's ladder."""
        ...

    def abort(self, code: int) -> None:
        """Close with this close code now, without the rest of the queue. Never blocks."""
        ...

    def has_unread(self) -> bool:
        """Bytes of the peer have arrived and were not read yet."""
        ...


class Poll:
    """One long-polling GET, from its arrival until its response is written.

    :param wake: called when there is an answer (:meth:`.Session.answer_poll`);
        must not block.
    """

    __slots__ = ("answering", "farewell", "finished", "last", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake: Callable[[], None] = wake
        #: the response is being written
        self.answering: bool = False
        #: its answer tells the client that we have closed
        self.last: bool = False
        #: the payload that ends it, once the session has ended
        self.farewell: bytes | None = None
        #: set when the response is written, where somebody waits for that
        self.finished: Event | None = None


class SessionApplication(Protocol):
    """What lives on one session. All calls come with the engine's lock held; none may block."""

    def receive_message(self, data: str | bytes) -> None:
        """A message of the peer.

        :raises RemoteProtocolError: ends the session.
        """
        ...

    def session_closed(self, reason: DisconnectReason) -> None:
        """The session has ended."""
        ...

    def backlog(self) -> int:
        """How many events wait for their handlers."""
        ...

    def when_idle(self, make: Callable[[], AnyEvent]) -> AnyEvent | None:
        """An event that is set as soon as all that has come is handled.

        :param make: makes one.
        :returns: None where there is nothing to wait for: all is handled, or a handler takes its time.
        """
        ...


class Application(Protocol):
    """What lives on the engine."""

    def session_opened(self, session: Session) -> SessionApplication:
        """A handshake has made a session."""
        ...
