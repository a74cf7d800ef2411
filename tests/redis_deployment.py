"""Buses over real servers, and traffic through them: what the tests of the Redis bus have in common."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from redis_servers import until
from test_bus import Recorder, checked

from isomor.errors import BusUnavailable
from isomor.push.redis_bus import RedisBus


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(checked(scenario))


class Deployment:
    """Buses of one prefix, stopped with the test."""

    def __init__(self, url: str | tuple[str, ...], **options: Any) -> None:
        self.url = url
        self.options = {
            "prefix": uuid.uuid4().hex,
            "probe_interval": 0.1,
            "probe_deadline": 0.5,
            "outage_buffer_seconds": 20.0,
            **options,
        }
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> Deployment:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def bus(self, *channels: str, ready: bool = True, **options: Any) -> tuple[RedisBus, Recorder]:
        bus, recorder = RedisBus(self.url, **{**self.options, **options}), Recorder()
        self.stack.push_async_callback(bus.stop)
        await bus.start(recorder)
        assert bus.ready == ready
        for channel in channels:
            await bus.subscribe(channel)
        return bus, recorder


def account(recorder: Recorder, channel: str, sent: int) -> int:
    """Each of 0 … sent-1 came at most once, in order; the known gaps add up to what is missing: how many."""
    got = [int(body) for body in recorder.of(channel)]
    assert got == sorted(set(got)), "once, in order"
    assert got[-1] == sent - 1
    missing = sent - len(got)
    assert sum(lost or 0 for name, lost in recorder.gaps if name == channel) == missing
    return missing


class Traffic:
    """Publishes 0, 1, 2 … to a channel until told to stop; every receipt is awaited."""

    def __init__(self, bus: RedisBus, channel: str) -> None:
        self.bus = bus
        self.channel = channel
        self.sent = 0
        self.failed = 0
        self._stop = False
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while not self._stop:
            receipts = []
            for _ in range(20):
                receipts.append(self.bus.publish(self.channel, b"%d" % self.sent))
                self.sent += 1
            for receipt in receipts:
                try:
                    await receipt
                except BusUnavailable:
                    self.failed += 1
            await asyncio.sleep(0.001)

    async def more(self, count: int) -> None:
        """So many more have been published."""
        target = self.sent + count
        await until(lambda: self.sent >= target, f"{count} more messages")

    async def stop(self) -> int:
        """Publish a last one that arrives: how many there were."""
        self._stop = True
        await self._task
        await self.bus.publish(self.channel, b"%d" % self.sent)
        self.sent += 1
        return self.sent
