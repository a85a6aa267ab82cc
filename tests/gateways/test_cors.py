"""Which origins may connect."""

from __future__ import annotations

from typing import Any

import pytest

from flask_realtime.gateways.cors import CORSPolicy
from flask_realtime.protocol.errors import RemoteProtocolError

OWN = "http://server.example"


def allowed(policy: Any, origin: str | None, own: str = OWN) -> bool:
    try:
        CORSPolicy(policy, credentials=True).check(origin, own, {})
    except RemoteProtocolError as error:
        return (error.status, error.code) != (403, 4)
    return True


SAME_ORIGIN = [
    # origin, own origin, allowed
    (None, OWN, True),
    ("http://server.example", OWN, True),
    ("http://server.example:80", OWN, True),
    ("HTTP://SERVER.EXAMPLE", OWN, True),
    ("http://server.example", "http://server.example:80", True),
    ("http://server.example:8080", "http://server.example:8080", True),
    ("https://server.example", "https://server.example:443", True),
    ("https://server.example:443", "https://server.example", True),
    ("http://[::1]:5000", "http://[::1]:5000", True),
    ("http://127.0.0.1:5000", "http://127.0.0.1:5000", True),
    ("https://server.example", OWN, False),
    ("http://server.example:443", OWN, False),
    ("http://server.example:8080", OWN, False),
    ("http://server.example", "http://server.example:8080", False),
    ("http://server.example:80", "https://server.example", False),
    ("http://localhost:5000", "http://127.0.0.1:5000", False),
    ("http://evil.example", OWN, False),
    ("http://sub.server.example", OWN, False),
    ("http://server.example.evil.example", OWN, False),
    ("http://evilserver.example", OWN, False),
    ("http://server.example@evil.example", OWN, False),
    ("ws://server.example", OWN, False),
    ("file://", OWN, False),
    ("null", OWN, False),
    ("", OWN, False),
    ("server.example", OWN, False),
    ("//server.example", OWN, False),
    ("http://", OWN, False),
    ("http://server.example:99999", OWN, False),
    ("http://server.example:x", OWN, False),
    ("http://server.example:٨٠", OWN, False),
    ("http://[::1", OWN, False),
    ("http://server.example, http://server.example", OWN, False),
    ("http://server.exаmple", OWN, False),  # a Cyrillic letter
    ("null", "http://", False),
    ("http://", "http://", False),
]


@pytest.mark.parametrize(("origin", "own", "expected"), SAME_ORIGIN)
def test_the_same_origin(origin: str | None, own: str, expected: bool) -> None:
    assert allowed(None, origin, own) is expected


GOOD = "https://good.example"
OTHERS = ["http://good.example", "https://good.example:8443", "https://bad.example", "null", OWN]


@pytest.mark.parametrize("policy", [GOOD, [GOOD], (GOOD, "http://other.example"), {GOOD}, iter([GOOD])])
def test_an_origin_or_several(policy: Any) -> None:
    rules = CORSPolicy(policy, credentials=True)
    for origin in (None, GOOD, GOOD + ":443"):
        rules.check(origin, OWN, {})
    for origin in OTHERS:
        with pytest.raises(RemoteProtocolError):
            rules.check(origin, OWN, {})


@pytest.mark.parametrize("policy", ["*", ["*"], [GOOD, "*"], [], ()])
def test_everybody(policy: Any) -> None:
    for origin in (None, GOOD, *OTHERS):
        assert allowed(policy, origin)


@pytest.mark.parametrize("entry", ["null", "garbage", "https://*.good.example"])
def test_an_entry_that_is_no_origin_allows_nobody(entry: str) -> None:
    for origin in ("null", "garbage", "https://a.good.example", "https://*.good.example", ""):
        assert not allowed([entry], origin) or origin == entry == "https://*.good.example"


