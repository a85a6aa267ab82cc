"""The chat's events, by the test client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from example_app.extensions import socketio

Enter = Callable[..., Any]
TOKEN = "0123456789abcdef"


class TestComingIn:
    @pytest.mark.parametrize(
        "auth",
        [
            None,
            "Ada",
            [],
            {},
            {"name": 5},
            {"name": ""},
            {"name": "   "},
            {"name": "a" * 25},
            {"name": "<b>Ada</b>"},
            {"name": "Ada\u202e"},
            {"name": "-"},
            {"name": "Ada", "token": "short"},
            {"name": "Ada", "token": 5},
        ],
    )
    def test_refuses_what_is_no_name(self, app: Flask, auth: object) -> None:
        assert not socketio.test_client(app, auth=auth).is_connected()

    @pytest.mark.parametrize("name", ["A", "Ada Lovelace", "Zoë", "李", "O'Neill", "r2.d2", "a" * 24])
    def test_takes_names(self, enter: Enter, name: str) -> None:
        assert enter(name).ask("join", room="lobby")["you"] == name

    def test_a_name_is_put_in_its_normal_form(self, enter: Enter) -> None:
        assert enter("  Ada \t Lovelace ").ask("join", room="lobby")["you"] == "Ada Lovelace"

    def test_a_name_is_used_by_one_person(self, app: Flask, enter: Enter) -> None:
        ada = enter("Ada", token=TOKEN)
        assert not socketio.test_client(app, auth={"name": "ADA"}).is_connected()
        assert not socketio.test_client(app, auth={"name": "Ada", "token": TOKEN[::-1]}).is_connected()
        ada.client.disconnect()
        enter("ADA")

    def test_somebody_without_a_token_cannot_be_impersonated(self, app: Flask, enter: Enter) -> None:
        enter("Ada")
        assert not socketio.test_client(app, auth={"name": "Ada"}).is_connected()

    def test_a_person_with_two_connections_is_there_once(self, enter: Enter) -> None:
        """A new connection of the same page need not wait until the old one's end has been noticed."""
        bob = enter("Bob", "lobby")
        first = enter("Ada", "lobby", token=TOKEN)
        enter("ada", "lobby", token=TOKEN)
        first.client.disconnect()
        assert bob.got("members")[-1] == {"room": "lobby", "members": ["Ada", "Bob"]}


class TestRooms:
    def test_joining_tells_what_there_is(self, enter: Enter) -> None:
        enter("Bob", "lobby")
        reply = enter("Ada").ask("join", room="lobby")
        assert reply == {
            "ok": True,
            "room": "lobby",
            "you": "Ada",
            "messages": [],
            "more": False,
            "members": ["Ada", "Bob"],
            "rooms": [
                {"name": "lobby", "members": 2},
                {"name": "random", "members": 0},
                {"name": "help", "members": 0},
            ],
        }

    def test_a_room_is_created_by_joining_it(self, enter: Enter) -> None:
        bob = enter("Bob", "lobby")
        assert enter("Ada").ask("join", room="  Friday  Supper ")["room"] == "friday-supper"
        assert bob.got("rooms")[-1][-1] == {"name": "friday-supper", "members": 1}

    def test_there_is_an_end_to_creating_rooms(self, enter: Enter) -> None:
        ada = enter("Ada", "four", "five")
        assert not ada.ask("join", room="six")["ok"]
        assert ada.ask("join", room="four")["ok"]

    @pytest.mark.parametrize("room", ["", " ", "#lobby", "a/b", "-", "a" * 25, 5, None, ["lobby"]])
    def test_refuses_what_is_no_room(self, enter: Enter, room: object) -> None:
        assert not enter("Ada").ask("join", room=room)["ok"]

    def test_members_are_told_who_comes_and_goes(self, enter: Enter) -> None:
        bob, ada = enter("Bob", "lobby"), enter("Ada", "lobby")
        assert bob.got("members")[-1]["members"] == ["Ada", "Bob"]
        ada.ask("leave", room="lobby")
        assert bob.got("members")[-1]["members"] == ["Bob"]
        ada.ask("join", room="lobby")
        ada.client.disconnect()
        assert bob.got("members")[-1]["members"] == ["Bob"]
        assert bob.got("rooms")[-1][0] == {"name": "lobby", "members": 1}

    def test_who_has_left_gets_nothing_and_can_say_nothing(self, enter: Enter) -> None:
        bob, ada = enter("Bob", "lobby"), enter("Ada", "lobby")
        ada.ask("leave", room="lobby")
        assert not ada.ask("post", room="lobby", text="Hello?", key="a1")["ok"]
        bob.ask("post", room="lobby", text="She has gone.", key="b1")
        assert ada.got("post") == []


