"""A WebSocket on which nothing comes in has no parser and no read buffer, and nobody can tell."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from harness import CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, Server, frame, wait_until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "size.py": "async def size(text: str) -> int:\n    return len(text)\n",
    "tell.py": "from isomor import push\n\nasync def tell(text: str) -> None:\n    await push(text)\n",
    "parsers.py": """
import gc

async def parsers() -> int:
    return sum(type(one).__name__ == "WSProtocol" for one in gc.get_objects())
""",
    "connections.py": """
import gc

async def connections() -> int:
    return sum(type(one).__name__ in ("WsConnection", "Peer", "Outbox", "_Asleep") for one in gc.get_objects())
""",
}
BLOCK = {"block.py": "import time\n\nasync def block() -> None:\n    time.sleep(0.2)\n"}
ENV = {"ISOMOR_WS": "add|size", "ISOMOR_WS_TIMEOUT": "0", "ISOMOR_WS_PING_SECONDS": "0"}


values = st.one_of(st.integers(-(2**31), 2**31), st.sampled_from([None, "1", 1.5, True, [], {}]))
ids = st.one_of(st.integers(0, 99), st.text(max_size=9), st.none())


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env=ENV)


def message(name: str, *args: object, call_id: int = 1) -> bytes:
    return json.dumps({"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": args}).encode()


def call(name: str, *args: object, call_id: int = 1) -> bytes:
    return frame(TEXT, message(name, *args, call_id=call_id))


def fragments(payload: bytes, at: int) -> bytes:
    return frame(TEXT, payload[:at], fin=False) + frame(CONTINUATION, payload[at:])


def result(ws: RawWebSocket) -> object:
    return ws.receive_json()["payload"]


def wake(ws: RawWebSocket) -> None:
    """Say more at once than is read without a parser."""
    ws.send_bytes(call("add", 1, 2, call_id=1) + call("add", 1, 3, call_id=2))
    assert [result(ws), result(ws)] == [3, 4]


@pytest.fixture(params=["never awake", "asleep again"])
def ws(request, server):
    """A WebSocket that is asleep."""
    with server.raw_ws() as ws:
        if request.param == "asleep again":
            ws.send_bytes(call("size", "x" * 70_000))  # what has read that much is not kept
            assert result(ws) == 70_000
        assert server.call("parsers") == 0
        yield ws
    wait_until(lambda: server.call("parsers") == 0 and server.call("connections") == 0, "all of it to be gone")


def test_what_says_nothing_has_no_parser(server):
    with ExitStack() as stack:
        sockets = [stack.enter_context(server.raw_ws()) for _ in range(20)]
        assert server.call("parsers") == 0
        for ws in sockets:
            ws.send_bytes(call("add", 1, 2))
            assert result(ws) == 3
        assert server.call("parsers") == 0  # a message that comes by itself needs none
        for ws in sockets[:5]:
            wake(ws)
        assert server.call("parsers") == 5


def test_what_says_much_has_a_parser(server):
    with server.raw_ws() as ws:
        for number in range(30):
            ws.send_bytes(call("add", number, 2))
            assert result(ws) == number + 2
        assert server.call("parsers") == 1


def test_what_only_answers_pings_is_put_to_sleep(serve):
    server = serve(API, env=ENV | {"ISOMOR_WS_PING_SECONDS": "0.5"})
    with server.raw_ws() as ws:
        wake(ws)
        assert server.call("parsers") == 1
        for _ in range(2):  # the first may have been on its way before the call
            assert ws.receive().opcode == PING
            ws.send(PONG)
        wait_until(lambda: server.call("parsers") == 0, "the parser to be gone")
        for _ in range(3):  # its pongs are heard, and do not wake it
            assert ws.receive().opcode == PING
            ws.send(PONG)
        assert server.call("parsers") == 0
        ws.send_bytes(call("add", 3, 4))
        assert result(ws) == 7
        ws.send_bytes(frame(PONG) * 5)  # which nobody has asked for
        ws.send(PING)
        assert ws.receive().opcode in (PING, PONG)
        assert server.call("parsers") == 1


def test_what_calls_now_and_then_keeps_its_parser(serve):
    server = serve(API, env=ENV | {"ISOMOR_WS_PING_SECONDS": "0.3"})
    with server.raw_ws() as ws:
        wake(ws)
        for _ in range(4):
            assert ws.receive().opcode == PING
            ws.send(PONG)
            ws.send(PING)
            assert ws.receive().opcode == PONG
            assert server.call("parsers") == 1


def test_what_is_read_at_once_is_read_to_its_end(serve):
    """Also where a message that puts it to sleep ends where a piece of the read ends that picows is handed."""
    server = serve(API | BLOCK, env=ENV | {"ISOMOR_WS": "size|add|block"})
    for total in (114_687, 114_688, 114_689):
        with server.raw_ws() as ws:
            ws.send_bytes(call("block", call_id=9))  # so that all of it comes in one read
            size = total - len(call("size", "x" * 70_000)) + 70_000
            first = call("size", "x" * size, call_id=1)
            assert len(first) == total
            ws.send_bytes(first + call("size", "y" * 60_000, call_id=2) + call("add", 1, 2, call_id=3))
            assert {result(ws) for _ in range(4)} == {None, size, 60_000, 3}


@pytest.mark.parametrize("parser", [False, True])
def test_nothing_behind_a_fault_is_called(serve, parser):
    server = serve(API | BLOCK, env=ENV | {"ISOMOR_WS": "size|add|block|called", "ISOMOR_MAX_MESSAGE_SIZE": "64KiB"})
    bad_close = frame(CLOSE, struct.pack("!H", 1005))
    for said, code in ((call("size", "x" * 100_000), 1009), (bad_close + call("add", 1, 2) * 3, 1002)):
        with server.raw_ws() as ws:
            if parser:
                wake(ws)
            ws.send_bytes(call("block", call_id=9))
            ws.send_bytes(said)
            while (received := ws.receive()).opcode == TEXT:
                assert json.loads(received.payload)["id"] == 9  # of `block`, where it has begun before that
            assert (received.opcode, received.payload[:2]) == (CLOSE, struct.pack("!H", code))


@pytest.mark.parametrize("size", [0, 1, 125])
def test_pings_are_answered(ws, size):
    ws.send(PING, b"x" * size)
    received = ws.receive()
    assert (received.opcode, received.payload) == (PONG, b"x" * size)


@pytest.mark.parametrize("size", [0, 100, 125, 126, 127, 400, 600, 70_000])
def test_messages_of_any_size_are_read(ws, size):
    text = "ü" * (size // 2) + "x" * (size % 2)
    ws.send(TEXT, json.dumps({"action": "PING", "cookie": text}, ensure_ascii=False).encode())
    assert ws.receive_json() == {"action": "PONG"}


@pytest.mark.parametrize("pongs", [b"", frame(PONG), frame(PONG, b"x"), frame(PONG) * 3])
def test_calls_are_answered(ws, pongs):
    ws.send_bytes(pongs + call("add", 1, 2, call_id=1) + call("add", 3, 4, call_id=2))
    assert [result(ws), result(ws)] == [3, 7]


def test_calls_that_come_byte_by_byte_are_answered(ws):
    ws.connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in call("add", 1, 2):
        ws.send_bytes(bytes([byte]))
    assert result(ws) == 3


def test_what_looks_like_a_pong_and_is_none_is_read(ws):
    ws.send_bytes(frame(PONG)[:5])  # not whole
    ws.send_bytes(frame(PONG)[5:] + call("add", 1, 2))
    assert result(ws) == 3


def test_fragments_are_joined_across_pongs(ws):
    whole = message("add", 1, 2)
    ws.send(TEXT, whole[:10], fin=False)
    ws.send(PONG)
    ws.send(PONG, b"x")
    ws.send(CONTINUATION, whole[10:])
    assert result(ws) == 3


@pytest.mark.parametrize("size", [70_000, 900_000])
def test_large_messages_are_read_and_leave_it_asleep(server, ws, size):
    ws.send_bytes(call("size", "x" * size))
    assert result(ws) == size
    wait_until(lambda: server.call("parsers") == 0, "the parser to be gone")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (frame(CLOSE, struct.pack("!H", 1000)), 1000),
        (frame(CLOSE), 1000),
        (frame(TEXT, b"x", mask=False), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(3, b"x"), 1002),
        (frame(PONG, rsv=2), 1002),
        (frame(PONG, mask=False), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"x" * 5000 + b"\xff"), 1007),
        (frame(2, b"x"), 1003),
        (frame(TEXT, b"", form=64)[:2] + struct.pack("!Q", 1 << 40) + b"\0\0\0\0", 1009),
    ],
)
def test_what_ends_a_connection_ends_it(ws, said, code):
    ws.send_bytes(said)
    assert ws.wait_closed() == code


def test_what_comes_after_the_goodbye_is_not_called(server, ws):
    ws.send(CLOSE, struct.pack("!H", 1000))
    ws.send_bytes(call("add", 1, 2))
    assert ws.wait_closed() == 1000


def test_pushes_reach_it(server, ws):
    server.call("tell", "hello")
    assert result(ws) == "hello"
    ws.send_bytes(call("add", 1, 2))
    assert result(ws) == 3


def test_one_that_resets_is_gone(server, ws):
    ws.connection.reset()
    wait_until(lambda: server.call("connections") == 0)


def test_one_that_says_no_more_is_gone(server, ws):
    ws.connection.socket.shutdown(socket.SHUT_WR)
    assert ws.wait_closed() == 1006
    wait_until(lambda: server.call("connections") == 0)


# What is said on a connection, and how many frames answer it. What ends the connection comes last.
said = st.one_of(
    st.builds(lambda a, b, i: (call("add", a, b, call_id=i), 1), values, values, ids),
    st.builds(lambda text, i: (call("size", text, call_id=i), 1), st.text(max_size=300), ids),
    st.builds(lambda name: (call(name), 1), st.sampled_from(["", "no_such", "tell"])),
    st.builds(lambda text: (frame(TEXT, text.encode()), 1), st.sampled_from(["", "{", "[]", "null", '{"action":"X"}'])),
    st.just((frame(TEXT, b'{"action":"PING"}'), 1)),
    st.just((frame(TEXT, b'{"action":"CANCEL","id":1}'), 0)),
    st.builds(lambda payload: (frame(PING, payload), 1), st.binary(max_size=125)),
    st.builds(lambda payload: (frame(PONG, payload), 0), st.sampled_from([b"", b"x"])),
    st.builds(lambda at: (fragments(message("add", 1, 2), at), 1), st.integers(0, 30)),
)
endings = st.one_of(
    st.builds(lambda code: frame(CLOSE, struct.pack("!H", code)), st.sampled_from([1000, 1001, 1005, 3000, 999])),
    st.builds(lambda first: bytes([first]) + b"\x80abcd", st.integers(0, 255).filter(lambda first: first & 15 != PONG)),
    st.sampled_from([frame(TEXT, b"\xff"), frame(TEXT, b"x", mask=False), frame(PONG, rsv=1), frame(2, b"x")]),
    st.builds(
        lambda opcode, rsv: frame(opcode, b"{}", rsv=rsv), st.sampled_from([TEXT, PING, PONG]), st.integers(1, 7)
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(said, max_size=10), endings)
def test_whatever_is_said_is_answered_as_by_picows(server, exchange, ending):
    asleep, awake = [play(server, exchange, ending, first) for first in (lambda ws: None, wake)]
    assert asleep == awake


def play(
    server: Server, exchange: list[tuple[bytes, int]], ending: bytes, first: Callable[[RawWebSocket], None]
) -> Any:
    """All that is answered, one after the other."""
    with server.raw_ws() as ws:
        first(ws)
        answers = []
        for data, count in exchange:
            ws.send_bytes(data)
            answers += [ws.receive() for _ in range(count)]
        ws.send_bytes(ending)
        ws.send(CLOSE, struct.pack("!H", 1000))  # where that was none
        while True:
            try:
                answers.append(ws.receive())
            except EOFError:
                return answers


def test_calls_that_come_with_the_handshake_are_answered(server):
    with server.raw() as connection:
        head = (
            "GET /isomor/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        second = call("add", 3, 4, call_id=2)
        connection.send(head.encode() + call("add", 1, 2) + second[:9])
        answer = connection.read_until(b"\r\n\r\n")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer  # of the key, in RFC 6455 section 1.3
        assert answer.startswith(b"HTTP/1.1 101 ")
        connection.send(second[9:])
        assert connection.read_until(b'"payload":7}').count(b'"payload":3}') == 1


def test_a_message_over_a_small_limit_is_refused(serve):
    server = serve(API, env=ENV | {"ISOMOR_MAX_MESSAGE_SIZE": "1KiB"})
    for size, code in ((900, None), (1100, 1009)):
        with server.raw_ws() as ws:
            ws.send(TEXT, json.dumps({"action": "PING", "cookie": "x" * size}).encode())
            if code is None:
                assert ws.receive_json() == {"action": "PONG"}
            else:
                assert ws.wait_closed() == code


def test_a_reader_that_stops_is_given_up(serve):
    server = serve(API, env=ENV | {"ISOMOR_WS_MAX_OUTBOX_BYTES": "64KiB"})
    with server.raw_ws() as ws:
        wait_until(lambda: [server.call("tell", "x" * 300_000), "too slowly" in server.log][1], "it to be given up")
        assert ws.wait_closed() == 4008


def test_it_is_told_that_the_server_restarts(serve):
    server = serve(API, env=ENV)
    with server.raw_ws() as ws, server.raw_ws() as other:
        other.send_bytes(call("add", 1, 2))
        assert result(other) == 3
        server.signal()
        assert [ws.wait_closed(), other.wait_closed()] == [1012, 1012]
        for each in (ws, other):
            each.send(CLOSE, struct.pack("!H", 1012))
        assert server.wait() == 0
