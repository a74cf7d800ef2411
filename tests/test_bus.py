"""The contract of a bus, over both twins, on both event loops."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop
from redis_servers import RedisServer, redis_servers, until

from isomor.errors import BusUnavailable
from isomor.push.bus import Bus, BusStats, LocalBus
from isomor.push.redis_bus import RedisBus

NewBus = Callable[[], Bus]
Run = Callable[[Coroutine[Any, Any, None]], None]


class Recorder:
    """A receiver that keeps everything."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.gaps: list[tuple[str, int | None]] = []

    def on_message(self, channel: str, body: bytes) -> None:
        self.messages.append((channel, body))

    def on_gap(self, channel: str, lost: int | None) -> None:
        self.gaps.append((channel, lost))

    def of(self, channel: str) -> list[bytes]:
        return [body for name, body in self.messages if name == channel]


async def checked(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a test within a time limit, and see that it leaves no task."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(60):
        await scenario
    await until(lambda: asyncio.all_tasks() == before, "the tasks to end", 5)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(scenario: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(checked(scenario))

    return run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_servers(tmp_path_factory.mktemp("redis")) as servers:
        yield servers.server()


@pytest.fixture(params=["local", "redis"])
def new_bus(request: pytest.FixtureRequest) -> NewBus:
    if request.param == "local":
        return LocalBus
    url = request.getfixturevalue("server").url
    prefix = uuid.uuid4().hex
    return lambda: RedisBus(url, prefix=prefix)


class Running:
    """`async with Running(bus) as (bus, recorder)`."""

    def __init__(self, bus: Bus, *channels: str) -> None:
        self.bus = bus
        self.recorder = Recorder()
        self.channels = channels

    async def __aenter__(self) -> tuple[Bus, Recorder]:
        await self.bus.start(self.recorder)
        for channel in self.channels:
            await self.bus.subscribe(channel)
        return self.bus, self.recorder

    async def __aexit__(self, *_: object) -> None:
        await self.bus.stop()


BODIES = [b"", b"x", bytes(range(256)), b'{"a":"\xc3\xa9"}\r\n', b"iso\x01" * 20, b"\x00" * 1_000_000]


def test_a_message_comes_back_as_it_is(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus(), "topic:color") as (bus, recorder):
            assert bus.ready
            for body in BODIES:
                await bus.publish("topic:color", body)
            await until(lambda: len(recorder.messages) == len(BODIES), "the messages")
            assert recorder.messages == [("topic:color", body) for body in BODIES]
            assert recorder.gaps == []
            stats = bus.stats()
            assert stats == BusStats(published=len(BODIES), received=len(BODIES))
        assert not bus.ready

    run(scenario())


NAMES = ["all", "topic:", "topic:a b", "topic:a\r\nb", "topic:é漢😀", "topic:{x}y", "node:1", "", "a:b:c", "*", "~x"]


def test_names_are_taken_literally(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus(), *NAMES) as (bus, recorder):
            for name in NAMES:
                await bus.publish(name, name.encode())
            await until(lambda: len(recorder.messages) == len(NAMES), "the messages")
            assert sorted(recorder.messages) == sorted((name, name.encode()) for name in NAMES)

    run(scenario())


def test_only_what_is_subscribed_arrives(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus(), "a") as (bus, recorder):
            await bus.publish("b", b"not subscribed")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages, "the message")
            await bus.unsubscribe("a")
            await bus.unsubscribe("a")
            await bus.unsubscribe("never subscribed")
            await bus.publish("a", b"left")
            await bus.subscribe("a")
            await bus.publish("a", b"2")
            await until(lambda: len(recorder.messages) == 2, "the message after joining again")
            assert recorder.messages == [("a", b"1"), ("a", b"2")]
            assert recorder.gaps == []

    run(scenario())


def test_order_is_the_order_of_the_calls(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        channels = ["a", "b", "c"]
        async with Running(new_bus(), *channels) as (bus, recorder):
            receipts = [bus.publish(channels[i % 3], b"%d" % i) for i in range(3000)]
            await asyncio.gather(*receipts)
            await until(lambda: len(recorder.messages) == 3000, "the messages")
            for offset, channel in enumerate(channels):
                assert recorder.of(channel) == [b"%d" % i for i in range(offset, 3000, 3)]

    run(scenario())


def test_many_callers_subscribe_one_channel(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus()) as (bus, recorder):
            await asyncio.gather(*(bus.subscribe("a") for _ in range(50)))
            await bus.publish("a", b"1")
            await bus.publish("a", b"2")
            await until(lambda: len(recorder.messages) >= 2, "the messages")
            assert recorder.messages == [("a", b"1"), ("a", b"2")]
            await bus.unsubscribe("a")  # once for all of them: whoever counts, counts above the bus
            await bus.subscribe("end")
            await bus.publish("a", b"3")
            await bus.publish("end", b"")
            await until(lambda: recorder.of("end"), "the end")
            assert len(recorder.of("a")) == 2

    run(scenario())


def test_joining_and_leaving_in_quick_turns(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus()) as (bus, recorder):
            for i in range(200):
                await bus.subscribe("a")
                await bus.publish("a", b"%d" % i)
                await until(lambda i=i: recorder.of("a")[-1:] == [b"%d" % i], "the message")
                await bus.unsubscribe("a")
            assert recorder.of("a") == [b"%d" % i for i in range(200)]
            assert recorder.gaps == []

    run(scenario())


def test_a_cancelled_caller_leaves_the_channel_to_the_others(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus()) as (bus, recorder):
            callers = [asyncio.ensure_future(bus.subscribe("a")) for _ in range(3)]
            await asyncio.sleep(0)
            callers[0].cancel()
            callers[2].cancel()
            await asyncio.wait(callers)
            await callers[1]
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages == [("a", b"1")], "the message")

    run(scenario())


def test_the_receiver_may_publish_and_is_never_called_within_itself(run: Run, new_bus: NewBus) -> None:
    class Echo(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.inside = 0
            self.deepest = 0

        def on_message(self, channel: str, body: bytes) -> None:
            self.inside += 1
            self.deepest = max(self.deepest, self.inside)
            super().on_message(channel, body)
            if int(body) < 2000:
                bus.publish("a", b"%d" % (int(body) + 1))
            self.inside -= 1

    bus = new_bus()

    async def scenario() -> None:
        running = Running(bus, "a")
        running.recorder = recorder = Echo()
        async with running:
            await bus.publish("a", b"1")
            await until(lambda: len(recorder.messages) == 2000, "the echoes")
            assert recorder.of("a") == [b"%d" % i for i in range(1, 2001)]
            assert recorder.deepest == 1

    run(scenario())


def test_a_failing_receiver_costs_its_message_alone(
    run: Run, new_bus: NewBus, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Recorder):
        def on_message(self, channel: str, body: bytes) -> None:
            if body == b"bad":
                raise ValueError("no good")
            super().on_message(channel, body)

    async def scenario() -> None:
        running = Running(new_bus(), "a")
        running.recorder = recorder = Failing()
        async with running as (bus, _):
            for body in (b"1", b"bad", b"2"):
                await bus.publish("a", body)
            await until(lambda: recorder.of("a") == [b"1", b"2"], "the others")
        assert "no good" in caplog.text

    run(scenario())


def test_a_bus_that_does_not_run_takes_nothing(run: Run, new_bus: NewBus, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        bus = new_bus()
        assert not bus.ready
        for _ in range(2):  # before it is started, and after it was stopped
            with pytest.raises(BusUnavailable):
                await bus.publish("a", b"")
            with pytest.raises(BusUnavailable):
                await bus.subscribe("a")
            await bus.unsubscribe("a")
            async with Running(bus, "a") as (_, recorder):
                await bus.publish("a", b"now")
                await until(lambda recorder=recorder: recorder.messages, "the message")
            await bus.stop()  # again: nothing happens
        assert not caplog.records, "nothing was left unseen"

        bus.publish("a", b"nobody awaits this")
        gc.collect()
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "not running" in caplog.text

    run(scenario())


def test_stopping_publishes_what_waits(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus(), "a") as (listener, recorder):
            # In one process the bus that publishes is the one that receives.
            bus = listener if isinstance(listener, LocalBus) else new_bus()
            if bus is not listener:
                await bus.start(Recorder())
            for i in range(1000):
                bus.publish("a", b"%d" % i)
            await bus.stop()
            await until(lambda: len(recorder.messages) == 1000, "the messages")
            assert recorder.of("a") == [b"%d" % i for i in range(1000)]

    run(scenario())


def test_a_receipt_may_be_awaited_by_many_and_late(run: Run, new_bus: NewBus) -> None:
    async def scenario() -> None:
        async with Running(new_bus(), "a") as (bus, _):
            receipt = bus.publish("a", b"1")
            await asyncio.gather(receipt, receipt, asyncio.wait_for(receipt, 5))
            await receipt
            assert receipt.done()
        failed = bus.publish("a", b"2")
        for _ in range(2):
            with pytest.raises(BusUnavailable):
                await failed

    run(scenario())
