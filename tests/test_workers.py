"""Several workers on one port, when one of them dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import wait_until
from redis_servers import RedisServer, redis_servers

STARTUP = """
import asyncio
import os
from pathlib import Path

async def startup(app) -> None:
    Path(f"starting-{os.getpid()}").touch()
    while Path("hold").exists():
        await asyncio.sleep(0.01)
"""
WHO = """
import os

async def who() -> int:
    return os.getpid()
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_servers(tmp_path / "redis") as servers:
        yield servers.server()


def test_one_that_starts_takes_no_connection_before_it_serves(serve, redis):
    server = serve({"startup.py": STARTUP, "who.py": WHO}, env={"ISOMOR_REDIS_URL": redis.url, "ISOMOR_WORKERS": "2"})
    wait_until(lambda: len({server.call("who") for _ in range(8)}) == 2, "both workers")
    first = set(server.folder.glob("starting-*"))
    (server.folder / "hold").touch()

    os.kill(server.call("who"), signal.SIGKILL)
    wait_until(lambda: set(server.folder.glob("starting-*")) - first, "another worker to start")
    # Of so many connections the kernel would give half to the one that starts; there, they would wait in vain.
    answers = {server.call("who") for _ in range(32)}
    assert len(answers) == 1

    (server.folder / "hold").unlink()
    wait_until(lambda: server.call("who") not in answers, "the new worker to serve")
