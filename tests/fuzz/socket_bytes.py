"""Bytes behind the handshake of a WebSocket: what comes back is well-formed, and ends with the first close frame."""

from __future__ import annotations

import asyncio
import json

from handshake_cases import request
from harness import CLOSE, PING, PONG, TEXT, frame
from house import MOST, House

_CALL = '{"action":"API","id":1,"urlPath":"/isomor/api/%s","args":%s}'
CANNED = [
    b'{"action":"PING"}',
    *((_CALL % call).encode() for call in [("add", "[1,2]"), ("echo", '["\u00e9"]'), ("fails", "[]"), ("none", "[]")]),
    *((_CALL % call).encode() for call in [("push", "[1]"), ("close", "[]"), ("add", '["x"]')]),
    b'{"action":"CANCEL","id":1}',
    b"\x03\xe8bye",
    b"x" * 125,
    b" " * MOST,
]
ACTIONS = {"API_RES", "API_ERR", "PONG", "PUSH"}


def pieces_of(data: bytes) -> list[bytes]:
    """The bytes to send.

    As they are where the first byte is even. Else the rest describes frames, of which more reaches the messages: a
    frame's first byte; one of flags (1: not masked, 2 and 4: how its length is written, 8: a piece ends behind it, 16:
    it goes byte by byte); and the size of the payload that follows, or, from 128 on, which of CANNED it is.
    """
    if not data or data[0] % 2 == 0:
        step = (data[0] >> 1 if data else 0) or len(data) + 1
        return [data[at : at + step] for at in range(1, len(data), step)]
    pieces = [b""]
    at = 1
    while at + 3 <= len(data):
        first, flags, size = data[at : at + 3]
        payload = data[at + 3 : at + 3 + size] if size < 128 else CANNED[size % len(CANNED)]
        at += 3 + (size if size < 128 else 0)
        form = (0, 16, 64, 0)[flags >> 1 & 3]
        made = frame(first & 15, payload, fin=first >= 128, rsv=first >> 4 & 7, mask=not flags & 1, form=form or None)
        if flags >> 1 & 3 == 3:
            made = made[:-1]  # a byte is missing: the next frame is read from within
        if flags & 16:
            pieces += [made[spot : spot + 1] for spot in range(len(made))] + [b""]
        else:
            pieces[-1] += made
        if flags & 8:
            pieces.append(b"")
    return pieces


def check_frames(data: bytes) -> None:
    """What a server may send (RFC 6455 section 5), of this server's messages."""
    closed = False
    while data:
        assert not closed, f"behind the close frame: {data!r}"
        first, size, at = data[0], data[1], 2
        assert first >> 4 == 8, "a fragment, or a reserved bit"
        assert size < 128, "masked"
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
            assert size > 125, "a length longer than it need be"
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
            assert size > 65_535, "a length longer than it need be"
        payload, data = data[at : at + size], data[at + size :]
        assert len(payload) == size, "a frame that is cut"
        opcode = first & 15
        if opcode == TEXT:
            assert json.loads(payload.decode())["action"] in ACTIONS
        elif opcode == CLOSE:
            closed = True
            code = int.from_bytes(payload[:2])
            assert code in range(1000, 1015) or code in range(3000, 5000), code
            assert code not in (1004, 1005, 1006, 1011), code  # 1011: a fault of ours
            payload[2:].decode()
        else:
            assert opcode in (PING, PONG), opcode
        assert opcode == TEXT or size <= 125


class Socket:
    """See the module."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.protocol = house.protocol()

    def __call__(self, data: bytes) -> None:
        self.house.run(self._feed(pieces_of(data)))

    async def _feed(self, pieces: list[bytes]) -> None:
        worker = self.house.worker
        _, wire = self.house.connect(self.protocol)
        wire.feed(request() + pieces[0] if pieces else request())
        (connection,) = worker.connections
        for piece in pieces[1:]:
            await asyncio.sleep(0)
            wire.feed(piece)
            fragments = connection._fragments
            assert fragments is None or len(fragments._raw) <= MOST
        for _ in range(4):
            await asyncio.sleep(0)
        head, end, frames = bytes(wire.written).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert end
        check_frames(frames)
        assert connection.closed or not wire.closing, "ended without a goodbye"
        wire.lose()
        await asyncio.sleep(0)
        assert not worker.connections


def make() -> Socket:
    """The target."""
    return Socket(House())
