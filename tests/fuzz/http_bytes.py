"""Bytes of HTTP: where a plain call is taken, a strict parser (h11) reads the same one, and that it ends there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from house import House

from isomor.server.handshake import is_well_formed
from isomor.server.plain_calls import KnownHead, PlainCall, PlainCalls

_CALL = b"POST /isomor/api/%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%b\r\n"
CANNED = [
    _CALL % (b"add", b"Content-Length: 14\r\n") + b'{"args":[1,2]}',
    b"POST /isomor/api/echo HTTP/1.1\r\nHost: localhost\r\n\r\n",
    _CALL % (b"fails", b"Connection: keep-alive\r\nContent-Length: 2\r\n") + b"{}",
    b"Content-Length: 14\r\n",
    b"Transfer-Encoding: chunked\r\n",
]


class Recording(PlainCalls):
    """Notes down what is taken."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker)
        self.taken: list[bytes] = []

    def read(self, data: bytes, start: int, trusted: bool, last: KnownHead | None) -> PlainCall | int | None:
        found = super().read(data, start, trusted, last)
        if isinstance(found, PlainCall):
            assert start < found.end <= len(data)
            self.taken.append(data[start : found.end])
        elif isinstance(found, int):
            assert found > len(data), "waits for what has come"
        return found


def pieces_of(data: bytes) -> list[bytes]:
    """The bytes to send, cut at each byte 255; one of 250 and on stands for one of CANNED."""
    expanded = b"".join(CANNED[byte - 250] if 250 <= byte < 255 else bytes([byte]) for byte in data)
    return expanded.split(b"\xff")


def check_request(raw: bytes) -> None:
    """It is one whole request, for h11 too, with nothing behind it."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(raw)
    head = reader.next_event()
    assert isinstance(head, h11.Request), head
    assert head.method == b"POST"
    assert head.http_version == b"1.1"
    assert raw.startswith(b"POST " + head.target + b" HTTP/1.1\r\n")
    body = b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    assert reader.trailing_data == (b"", False), reader.trailing_data
    assert raw.endswith(b"\r\n\r\n" + body)
    assert is_well_formed(raw.partition(b"\r\n\r\n")[0]), "Sanic's way would refuse it"
    names = [name for name, _ in head.headers]
    assert len(names) == len(set(names)), names
    assert b"transfer-encoding" not in names


def check_answers(data: bytes, count: int) -> None:
    """Just so many answers."""
    reader = h11.Connection(h11.CLIENT)
    if data:  # nothing would mean the end
        reader.receive_data(data)
    for _ in range(count):
        reader.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        reader.send(h11.EndOfMessage())
        head = reader.next_event()
        assert isinstance(head, h11.Response), head
        body = b""
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), event
        assert json.loads(body).keys() & {"result", "error"}
        reader.start_next_cycle()
    assert reader.trailing_data == (b"", False), reader.trailing_data


class Plain:
    """See the module."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.plain = Recording(house.worker)

        async def hand_over(_protocol: Any) -> None:
            """From here on it is Sanic's."""

        self.protocol = house.protocol(plain=self.plain, connection_task=hand_over)

    def __call__(self, data: bytes) -> None:
        self.house.run(self._feed(pieces_of(data)))

    async def _feed(self, pieces: list[bytes]) -> None:
        self.plain.taken.clear()
        protocol, wire = self.house.connect(self.protocol)
        for piece in pieces:
            if protocol._task is None and wire.protocol is protocol:
                wire.feed(piece)
            for _ in range(4):
                await asyncio.sleep(0)
        while protocol._call is not None:
            await asyncio.sleep(0)
        for raw in self.plain.taken:
            check_request(raw)
        if wire.protocol is protocol and not wire.closing:
            check_answers(bytes(wire.written), len(self.plain.taken))
        wire.lose()
        await asyncio.sleep(0)


def make() -> Plain:
    """The target."""
    return Plain(House())
