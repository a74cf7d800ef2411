"""The bus over Redis when things go wrong: servers that are cut off, frozen, killed; nothing lost but what must be."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port
from redis_deployment import Deployment, Traffic, account, run
from redis_servers import Network, Servers, redis_servers, until

from isomor.errors import BusUnavailable


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with redis_servers(tmp_path) as servers:
        yield servers


# Connections cut.


def test_the_subscriber_is_cut_in_the_middle_of_traffic(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a", "quiet")
            publisher, _ = await deployment.bus()
            traffic = Traffic(publisher, "a")
            for _ in range(5):
                await traffic.more(300)
                before = listener.stats().rebuilds
                server.cut(subscribers=True)
                await until(lambda before=before: listener.stats().rebuilds > before and listener.ready, "healing")
            await traffic.more(300)
            sent = await traffic.stop()
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            missing = account(recorder, "a", sent)
            assert listener.stats().lost == missing
            # A second acknowledgement is a gap of unknown size, on the channel where nothing was published, too.
            assert recorder.gaps.count(("quiet", None)) == 5
            assert recorder.gaps.count(("a", None)) == 5
            assert "subscribed again" in caplog.text
            print(f"subscriber cut 5 times: {sent} sent, {missing} lost, all counted")

    run(scenario())


def test_the_writer_is_cut_eight_times_and_nothing_is_lost(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a", "b")
            publisher, _ = await deployment.bus()
            total, cuts = 30_000, 0
            receipts = []
            started = time.monotonic()
            for i in range(total):
                receipts.append(publisher.publish("ab"[i % 2], b"%d" % (i // 2)))
                if i % 50 == 49:
                    await asyncio.sleep(0)
                if i % 3000 == 1500 and cuts < 8:
                    while not await asyncio.to_thread(server.cut, subscribers=False):
                        pass  # just connecting
                    cuts += 1
            await asyncio.gather(*receipts)
            seconds = time.monotonic() - started
            await until(lambda: len(recorder.messages) == total, "all messages")
            for channel in ("a", "b"):
                assert recorder.of(channel) == [b"%d" % i for i in range(total // 2)]
            stats = listener.stats()
            assert stats.lost == 0
            assert not recorder.gaps
            assert cuts == 8
            print(f"writer cut 8 times in {seconds:.1f} s: {total} sent, 0 lost, {stats.repeats} repeats dropped")

    run(scenario())


def test_what_redis_has_but_could_not_confirm_is_sent_again_and_dropped(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Network(server.port) as network, Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a")
            deployment.url = network.url
            publisher, _ = await deployment.bus()
            for turn in range(5):
                network.answers.clear()
                receipts = [publisher.publish("a", b"%d" % (turn * 100 + i)) for i in range(100)]
                await until(lambda turn=turn: len(recorder.messages) > turn * 100, "Redis to have them")
                network.cut()
                network.answers.set()
                await asyncio.gather(*receipts)
            await until(lambda: recorder.of("a")[-1] == b"499", "the last message")
            assert recorder.of("a") == [b"%d" % i for i in range(500)]
            assert not recorder.gaps
            assert listener.stats().repeats >= 5
            print(f"outcome unknown 5 times: 500 sent, 0 lost, {listener.stats().repeats} repeats dropped")

    run(scenario())


def test_both_are_cut_at_random_for_a_while(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            listeners = [await deployment.bus("a") for _ in range(2)]
            traffic = Traffic((await deployment.bus())[0], "a")
            for turn in range(12):
                await traffic.more(100)
                server.cut(subscribers=turn % 2 == 0)
            await until(lambda: all(bus.ready for bus, _ in listeners), "healing")
            await traffic.more(100)
            sent = await traffic.stop()
            assert traffic.failed == 0
            for _, recorder in listeners:
                await until(lambda recorder=recorder: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
                account(recorder, "a", sent)

    run(scenario())


# Redis away.


def test_redis_is_killed_and_started_again(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a")
            publisher, _ = await deployment.bus()
            traffic = Traffic(publisher, "a")
            await traffic.more(300)
            server.kill()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            server.start()
            await until(lambda: listener.ready and publisher.ready, "healing")
            await traffic.more(300)
            sent = await traffic.stop()
            assert traffic.failed == 0
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            missing = account(recorder, "a", sent)
            assert ("a", None) in recorder.gaps
            print(f"Redis restarted: {sent} sent, {missing} lost, all counted")

    run(scenario())


def test_redis_is_frozen_for_longer_than_the_deadline(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            listener, recorder = await deployment.bus("a")
            publisher, _ = await deployment.bus()
            traffic = Traffic(publisher, "a")
            await traffic.more(200)
            server.freeze()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            rebuilt = publisher.stats().rebuilds
            joining = asyncio.ensure_future(listener.subscribe("b"))
            await until(lambda: publisher.stats().buffered_bytes, "something to wait")
            server.thaw()
            await until(lambda: listener.ready and publisher.ready, "healing")
            await joining
            await publisher.publish("b", b"0")
            sent = await traffic.stop()
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1) and recorder.of("b"), "the last message")
            account(recorder, "a", sent)
            assert traffic.failed == 0
            assert publisher.stats().rebuilds >= rebuilt

    run(scenario())


def test_redis_is_frozen_for_fifteen_seconds_with_the_defaults(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        defaults = {"probe_interval": 1.0, "probe_deadline": 3.0, "outage_buffer_seconds": 5.0}
        async with Deployment(server.url, **defaults) as deployment:
            listener, recorder = await deployment.bus("a")
            publisher, _ = await deployment.bus()
            await publisher.publish("a", b"0")
            frozen = asyncio.get_running_loop().time()
            server.freeze()
            sent = 1
            receipts = []
            deaf_after = None
            # A message every quarter of a second; time itself is what is waited for here.
            while (passed := asyncio.get_running_loop().time() - frozen) < 15:
                receipts.append(publisher.publish("a", b"%d" % sent))
                sent += 1
                if deaf_after is None and not listener.ready:
                    deaf_after = passed
                await asyncio.sleep(0.25)
            assert not listener.ready
            assert not publisher.ready
            server.thaw()
            await until(lambda: listener.ready and publisher.ready, "healing")
            receipts.append(publisher.publish("a", b"%d" % sent))
            sent += 1
            outcomes = await asyncio.gather(*receipts, return_exceptions=True)
            failed = sum(isinstance(outcome, BusUnavailable) for outcome in outcomes)
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            missing = account(recorder, "a", sent)
            # What failed may have arrived all the same: Redis had it in its socket when it was frozen.
            assert 0 < missing <= failed
            print(
                f"frozen 15 s: deaf after {deaf_after:.1f} s, {sent} sent, {failed} failed, {missing} lost and counted"
            )

    run(scenario())


def test_redis_is_down_at_start(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server(start=False)
        server.port = free_port()
        async with Deployment(server.url) as deployment:
            bus, recorder = await deployment.bus(ready=False)
            joining = asyncio.ensure_future(bus.subscribe("a"))
            waiting = bus.publish("b", b"nobody hears this, and it is published")
            server.start()
            await joining
            await waiting
            await until(lambda: bus.ready, "healing")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages == [("a", b"1")], "the message")
        assert "trying again" in caplog.text
        assert "is back" in caplog.text or caplog.get_records("call")

    run(scenario())


def test_what_waits_too_long_fails_and_is_counted_as_lost(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url, outage_buffer_seconds=0.5) as deployment:
            publisher, _ = await deployment.bus()
            listener, recorder = await deployment.bus("known", "new")
            await publisher.publish("known", b"0")
            await until(lambda: recorder.messages, "the first")
            server.freeze()
            receipts = [publisher.publish(channel, b"1") for _ in range(7) for channel in ("known", "new")]
            for receipt in receipts[:-2]:
                with pytest.raises(BusUnavailable, match=r"within 0\.5 s"):
                    await receipt
            with pytest.raises(BusUnavailable, match="not confirmed the subscription"):
                await listener.subscribe("late")
            del receipts, receipt  # two that nobody has awaited
            gc.collect()
            assert sum("was not published" in record.getMessage() for record in caplog.records) == 2
            assert publisher.stats().buffered_bytes == 0
            assert publisher.stats().failed == 14
            server.thaw()
            await until(lambda: publisher.ready and listener.ready, "healing")
            await publisher.publish("known", b"2")
            await publisher.publish("new", b"2")
            await until(lambda: ("known", b"2") in recorder.messages and ("new", b"2") in recorder.messages, "these")
            for channel in ("known", "new"):
                arrived = sum(message == (channel, b"1") for message in recorder.messages)
                lost = sum(count or 0 for name, count in recorder.gaps if name == channel)
                assert arrived + lost >= 7, "what did not arrive is known to be lost"
                assert lost == 7 - arrived or channel == "new"
            # The channel that could not be had is not wanted any more.
            assert server("PUBSUB", "NUMSUB", f"{deployment.options['prefix']}:late")[1] == 0

    run(scenario())


def test_the_buffer_is_bounded_in_bytes(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url, buffer_bytes=100_000) as deployment:
            publisher, _ = await deployment.bus()
            _, recorder = await deployment.bus("a")
            await publisher.publish("a", b"0")
            server.freeze()
            receipts = [publisher.publish("a", b"x" * 9_000) for _ in range(20)]
            refused = [receipt for receipt in receipts if receipt.done()]
            assert len(refused) == 10
            for receipt in refused:
                with pytest.raises(BusUnavailable, match="full"):
                    await receipt
            assert 90_000 < publisher.stats().buffered_bytes <= 100_000
            server.thaw()
            await asyncio.gather(*receipts[:10])
            await publisher.publish("a", b"1")
            await until(lambda: recorder.of("a")[-1] == b"1", "the last message")
            assert len(recorder.of("a")) == 12
            assert [lost for _, lost in recorder.gaps if lost is not None] == [10]
            assert publisher.stats().buffered_bytes == 0

    run(scenario())


@pytest.mark.parametrize("state", ["frozen", "killed"])
def test_stopping_never_hangs(servers: Servers, state: str) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url) as deployment:
            bus, _ = await deployment.bus("a")
            (server.freeze if state == "frozen" else server.kill)()
            receipts = [bus.publish("a", b"x" * 100_000) for _ in range(100)]
            joining = asyncio.ensure_future(bus.subscribe("b"))
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await bus.stop()
            outcomes = await asyncio.gather(*receipts, joining, return_exceptions=True)
            assert all(isinstance(outcome, BusUnavailable) for outcome in outcomes)

    run(scenario())


def test_redis_becomes_a_replica(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    """As behind a name that is to lead to the new primary from now on: the old connections would stay."""

    async def scenario() -> None:
        server, other = servers.server(), servers.server()
        async with Deployment(server.url) as deployment:
            bus, recorder = await deployment.bus("a")
            server("REPLICAOF", "127.0.0.1", other.port)
            await until(lambda: not bus.ready, "it to notice")
            waiting = bus.publish("a", b"1")
            server("REPLICAOF", "NO", "ONE")
            await waiting
            await until(lambda: bus.ready and recorder.messages == [("a", b"1")], "healing")
            assert "has become a replica" in caplog.text

            server("REPLICAOF", "127.0.0.1", other.port)
            await until(lambda: not bus.ready, "it to notice")
            newcomer, heard = await deployment.bus("a")
            assert "is a replica" in caplog.text
            await newcomer.publish("a", b"2")
            await until(lambda: heard.messages, "the message")

    run(scenario())
