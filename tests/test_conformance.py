"""The WebSocket by RFC 6455: every case of the table, and what takes its time or many bytes.

The table is `websocket_cases.py`; `docs/websocket-conformance.md` shows it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from conformance import CASES, ENV, PAGE, Runner, failures, handshake_failures, page
from harness import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, RawWebSocket, Server, frame, wait_until
from websocket_cases import API, HELLO, Case

# A server that waits for a tenth of the time that it would wait, and tells what it holds.
IMPATIENT = API | {
    "startup.py": "from isomor.server import connection\n\nconnection.CLOSE_SECONDS = 1\n",
    "memory.py": """
import resource

async def memory() -> int:
    \"\"\"The most that this process has held, in KiB.\"\"\"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
""",
    "push_much.py": """
from isomor import WsContext

async def push_much(ctx: WsContext, size: int) -> None:
    ctx.push("x" * size)
""",
}


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env=ENV)


@pytest.fixture(scope="module")
def impatient(serve_module) -> Server:
    return serve_module(IMPATIENT, env=ENV)


@pytest.fixture
def runner(server) -> Iterator[Runner]:
    runner = Runner(server)
    yield runner
    runner.close()


@pytest.mark.parametrize("group", CASES)
def test_every_case(runner, group):
    assert failures(runner, group) == []
    assert "Traceback" not in runner.server.log


def test_every_handshake(runner):
    assert handshake_failures(runner) == []


def test_a_case_that_fails_is_told(runner):
    wrong = [
        Case("0.1", "another answer", "", ((frame(PING, b"a"),),), (Frame(PONG, b"b"),)),
        Case("0.2", "one answer too many", "", ((frame(PING, b"a") * 2,),), (Frame(PONG, b"a"),), 1000),
        Case("0.3", "another code", "", ((frame(3),),), (), 1000),
        Case("0.4", "a close", "", ((frame(3),),)),
    ]
    for case in wrong:
        assert case.number in runner.run(case)


def test_the_page_is_current():
    assert PAGE.read_text() == page(), "`make conformance` writes it"


# ---- What takes its time ---------------------------------------------------------------------------------------------


def ended(ws: RawWebSocket) -> bool:
    """Whether the server has closed the connection, be it in order or by a reset; nothing is sent to find out."""
    return ws.connection.read_to_end() == b""


def open_connections(server: Server) -> int:
    text = server.http.get("/metrics").text
    line = next(line for line in text.splitlines() if line.startswith("isomor_connections "))
    return int(float(line.split()[1]))


def test_a_peer_that_never_answers_the_close_is_cut(impatient):
    with impatient.raw_ws() as ws:
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/hang_up", "args": [4321, "so long"]})
        assert ws.receive() == Frame(CLOSE, struct.pack("!H", 4321) + b"so long")
        ws.send(PING, b"ignored")
        ws.send(TEXT, HELLO)
        assert ended(ws)


def test_a_peer_that_sends_on_after_a_fault_reads_the_close_and_is_cut(impatient):
    """What it sends is read for nothing: it is neither kept nor answered, and does not reset the connection."""
    before = impatient.call("memory")
    with impatient.raw_ws() as ws:
        ws.send_bytes(frame(TEXT, HELLO, rsv=1))
        ws.connection.socket.settimeout(5)
        with suppress(OSError):
            for _ in range(400):
                ws.send_bytes(frame(CONTINUATION, b"x" * 500_000, fin=False))
        assert ws.receive().payload[:2] == struct.pack("!H", 1002)
        assert ended(ws)
    assert impatient.call("memory") - before < 30_000


def test_a_message_that_is_too_big_is_refused_while_it_comes(impatient):
    before = impatient.call("memory")
    with impatient.raw_ws() as ws:
        ws.send_bytes(b"\x81\xff" + struct.pack("!Q", 1 << 40) + b"\0\0\0\0")
        for _ in range(100):  # a reset while it is sending would lose the close frame
            ws.send_bytes(b"x" * 500_000)
        assert ws.receive().payload[:2] == struct.pack("!H", 1009)
        assert ended(ws)
    assert impatient.call("memory") - before < 30_000


def test_pings_of_a_peer_that_reads_nothing_are_not_answered_for_ever(impatient):
    before = impatient.call("memory")
    with impatient.raw_ws() as ws:
        pings = frame(PING, b"x" * 125) * 10_000
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                ws.connection.send(pings)
        wait_until(lambda: open_connections(impatient) == 0, "the connection to be cut")
    assert impatient.call("memory") - before < 30_000


@pytest.mark.parametrize("opcode", [CLOSE, 3])
def test_a_peer_that_reads_nothing_does_not_stay(impatient, opcode):
    """Neither after its own close nor after a fault: what waits for it would wait for ever."""
    with impatient.raw_ws() as ws:
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/push_much", "args": [30_000_000]})
        ws.connection.read(1)  # so that it has begun
        wait_until(lambda: open_connections(impatient) == 1)
        ws.send(opcode, struct.pack("!H", 1000))
        wait_until(lambda: open_connections(impatient) == 0, "the connection to be cut")


def test_a_peer_that_ends_the_connection_without_a_close(impatient):
    for data in (b"", frame(TEXT, HELLO), frame(TEXT, HELLO, fin=False), frame(TEXT, HELLO)[:5]):
        with impatient.raw_ws() as ws:
            ws.send_bytes(data)
            wait_until(lambda: open_connections(impatient) == 1)
            ws.connection.socket.shutdown(socket.SHUT_WR)
            assert ws.wait_closed() == 1006
    wait_until(lambda: open_connections(impatient) == 0)
    assert "Traceback" not in impatient.log
