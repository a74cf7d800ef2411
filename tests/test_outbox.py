"""When what is queued for connections is written: at the end of the turn, or in slices where many get it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from harness import Server

from isomor.server import outbox
from isomor.server.outbox import Flusher, Outbox

LIMIT = 1 << 20
STEP = outbox._STEP


class Reader:
    def too_slow(self) -> None:
        raise AssertionError("nobody is too slow here")


class Peer:
    """An outbox, and the far end of its socket."""

    def __init__(self, far: socket.socket, queue: Outbox) -> None:
        self.far = far
        self.outbox = queue

    def read(self) -> bytes:
        """What has been written up to now."""
        try:
            return self.far.recv(1 << 20)
        except BlockingIOError:
            return b""


def run(count: int, test: Callable[[Flusher, list[Peer]], Awaitable[None]]) -> None:
    """Run `test` with so many peers, in slices of one step."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        flusher = Flusher(loop)
        peers = []
        for _ in range(count):
            near, far = socket.socketpair()
            far.setblocking(False)
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
            peers.append(Peer(far, Outbox(transport, flusher, LIMIT, Reader())))
        await test(flusher, peers)
        for peer in peers:
            peer.outbox.stream.close()
            peer.far.close()
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.fixture(autouse=True)
def slices_of_one_step(monkeypatch):
    """However fast the machine is."""
    monkeypatch.setattr(outbox, "_SLICE", 0)
    monkeypatch.setattr(outbox, "_LONGEST_SLICE", 0)


def test_what_many_get_is_written_in_slices_and_in_their_order():
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        for peer in peers:
            peer.outbox.add_shared(b"a")
        written = []
        for _ in range(4):
            await asyncio.sleep(0)
            written.append(sum(bool(peer.read()) for peer in peers))
        assert written == [STEP, STEP, 8, 0]

    run(2 * STEP + 8, test)


def test_slices_take_half_of_the_time_where_all_else_takes_long(monkeypatch):
    monkeypatch.setattr(outbox, "_LONGEST_SLICE", 100)
    clock = [0.0]
    monkeypatch.setattr(outbox, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        original = outbox.write

        def write(*args: Any) -> None:
            clock[0] += 1
            original(*args)

        monkeypatch.setattr(outbox, "write", write)
        for peer in peers:
            peer.outbox.add_shared(b"a")
        written = []
        for pause in (0, 3 * STEP, 0, 1000):
            clock[0] += pause
            await asyncio.sleep(0)
            written.append(sum(bool(peer.read()) for peer in peers))
        # A step at least; as long as all else took; a step; at most the limit.
        assert written == [STEP, 3 * STEP, STEP, -(-100 // STEP) * STEP]
        clock[0] += 1000
        await asyncio.sleep(0)

    run(13 * STEP, test)


def test_what_one_gets_waits_for_nobody():
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        for peer in peers:
            peer.outbox.add_shared(b"a")
        await asyncio.sleep(0)
        peers[-1].outbox.add(b"b")
        peers[-2].outbox.add(b"c")
        await asyncio.sleep(0)
        # What was queued before is written with it, in its order.
        assert [peer.read() for peer in peers[-3:]] == [b"", b"ac", b"ab"]

    run(4 * STEP, test)


def test_what_is_queued_meanwhile_shares_a_write():
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        writes: list[bytes] = []
        original = outbox.write

        def write(transport: asyncio.Transport, number: int, data: bytes, behind: int) -> None:
            writes.append(data)
            original(transport, number, data, behind)

        outbox.write = write
        try:
            for number in range(4):
                for peer in peers:
                    peer.outbox.add_shared(b"%d" % number)
                await asyncio.sleep(0)
            for _ in range(8):
                await asyncio.sleep(0)
        finally:
            outbox.write = original
        assert [peer.read() for peer in peers] == [b"0123"] * len(peers)
        assert len(writes) < 3 * len(peers)

    run(4 * STEP, test)


def test_what_is_large_waits_for_no_slice():
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        half = b"x" * (outbox._TURN // 2 + 1)
        for peer in peers:
            peer.outbox.add_shared(half)
        await asyncio.sleep(0)
        assert not peers[-1].read()
        for peer in peers:
            peer.outbox.add_shared(half)
        await asyncio.sleep(0)
        assert all(peer.read() for peer in peers)
        await asyncio.sleep(0)
        assert not flusher._shared  # nothing is left behind of what was written out of turn

    run(2 * STEP, test)


def test_what_is_closed_meanwhile_gets_nothing():
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        for peer in peers:
            peer.outbox.add_shared(b"a")
        await asyncio.sleep(0)
        peers[-1].outbox.close()
        for _ in range(4):
            await asyncio.sleep(0)
        assert [peer.read() for peer in peers[-2:]] == [b"a", b""]

    run(2 * STEP, test)


def test_one_that_fails_does_not_keep_others_from_theirs(caplog):
    async def test(flusher: Flusher, peers: list[Peer]) -> None:
        frame: Any = "no bytes"
        peers[0].outbox.add_shared(frame)
        peers[0].outbox.add_shared(frame)
        peers[1].outbox.add_shared(b"a")
        await asyncio.sleep(0)
        assert peers[1].read() == b"a"
        await asyncio.sleep(0)
        assert peers[0].outbox.stream.is_closing()

    run(2, test)
    assert "writing to a connection failed" in caplog.text


API = {
    "join.py": "from isomor import WsContext\n\nasync def join(ctx: WsContext) -> None:\n    await ctx.join('topic')\n",
    "turns.py": """
import asyncio
from isomor import push

async def turns(count: int) -> None:
    for number in range(count):
        push(number, topic="topic")
        await asyncio.sleep(0)
""",
}


def test_every_push_arrives_once_and_in_order_at_each_of_many(serve):
    server: Server = serve(API, env={"ISOMOR_WS": "join"})
    sockets = [server.raw_ws() for _ in range(300)]
    try:
        for ws in sockets:
            ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/join"})
        for ws in sockets:
            assert ws.receive_json()["id"] == 1
        server.call("turns", 200)
        for ws in sockets:
            assert [ws.receive_json()["payload"] for _ in range(200)] == list(range(200))
    finally:
        for ws in sockets:
            ws.connection.close()