class TestMessages:
    def test_a_message_goes_to_the_others_in_the_room_only(self, enter: Enter) -> None:
        ada, bob, cleo = enter("Ada", "lobby"), enter("Bob", "lobby"), enter("Cleo", "random")
        reply = ada.ask("post", room="lobby", text="  Hello!\n", key="a1")
        message = reply["message"]
        assert (message["author"], message["text"], message["room"]) == ("Ada", "Hello!", "lobby")
        assert bob.got("post") == [message]
        assert ada.got("post") == cleo.got("post") == []

    def test_the_same_key_is_the_same_message(self, enter: Enter) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        replies = [ada.ask("post", room="lobby", text="Hello!", key="a1") for _ in range(3)]
        assert replies[0] == replies[1] == replies[2]
        assert len(bob.got("post")) == 1

    def test_a_key_is_its_authors_own(self, enter: Enter) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        ada.ask("post", room="lobby", text="Mine", key="k")
        assert bob.ask("post", room="lobby", text="Mine too", key="k")["message"]["text"] == "Mine too"

    @pytest.mark.parametrize(
        "payload",
        [
            {},
            {"room": "lobby"},
            {"room": "lobby", "text": "", "key": "k"},
            {"room": "lobby", "text": " \n ", "key": "k"},
            {"room": "lobby", "text": "x" * 51, "key": "k"},
            {"room": "lobby", "text": ["x"], "key": "k"},
            {"room": "lobby", "text": b"x", "key": "k"},
            {"room": "lobby", "text": "x"},
            {"room": "lobby", "text": "x", "key": ""},
            {"room": "lobby", "text": "x", "key": "x" * 65},
            {"room": "lobby", "text": "x", "key": 1},
            {"room": "random", "text": "x", "key": "k"},
            {"room": 1, "text": "x", "key": "k"},
        ],
    )
    def test_refuses_what_is_no_message(self, enter: Enter, payload: dict[str, object]) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        reply = ada.ask("post", **payload)
        assert reply["ok"] is False
        assert reply["error"]
        assert bob.got("post") == []

    @pytest.mark.parametrize("event", ["join", "leave", "post", "file", "typing", "whisper"])
    @pytest.mark.parametrize("payload", [(), (None,), ("lobby",), (5,), ([],), (b"lobby",)])
    def test_refuses_what_is_no_object(self, enter: Enter, event: str, payload: tuple[object, ...]) -> None:
        assert enter("Ada").client.emit(event, *payload, callback=True)["ok"] is False


class TestHistory:
    def test_newcomers_get_what_was_said(self, enter: Enter) -> None:
        ada = enter("Ada", "lobby", "random")
        said = [ada.ask("post", room="lobby", text=f"{i}", key=f"k{i}")["message"] for i in range(3)]
        ada.ask("post", room="random", text="elsewhere", key="other")
        assert enter("Bob").ask("join", room="lobby")["messages"] == said

    def test_who_comes_back_gets_what_is_new(self, enter: Enter) -> None:
        ada = enter("Ada", "lobby")
        ids = [ada.ask("post", room="lobby", text=f"{i}", key=f"k{i}")["message"]["id"] for i in range(4)]
        reply = enter("Bob").ask("join", room="lobby", after=ids[1])
        assert [message["text"] for message in reply["messages"]] == ["2", "3"]
        assert not reply["more"]
        assert enter("Cleo").ask("join", room="lobby", after=ids[3])["messages"] == []

    def test_it_comes_by_the_page_and_says_that_there_is_more(self, enter: Enter) -> None:
        ada = enter("Ada", "lobby")
        for i in range(6):
            ada.ask("post", room="lobby", text=f"{i}", key=f"k{i}")
        reply = enter("Bob").ask("join", room="lobby")
        assert [message["text"] for message in reply["messages"]] == ["1", "2", "3", "4", "5"]
        assert reply["more"]

    @pytest.mark.parametrize("after", [-1, 2**60, "1", 1.5, None])
    def test_refuses_what_is_no_message_id(self, enter: Enter, after: object) -> None:
        assert not enter("Ada").ask("join", room="lobby", after=after)["ok"]


