"""Rooms of a single process."""

from __future__ import annotations

from typing import Any

import pytest
from engine_driver import EngineClient, MakeWorld, World
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.adapters import MemoryAdapter
from flask_realtime.types import EVERYBODY, Target


class Member:
    """A socket, as far as an adapter knows; it counts how often it is looked at."""

    def __init__(self, sid: str, namespace: str = "/") -> None:
        self._sid = sid
        self.namespace = namespace
        self.rooms: set[Any] | None = None
        self.looked_at = 0

    @property
    def sid(self) -> str:
        self.looked_at += 1
        return self._sid

    def __repr__(self) -> str:
        return self._sid


def adapter(*members: Member) -> MemoryAdapter[Member]:
    made: MemoryAdapter[Member] = MemoryAdapter()
    for member in members:
        made.add(member)
    return made


def names(members: Any) -> str:
    return "".join(map(repr, members))


@pytest.fixture
def abc() -> list[Member]:
    return [Member("a"), Member("b"), Member("c")]


def test_everybody(abc: list[Member]) -> None:
    rooms = adapter(*abc, Member("x", "/other"))
    assert names(rooms.sockets("/", EVERYBODY)) == "abc"
    assert names(rooms.sockets("/other", EVERYBODY)) == "x"
    assert names(rooms.sockets("/nowhere", EVERYBODY)) == ""
    assert names(rooms.sockets("/", Target(None, frozenset("b")))) == "ac"