class TestAFunction:
    def test_of_the_origin(self) -> None:
        seen: list[str] = []

        def decide(origin: str) -> bool:
            seen.append(origin)
            return origin == GOOD

        assert allowed(decide, GOOD)
        assert not allowed(decide, OWN)
        assert not allowed(decide, "null")
        assert allowed(decide, None)
        assert seen == [GOOD, OWN, "null"]

    def test_of_the_origin_and_the_environ(self) -> None:
        def decide(origin: str, environ: Any) -> bool:
            return bool(environ["allowed"] == origin)

        policy = CORSPolicy(decide, credentials=True)
        policy.check(GOOD, OWN, {"allowed": GOOD})
        with pytest.raises(RemoteProtocolError):
            policy.check(GOOD, OWN, {"allowed": OWN})

    @pytest.mark.parametrize("answer", [0, None, "", []])
    def test_whatever_is_false_refuses(self, answer: Any) -> None:
        assert not allowed(lambda origin: answer, GOOD)


class TestTheRefusal:
    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            (None, OWN),
            (GOOD, GOOD),
            ([GOOD, "http://other.example"], f"{GOOD}, http://other.example"),
            (lambda origin: False, "what the app's function allows"),
        ],
    )
    def test_it_names_both(self, policy: Any, expected: str) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            CORSPolicy(policy, credentials=True).check("http://evil.example", OWN, {})
        assert "'http://evil.example'" in caught.value.message
        assert expected in caught.value.message

    def test_what_the_client_said_is_cut_and_escaped(self) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            CORSPolicy(None, credentials=True).check("http://\r\n" + "x" * 10_000, OWN, {})
        assert len(caught.value.message) < 300
        assert "\n" not in caught.value.message


class TestHeaders:
    @pytest.mark.parametrize("policy", [None, OWN, [OWN], lambda origin: True])
    def test_of_an_origin_that_was_allowed(self, policy: Any) -> None:
        assert CORSPolicy(policy, credentials=True).headers(OWN) == [
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", OWN),
            ("Access-Control-Allow-Credentials", "true"),
        ]
        assert CORSPolicy(policy, credentials=False).headers(OWN) == [
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", OWN),
        ]
        assert CORSPolicy(policy, credentials=True).headers(None) == [("Vary", "Origin")]

    @pytest.mark.parametrize("policy", ["*", ["*", OWN]])
    def test_everybody_but_without_credentials(self, policy: Any) -> None:
        assert CORSPolicy(policy, credentials=True).headers(OWN) == [("Access-Control-Allow-Origin", "*")]
        assert CORSPolicy(policy, credentials=True).headers(None) == []

    def test_switched_off(self) -> None:
        assert CORSPolicy([], credentials=True).headers(OWN) == []

    @pytest.mark.parametrize(
        ("requested", "answer"),
        [
            (None, None),
            ("content-type, x-token", "content-type, x-token"),
            ("a\r\nSet-Cookie: b", None),
            ("é", None),
        ],
    )
    def test_preflight(self, requested: str | None, answer: str | None) -> None:
        headers = dict(CORSPolicy(None, credentials=True).preflight_headers(requested))
        assert headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
        assert headers.get("Access-Control-Allow-Headers") == answer


BROKEN = ["http://server\r\n\t.example", "http://server.example\n", "\thttp://server.example"]


@pytest.mark.parametrize("origin", BROKEN)
@pytest.mark.parametrize("policy", [None, OWN])
def test_an_origin_with_a_line_break_is_refused(policy: Any, origin: str) -> None:
    assert not allowed(policy, origin)


@pytest.mark.parametrize("origin", [*BROKEN, "http://server.example\r\nX-Evil: 1"])
def test_whatever_the_apps_function_says(origin: str) -> None:
    assert not allowed(lambda origin: True, origin)


def test_port_0_is_a_port() -> None:
    assert not allowed(None, "http://server.example:0")


@pytest.mark.parametrize(
    "origin", ["http://user@server.example", "http://server.example/path", "http://server.example?q"]
)
def test_what_is_no_origin(origin: str) -> None:
    assert not allowed(None, origin)
