"""The parts of the Redis bus that need no Redis: URLs, envelope, numbers, receipts, deadlines, log lines."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from isomor.errors import BusUnavailable, ConfigError
from isomor.notices import Notices
from isomor.push.envelope import HEADER_BYTES, UNKNOWN_LOSS, Envelope, ForeignMessage, pack, unpack
from isomor.push.patience import Backoff, LoopClock, end, first_end, is_set_within, within
from isomor.push.receipt import Receipt
from isomor.push.redis_bus import RedisBus
from isomor.push.redis_lane import Lane
from isomor.push.redis_link import refusal
from isomor.push.redis_outbox import Outbox
from isomor.push.redis_topology import SLOTS, Topology
from isomor.push.redis_url import Address, Kind, read_target
from isomor.push.sequences import REPEAT, UNKNOWN, Counters, Ledger


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


# URLs

URLS = [
    ("redis://h", Kind.SINGLE, ["h:6379"], ""),
    ("redis://", Kind.SINGLE, ["localhost:6379"], ""),
    ("redis://u:p@h:1/2", Kind.SINGLE, ["h:1"], ""),
    ("redis://[::1]:1", Kind.SINGLE, ["[::1]:1"], ""),
    ("rediss://h:1?ssl_cert_reqs=none", Kind.SINGLE, ["h:1"], ""),
    ("unix:///run/r.sock?db=3", Kind.SINGLE, ["/run/r.sock"], ""),
    ("redis+sentinel://h1,h2:2,[::1]:3/main", Kind.SENTINEL, ["h1:26379", "h2:2", "[::1]:3"], "main"),
    ("redis+sentinel://u:p%40@h1:1/main/4", Kind.SENTINEL, ["h1:1"], "main"),
    (["rediss+sentinel://h1/main", "rediss+sentinel://h2/main"], Kind.SENTINEL, ["h1:26379", "h2:26379"], "main"),
    ("redis+cluster://h1,h2:2", Kind.CLUSTER, ["h1:6379", "h2:2"], ""),
    (["rediss+cluster://:p@h1", "rediss+cluster://:p@h2", "rediss+cluster://:p@h1"], Kind.CLUSTER, None, ""),
]


@pytest.mark.parametrize(("url", "kind", "addresses", "service"), URLS, ids=str)
def test_a_url_names_nodes(url: str | list[str], kind: Kind, addresses: list[str] | None, service: str) -> None:
    target = read_target(url)
    assert (target.kind, target.service) == (kind, service)
    assert [str(address) for address in target.addresses] == (addresses or ["h1:6379", "h2:6379"])


def test_a_url_becomes_a_connection() -> None:
    target = read_target("redis://us%20er:p%40ss@h:1/2?client_name=me&socket_timeout=3")
    connection: Any = target.connection(target.addresses[0])
    assert type(connection) is Connection
    assert (connection.host, connection.port, connection.db) == ("h", 1, 2)
    assert (connection.username, connection.password, connection.client_name) == ("us er", "p@ss", "me")
    assert connection.socket_timeout is None, "its own deadlines are off"

    tls: Any = read_target("rediss://h?ssl_cert_reqs=none").connection(Address("h", 1))
    assert type(tls) is SSLConnection

    unix: Any = read_target("unix://:secret@/run/r.sock?db=3").connection(Address("/run/r.sock", 0))
    assert type(unix) is UnixDomainSocketConnection
    assert (unix.path, unix.password, unix.db) == ("/run/r.sock", "secret", 3)


def test_sentinels_have_a_user_of_their_own() -> None:
    url = "rediss+sentinel://data:one@h/main/3?sentinel_username=watch&sentinel_password=two&ssl_cert_reqs=none"
    target = read_target(url)
    data: Any = target.connection(Address("d", 1))
    watch: Any = target.connection(Address("s", 2), sentinel=True)
    assert (data.username, data.password, data.db) == ("data", "one", 3)
    assert (watch.username, watch.password, watch.db) == ("watch", "two", 0)
    assert type(data) is type(watch) is SSLConnection


BAD_URLS = [
    ("", "must begin with one of"),
    ("secret", "must begin with one of"),
    ("http://u:secret@h", "must begin with one of"),
    ("redis+sentinel://u:secret@h", "name of the service"),
    ("redis+cluster://u:secret@h/3", "database 0 alone"),
    ("redis://u:secret@h/x", "must be a number"),
    ("redis://u:secret@h:port", "must be host:port"),
    ("redis+cluster://u:secret@h,,i", "must be host:port"),
    ("redis://u:sec/secret@h", "percent-encoded"),
    ("redis://u:secret/secret@h", "percent-encoded"),
    ("redis://u:secret?secret@h", "percent-encoded"),
    ("redis://u:secret#secret@h", "percent-encoded"),
    ("redis://u:12#secret@h", "percent-encoded"),
    ("redis://u:secret@h,i", "several hosts need"),
    ("redis://u:secret@h?db=secret", "Invalid value for 'db'"),
    ("redis://u:secret@h?no_such_option=1", "no_such_option"),
    ("unix://", "path of the socket is missing"),
    ("redis://u:secret@[::1", "must be host:port"),
    ([], "the list is empty"),
    (["redis://u:secret@h", "redis://u:secret@i"], "several URLs must be"),
    (["redis+cluster://u:secret@h", "redis+cluster://u:other-secret@i"], "may differ in host and port alone"),
]


@pytest.mark.parametrize(("url", "why"), BAD_URLS, ids=str)
def test_a_bad_url_is_told_without_its_secrets(url: str | list[str], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisBus(url)
    text = str(caught.value)
    assert text.startswith("redis.url")
    assert why in text
    assert "secret" not in text


def test_a_prefix_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"redis\.prefix"):
        RedisBus("redis://h", prefix="")


# The envelope


@given(
    prefix=st.integers(0, 65535), epoch=st.integers(1, 2**64 - 1), number=st.integers(1, 2**64 - 1), body=st.binary()
)
def test_what_is_packed_can_be_unpacked(prefix: int, epoch: int, number: int, body: bytes) -> None:
    data = pack(prefix, b"12345678", epoch, number, 7, body)
    assert len(data) == HEADER_BYTES + len(body)
    assert unpack(data, prefix) == Envelope(b"12345678", epoch, number, 7, body)
    with pytest.raises(ForeignMessage, match=r"another redis\.prefix"):
        unpack(data, prefix ^ 1)


@given(st.binary(max_size=100))
def test_what_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ForeignMessage):
        unpack(data, 6)


# Numbers


def judged(ledger: Ledger, number: int, epoch: int = 1, lost: int = 0, publisher: bytes = b"p") -> int:
    return ledger.judge("c", Envelope(publisher, epoch, number, lost, b""))


def test_a_receiver_tells_repeats_from_gaps() -> None:
    ledger = Ledger()
    assert judged(ledger, 41) == 0, "the first sets the base"
    assert [judged(ledger, number) for number in (42, 43, 42, 43, 44)] == [0, 0, REPEAT, REPEAT, 0]
    assert judged(ledger, 50) == 5
    assert judged(ledger, 47) == REPEAT, "it was counted as lost"
    assert judged(ledger, 1, publisher=b"q") == 0, "each publisher has its own numbers"
    assert judged(ledger, 3, lost=2, publisher=b"r") == 2, "the first, and its publisher knows of a loss"
    assert judged(ledger, 1, epoch=2) == 0, "it counts anew"
    assert judged(ledger, 51, epoch=1) == REPEAT, "late, from before"
    assert judged(ledger, 4, epoch=3) == 3
    assert judged(ledger, 1, epoch=4, lost=UNKNOWN_LOSS) == UNKNOWN
    assert judged(ledger, 1, lost=UNKNOWN_LOSS, publisher=b"s") == 0, "nothing says that it concerns us"
    ledger.forget("c")
    assert len(ledger) == 0
    assert judged(ledger, 7) == 0


def test_a_receiver_remembers_a_bounded_number_of_publishers() -> None:
    ledger = Ledger(limit=100)
    for index in range(10_000):
        assert judged(ledger, 1, publisher=b"%d" % index) == 0
        judged(ledger, index + 1, publisher=b"steady")
        assert len(ledger) <= 100
    assert judged(ledger, 10_000, publisher=b"steady") == REPEAT, "who is heard of is not forgotten"


def test_a_publisher_remembers_a_bounded_number_of_channels() -> None:
    counters = Counters(limit=100)
    busy = counters.take("busy")
    busy.pending = 1
    epochs = set()
    for index in range(10_000):
        counter = counters.take(f"topic:{index}")
        counter.acknowledged = counter.taken
        epochs.add(counter.epoch)
        assert len(counters) <= 101
    assert len(epochs) == 10_000
    assert counters.take("busy") is busy, "what is under way is not forgotten"
    again = counters.take("topic:0")
    assert again.epoch > max(epochs)
    assert again.taken == 1
    assert again.pack(1) == 0, "all had been acknowledged"


def test_a_publisher_that_forgot_a_loss_says_so() -> None:
    counters = Counters(limit=10)
    counters.take("lossy")  # never acknowledged, and no longer under way
    for index in range(100):
        counter = counters.take(f"topic:{index}")
        counter.acknowledged = counter.taken
    assert counters.take("lossy").pack(1) == UNKNOWN_LOSS


def test_a_counter_knows_what_was_skipped() -> None:
    counter = Counters().take("c")
    assert [counter.pack(number) for number in (1, 2, 5)] == [0, 0, 2]
    counter.acknowledged = 2
    counter.unpack()
    assert [counter.pack(number) for number in (4, 5)] == [1, 0]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["arrives", "fails", "is repeated", "is missed"]), max_size=60))
def test_what_was_lost_is_known_by_the_next_that_arrives(fates: list[str]) -> None:
    counters, ledger = Counters(), Ledger()
    lost = got = 0
    numbers = []
    for fate in ["arrives", *fates, "arrives"]:
        counter = counters.take("c")
        if fate == "fails":
            continue
        skipped = counter.pack(counter.taken)
        counter.acknowledged = counter.taken
        if fate == "is missed":
            continue
        for _ in range(2 if fate == "is repeated" else 1):
            verdict = ledger.judge("c", Envelope(b"p", counter.epoch, counter.taken, skipped, b""))
            if verdict != REPEAT:
                lost += verdict
                got += 1
                numbers.append(counter.taken)
    assert numbers == sorted(set(numbers))
    assert lost == len(fates) + 2 - got


# Topology


def test_a_channel_belongs_to_the_owner_of_its_slot() -> None:
    first, second = Address("h", 1), Address("h", 2)
    assert Topology((first,)).node_of(b"x") == first
    owners = (0,) * 8000 + (-1,) * 10 + (1,) * (SLOTS - 8010)
    topology = Topology((first, second), owners)
    assert not topology.complete
    assert topology.node_of(b"foo") == second  # slot 12182
    assert topology.node_of(b"{foo}bar") == second
    assert topology.node_of(b"bar") == first  # slot 5061


# Receipts


def test_a_receipt_that_failed_unseen_is_told_once() -> None:
    unseen: list[BusUnavailable] = []

    async def scenario() -> None:
        seen, dropped, good = Receipt(unseen.append), Receipt(unseen.append), Receipt(unseen.append)
        error = BusUnavailable("away")
        for receipt in (seen, dropped):
            assert not receipt.done()
            receipt.fail(error)
            receipt.fulfil()  # too late
        good.fulfil()
        with pytest.raises(BusUnavailable, match="away"):
            await seen
        del seen, receipt
        gc.collect()
        assert not unseen
        del dropped, good
        gc.collect()
        assert unseen == [error]

    run(scenario())


def test_a_cancelled_awaiter_takes_nothing_with_it() -> None:
    async def scenario() -> None:
        receipt = Receipt(lambda _error: None)
        tasks = [asyncio.ensure_future(asyncio.wait_for(receipt, 10)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.wait((tasks[1],))
        receipt.fulfil()
        await asyncio.gather(tasks[0], tasks[2])

    run(scenario())


# Patience


async def _forever() -> None:
    await asyncio.Event().wait()


async def _fail() -> None:
    raise ValueError("no good")


def test_who_is_cancelled_while_it_ends_others_leaves_no_failure_unread(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        cleaning, gate = asyncio.Event(), asyncio.Event()

        async def fails_as_it_is_cancelled() -> None:
            try:
                await _forever()
            finally:
                cleaning.set()
                await gate.wait()
                raise RedisConnectionError("the connection is closed")

        ending = asyncio.create_task(first_end(fails_as_it_is_cancelled(), asyncio.sleep(0)))
        await cleaning.wait()
        ending.cancel()
        await asyncio.wait([ending])
        gate.set()
        while asyncio.all_tasks() != {asyncio.current_task()}:
            await asyncio.sleep(0)
        gc.collect()

    run(scenario())
    assert "never retrieved" not in caplog.text


def test_deadlines() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            await within(0.05, _forever())
        with pytest.raises(ValueError, match="no good"):
            await within(5, _fail())
        with pytest.raises(ValueError, match="no good"):
            await first_end(_forever(), _fail(), _forever())
        assert not await is_set_within(asyncio.Event(), 0.01)
        await end()
        assert asyncio.all_tasks() == before

        async def arrive() -> str:
            reader, writer = socket
            writer.write(b"x")
            time.sleep(0.5)  # the loop is held up for far longer than the deadline, and the answer is there
            return (await reader.read(1)).decode()

        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        socket = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await within(0.2, arrive()) == "x"
        socket[1].close()
        await socket[1].wait_closed()
        server.close()
        await server.wait_closed()

    run(scenario())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read(1))
    writer.close()


def test_a_clock_that_a_blocked_loop_does_not_move() -> None:
    async def scenario() -> None:
        ticks = 0

        def tick() -> bool:
            nonlocal ticks
            ticks += 1
            return ticks < 3

        clock = LoopClock(0.05, tick)
        clock.run()
        clock.run()
        time.sleep(0.6)
        await asyncio.to_thread(_spin, lambda: ticks == 3)
        assert 0.15 <= clock.now <= 0.3
        clock.run()
        clock.stop()
        clock.stop()

    run(scenario())


def _spin(condition: Any) -> None:
    end_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end_at
        time.sleep(0.001)


def test_waiting_between_attempts_grows_and_is_bounded() -> None:
    backoff = Backoff(first=0.01, most=1.0)
    delays = [backoff.next() for _ in range(1000)]
    assert all(0.005 <= delay <= 1.0 for delay in delays)
    assert delays[0] <= 0.01
    assert min(delays[10:]) >= 0.5
    assert len(set(delays[10:])) > 900
    backoff.reset()
    assert backoff.next() <= 0.01


# Words


def test_floods_of_log_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(logging.getLogger("test"))
    for index in range(1000):
        notices(logging.WARNING, "this", "line %d", index)
    notices(logging.WARNING, "that", "another")
    notices.flush()
    notices.flush()
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [
        *(f"line {index}" for index in range(5)),
        "another",
        "this: 995 more lines like these were left out",
    ]


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (AuthenticationError("WRONGPASS"), True),
        (NoPermissionError("NOPERM"), True),
        (ResponseError("unknown command 'SSUBSCRIBE'"), True),
        (ResponseError("BUSY Redis is busy running a script"), False),
        (BusyLoadingError("loading"), False),
        (RedisConnectionError("refused"), False),
        (TimeoutError(), False),
        (OSError(111, "refused"), False),
    ],
    ids=str,
)
def test_a_refusal_is_told_from_an_outage(error: Exception, final: bool) -> None:
    assert (refusal(error) is not None) == final
    wrapped = RedisConnectionError("wrapped")
    wrapped.__cause__ = error
    assert (refusal(wrapped) is not None) == final


class _Redis:
    """A connection that takes publishes and confirms them."""

    def __init__(self) -> None:
        self.published: list[Envelope] = []

    async def send(self, commands: list[tuple[bytes, ...]]) -> None:
        self.published += [unpack(body, 0) for _, _, body in commands]

    async def read(self) -> int:
        return 1

    async def close(self) -> None:
        pass


class _Events:
    asks_role = False

    def role(self, _reply: Any) -> None:
        pass

    def lane_up(self) -> None:
        pass

    def lane_down(self, error: BaseException) -> None:
        raise error


def test_what_expires_as_it_is_about_to_leave_is_not_sent_without_its_body() -> None:
    async def scenario() -> None:
        outbox, redis = Outbox(5, 1_000_000, Notices(logging.getLogger("isomor.bus"))), _Redis()

        async def dial() -> Any:
            # The first in line when the loop comes round: after the messages are loaded, before they are sent.
            asyncio.get_running_loop().call_soon(outbox.settle, lane.queue[0], BusUnavailable("too late"))
            return redis

        lane = Lane(outbox, dial, _Events(), command=b"PUBLISH", publisher=b"publishr", prefix_bytes=0, deadline=5)
        outbox.reroute({0: lane}, lambda _wire: lane)
        late = outbox.add("a", b"a", b"first")
        sent = outbox.add("a", b"a", b"second")
        task = asyncio.create_task(lane.run())
        try:
            await asyncio.wait_for(sent, 5)
            with pytest.raises(BusUnavailable, match="too late"):
                await late
            assert [(envelope.number, envelope.lost, envelope.body) for envelope in redis.published] == [
                (2, 1, b"second")
            ]
        finally:
            await end(task)
            outbox.close()

    run(scenario())
