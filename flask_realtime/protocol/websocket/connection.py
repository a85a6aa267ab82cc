"""A WebSocket connection after its handshake, RFC 6455, sections 5 to 8.

Bytes go in, messages come out, and bytes that want to be sent. There are no
objects for messages or frames: most frames of a Socket.IO client are small
texts that arrive whole, and they are read in one short loop.

::

                 close()                 the client's Close
        OPEN ────────────▶ CLOSING ────────────────────────▶ CLOSED
          └── the client's Close, a failure, the end of file ──▲
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from flask_realtime.protocol.errors import RemoteProtocolError

from .deflate import PerMessageDeflate, max_deflated_size
from .fragments import FragmentedMessage
from .frames import (
    CONTROL,
    FIN,
    MASKED,
    MAX_CONTROL_PAYLOAD,
    OPCODES,
    RSV,
    RSV1,
    CloseCode,
    Opcode,
    check_control,
    decode_close,
    decode_utf8,
    encode_close,
    encode_frame,
    header_size,
    payload_length,
)
from .masking import unmask

MIN_DEFLATE_SIZE: Final = 64
"""Bytes. Shorter messages are sent as they are: compressing costs more than it saves."""

# Plain ints: the hot path compares with them, and an enum's members are slow to look up.
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_CONTINUATION: Final = int(Opcode.CONTINUATION)
_WHOLE_TEXT: Final = FIN | _TEXT


class State(Enum):
    """How far the closing handshake has gone (section 7)."""

    OPEN = "open"
    CLOSING = "closing"
    """Our Close frame is queued or sent, the client's has not come yet."""
    CLOSED = "closed"


_OPEN: Final = State.OPEN
_CLOSING: Final = State.CLOSING
_CLOSED: Final = State.CLOSED


class Closed(NamedTuple):
    """The connection is over. Nothing is read any more.

    :param code: the close code (section 7.1.5): the client's, or that of the
        failure; 1005 where the client named none, 1006 without a Close frame.
    :param reason: the client's reason, or a sentence about the failure.
    :param clean: the client began or answered the closing handshake.
    """

    code: int
    reason: str
    clean: bool


Received: TypeAlias = str | bytes | Closed


