"""What one more client costs, with few others and with many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .. import streams
from ..loop import Connection, Loop
from ..metering import Window, rest
from ..target import Report, Target
from ..traffic import Group, Load, Sender
from ..websocket import PATIENCE, open_clients, watch_quietly
from .connections import close_all
from .messages import join, tell

__all__ = ["Growth"]

ROOM = 10  # clients in a room
ROUNDS = 10  # of room broadcasts and of echoes
BROADCASTS = 3  # to everybody


@dataclass(frozen=True)
class Growth:
    """At each level, ``sample`` clients connect, join rooms, get room broadcasts, leave, get a broadcast to
    everybody and echoes, and go.

    The others stay, ten to a room: what looks at all clients or at all rooms has as many to look at.

    :param warm_ups: how often all of it is done before, for what compiles while it runs.
    """

    levels: tuple[int, ...] = (100, 300, 1_000, 3_000, 10_000)
    sample: int = 200
    warm_ups: int = 3

    def run(self, loop: Loop, target: Target) -> Report:
        report = Report()
        load = Load(loop)
        staying: list[Connection] = []
        for _ in range(self.warm_ups):
            Level(load, target, Report(), [], self.sample).run()
        for level in self.levels:
            new = open_clients(loop, target.port, level - len(staying))
            join(load, _rooms(new, len(staying)))
            staying += new
            for connection in staying:
                watch_quietly(connection)
            Level(load, target, report, staying, self.sample).run()
        return report


class Level:
    """The measurements with one number of clients."""

    def __init__(
        self, load: Load, target: Target, report: Report, staying: list[Connection], sample: int
    ) -> None:
        self._load = load
        self._target = target
        self._report = report
        self._staying = staying
        self._sample = sample

    def run(self) -> None:
        # What the level itself has left undone is not measured, nor what is done for the first time.
        self._measure_none()
        sample: list[Connection] = []
        self._measure("connect", lambda: sample.extend(self._open()), self._sample)
        self._measure_rooms(sample)
        self._measure_messages(sample)
        self._measure("disconnect", lambda: close_all(sample), self._sample)

    def _open(self) -> list[Connection]:
        return open_clients(self._load.loop, self._target.port, self._sample)

    def _measure_rooms(self, sample: list[Connection]) -> None:
        load = self._load
        rooms = _rooms(sample, 0, prefix="sample")
        members = {member: room for room, everybody in rooms.items() for member in everybody}
        self._measure("join", lambda: tell(load, "join", members), self._sample)
        groups = [
            Group(load, everybody, streams.broadcasts(number, 64, room))
            for number, (room, everybody) in enumerate(rooms.items())
        ]
        sends = [group.send for group in groups]
        self._measure("room", lambda: self._rounds(sends, ROUNDS), self._sample * ROUNDS)
        self._measure("leave", lambda: tell(load, "leave", members), self._sample)

    def _measure_messages(self, sample: list[Connection]) -> None:
        everybody = [*self._staying, *sample]
        group = Group(self._load, everybody, streams.broadcasts(0, 64))
        self._measure(
            "broadcast", lambda: self._rounds([group.send], BROADCASTS), len(everybody) * BROADCASTS
        )
        for member in self._staying:
            watch_quietly(member)
        senders = [
            Sender(self._load, member, streams.echoes(number, 1, 64), self._target.ordered)
            for number, member in enumerate(sample)
        ]
        echoes = [partial(sender.send, 1) for sender in senders]
        self._measure("echo", lambda: self._rounds(echoes, ROUNDS), self._sample * ROUNDS)

    def _measure_none(self) -> None:
        sample = open_clients(self._load.loop, self._target.port, self._sample // 4)
        tell(self._load, "join", dict.fromkeys(sample, "first"))
        tell(self._load, "leave", dict.fromkeys(sample, "first"))
        close_all(sample)
        rest(self._load.loop, self._target.pid)

    def _measure(self, metric: str, action: Callable[[], object], operations: int) -> None:
        window = Window(self._target.pid)
        action()
        rest(self._load.loop, self._target.pid)  # what goes on behind the answers belongs to it
        usage = window.close()
        self._report.add(metric, usage.server * 1e6 / operations, len(self._staying))
        self._report.saw(usage)

    def _rounds(self, actions: Sequence[Callable[[], object]], rounds: int) -> None:
        """Each of the actions, and when all of them are answered, again."""
        load = self._load
        load.sending = False
        for _ in range(rounds):
            for action in actions:
                action()
            load.loop.run_until(lambda: load.awaited == 0, PATIENCE, f"{load.awaited} replies are missing")


def _rooms(connections: list[Connection], first: int, prefix: str = "level") -> dict[str, list[Connection]]:
    """Rooms of ten, numbered from the number of the first client on."""
    return {
        f"{prefix} {first + start}": connections[start : start + ROOM]
        for start in range(0, len(connections), ROOM)
    }
