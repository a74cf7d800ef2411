"""Readers that are slow: what waits for them, when they are given up, and that nobody else notices."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from harness import PING, PONG, TEXT, RawWebSocket, Server, wait_until

API = {
    "_state.py": "pushed = 0\n",
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "size.py": "async def size(text: str) -> int:\n    return len(text)\n",
    "big.py": "async def big(size: int) -> str:\n    return 'x' * size\n",
    "join.py": """
from isomor import WsContext

async def join(ctx: WsContext, topic: str) -> None:
    await ctx.join(topic)
""",
    "publish.py": """
from isomor import push

async def publish(topic: str, number: int, size: int) -> None:
    await push([number, "x" * size], topic=topic)
""",
    "publish_burst.py": """
from isomor import push

async def publish_burst(topic: str, count: int, size: int) -> None:
    for number in range(count):
        push([number, "x" * size], topic=topic)
""",
    "burst.py": """
from isomor import WsContext

async def burst(ctx: WsContext, count: int, size: int) -> int:
    for number in range(count):
        ctx.push([number, "x" * size])
    return count
""",
    "flood.py": """
from isomor import WsContext
from . import _state

async def flood(ctx: WsContext, count: int, size: int) -> int:
    _state.pushed = 0
    for number in range(count):
        await ctx.push([number, "x" * size])
        _state.pushed = number + 1
    return count
""",
    "flood_thread.py": """
from isomor import WsContext
from . import _state

def flood_thread(ctx: WsContext, count: int, size: int) -> int:
    _state.pushed = 0
    for number in range(count):
        ctx.push([number, "x" * size]).wait()
        _state.pushed = number + 1
    return count
""",
    "turns.py": """
import asyncio
from isomor import WsContext

async def turns(ctx: WsContext, count: int, size: int) -> int:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counter = asyncio.create_task(count_turns())
    await asyncio.sleep(0)
    for _ in range(count):
        await ctx.push("x" * size)
    counter.cancel()
    return turns
