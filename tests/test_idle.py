"""When a WebSocket that nobody uses is closed, what keeps it open, and how dead peers are found."""

from __future__ import annotations

import signal
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from harness import CLOSE, PING, PONG, Server, WebSocket, wait_until
from websockets.exceptions import ConnectionClosed

API = {
    "_gate.py": "import asyncio\n\ngate = asyncio.Event()\n",
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "hold.py": "from ._gate import gate\n\nasync def hold() -> str:\n    await gate.wait()\n    return 'held'\n",
    "release.py": "from ._gate import gate\n\nasync def release() -> None:\n    gate.set()\n",
    "push_often.py": """
import asyncio
from isomor import WsContext

async def push_often(ctx: WsContext) -> None:
    async def work() -> None:
        while True:
            await ctx.push("tick")
            await asyncio.sleep(0.05)
    ctx.spawn(work())
""",
    "spawn_silent.py": """
import asyncio
from isomor import WsContext

async def spawn_silent(ctx: WsContext) -> None:
    ctx.spawn(asyncio.sleep(3600))
""",
    "join.py": "from isomor import WsContext\n\nasync def join(ctx: WsContext) -> None:\n    await ctx.join('topic')\n",
}
ALL = {"ISOMOR_WS": ".*"}


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    """A server whose connections may idle for less than a second."""
    return serve_module(API, env=ALL | {"ISOMOR_WS_TIMEOUT": "0.7"})


@pytest.fixture(scope="module")
def patient(serve_module) -> Server:
    """A server whose connections may idle for ever, and whose pings go out often."""
    return serve_module(API, env=ALL | {"ISOMOR_WS_TIMEOUT": "0", "ISOMOR_WS_PING_SECONDS": "0.3"})


def outlive(server: Server, keep: Callable[[], object]) -> None:
    """Do `keep` again and again, until a connection that is opened now was closed for idling."""
    with server.ws() as idle:
        while True:
            keep()
            try:
                idle.socket.recv(timeout=0.05)
            except TimeoutError:
                continue
            except ConnectionClosed:
                break
        assert idle.socket.close_code == 4000


def test_an_idle_connection_is_closed(server):
    with server.ws() as ws, server.ws("/") as other:
        assert ws.call("add", 1, 2) == 3
        assert ws.wait_closed() == 4000
        assert other.wait_closed() == 4000
        assert not ws.inbox
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3


def test_many_that_are_due_at_once_are_closed_for_idling_and_for_nothing_else(serve):
    server = serve(API, env=ALL | {"ISOMOR_WS_TIMEOUT": "0.0001"})
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    head += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with ExitStack() as stack:
        server.signal(signal.SIGSTOP)  # so that it lets all of them in within few turns of its loop
        connections = [stack.enter_context(server.raw()) for _ in range(100)]
        for connection in connections:
            connection.send(head)
        server.signal(signal.SIGCONT)
        for connection in connections:
            assert connection.response("GET").status == 101
            assert connection.read(4)[2:] == struct.pack("!H", 4000)


def test_a_ping_keeps_it_open(server):
    with server.ws() as ws:
        outlive(server, ws.ping)
        assert ws.call("add", 1, 2) == 3
        assert ws.wait_closed() == 4000


def test_messages_that_are_wrong_keep_it_open_too(server):
    with server.ws() as ws:

        def keep() -> None:
            ws.send("x")
            assert ws.receive()["code"] == "BAD_MESSAGE"

        outlive(server, keep)
        assert ws.call("add", 1, 2) == 3


def test_pushes_keep_it_open(server):
    with server.ws() as ws:
        ws.call("push_often")
        outlive(server, lambda: ws.push())
        assert ws.call("add", 1, 2) == 3


def test_a_running_call_keeps_it_open(server):
    with server.ws() as ws:
        call_id = ws.send_call("hold")
        outlive(server, lambda: None)
        outlive(server, lambda: None)
        server.call("release")
        assert ws.result(call_id) == "held"
        assert ws.call("add", 1, 2) == 3
        assert ws.wait_closed() == 4000


def test_what_is_spawned_and_joined_does_not_keep_it_open(server):
    with server.ws() as ws:
        ws.call("spawn_silent")
        ws.call("join")
        assert ws.wait_closed() == 4000


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_frames_of_the_protocol_do_not_keep_it_open(server, opcode):
    with server.raw_ws() as ws:
        closed = threading.Event()

        def keep() -> None:
            while not closed.wait(0.05):
                ws.send(opcode, b"x")

        thread = threading.Thread(target=keep)
        thread.start()
        try:
            assert ws.wait_closed() == 4000
        finally:
            closed.set()
            thread.join()


def test_a_timeout_of_zero_is_never(server, patient):
    with patient.ws() as ws, patient.ws("/") as other:
        outlive(server, lambda: None)
        outlive(server, lambda: None)
        assert ws.call("add", 1, 2) == 3
        assert other.call("add", 1, 2) == 3


def test_a_peer_that_answers_no_ping_is_dropped(patient):
    with patient.ws() as living, patient.raw_ws() as dead, patient.raw_ws() as late:
        late.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/add", "args": [1, 2]})
        assert dead.wait_closed() == 1006
        assert living.call("add", 1, 2) == 3  # its client answers pings by itself
        assert late.wait_closed() == 1006


def test_a_peer_that_answers_pings_is_kept(patient):
    with patient.raw_ws() as ws:
        for _ in range(5):
            received = ws.receive()
            assert received.opcode == PING
            ws.send(PONG, received.payload)
        ws.send_json({"action": "PING"})
        assert ws.receive_json() == {"action": "PONG"}


def test_a_peer_that_says_anything_else_is_kept(patient):
    with patient.raw_ws() as ws:
        for _ in range(5):
            assert ws.receive().opcode == PING
            ws.send_json({"action": "PING"})
            assert ws.receive_json() == {"action": "PONG"}


def test_a_dead_peer_ends_as_any_other(serve):
    server = serve(API, env=ALL | {"ISOMOR_WS_PING_SECONDS": "0.2", "ISOMOR_CANCEL_ON_DISCONNECT": "true"})
    ws = server.raw_ws()
    ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/hold"})
    assert ws.wait_closed() == 1006
    ws.connection.close()
    with WebSocket(server.ws_url + "/isomor/ws") as other:
        assert other.call("add", 1, 2) == 3
    assert "ERROR" not in server.log


def test_after_the_close_for_idling_the_peer_may_take_its_time(server):
    with server.raw_ws() as ws:
        assert ws.wait_closed() == 4000
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/add", "args": [1, 2]})
        ws.send(CLOSE, struct.pack("!H", 4000))
        assert ws.connection.read_to_end() == b""  # what came after the goodbye was not called
    wait_until(lambda: server.call("add", 1, 2) == 3)
