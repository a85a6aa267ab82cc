"""What is sent, encoded once."""

from __future__ import annotations

import pytest
from engine_driver import EngineClient, MakeWorld
from wsproto.frame_protocol import FrameProtocol

from flask_realtime.protocol.engineio.payload import decode_payload
from flask_realtime.server.message import CLOSE, NOOP, PING, Message


@pytest.mark.parametrize(
    ("message", "size", "packets", "payload", "frames"),
    [
        (Message.of(b"4hello"), 6, 1, b"4hello", ["4hello"]),
        (Message.of(b"4"), 1, 1, b"4", ["4"]),
        (Message.of(None, (b"\x00\xff",)), 2, 1, b"bAP8=", [b"\x00\xff"]),
        (Message.of(None, (b"",)), 0, 1, b"b", [b""]),
        (Message.of(None, (b"a", b"b")), 2, 2, b"bYQ==\x1ebYg==", [b"a", b"b"]),
        (
            Message.of("451-é".encode(), (b"a", b"")),
            7,
            3,
            "451-é".encode() + b"\x1ebYQ==\x1eb",
            ["451-é", b"a", b""],
        ),
        (Message.of(b"4" + b"x" * 70_000), 70_001, 1, b"4" + b"x" * 70_000, ["4" + "x" * 70_000]),
        (PING, 1, 1, b"2", ["2"]),
        (NOOP, 1, 1, b"6", ["6"]),
        (CLOSE, 1, 1, b"1", ["1"]),
    ],
    ids=lambda value: None,
)
def test_wire_forms(
    message: Message, size: int, packets: int, payload: bytes, frames: list[str | bytes]
) -> None:
    assert (message.size, message.packets) == (size, packets)
    assert message.payload_part == payload
    assert len(decode_payload(payload, max_packets=10)) == packets
    reader = FrameProtocol(client=True, extensions=[])
    reader.receive_bytes(message.ws_frame)
    read = [(frame.payload, frame.message_finished) for frame in reader.received_frames()]
    assert [type(p)(p) for p, _ in read] == frames
    assert all(finished for _, finished in read)


def test_wire_forms_are_computed_once() -> None:
    message = Message.of(b"4hello", (b"x",))
    assert message.ws_frame is message.ws_frame
    assert message.payload_part is message.payload_part


def test_a_broadcast_is_one_object_for_all(make_world: MakeWorld) -> None:
    world = make_world()
    clients = [EngineClient.polling(world).connect() for _ in range(5)]
    for client in clients:
        client.keep_polling = False
    world.server.emit("release", [])
    world.settle()
    world.server.emit("n", [1])
    messages = [client.session.outbox.messages for client in clients]
    assert len({id(queued[0]) for queued in messages}) == 1
    assert all(len(queued) == 1 for queued in messages)
