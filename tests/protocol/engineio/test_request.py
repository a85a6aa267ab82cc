"""The query string of Engine.IO requests."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_realtime.protocol.engineio.request import EngineRequest, ErrorCode, parse_request
from flask_realtime.protocol.errors import RemoteProtocolError

TRANSPORTS = ("polling", "websocket")


@pytest.mark.parametrize(
    ("method", "query_string", "transport", "sid"),
    [
        ("GET", "EIO=4&transport=polling", "polling", None),
        ("GET", "EIO=4&transport=websocket", "websocket", None),
        (
            "GET",
            "transport=polling&t=N8hyd6w&EIO=4&sid=lv_VI97HAXpY6yYW-AAC",
            "polling",
            "lv_VI97HAXpY6yYW-AAC",
        ),
        ("POST", "EIO=4&transport=polling&sid=a", "polling", "a"),
        ("GET", "EIO=4&transport=polling&sid=" + "a" * 64, "polling", "a" * 64),
        ("GET", "%45IO=%34&transport=pollin%67", "polling", None),
    ],
)
def test_requests_in_order(method: str, query_string: str, transport: str, sid: str | None) -> None:
    request = parse_request(method, query_string, transports=TRANSPORTS)
    assert (request.method, request.transport, request.sid) == (method, transport, sid)


def test_other_parameters_are_kept() -> None:
    request = parse_request(
        "GET", "EIO=4&transport=polling&token=a%20b&x=1&x=2&empty=", transports=TRANSPORTS
    )
    assert request.query == {"EIO": "4", "transport": "polling", "token": "a b", "x": "2", "empty": ""}


def test_the_same_again_is_the_same_again() -> None:
    for _ in range(2):
        request = parse_request("GET", "EIO=4&transport=websocket", transports=TRANSPORTS)
        assert request == EngineRequest("GET", "websocket", None, {"EIO": "4", "transport": "websocket"})
        with pytest.raises(RemoteProtocolError):
            parse_request("POST", "EIO=4&transport=websocket", transports=TRANSPORTS)
        with pytest.raises(RemoteProtocolError):
            parse_request("GET", "EIO=4&transport=websocket", transports=("polling",))
        with pytest.raises(RemoteProtocolError):
            parse_request("GET", "EIO=4&EIO=4&transport=websocket", transports=TRANSPORTS)


def test_a_request_is_frozen_and_small() -> None:
    request = EngineRequest("GET", "polling", None, {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.sid = "x"  # type: ignore[misc]
    assert not hasattr(request, "__dict__")


@pytest.mark.parametrize(
    ("method", "query_string", "code", "message"),
    [
        ("GET", "", 0, "Transport unknown"),
        ("GET", "EIO=4", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=abc", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=Polling", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=polling,websocket", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=polling&sid=", 1, "Session ID unknown"),
        ("GET", "EIO=4&transport=polling&sid=a%0Ab", 1, "Session ID unknown"),
        ("GET", "EIO=4&transport=polling&sid=abc%0A", 1, "Session ID unknown"),
        ("GET", "EIO=4&transport=polling&sid=é", 1, "Session ID unknown"),
        ("GET", "EIO=4&transport=polling&sid=" + "a" * 65, 1, "Session ID unknown"),
        ("POST", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("PUT", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("HEAD", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("PUT", "EIO=4&transport=polling&sid=a", 3, "Bad request: method 'PUT'"),
        ("get", "EIO=4&transport=polling&sid=a", 3, "Bad request: method 'get'"),
        (
            "GET",
            "EIO=4&transport=polling&j=0",
            3,
            "Bad request: JSONP polling (parameter 'j') is not supported",
        ),
        ("GET", "EIO=4&transport=polling&sid=a&sid=a", 3, "Bad request: more than one parameter 'sid'"),
        ("GET", "EIO=4&EIO=4&transport=polling", 3, "Bad request: more than one parameter 'EIO'"),
        ("GET", "EIO=4&transport=a&transport=polling", 3, "Bad request: more than one parameter 'transport'"),
        ("GET", "EIO=4&transport=polling" + "&a=1" * 200, 3, "Bad request: too many query parameters"),
        ("GET", "transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=3&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=44&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=%D9%A4&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "eio=4&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "transport=polling&sid=a", 5, "Unsupported protocol version"),
    ],
)
def test_refusals(method: str, query_string: str, code: int, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request(method, query_string, transports=TRANSPORTS)
    assert (caught.value.status, caught.value.code, caught.value.message) == (400, code, message)


def test_a_transport_that_is_switched_off_is_unknown() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_request("GET", "EIO=4&transport=websocket", transports=["polling"])
    assert caught.value.code == ErrorCode.TRANSPORT_UNKNOWN


@given(st.text(), st.text("=&;%+EIOtransporsid4 jé\x00"))
def test_any_query_string_is_a_request_or_a_refusal(method: str, noise: str) -> None:
    for query_string in (noise, "EIO=4&transport=polling&" + noise):
        try:
            parse_request(method, query_string, transports=TRANSPORTS)
        except RemoteProtocolError as error:
            refusal = error
        else:
            continue
        assert refusal.status == 400
        assert refusal.code in list(ErrorCode)


@given(
    st.one_of(
        st.text("aT=&.-_%+;é \0", max_size=12),
        st.lists(st.sampled_from(["a=1", "b=", "=", "c", "a=x%20y", "d=é", "t=p.1_-", "1=2"])).map("&".join),
    )
)
def test_a_plain_query_string_is_split_as_any_other(text: str) -> None:
    query_string = "EIO=4&transport=polling&" + text
    request = parse_request("GET", query_string, transports=TRANSPORTS)
    assert request.query == dict(parse_qsl(query_string, keep_blank_values=True))
