"""The bus over Redis on a bad network, with a slow Redis, a blocked loop, and many channels."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_deployment import Deployment, Traffic, account, run
from redis_servers import Network, Servers, redis_servers, until

from isomor.push.redis_bus import RedisBus


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with redis_servers(tmp_path) as servers:
        yield servers


# A bad network, a slow Redis, a blocked loop.


def test_a_connection_that_is_open_on_one_side(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Network(server.port) as network, Deployment(server.url) as deployment:
            publisher, _ = await deployment.bus()
            deployment.url = network.url
            listener, recorder = await deployment.bus("a")
            traffic = Traffic(publisher, "a")
            await traffic.more(100)
            network.open.clear()
            await until(lambda: not listener.ready, "it to notice")
            await traffic.more(100)
            network.open.set()
            await until(lambda: listener.ready, "healing")
            await traffic.more(100)
            sent = await traffic.stop()
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            account(recorder, "a", sent)

    run(scenario())


def test_only_the_subscriber_is_half_open(servers: Servers) -> None:
    """The writer works and confirms the probe; it does not come back: the subscriber is built anew."""

    async def scenario() -> None:
        server = servers.server()
        async with Network(server.port) as network, Deployment(network.url) as deployment:
            listener, recorder = await deployment.bus("a")
            await listener.publish("a", b"0")
            await until(lambda: recorder.messages, "the first message")
            network.mute_oldest()  # the subscriber connects before the writer
            await until(lambda: listener.stats().rebuilds and listener.ready, "a new connection")
            await listener.publish("a", b"1")
            await until(lambda: recorder.of("a")[-1] == b"1", "the message")
            assert ("a", None) in recorder.gaps

    run(scenario())


def test_a_slow_redis_loses_nothing(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Network(server.port, delay=0.1) as network, Deployment(network.url, probe_deadline=2) as deployment:
            listener, recorder = await deployment.bus("a")
            traffic = Traffic(listener, "a")
            await traffic.more(40)
            server("CLIENT", "PAUSE", 1000)
            await traffic.more(40)
            sent = await traffic.stop()
            await until(lambda: len(recorder.messages) == sent, "all")
            assert account(recorder, "a", sent) == 0
            assert listener.stats().rebuilds == 0
            assert not recorder.gaps

    run(scenario())


def test_a_blocked_loop_is_no_outage(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url, outage_buffer_seconds=0.5, probe_deadline=0.3) as deployment:
            bus, recorder = await deployment.bus("a")
            for turn in range(2):
                receipt = bus.publish("a", b"%d" % turn)
                await asyncio.sleep(0.02 * turn)
                time.sleep(1.0)  # somebody's function holds the loop, for longer than every deadline
                await receipt
            await until(lambda: len(recorder.messages) == 2, "the messages")
            assert bus.ready
            assert bus.stats().rebuilds == 0
            assert not recorder.gaps

    run(scenario())


def test_the_output_buffer_overruns(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server("--client-output-buffer-limit", "pubsub 1mb 512kb 1")
        async with Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a")

            def flood() -> None:
                async def publish() -> None:
                    async with deployment.__class__(server.url, **deployment.options) as other:
                        bus, _ = await other.bus()
                        for turn in range(20):
                            body = b"%d" % turn + b" " * 400_000
                            await asyncio.gather(*(bus.publish("a", body) for _ in range(3)))
                        await bus.publish("a", b"after the flood")

                with asyncio.Runner() as runner:
                    runner.run(publish())

            await listener.publish("a", b"first")
            await until(lambda: recorder.messages, "the first message")
            flooding = threading.Thread(target=flood)
            flooding.start()
            flooding.join()  # the loop is blocked, so nothing is read meanwhile
            await until(lambda: listener.stats().rebuilds and listener.ready, "healing")
            assert ("a", None) in recorder.gaps
            assert len(recorder.messages) < 62
            await listener.publish("a", b"last")
            await until(lambda: recorder.of("a")[-1] == b"last", "the last message")
            print(f"output buffer overrun: {len(recorder.messages) - 2} of 61 arrived, and a gap was told")

    run(scenario())


# Many.


def test_every_bus_sees_the_same_order(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        channels = [f"topic:{i}" for i in range(5)]
        async with Deployment(server.url) as deployment:
            buses = [await deployment.bus(*channels) for _ in range(4)]

            async def push(bus: RedisBus, name: str) -> None:
                for i in range(200):
                    await bus.publish(channels[i % 5], f"{name}-{i}".encode())

            await asyncio.gather(
                *(push(bus, f"{index}-{pusher}") for index, (bus, _) in enumerate(buses) for pusher in range(5))
            )
            total = 4 * 5 * 200
            for _, recorder in buses:
                await until(lambda recorder=recorder: len(recorder.messages) == total, "all messages")
            for channel in channels:
                first, *others = [recorder.of(channel) for _, recorder in buses]
                assert len(set(first)) == len(first) == total / 5
                assert all(other == first for other in others)
            assert all(bus.stats().repeats == bus.stats().lost == 0 for bus, _ in buses)

    run(scenario())


def test_ten_thousand_channels_leave_nothing(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            bus, recorder = await deployment.bus()
            names = [f"topic:{i}" for i in range(10_000)]
            started = time.monotonic()
            await asyncio.gather(*(bus.subscribe(name) for name in names))
            joined = time.monotonic()
            assert len(server("PUBSUB", "CHANNELS")) == 10_001
            await asyncio.gather(*(bus.publish(name, b"1") for name in names))
            await until(lambda: len(recorder.messages) == 10_000, "the messages")
            for name in names:
                await bus.unsubscribe(name)
            await until(lambda: len(server("PUBSUB", "CHANNELS")) == 1, "Redis to forget them")
            print(f"10,000 channels joined in {joined - started:.2f} s, left in {time.monotonic() - joined:.2f} s")
            subscriptions, (node,) = bus._subscriptions, bus._nodes.values()
            assert len(subscriptions) == subscriptions.bases == 0
            subscriber = node.subscriber
            assert not subscriber._wanted
            assert not subscriber._dirty
            await until(lambda: not subscriber._asked, "the last acknowledgements")
            assert not subscriber._open
            assert len(subscriber._on_wire) == 0
            assert bus.stats().buffered_bytes == 0
            assert not node.lane.queue
            assert not node.lane.flight

    run(scenario())


def test_throughput(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            bus, recorder = await deployment.bus("a")
            total = 20_000
            started = time.monotonic()
            await asyncio.gather(*(bus.publish("a", b"x" * 100) for _ in range(total)))
            sent = time.monotonic()
            await until(lambda: len(recorder.messages) == total, "all messages")
            received = time.monotonic()
            print(f"published {total / (sent - started):,.0f}/s, received at {total / (received - started):,.0f}/s")

    run(scenario())