def test_get(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    assert rooms.get("/", "a") is abc[0]
    assert rooms.get("/", "x") is None
    assert rooms.get("/other", "a") is None
    assert rooms.find("a") is abc[0]
    assert rooms.find("x") is None


def test_a_broadcast_goes_out_in_the_order_of_joining(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    for member in reversed(abc):
        rooms.join(member, "room")
    assert names(rooms.sockets("/", Target(("room",)))) == "cba"


def test_the_union_of_rooms_has_everybody_once(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    for member, room in ((abc[0], 1), (abc[1], 1), (abc[1], 2), (abc[2], 2)):
        rooms.join(member, room)
    assert names(rooms.sockets("/", Target((1, 2)))) == "abc"
    assert names(rooms.sockets("/", Target((2, "a", 1)))) == "bca"
    assert names(rooms.sockets("/", Target((1, 2), frozenset("ab")))) == "c"
    assert names(rooms.sockets("/", Target(()))) == ""


def test_everybodys_own_room(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    assert names(rooms.sockets("/", Target(("a",)))) == "a"
    rooms.join(abc[0], "a")
    assert abc[0].rooms is None
    rooms.leave(abc[0], "a")
    rooms.close_room("/", "a")
    assert names(rooms.members("/", "a")) == "a"
    assert rooms.stats() == {"sockets": 3, "rooms": 0}


def test_a_room_named_like_a_live_sid_has_its_owner_alone(abc: list[Member]) -> None:
    rooms = adapter(abc[0])
    rooms.join(abc[0], "b")  # nobody is called so yet
    rooms.add(abc[1])
    assert names(rooms.members("/", "b")) == "b"


def test_rooms_may_have_any_hashable_name(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    for room in (1, (1, 2), "", frozenset(), 2.5):
        rooms.join(abc[0], room)
        assert names(rooms.sockets("/", Target((room,)))) == "a"
        rooms.leave(abc[0], room)
    assert rooms.stats()["rooms"] == 0


def test_joining_and_leaving_twice(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    rooms.join(abc[0], "room")
    rooms.join(abc[0], "room")
    assert rooms.stats() == {"sockets": 3, "rooms": 1}
    rooms.leave(abc[0], "room")
    rooms.leave(abc[0], "room")
    rooms.leave(abc[1], "never joined")
    assert rooms.stats() == {"sockets": 3, "rooms": 0}


def test_rooms_of_two_namespaces_are_apart(abc: list[Member]) -> None:
    other = Member("x", "/other")
    rooms = adapter(*abc, other)
    rooms.join(abc[0], "room")
    rooms.join(other, "room")
    assert rooms.stats()["rooms"] == 2
    rooms.close_room("/", "room")
    assert names(rooms.members("/other", "room")) == "x"
    assert names(rooms.members("/", "room")) == ""
    assert not abc[0].rooms


def test_what_there_is(abc: list[Member]) -> None:
    rooms = adapter(*abc, Member("x", "/other"))
    rooms.join(abc[0], "room")
    rooms.join(abc[0], "a")
    rooms.join(abc[1], 2)
    assert list(rooms.namespaces()) == ["/", "/other"]
    assert list(rooms.rooms("/")) == ["room", 2]
    assert list(rooms.rooms("/other")) == list(rooms.rooms("/nowhere")) == []


def test_remove_leaves_nothing(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    for member in abc:
        rooms.join(member, "room")
        rooms.join(member, member.sid * 2)
    for member in abc:
        rooms.remove(member)
        rooms.remove(member)
    assert rooms.stats() == {"sockets": 0, "rooms": 0}
    assert vars(adapter()) == vars(rooms)


def test_a_close_while_it_is_listed(abc: list[Member]) -> None:
    rooms = adapter(*abc)
    for member in abc:
        rooms.join(member, "room")
    rooms.close_room("/", "room")
    rooms.close_room("/", "room")
    assert all(not member.rooms for member in abc)


def test_nothing_walks_over_all_clients() -> None:
    members = [Member(str(n)) for n in range(1000)]
    rooms = adapter(*members)
    for member in members:
        rooms.join(member, "all")
    one, two = members[500], members[501]
    for member in members:
        member.looked_at = 0
    rooms.join(one, "pair")
    rooms.join(two, "pair")
    assert names(rooms.sockets("/", Target(("pair",), frozenset({"500"})))) == "501"
    assert names(rooms.sockets("/", Target(("500",)))) == "500"
    rooms.get("/", "500")
    rooms.leave(one, "pair")
    rooms.close_room("/", "pair")
    rooms.remove(one)
    rooms.stats()
    assert [member for member in members if member.looked_at] == [one, two]


ROOM = st.sampled_from(["r", "s", "a", "b"])
STEP = st.tuples(st.sampled_from(["add", "remove", "join", "leave", "close"]), st.integers(0, 3), ROOM)


@given(st.lists(STEP, max_size=40))
def test_against_a_model(steps: list[tuple[str, int, str]]) -> None:
    rooms: MemoryAdapter[Member] = MemoryAdapter()
    members = [Member(name) for name in "abxy"]
    alive: set[Member] = set()
    inside: set[tuple[Member, str]] = set()
    for step, index, room in steps:
        member = members[index]
        if step == "add" and member not in alive:
            rooms.add(member)
            alive.add(member)
        elif step == "remove":
            rooms.remove(member)
            alive.discard(member)
            inside = {(m, r) for m, r in inside if m is not member}
        elif step == "join" and member in alive:
            rooms.join(member, room)
            if room != member.sid:
                inside.add((member, room))
        elif step == "leave" and member in alive:
            rooms.leave(member, room)
            inside.discard((member, room))
        elif step == "close" and all(m.sid != room for m in alive):
            rooms.close_room("/", room)
            inside = {(m, r) for m, r in inside if r != room}
        for name in "rsab":
            owner = {m for m in alive if m.sid == name}
            assert set(rooms.members("/", name)) == (owner or {m for m, r in inside if r == name})
        assert set(rooms.members("/", None)) == alive
        assert rooms.stats() == {"sockets": len(alive), "rooms": len({r for _, r in inside})}


# Through the server


def connected(world: World, count: int) -> list[EngineClient]:
    return [EngineClient.websocket(world).connect() for _ in range(count)]


def test_only_its_own_client_may_be_in_a_room_named_like_a_live_sid(world: World) -> None:
    one, other = (client.public_sid() for client in connected(world, 2))
    with pytest.raises(ValueError, match="sid of another client"):
        world.server.enter_room(one, other)
    world.server.enter_room(one, one)
    assert world.server.rooms(one) == [one]
    assert world.server.participants("/", other) == [other]


def test_rooms_through_the_server(make_world: MakeWorld) -> None:
    world = make_world()
    clients = connected(world, 3)
    sids = [client.public_sid() for client in clients]
    for sid in sids[:2]:
        world.server.enter_room(sid, "room")
    world.server.emit("to room", [], target=Target(("room",)))
    world.server.emit("to one", [], target=Target((sids[2],)))
    world.server.emit("to others", [], target=Target(("room",), frozenset({sids[0]})))
    world.settle()
    assert [[name for (name,) in client.events()] for client in clients] == [
        ["to room"],
        ["to room", "to others"],
        ["to one"],
    ]
    assert set(world.server.rooms(sids[0])) == {sids[0], "room"}
    world.server.close_room("room")
    assert list(world.server.participants("/", "room")) == []
    assert world.stats["rooms"] == 0
