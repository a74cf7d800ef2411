"""Clients that ask for much, read nothing, and do what could make the server wait for them for ever."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from harness import Server, wait_until

API = {
    "big.py": "async def big(size: int) -> str:\n    return 'x' * size\n",
    "startup.py": """
async def startup(app):
    app.config.KEEP_ALIVE_TIMEOUT = 1
    app.config.RESPONSE_TIMEOUT = 1
""",
}
PLAIN, BY_SANIC = "application/json", "application/json;charset=utf-8 "


@pytest.fixture(scope="module")
def server(serve_module: Any) -> Server:
    return serve_module(API, env={"ISOMOR_SERVER_HEAD_TIMEOUT": "1", "ISOMOR_SERVER_REQUEST_TIMEOUT": "1"})


@pytest.fixture
def clients(server: Server) -> Iterator[Any]:
    """Make connections that read nothing, and in the end see that the server keeps none of them."""
    server.http.get("/health/live")
    before = descriptors(server)
    with ExitStack() as stack:

        def make(data: bytes) -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((server.host, server.port))
            client.sendall(data)
            return client

        yield make
        assert server.http.get("/health/live").status_code == 200
        wait_until(lambda: descriptors(server) <= before, "the server to let go of them")


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def post(server: Server, size: int, kind: str = PLAIN) -> bytes:
    body = json.dumps({"args": [size]}).encode()
    head = f"POST /isomor/api/big HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_who_is_refused_a_websocket(server, clients):
    upgrade = (
        f"GET /isomor/ws HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nOrigin: http://evil.example\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    # Of some of these the system takes all but a little, which then waits in the server as the upgrade comes.
    for calls in range(150, 230, 3):
        clients(post(server, 15_000) * calls + upgrade)


@pytest.mark.parametrize("kind", [PLAIN, BY_SANIC])
def test_who_says_no_more(server, clients, kind):
    for _ in range(3):
        client = clients(post(server, 20_000_000, kind))
        client.recv(1)  # the answer is on its way
        client.shutdown(socket.SHUT_WR)


def test_who_says_a_little_now_and_then(server, clients):
    before = descriptors(server)
    waiting = [clients(post(server, 20_000_000, BY_SANIC) * 2) for _ in range(3)]

    def gone() -> bool:
        for client in waiting:
            with suppress(OSError):
                client.send(b"P")
        return descriptors(server) <= before

    wait_until(gone, "the server to let go of them meanwhile")
