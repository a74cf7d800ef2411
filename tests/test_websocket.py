"""The WebSocket by its RFC: what a client may send, byte by byte, and that the next one is served all the same."""

from __future__ import annotations

import json
import struct

import pytest
from harness import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, Server, frame

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "size.py": "async def size(text: str) -> int:\n    return len(text)\n",
}
MOST = 64 * 1024


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env={"ISOMOR_WS": ".*", "ISOMOR_MAX_MESSAGE_SIZE": str(MOST)})


def call(name: str, *args: object, call_id: object = 1) -> bytes:
    return json.dumps({"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": args}).encode()


def works(ws: RawWebSocket) -> None:
    """This connection still answers."""
    ws.send(TEXT, call("add", 20, 22, call_id="works"))
    assert ws.receive_json() == {"action": "API_RES", "id": "works", "payload": 42}


def next_works(server: Server) -> None:
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3


PADDED = call("add", 1, 2)
HALF = '{"action":"API","id":"é'.encode()[:-1]

WRONG_FRAMES = {
    "binary": (frame(BINARY, PADDED), 1003),
    "empty binary": (frame(BINARY), 1003),
    "binary in fragments": (frame(BINARY, b"{", fin=False), 1003),
    "not utf-8": (frame(TEXT, b'{"action":"\xff"}'), 1007),
    "half utf-8": (frame(TEXT, HALF), 1007),
    "overlong utf-8": (frame(TEXT, b'"\xc0\xaf"'), 1007),
    "surrogate in utf-8": (frame(TEXT, b'"\xed\xa0\x80"'), 1007),
    "half utf-8 in fragments": (frame(TEXT, HALF[:10], fin=False) + frame(CONTINUATION, HALF[10:]), 1007),
    "unmasked": (frame(TEXT, PADDED, mask=False), 1002),
    "unmasked ping": (frame(PING, b"x", mask=False), 1002),
    "rsv1": (frame(TEXT, PADDED, rsv=4), 1002),
    "rsv2": (frame(TEXT, PADDED, rsv=2), 1002),
    "rsv3": (frame(TEXT, PADDED, rsv=1), 1002),
    "rsv1 on a ping": (frame(PING, b"", rsv=4), 1002),
    "rsv1 on a continuation": (frame(TEXT, PADDED[:5], fin=False) + frame(CONTINUATION, PADDED[5:], rsv=4), 1002),
    **{f"opcode {code}": (frame(code, b"x"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "fragmented pong": (frame(PONG, b"x", fin=False), 1002),
    "fragmented close": (frame(CLOSE, struct.pack("!H", 1000), fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "long pong": (frame(PONG, b"x" * 126), 1002),
    "long close": (frame(CLOSE, struct.pack("!H", 1000) + b"x" * 124), 1002),
    "continuation without a start": (frame(CONTINUATION, PADDED), 1002),
    "empty continuation without a start": (frame(CONTINUATION, b"", fin=False), 1002),
    "text within a message": (frame(TEXT, b"{", fin=False) + frame(TEXT, PADDED), 1002),
    "a frame over the limit": (frame(TEXT, b" " * (MOST + 1)), 1009),
    "a frame said to be over the limit": (frame(TEXT, b" " * (MOST + 1))[:20], 1009),
    "a message over the limit": (
        frame(TEXT, b" " * MOST, fin=False) + frame(CONTINUATION, b" "),
        1009,
    ),
    "a message of many frames over the limit": (
        frame(TEXT, b" ", fin=False) + frame(CONTINUATION, b" " * 1000, fin=False) * (MOST // 1000 + 1),
        1009,
    ),
    "a length of 2^63": (b"\x81\xff" + struct.pack("!Q", 1 << 63) + b"\0\0\0\0", (1002, 1009)),
    "a length of 2^62": (b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"\0\0\0\0", 1009),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close reason that is not utf-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), (1002, 1007)),
    **{
        f"close code {code}": (frame(CLOSE, struct.pack("!H", code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("name", WRONG_FRAMES)
def test_wrong_frame_closes_with_its_code(server, name):
    data, code = WRONG_FRAMES[name]
    with server.raw_ws() as ws:
        ws.send_bytes(data)
        assert ws.wait_closed() in (code if isinstance(code, tuple) else (code,))
        ws.send(CLOSE, struct.pack("!H", 1000))
        assert ws.connection.read_to_end() == b""
    next_works(server)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_close_code_is_echoed(server, code):
    with server.raw_ws() as ws:
        ws.send(CLOSE, struct.pack("!H", code) + b"bye")
        assert ws.wait_closed() == code
        assert ws.connection.read_to_end() == b""
    next_works(server)


def test_close_without_a_code(server):
    with server.raw_ws() as ws:
        ws.send(CLOSE)
        assert ws.wait_closed() in (1000, 1005)
        assert ws.connection.read_to_end() == b""


def test_nothing_after_a_close_is_read(server):
    with server.raw_ws() as ws:
        ws.send_bytes(frame(CLOSE, struct.pack("!H", 1000)) + frame(TEXT, call("add", 1, 2)))
        assert ws.receive().opcode == CLOSE
        assert ws.connection.read_to_end() == b""
