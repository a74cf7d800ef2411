"""The bus over Redis when things go wrong: real servers that are cut, frozen, killed, slow, full, or not ours."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import threading
import time
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis_servers import Network, Servers, free_port, needs_redis, redis_servers, until, wait_for
from test_bus import Recorder, checked

from isomor.errors import BusUnavailable, ConfigError
from isomor.push.envelope import pack
from isomor.push.redis_bus import RedisBus

pytestmark = needs_redis


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(checked(scenario))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with redis_servers(tmp_path) as servers:
        yield servers


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


# Refused.


def test_a_wrong_password_is_told_at_start(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "right")
        for credentials in ("", ":wrong-secret@", "nobody:wrong-secret@"):
            bus = RedisBus(f"redis://{credentials}127.0.0.1:{server.port}/0")
            with pytest.raises(ConfigError, match="refuses the user or the password") as caught:
                await bus.start(Recorder())
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert "wrong-secret" not in str(caught.value) + caplog.text
        async with Deployment(f"redis://:right@127.0.0.1:{server.port}") as deployment:
            await deployment.bus("a")

    run(scenario())


@pytest.mark.parametrize(
    "rights", ["+@all -publish &*", "+@all -subscribe &*", "+@all &other:*", "+@all &* -@all +publish"]
)
def test_a_missing_permission_is_told_at_start(servers: Servers, rights: str) -> None:
    async def scenario() -> None:
        server = servers.server()
        server("ACL", "SETUSER", "pusher", "on", ">secret", *rights.split())
        bus = RedisBus(f"redis://pusher:secret@127.0.0.1:{server.port}")
        with pytest.raises(ConfigError, match="lacks a permission"):
            await bus.start(Recorder())

    run(scenario())


def test_a_user_with_just_enough_permissions(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        server("ACL", "SETUSER", "pusher", "on", ">s%cret", "&isomor:*", "+publish", "+subscribe", "+unsubscribe")
        url = f"redis://pusher:s%25cret@127.0.0.1:{server.port}"
        async with Deployment(url, prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("a")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages, "the message")

    run(scenario())


def test_one_channel_that_is_forbidden_harms_no_other(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        rights = ("+@all", "&isomor:~*", "&isomor:good*")
        server("ACL", "SETUSER", "pusher", "on", ">secret", *rights)
        async with Deployment(f"redis://pusher:secret@127.0.0.1:{server.port}", prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("good1")
            with pytest.raises(BusUnavailable, match="refuses the subscription"):
                await bus.subscribe("bad")
            with pytest.raises(BusUnavailable, match="may not publish"):
                await bus.publish("bad", b"1")
            await bus.publish("good1", b"1")
            await until(lambda: recorder.messages, "the message")
            assert bus.ready
            assert not recorder.gaps

    run(scenario())


def test_a_password_that_changes_is_logged_and_tried_again(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "first-secret")
        server.password = "first-secret"
        async with Deployment(f"redis://:first-secret@127.0.0.1:{server.port}") as deployment:
            bus, recorder = await deployment.bus("a")
            server("CONFIG", "SET", "requirepass", "second-secret")
            server.password = "second-secret"
            server.cut(subscribers=True)
            server.cut(subscribers=False)
            await until(lambda: "refuses the user or the password" in caplog.text, "the log")
            assert not bus.ready
            server("CONFIG", "SET", "requirepass", "first-secret")
            await until(lambda: bus.ready, "healing")
            await bus.publish("a", b"1")
            await until(lambda: recorder.messages, "the message")
        assert "secret" not in caplog.text

    run(scenario())


# Not ours.


def test_a_message_of_someone_else_is_logged_once_and_ignored(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        server = servers.server()
        async with Deployment(server.url, prefix="isomor") as deployment:
            bus, recorder = await deployment.bus("a", "b")
            ours = pack(len("isomor"), b"someone!", 1, 1, 0, b"well-formed")
            foreign = [
                b"",
                b"hello\nERROR forged line",
                ours[:20],
                ours[:3] + b"\x02" + ours[4:],  # of another version
                pack(1, b"someone!", 1, 1, 0, b"of another prefix"),
            ]
            for message in foreign:
                server("PUBLISH", "isomor:a", message)
            server("PUBLISH", "isomor:b", foreign[1])
            server("PUBLISH", "isomor:a", ours)
            await until(lambda: recorder.messages, "the message that is well-formed")
            assert recorder.messages == [("a", b"well-formed")]
            await until(lambda: bus.stats().foreign == 6, "the others")
            assert not recorder.gaps
        lines = [record.getMessage() for record in caplog.records if "is ignored" in record.getMessage()]
        assert len(lines) == 2, "one a channel"
        assert not any("\n" in line for line in lines)

    run(scenario())


def test_deployments_that_share_a_redis_never_hear_each_other(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server()
        prefixes = ["isomor", "isomor:a", "isomor:a:b", "i", "isomo"]
        async with Deployment(server.url) as deployment:
            buses = {prefix: await deployment.bus("c", "a:c", "a:b:c", "b:c", prefix=prefix) for prefix in prefixes}
            for prefix, (bus, _) in buses.items():
                for channel in ("c", "a:c", "a:b:c", "b:c"):
                    await bus.publish(channel, prefix.encode())
            for prefix, (_, recorder) in buses.items():
                await until(lambda recorder=recorder: len(recorder.messages) >= 4, "the messages")
                assert [body for _, body in recorder.messages] == [prefix.encode()] * 4

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


# Other ways to reach Redis.


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


def test_tls(servers: Servers, tmp_path: Path) -> None:
    key, cert = certificate(tmp_path)
    files = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(cert))

    async def scenario() -> None:
        server = servers.server(*files, "--tls-auth-clients", "no", tls=True)
        url = f"rediss://127.0.0.1:{server.port}"
        with pytest.raises(ConfigError, match="certificate of Redis is not trusted"):
            await RedisBus(url).start(Recorder())
        for query in (f"?ssl_ca_certs={cert}", "?ssl_cert_reqs=none"):
            async with Deployment(url + query) as deployment:
                bus, recorder = await deployment.bus("a")
                await bus.publish("a", b"1" * 300_000)
                await until(lambda recorder=recorder: recorder.messages, "the message")
                before = bus.stats().rebuilds
                server.cut(subscribers=True)
                await until(lambda bus=bus, before=before: bus.stats().rebuilds > before and bus.ready, "healing")

    run(scenario())


def test_a_unix_socket_and_a_database(servers: Servers) -> None:
    async def scenario() -> None:
        server = servers.server("--requirepass", "secret")
        async with Deployment(f"unix://:secret@{server.socket_path}?db=3") as deployment:
            bus, _ = await deployment.bus("a")
            deployment.url = f"redis://:secret@localhost:{server.port}/7"
            _, recorder = await deployment.bus("a")
            await bus.publish("a", b"databases do not matter to pub/sub")
            await until(lambda: recorder.messages, "the message")
        with pytest.raises(ConfigError, match="refuses the user or the password"):
            await RedisBus(f"unix://:wrong@{server.socket_path}").start(Recorder())
        with pytest.raises(ConfigError, match="DB index is out of range"):
            await RedisBus(f"redis://:secret@localhost:{server.port}/99").start(Recorder())

    run(scenario())


def test_sentinel_with_a_failover(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        master = servers.server()
        replica = servers.server("--replicaof", "127.0.0.1", str(master.port))
        sentinel = servers.sentinel(master, "main")
        wait_for(lambda: b"master_link_status:up" in replica.raw("INFO", "REPLICATION"), "the replica")
        wait_for(lambda: b"slaves=1" in sentinel.raw("INFO", "SENTINEL"), "the sentinel to know it")
        state = "master-link-status', b'ok'"
        wait_for(lambda: state in str(sentinel.raw("SENTINEL", "REPLICAS", "main")), "the sentinel to have its state")
        absent = f"redis+sentinel://127.0.0.1:{free_port()}"
        url = f"{absent},127.0.0.1:{sentinel.port}/main/0"
        with pytest.raises(ConfigError, match="know no service 'other'"):
            await RedisBus(url.replace("/main", "/other")).start(Recorder())
        async with Deployment((f"{absent}/main", f"redis+sentinel://127.0.0.1:{sentinel.port}/main")) as deployment:
            listener, recorder = await deployment.bus("a")
            deployment.url = url
            publisher, _ = await deployment.bus()
            traffic = Traffic(publisher, "a")
            await traffic.more(200)
            master.kill()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            await until(lambda: listener.ready and publisher.ready, "the failover")
            assert replica("PUBSUB", "NUMSUB", f"{deployment.options['prefix']}:a")[1] == 1
            await traffic.more(200)
            sent = await traffic.stop()
            await until(lambda: recorder.of("a")[-1] == b"%d" % (sent - 1), "the last message")
            missing = account(recorder, "a", sent)
            assert traffic.failed == 0
            assert ("a", None) in recorder.gaps
            print(f"Sentinel failover: {sent} sent, {missing} lost, all counted")
        assert "now carried by" in caplog.text

    run(scenario())


def test_a_cluster_with_sharded_channels(servers: Servers, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        nodes = servers.cluster()
        with pytest.raises(ConfigError, match="cluster"):
            await RedisBus(f"redis+cluster://127.0.0.1:{servers.server().port}").start(Recorder())
        channels = [f"topic:{i}" for i in range(30)]
        async with Deployment(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{nodes[0].port}") as deployment:
            listener, recorder = await deployment.bus(*channels)
            publisher, _ = await deployment.bus()
            for i in range(3000):
                publisher.publish(channels[i % 30], b"%d" % (i // 30))
            await until(lambda: len(recorder.messages) == 3000, "the messages")
            for channel in channels:
                assert recorder.of(channel) == [b"%d" % i for i in range(100)]
            shards = [len(node("PUBSUB", "SHARDCHANNELS")) for node in nodes]
            assert min(shards) > 2, "every node has a share"
            assert sum(shards) == 30 + 2 * 3
            print(f"cluster: 30 channels and two buses' probes, by node: {shards}")

            # A slot moves away, in the middle of traffic.
            prefix = deployment.options["prefix"]
            slot = nodes[0]("CLUSTER", "KEYSLOT", f"{prefix}:{channels[0]}")
            owner = next(
                node for node in nodes if f"{prefix}:{channels[0]}".encode() in node("PUBSUB", "SHARDCHANNELS")
            )
            other = next(node for node in nodes if node is not owner)
            traffic = Traffic(publisher, channels[0])
            await traffic.more(100)
            heir = other("CLUSTER", "MYID")
            for node in (other, owner, *nodes):
                node("CLUSTER", "SETSLOT", slot, "NODE", heir)
            await until(lambda: f"{prefix}:{channels[0]}".encode() in other("PUBSUB", "SHARDCHANNELS"), "the move")
            await until(lambda: listener.ready and publisher.ready, "healing")
            await traffic.more(100)
            sent = await traffic.stop()
            await until(lambda: recorder.of(channels[0])[-1] == b"%d" % (sent - 1), "the last message")
            recorder.messages = recorder.messages[3000:]
            missing = account(recorder, channels[0], sent)
            assert traffic.failed == 0
            print(f"cluster, a slot moved: {sent} sent, {missing} lost, all counted")

            # A node is killed and comes back; the channels of the others never notice.
            nodes[2].kill()
            await until(lambda: not listener.ready, "it to notice")
            nodes[2].start()
            await until(lambda: listener.ready and publisher.ready, "healing")
            await publisher.publish(channels[1], b"x")
            for channel in channels:
                await publisher.publish(channel, b"last")
            await until(lambda: all(recorder.of(channel)[-1:] == [b"last"] for channel in channels), "the last ones")
            for channel in channels:
                await listener.unsubscribe(channel)
            await until(lambda: sum(len(node("PUBSUB", "SHARDCHANNELS")) for node in nodes) == 6, "Redis to forget")

    run(scenario())


def test_a_cluster_with_a_failover(servers: Servers) -> None:
    async def scenario() -> None:
        nodes = servers.cluster()
        replica = servers.cluster_replica(nodes, nodes[2])
        channels = [f"topic:{i}" for i in range(12)]
        async with Deployment(f"redis+cluster://127.0.0.1:{nodes[0].port}") as deployment:
            listener, recorder = await deployment.bus(*channels)
            publisher, _ = await deployment.bus()
            traffics = [Traffic(publisher, channel) for channel in channels]
            await traffics[0].more(100)
            nodes[2].kill()
            await until(lambda: not listener.ready and not publisher.ready, "both to notice")
            await until(lambda: listener.ready and publisher.ready, "the failover")
            assert len(replica("PUBSUB", "SHARDCHANNELS")) > 2
            missing = 0
            for traffic in traffics:
                await traffic.more(20)
                sent = await traffic.stop()
                last = b"%d" % (sent - 1)
                await until(lambda c=traffic.channel, last=last: recorder.of(c)[-1] == last, "the last message")
                missing += account(recorder, traffic.channel, sent)
            assert sum(traffic.failed for traffic in traffics) == 0
            total = sum(traffic.sent for traffic in traffics)
            print(f"cluster failover: {total} sent, {missing} lost, all counted")

    run(scenario())