""",
    "pushed.py": "from . import _state\n\nasync def pushed() -> int:\n    return _state.pushed\n",
}
LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    # No pings: the readers here are stopped, not dead.
    env = {"ISOMOR_WS": ".*", "ISOMOR_WS_MAX_OUTBOX_BYTES": str(LIMIT), "ISOMOR_WS_PING_SECONDS": "0"}
    return serve_module(API, env=env)


def send_call(ws: RawWebSocket, name: str, *args: object, call_id: int = 1) -> None:
    ws.send_json({"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": args})


def read_pushes(ws: RawWebSocket, count: int) -> list[int]:
    """The numbers of so many pushes, and of nothing else."""
    numbers = []
    while len(numbers) < count:
        message = ws.receive_json()
        assert message["action"] == "PUSH", str(message)[:200]
        numbers.append(message["payload"][0])
    return numbers


def test_a_reader_that_stops_is_given_up_and_nobody_else_notices(server):
    size = 100_000
    with server.raw_ws() as stopped, server.ws() as reader, server.ws() as caller:
        send_call(stopped, "join", "news")
        assert stopped.receive_json()["action"] == "API_RES"
        reader.call("join", "news")
        number = 0
        while "reads too slowly" not in server.log:
            assert number < 500, "it was never given up"
            caller.call("publish", "news", number, size)
            assert reader.push("news")[0] == number
            assert caller.call("add", number, 1) == number + 1
            number += 1
        caller.call("publish", "news", number, size)
        assert reader.push("news")[0] == number
        # What went out before the end is whole, in order, and the reason comes behind it.
        numbers = []
        while (received := stopped.receive()).opcode == TEXT:
            numbers.append(json.loads(received.payload)["payload"][0])
        assert numbers == list(range(len(numbers)))
        assert len(numbers) < number
        assert received.opcode == 8
        assert int.from_bytes(received.payload[:2]) == 4008
        caller.call("publish", "news", -1, 10)
        assert reader.push("news")[0] == -1


def test_a_caller_that_reads_no_answers_is_given_up(server):
    with server.raw_ws() as stopped:
        before = server.log.count("reads too slowly")
        # Each answer in a turn of its own.
        for call_id in range(200):
            send_call(stopped, "big", 100_000, call_id=call_id)
            server.call("add", 1, 2)
            if server.log.count("reads too slowly") > before:
                break
        else:
            pytest.fail("it was never given up")
        assert stopped.wait_closed() == 4008


def test_a_reader_that_stops_for_good_is_let_go(server):
    """It does not even read the goodbye."""
    stopped = server.raw_ws()
    send_call(stopped, "join", "gone")
    stopped.receive_json()
    before = server.log.count("reads too slowly")
    for number in range(500):
        server.call("publish", "gone", number, 100_000)
        if server.log.count("reads too slowly") > before:
            break
    stopped.connection.close()
    with server.ws() as ws:
        ws.call("join", "gone")
        server.call("publish", "gone", 7, 10)
        assert ws.push("gone")[0] == 7


@pytest.mark.parametrize("count", [1, 100, 3000])
def test_a_burst_within_one_turn_is_delivered(server, count):
    size = 12_000_000 // count  # far more than may wait, and than the kernel takes
    with server.raw_ws() as ws, server.ws() as other:
        for call_id in (1, 2):
            send_call(ws, "burst", count, size, call_id=call_id)
            assert other.call("add", 1, 2) == 3
            assert read_pushes(ws, count) == list(range(count))
            assert ws.receive_json() == {"action": "API_RES", "id": call_id, "payload": count}


def test_a_burst_to_a_topic_within_one_turn_is_delivered(server):
    with server.raw_ws() as one, server.raw_ws() as two:
        for ws in (one, two):
            send_call(ws, "join", "burst")
            ws.receive_json()
        server.call("publish_burst", "burst", 300, 10_000)
        assert read_pushes(one, 300) == list(range(300))
        assert read_pushes(two, 300) == list(range(300))


def test_one_answer_that_is_larger_than_the_outbox_is_delivered(server):
    with server.raw_ws() as ws, server.ws() as other:
        for call_id in range(3):
            send_call(ws, "big", 12_000_000, call_id=call_id)
            assert other.call("add", 1, 2) == 3
            assert len(ws.receive_json()["payload"]) == 12_000_000


@pytest.mark.parametrize("name", ["flood", "flood_thread"])
def test_a_push_that_is_awaited_waits_for_its_reader(server, name):
    count, size = 2000, 10_000
    with server.raw_ws() as ws, server.ws() as other:
        send_call(ws, name, count, size)
        # Stuck, well before the end: twenty calls later it has come no further.
        last = -1

        def stuck() -> bool:
            nonlocal last
            before, last = last, other.call("pushed")
            for number in range(20):
                assert other.call("add", number, 1) == number + 1
            return 0 < last == before

        wait_until(stuck, "the pushes to wait")
        assert last < count
        assert read_pushes(ws, count) == list(range(count))
        assert ws.receive_json() == {"action": "API_RES", "id": 1, "payload": count}
        send_call(ws, "add", 1, 2)
        assert ws.receive_json()["payload"] == 3


def test_who_awaits_a_push_lets_others_run(server):
    with server.ws() as ws:
        assert ws.call("turns", 500, 10_000) >= 5_000_000 // LIMIT // 2


def test_pushes_that_wait_end_with_their_connection(serve):
    server = serve(API, env={"ISOMOR_WS": ".*", "ISOMOR_WS_MAX_OUTBOX_BYTES": str(LIMIT)})
    ws = server.raw_ws()
    send_call(ws, "flood", 5000, 10_000)
    wait_until(lambda: server.call("pushed") > 0)
    ws.connection.reset()
    with server.ws() as other:
        assert other.call("add", 1, 2) == 3
    assert server.stop() == 0
    assert "ERROR" not in server.log


def test_ping_is_answered_while_pushes_wait(server):
    with server.raw_ws() as ws:
        send_call(ws, "flood", 100, 10_000)
        ws.send(PING, b"there?")
        opcodes = {ws.receive().opcode for _ in range(102)}
        assert PONG in opcodes


# ---- Memory ------------------------------------------------------------------------------------------------------


def resident(server: Server) -> int:
    """The bytes of memory that the server has."""
    status = Path(f"/proc/{server.pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    ps = subprocess.run(["ps", "-o", "rss=", "-p", str(server.pid)], capture_output=True, text=True, check=True)
    return int(ps.stdout) * 1024


@pytest.mark.parametrize("fragments", [1, 50])
def test_a_large_message_leaves_nothing_behind(serve, fragments):
    server = serve(API, env={"ISOMOR_WS": ".*", "ISOMOR_WS_TIMEOUT": "0", "ISOMOR_WS_PING_SECONDS": "0"})
    count, size = 250, 600_000
    sockets = [server.raw_ws() for _ in range(count)]
    try:
        for ws in sockets:
            send_call(ws, "add", 1, 2)
            assert ws.receive_json()["payload"] == 3
        before = resident(server)
        body = json.dumps({"action": "API", "id": 1, "urlPath": "/isomor/api/size", "args": ["x" * size]}).encode()
        piece = len(body) // fragments + 1
        parts = [body[at : at + piece] for at in range(0, len(body), piece)]
        for ws in sockets:
            for index, part in enumerate(parts):
                ws.send(TEXT if index == 0 else 0, part, fin=index == len(parts) - 1)
            assert ws.receive_json()["payload"] == size
        # All of it would be 150 MB.
        wait_until(lambda: resident(server) - before < count * size / 4, "the memory to be given back", timeout=10)
        for ws in sockets:
            send_call(ws, "add", 1, 2)
            assert ws.receive_json()["payload"] == 3
    finally:
        for ws in sockets:
            ws.connection.close()
