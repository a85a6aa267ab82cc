from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_realtime.protocol.websocket.deflate import DeflateParameters
from flask_realtime.protocol.websocket.handshake import (
    Handshake,
    HandshakeError,
    accept_key,
    check_handshake,
    is_upgrade,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": KEY,
}


def lookup(**changes: str | None) -> Callable[[str], str | None]:
    headers = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return lambda name: headers.get(name.lower())


def test_accept_key_of_the_rfc() -> None:
    # RFC 6455, section 1.3
    assert accept_key(KEY) == ACCEPT


def test_good_handshake() -> None:
    assert check_handshake("GET", lookup()) == Handshake(ACCEPT)


@pytest.mark.parametrize(
    "changes",
    [
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
        {"connection": "keep-alive, Upgrade"},
        {"connection": "UPGRADE"},
        {"content_length": "0"},
        {"content_length": ""},
        {"sec_websocket_version": " 13 "},
    ],
)
def test_forms_that_are_accepted(changes: dict[str, str]) -> None:
    assert check_handshake("GET", lookup(**changes)).accept == ACCEPT


@pytest.mark.parametrize(
    ("method", "changes", "status", "message"),
    [
        ("POST", {}, 405, "GET"),
        ("get", {}, 405, "GET"),
        ("GET", {"upgrade": None}, 400, "Upgrade must be websocket, not None"),
        ("GET", {"upgrade": "h2c"}, 400, "Upgrade"),
        ("GET", {"upgrade": "websocket2"}, 400, "Upgrade"),
        ("GET", {"connection": None}, 400, "Connection"),
        ("GET", {"connection": "keep-alive"}, 400, "Connection"),
        ("GET", {"sec_websocket_version": None}, 426, "Version"),
        ("GET", {"sec_websocket_version": "8"}, 426, "Version must be 13, not '8'"),
        ("GET", {"sec_websocket_version": "13, 8"}, 426, "Version"),
        ("GET", {"sec_websocket_version": "١٣"}, 426, "Version"),
        ("GET", {"sec_websocket_key": None}, 400, "Key"),
        ("GET", {"sec_websocket_key": ""}, 400, "Key"),
        ("GET", {"sec_websocket_key": KEY[:-2]}, 400, "Key"),
        ("GET", {"sec_websocket_key": f"{KEY}, {KEY}"}, 400, "Key"),
        ("GET", {"sec_websocket_key": KEY + "\n"}, 400, "Key"),
        ("GET", {"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZR=="}, 400, "Key"),  # stray bits
        ("GET", {"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQA="}, 400, "Key"),  # 17 bytes
        ("GET", {"sec_websocket_key": "dGhlIHNhbXBsZSBub25-_Q=="}, 400, "Key"),  # another alphabet
        ("GET", {"content_length": "5"}, 400, "body"),
        ("GET", {"content_length": "-1"}, 400, "body"),
        ("GET", {"transfer_encoding": "chunked"}, 400, "body"),
    ],
)
def test_refusals(method: str, changes: dict[str, str | None], status: int, message: str) -> None:
    with pytest.raises(HandshakeError, match=message) as caught:
        check_handshake(method, lookup(**changes))
    assert caught.value.status == status


def test_refused_version_names_ours() -> None:
    with pytest.raises(HandshakeError) as caught:
        check_handshake("GET", lookup(sec_websocket_version="7"))
    assert dict(caught.value.headers) == {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}


def test_refused_method_names_the_allowed_one() -> None:
    with pytest.raises(HandshakeError) as caught:
        check_handshake("PUT", lookup())
    assert (caught.value.code, caught.value.headers) == (2, (("Allow", "GET"),))


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(HandshakeError) as caught:
        check_handshake("GET", lookup(upgrade="x" * 10_000))
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("websocket", True),
        ("WEBSOCKET", True),
        ("h2c ,\tWebSocket", True),
        ("h2c", False),
        ("", False),
        (None, False),
    ],
)
def test_is_upgrade(value: str | None, expected: bool) -> None:
    assert is_upgrade(lookup(upgrade=value)) is expected


def test_deflate_is_off_by_default() -> None:
    headers = lookup(sec_websocket_extensions="permessage-deflate")
    assert check_handshake("GET", headers).deflate is None
    assert check_handshake("GET", headers, deflate=True).deflate is not None
    assert check_handshake("GET", lookup(), deflate=True).deflate is None


def test_response() -> None:
    assert Handshake(ACCEPT).response([("Set-Cookie", "io=é; Path=/")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Set-Cookie: io=\xe9; Path=/\r\n"
        b"\r\n"
    )


def test_response_with_deflate() -> None:
    response = Handshake(ACCEPT, DeflateParameters()).response()
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" in response


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nb"),
        ("X", "a\rb"),
        ("X", "a\nb"),
        ("X", "a\0b"),
        ("X\r\nY", "a"),
        ("X\n", "a"),
        ("X\0", "a"),
        ("X: Y", "a"),
        ("", "a"),
        ("X", "€"),
    ],
)
def test_response_refuses_what_is_no_header(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        Handshake(ACCEPT).response([(name, value)])