class TestFiles:
    def test_a_file_goes_to_the_others_as_bytes(self, enter: Enter) -> None:
        ada, bob, cleo = enter("Ada", "lobby"), enter("Bob", "lobby"), enter("Cleo", "random")
        data = bytes(range(256))
        reply = ada.ask("file", room="lobby", name="a.png", type="image/png", data=data, key="f1")
        (received,) = bob.got("file")
        assert received == {**reply["message"], "type": "image/png", "data": data}
        assert (received["text"], received["size"], received["kind"]) == ("a.png", 256, "file")
        assert ada.got("file") == cleo.got("file") == []

    def test_the_history_has_a_note_of_it_only(self, enter: Enter) -> None:
        ada = enter("Ada", "lobby")
        reply = ada.ask("file", room="lobby", name="a.txt", type="text/plain", data=b"secret", key="f1")
        assert enter("Bob").ask("join", room="lobby")["messages"] == [reply["message"]]
        assert "data" not in reply["message"]

    @pytest.mark.parametrize("mime_type", ["image/svg+xml", "text/html", "", "image/png; x=y", "IMAGE/PNG"])
    def test_a_type_that_a_browser_might_run_is_not_passed_on(self, enter: Enter, mime_type: str) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        ada.ask("file", room="lobby", name="a", type=mime_type, data=b"x", key="f1")
        assert bob.got("file")[0]["type"] == "application/octet-stream"

    @pytest.mark.parametrize(
        ("name", "shown"),
        [("../../a", "a"), ("C:\\a\\b.txt", "b.txt"), ("a\u202eb\n.txt", "ab.txt"), ("/", "file")],
    )
    def test_names_are_made_harmless(self, enter: Enter, name: str, shown: str) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        ada.ask("file", room="lobby", name=name, type="", data=b"x", key="f1")
        assert bob.got("file")[0]["text"] == shown

    @pytest.mark.parametrize("data", [b"", bytes(1001), "eHl6", None, [1, 2]])
    def test_refuses_what_is_no_file(self, enter: Enter, data: object) -> None:
        ada, bob = enter("Ada", "lobby"), enter("Bob", "lobby")
        reply = ada.ask("file", room="lobby", name="a", type="", data=data, key="f1")
        assert reply["ok"] is False
        assert bob.got("file") == []


class TestTyping:
    def test_the_others_in_the_room_are_told(self, enter: Enter) -> None:
        ada, bob, cleo = enter("Ada", "lobby"), enter("Bob", "lobby"), enter("Cleo", "random")
        ada.ask("typing", room="lobby", active=True)
        ada.ask("typing", room="lobby", active=False)
        assert [signal["active"] for signal in bob.got("typing")] == [True, False]
        assert bob.got("typing")[0] == {"room": "lobby", "name": "Ada", "active": True}
        assert ada.got("typing") == cleo.got("typing") == []

    def test_not_into_a_room_where_one_is_not(self, enter: Enter) -> None:
        bob = enter("Bob", "random")
        assert not enter("Ada", "lobby").ask("typing", room="random", active=True)["ok"]
        assert bob.got("typing") == []


class TestWhispers:
    def test_only_the_two_see_it(self, enter: Enter) -> None:
        ada, bob, cleo = (enter(name, "lobby") for name in ("Ada", "Bob", "Cleo"))
        assert ada.ask("whisper", to="bob", text="Psst!", key="w1") == {"ok": True}
        assert bob.got("whisper") == [{"author": "Ada", "to": "Bob", "text": "Psst!", "key": "w1"}]
        assert ada.got("whisper") == cleo.got("whisper") == []

    def test_the_senders_other_tabs_see_it_too(self, enter: Enter) -> None:
        enter("Bob")
        first, second = enter("Ada", token=TOKEN), enter("Ada", token=TOKEN)
        first.ask("whisper", to="Bob", text="Psst!", key="w1")
        assert len(second.got("whisper")) == 1

    @pytest.mark.parametrize("to", ["Nobody", "Ada", "", 5, None])
    def test_refuses_who_is_not_there(self, enter: Enter, to: object) -> None:
        assert not enter("Ada").ask("whisper", to=to, text="Psst!", key="w1")["ok"]

    def test_a_room_cannot_be_used_to_listen(self, enter: Enter) -> None:
        bob, eve = enter("Bob"), enter("Eve")
        eve.client.emit("join", {"room": "user:bob"}, callback=True)
        enter("Ada").ask("whisper", to="Bob", text="Psst!", key="w1")
        assert len(bob.got("whisper")) == 1
        assert eve.got("whisper") == []
