"""What holds for any bytes, and beside an implementation that is not ours."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate as TheirDeflate

from flask_realtime.protocol.websocket import (
    Closed,
    DeflateParameters,
    PerMessageDeflate,
    State,
    WebSocketConnection,
    encode_frame,
)
from flask_realtime.protocol.websocket.masking import unmask

messages = st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=8)
offers = st.sampled_from(
    [
        None,
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    ]
)


def ours(params: DeflateParameters | None = None, max_message_size: int = 2000) -> WebSocketConnection:
    return WebSocketConnection(
        max_message_size=max_message_size,
        max_fragments=8,
        deflate=None if params is None else PerMessageDeflate(params),
    )


def theirs(params: DeflateParameters | None = None) -> Connection:
    """wsproto's client with the same parameters."""
    if params is None:
        return Connection(ConnectionType.CLIENT)
    extension = TheirDeflate()
    extension.finalize(params.response_value())
    return Connection(ConnectionType.CLIENT, [extension])


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """The data in pieces of these sizes, and the rest."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [*pieces, data[start:]]


def received(conn: WebSocketConnection, pieces: Iterable[bytes]) -> list[str | bytes | Closed]:
    return [item for piece in pieces for item in conn.receive_data(piece)]


@st.composite
def streams(draw: st.DrawFn, client: Connection, sent: list[str | bytes]) -> bytes:
    """The messages as wsproto sends them: fragmented at random, pings in between."""
    data = b""
    for message in sent:
        pieces = draw(st.lists(st.integers(0, 100), max_size=4))
        start = 0
        for size in pieces:
            data += client.send(fragment(message[start : start + size], finished=False))
            start += size
            if draw(st.booleans()):
                data += client.send(Ping(b"ping"))
        data += client.send(fragment(message[start:], finished=True))
    return data


def fragment(part: str | bytes, *, finished: bool) -> TextMessage | BytesMessage:
    if isinstance(part, str):
        return TextMessage(part, message_finished=finished)
    return BytesMessage(part, message_finished=finished)


@given(st.data(), messages, offers, st.lists(st.integers(1, 80), max_size=40))
def test_what_wsproto_sends(
    data: st.DataObject, sent: list[str | bytes], offer: str | None, sizes: list[int]
) -> None:
    params = DeflateParameters.negotiate(offer)
    client, server = theirs(params), ours(params)
    stream = data.draw(streams(client, sent)) + client.send(CloseConnection(code=4000, reason="bye"))
    assert received(server, cut(stream, sizes)) == [*sent, Closed(4000, "bye", True)]
    client.receive_data(server.data_to_send())
    events = [event for event in client.events() if not isinstance(event, Pong)]
    assert events == [CloseConnection(code=4000, reason="")]


@given(messages, offers, st.integers(1, 300))
def test_what_wsproto_receives(sent: list[str | bytes], offer: str | None, size: int) -> None:
    params = DeflateParameters.negotiate(offer)
    client, server = theirs(params), ours(params)
    stream = b"".join(
        server.encode_text(message.encode()) if isinstance(message, str) else server.encode_binary(message)
        for message in sent
    )
    server.close(1001, "going")
    stream += server.data_to_send()
    parts: list[str | bytes] = []
    whole: list[str | bytes] = []
    for piece in filter(None, cut(stream, [size] * (len(stream) // size))):
        client.receive_data(piece)
        for event in client.events():
            if isinstance(event, CloseConnection):
                assert (event.code, event.reason) == (1001, "going")
                assert server.receive_data(client.send(event.response())) == [Closed(1001, "going", True)]
                continue
            assert isinstance(event, (TextMessage, BytesMessage))
            parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                whole.append(joined(parts))
                parts.clear()
    assert whole == sent
    assert server.state is State.CLOSED


def joined(parts: list[str | bytes]) -> str | bytes:
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else b"".join(part for part in parts if isinstance(part, bytes))


# -- any bytes ---------------------------------------------------------------------

lengths = st.sampled_from(
    [b"\x80", b"\x81", b"\x83", b"\xfd", b"\xfe\x00\x80", b"\xff" + bytes(6) + b"\xff\xff"]
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame that is right in most respects."""
    first = draw(
        st.sampled_from([0x81, 0x81, 0x82, 0x01, 0x02, 0x80, 0x80, 0x00, 0x89, 0x8A, 0x88, 0xC1, 0x41])
    )
    payload = draw(st.binary(max_size=150) | st.text(max_size=40).map(str.encode))
    if first == 0x88:
        payload = draw(st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8ok", b"\x0f\xa0", b"\x03", b"\x03\xed"]))
    head = encode_frame(first & 0x0F, payload)[: -len(payload) or None]
    mask = draw(st.binary(min_size=4, max_size=4))
    return bytes((first, head[1] | 0x80)) + head[2:] + mask + unmask(payload, mask)


junk = st.lists(frames() | st.binary(max_size=20) | lengths, max_size=8).map(b"".join)


@given(junk, st.booleans(), st.lists(st.integers(1, 50), max_size=20))
@settings(max_examples=1000)
@example(b"\x81\x80", False, [])
@example(b"\x83", False, [])
def test_any_bytes_whole_or_in_pieces(data: bytes, deflate: bool, sizes: list[int]) -> None:
    params = DeflateParameters() if deflate else None
    runs = []
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))], cut(data, sizes)):
        conn = ours(params, max_message_size=300)
        runs.append((received(conn, pieces), conn.state, conn.data_to_send()))
    assert runs[0] == runs[1] == runs[2]
    results, state, outgoing = runs[0]
    assert all(isinstance(item, (str, bytes)) for item in results[:-1])
    assert (state is State.CLOSED) == bool(results and isinstance(results[-1], Closed))
    assert all(len(item) <= 300 for item in results if not isinstance(item, Closed))
    assert len(outgoing) <= 2 * 127