class WebSocketConnection:
    """The server's side of one connection.

    :param max_message_size: bytes. Longer messages, as sent or as inflated, close
        the connection with 1009. A frame's header decides, before its payload is
        buffered.
    :param max_fragments: more fragments in a message close it with 1008.
    :param deflate: the agreed compression, or None.
    """

    __slots__ = (
        "_buffer",
        "_deflate",
        "_fragments",
        "_max_fragments",
        "_max_message_size",
        "_needed",
        "accepts_frames",
        "outgoing",
        "state",
    )

    def __init__(
        self, *, max_message_size: int, max_fragments: int = 1024, deflate: PerMessageDeflate | None = None
    ) -> None:
        self.state: State = _OPEN
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._deflate = deflate
        # The beginning of a frame, and the length from which on more of it can be read.
        self._buffer: bytearray | None = None
        self._needed = 0
        self._fragments: FragmentedMessage | None = None
        #: May a frame that was encoded once for many clients be written as it is?
        #:
        #: RFC 7692, section 6, lets every message be uncompressed, so it always may.
        #: But an application that switched compression on wants its broadcasts
        #: compressed too: then they have to come through :meth:`encode_text`.
        self.accepts_frames: bool = deflate is None
        #: what :meth:`data_to_send` will give: one Pong at most, then one Close at most, so it is bounded,
        #: whatever the client does
        self.outgoing: bytes = b""

    # -- what goes out ---------------------------------------------------------

    def encode_text(self, payload: bytes) -> bytes:
        """The frame of a text message for this client.

        Where compression was agreed on, every frame has to be written, in the
        order of encoding. After our Close frame nothing may be written (section
        5.5.1): ``state`` says so.
        """
        return self._encode(_TEXT, payload)

    def encode_binary(self, payload: bytes) -> bytes:
        """The frame of a binary message for this client, like :meth:`encode_text`."""
        return self._encode(_BINARY, payload)

    def _encode(self, opcode: int, payload: bytes) -> bytes:
        if self._deflate is None or len(payload) < MIN_DEFLATE_SIZE:
            return encode_frame(opcode, payload)
        return encode_frame(opcode, self._deflate.compress(payload), rsv1=True)

    def data_to_send(self) -> bytes:
        """The Pong and the Close frame that wait to be sent; each is given out once."""
        outgoing = self.outgoing
        if outgoing:
            self.outgoing = b""
        return outgoing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake, unless it has begun.

        :raises ValueError: the code must not be sent.
        """
        if self.state is _OPEN:
            self.outgoing += encode_close(code, reason)
            self.state = _CLOSING

    # -- what comes in ---------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Received]:
        """Read what the client sent.

        :param data: any piece of its stream.
        :return: the messages that are whole now, in order, texts as ``str``, binary
            ones as ``bytes``, and at the end perhaps one :class:`Closed`. While
            CLOSING they are messages that the client sent before it knew.
        """
        results: list[Received] = []
        if self.state is _CLOSED:
            return results
        if self._buffer is not None:
            data = self._rejoin(self._buffer, data)
        pos = 0 if self._fragments is not None else self._read_small_texts(data, results)
        if pos < len(data):
            try:
                self._read_frames(data, pos, results)
            except RemoteProtocolError as error:
                results.append(self._fail(error))
        return results

    def receive_eof(self) -> list[Closed]:
        """The client's stream has ended: 1006, unless the connection was over before."""
        if self.state is _CLOSED:
            return []
        # 7.1.5: "If _The WebSocket Connection is Closed_ and no Close control frame was
        # received", the code is 1006.
        return [self._end(Closed(int(CloseCode.ABNORMAL), "", False))]

    def _rejoin(self, buffer: bytearray, data: bytes) -> bytes:
        """The buffered beginning with what follows, or nothing as long as it is too short."""
        buffer += data
        if len(buffer) < self._needed:
            return b""
        self._buffer = None
        return bytes(buffer)

    def _read_small_texts(self, data: bytes, results: list[Received]) -> int:
        """The fast path: whole uncompressed texts of up to 125 bytes.

        :return: where it stopped, at a frame of any other kind. Whatever is wrong
            with that one is found out by :meth:`_read_frames`.
        """
        pos, end, limit = 0, len(data), self._max_message_size
        while pos + 6 <= end and data[pos] == _WHOLE_TEXT:
            # Without the mask bit this is 128 or more.
            length = data[pos + 1] ^ MASKED
            start = pos + 6
            stop = start + length
            if length > MAX_CONTROL_PAYLOAD or length > limit or stop > end:
                break
            try:
                results.append(unmask(data[start:stop], data[pos + 2 : start]).decode())
            except UnicodeDecodeError:
                break
            pos = stop
        return pos

    def _read_frames(self, data: bytes, pos: int, results: list[Received]) -> None:
        """Read all whole frames from ``pos`` on and keep the rest."""
        end = len(data)
        while pos < end and self.state is not _CLOSED:
            size = self._frame_size(data, pos, end - pos)
            if size > end - pos:
                self._buffer = bytearray(data[pos:])
                self._needed = size
                return
            self._read_frame(data, pos, pos + size, results)
            pos += size

    def _frame_size(self, data: bytes, pos: int, available: int) -> int:
        """How many bytes the frame at ``pos`` has, or are needed to go on reading its header.

        A frame that breaks a rule is refused as soon as its header shows it.
        """
        if available < 2:
            return 2
        first, second = data[pos], data[pos + 1]
        self._check_frame(first, second)
        size = header_size(second)
        if available < size:
            return size
        length = payload_length(data, pos)
        if not first & CONTROL:
            self._check_size(first, length)
        return size + length

    def _check_frame(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        # 5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the
        # WebSocket Connection_."
        if opcode not in OPCODES:
            raise RemoteProtocolError(f"frame with unknown opcode {opcode}")
        # 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
        if not second & MASKED:
            raise RemoteProtocolError("frame is not masked")
        # 5.2: RSV "MUST be 0 unless an extension is negotiated that defines meanings".
        # RFC 7692, 6: RSV1 only on the first fragment of a message, never on a control frame.
        allowed = RSV1 if self._deflate is not None and opcode in (_TEXT, _BINARY) else 0
        if first & RSV & ~allowed:
            raise RemoteProtocolError("frame with reserved bits that were not negotiated")
        if opcode & CONTROL:
            check_control(first, second)
        else:
            self._check_sequence(opcode)

    def _check_sequence(self, opcode: int) -> None:
        # 5.4: fragments of one message must not be interleaved with those of another.
        if opcode == _CONTINUATION:
            if self._fragments is None:
                raise RemoteProtocolError("continuation frame without a message to continue")
        elif self._fragments is not None:
            raise RemoteProtocolError("new message inside a fragmented one")

    def _check_size(self, first: int, length: int) -> None:
        """10.4: limits "on frame size and total message size after reassembly"."""
        limit = self._max_message_size
        fragments = self._fragments
        compressed = first & RSV1
        if fragments is not None:
            length += len(fragments.data)
            compressed = fragments.compressed
            if fragments.count >= self._max_fragments:
                raise RemoteProtocolError(
                    f"message has more than {self._max_fragments} fragments",
                    close_code=CloseCode.POLICY_VIOLATION,
                )
        if length > (max_deflated_size(limit) if compressed else limit):
            raise RemoteProtocolError(
                f"message is longer than {limit} bytes", close_code=CloseCode.MESSAGE_TOO_BIG
            )

    def _read_frame(self, data: bytes, pos: int, stop: int, results: list[Received]) -> None:
        """Read the frame that stands whole between ``pos`` and ``stop``."""
        first = data[pos]
        start = pos + header_size(data[pos + 1])
        payload = unmask(data[start:stop], data[start - 4 : start])
        if first & CONTROL:
            self._receive_control(first & 0x0F, payload, results)
        elif first & FIN and self._fragments is None:
            results.append(self._message(first & 0x0F, bool(first & RSV1), payload))
        else:
            self._receive_fragment(first, payload, results)

    def _message(self, opcode: int, compressed: bool, payload: bytes) -> str | bytes:
        if compressed and self._deflate is not None:
            payload = self._deflate.decompress(payload, self._max_message_size)
        return decode_utf8(payload) if opcode == _TEXT else payload

    def _receive_fragment(self, first: int, payload: bytes, results: list[Received]) -> None:
        fragments = self._fragments
        if fragments is None:
            fragments = self._fragments = FragmentedMessage(first & 0x0F, bool(first & RSV1))
        fragments.add(payload)
        if first & FIN:
            self._fragments = None
            results.append(self._message(fragments.opcode, fragments.compressed, bytes(fragments.data)))

    def _receive_control(self, opcode: int, payload: bytes, results: list[Received]) -> None:
        if opcode == Opcode.CLOSE:
            results.append(self._receive_close(*decode_close(payload)))
        # 5.5.3: an endpoint "MAY elect to send a Pong frame for only the most recently
        # processed Ping frame". After our Close frame the client reads no more (1.4).
        elif opcode == Opcode.PING and self.state is _OPEN:
            self.outgoing = encode_frame(Opcode.PONG, payload)

    def _receive_close(self, code: int, reason: str) -> Closed:
        # 5.5.1: "If an endpoint receives a Close frame and did not previously send a Close
        # frame, the endpoint MUST send a Close frame in response" and "typically echos the
        # status code it received."
        if self.state is _OPEN:
            self.outgoing += encode_close(code)
        return self._end(Closed(code, reason, True))

    def _fail(self, error: RemoteProtocolError) -> Closed:
        """7.1.7: _Fail the WebSocket Connection_, with a Close frame that says why."""
        if self.state is _OPEN:
            self.outgoing += encode_close(error.close_code, error.message)
        return self._end(Closed(int(error.close_code), error.message, False))

    def _end(self, closed: Closed) -> Closed:
        self.state = _CLOSED
        self._buffer = self._fragments = None
        return closed
