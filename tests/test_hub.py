"""Who has joined what, on the in-process bus and on one that fails: `push/hub.py`."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from isomor.config import Config, Ws
from isomor.errors import ApiError, BusUnavailable, ConnectionClosed
from isomor.push.bus import LocalBus
from isomor.push.hub import Hub, push, set_current
from isomor.server.peer import Peer


class Member:
    """A connection that keeps its frames."""

    def __init__(self, hub: Hub) -> None:
        self.closed = False
        self.id = hub.new_id()
        self.messages: list[Any] = []

    def enqueue(self, frame: bytes) -> None:
        start = 2 if frame[1] < 126 else 4 if frame[1] == 126 else 10
        self.messages.append(json.loads(frame[start:]))

    enqueue_shared = enqueue


class FailingBus(LocalBus):
    """A bus whose far end can be taken away, and that says what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def subscribe(self, channel: str) -> None:
        self.asked.append(f"+{channel}")
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.away:
            raise BusUnavailable("away")
        await super().subscribe(channel)

    def subscribe_now(self, channel: str) -> bool:
        return False

    async def unsubscribe(self, channel: str) -> None:
        self.asked.append(f"-{channel}")
        await asyncio.sleep(0)
        await super().unsubscribe(channel)


def run(test: Callable[[Hub, FailingBus], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        bus = FailingBus()
        hub = Hub(bus)
        await hub.start()
        while not hub.ready:
            await asyncio.sleep(0)
        bus.asked.clear()
        try:
            await test(hub, bus)
        finally:
            await hub.stop()

    asyncio.run(main())


def member(hub: Hub) -> Member:
    made = Member(hub)
    hub.add(made)
    return made


def test_a_topic_reaches_those_who_joined_and_nobody_else():
    async def test(hub: Hub, bus: FailingBus) -> None:
        a, b, c = member(hub), member(hub), member(hub)
        await hub.join(a, "x")
        await hub.join(b, "y")
        await hub.push(1, topic="x")
        assert a.messages == [{"action": "PUSH", "payload": 1, "topic": "x"}]
        assert b.messages == c.messages == []

    run(test)


def test_everyone_and_one():
    async def test(hub: Hub, bus: FailingBus) -> None:
        a, b = member(hub), member(hub)
        hub.name(a)
        await hub.push({"n": 1})
        await hub.push(2, to=a.id)
        await hub.push(3, to=b.id)  # never asked for its id, so nobody can have it
        await hub.push(4, to=Hub(LocalBus()).new_id())  # of another process that is gone
        assert a.messages == [{"action": "PUSH", "payload": {"n": 1}}, {"action": "PUSH", "payload": 2}]
        assert b.messages == [{"action": "PUSH", "payload": {"n": 1}}]

    run(test)


def test_a_connection_that_is_gone_is_not_named_any_more():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        hub.remove(one, set(), None)
        hub.name(one)
        await hub.push(1, to=one.id)
        assert one.messages == []
        assert not hub._by_id

    run(test)


def test_the_first_subscribes_and_the_last_unsubscribes():
    async def test(hub: Hub, bus: FailingBus) -> None:
        members = [member(hub) for _ in range(50)]
        await asyncio.gather(*(hub.join(item, "x") for item in members))
        assert bus.asked == ["+topic:x"]
        for item in members[1:]:
            hub.leave(item, "x")
        await asyncio.sleep(0.01)
        assert bus.asked == ["+topic:x"]
        hub.remove(members[0], {"x"}, None)
        await asyncio.sleep(0.01)
        assert bus.asked == ["+topic:x", "-topic:x"]
        assert not hub._topics

    run(test)


def test_whatever_the_order_of_joining_and_leaving_the_last_word_counts():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        for joins in range(2, 60):
            outcomes = []
            for turn in range(joins):
                outcomes.append(hub.join(one, "x"))
                if turn % 3:
                    await asyncio.sleep(0)
                hub.leave(one, "x")
            last = hub.join(one, "x") if joins % 2 else None
            await asyncio.gather(*outcomes, *([last] if last else []))
            while hub._tasks:
                await asyncio.sleep(0)
            one.messages.clear()
            await hub.push(1, topic="x")
            assert len(one.messages) == joins % 2
            hub.leave(one, "x")
            while hub._tasks:
                await asyncio.sleep(0)
            assert not hub._topics

    run(test)


def test_ten_thousand_topics_leave_nothing_behind():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        await asyncio.gather(*(hub.join(one, f"t{number}") for number in range(10_000)))
        hub.remove(one, {f"t{number}" for number in range(10_000)}, None)
        while hub._tasks:
            await asyncio.sleep(0)
        assert not hub._topics
        assert len([asked for asked in bus.asked if asked[0] == "-"]) == 10_000
        assert bus._channels == {"all", f"node:{hub.node}"}

    run(test)


def test_a_topic_that_was_left_gets_nothing_even_before_the_bus_knows():
    async def test(hub: Hub, bus: FailingBus) -> None:
        a, b = member(hub), member(hub)
        await hub.join(a, "x")
        await hub.join(b, "x")
        hub.leave(a, "x")
        hub.push(1, topic="x")
        assert a.messages == []
        assert len(b.messages) == 1

    run(test)


def test_joining_while_the_bus_is_away_fails_and_leaves_no_trace():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        bus.away = True
        with pytest.raises(BusUnavailable):
            await hub.join(one, "x")
        assert not hub._topics
        bus.away = False
        await hub.join(one, "x")
        await hub.push(1, topic="x")
        assert len(one.messages) == 1

    run(test)


def test_joining_returns_only_once_the_bus_has_confirmed():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        bus.gate = asyncio.Event()
        joining = asyncio.ensure_future(hub.join(one, "x"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not joining.done()
        bus.gate.set()
        await joining

    run(test)


def test_a_failed_join_that_nobody_awaits_is_logged(caplog):
    async def test(hub: Hub, bus: FailingBus) -> None:
        bus.away = True
        hub.join(member(hub), "x")
        while hub._tasks:
            await asyncio.sleep(0)

    run(test)
    assert "join('x') failed, and nobody awaited it: away" in caplog.text


def test_a_gap_is_told_to_those_it_concerns():
    async def test(hub: Hub, bus: FailingBus) -> None:
        a, b = member(hub), member(hub)
        await hub.join(a, "x")
        hub.on_gap("topic:x", 3)
        assert (a.messages, b.messages) == ([{"action": "GAP", "topic": "x"}], [])
        hub.on_gap("all", None)
        assert b.messages == [{"action": "GAP"}]

    run(test)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topic": ""}, "1 to 256 characters"),
        ({"topic": "x" * 257}, "1 to 256 characters"),
        ({"topic": 5}, "1 to 256 characters"),
        ({"topic": "\ud800"}, "surrogate"),
        ({"to": "nonsense"}, "ctx.ws.id"),
        ({"to": 5}, "ctx.ws.id"),
        ({"to": "a.b", "topic": "x"}, "give one of them"),
    ],
)
def test_what_cannot_be_addressed_is_refused(options, said):
    async def test(hub: Hub, bus: FailingBus) -> None:
        with pytest.raises(ValueError, match=said):
            await hub.push(1, **options)

    run(test)


def test_what_cannot_be_encoded_is_refused_or_logged(caplog):
    async def test(hub: Hub, bus: FailingBus) -> None:
        with pytest.raises(TypeError, match="object"):
            await hub.push(object())
        with pytest.raises(ValueError, match="NaN"):
            await hub.push(float("nan"))
        hub.push(object())

    run(test)
    assert caplog.text.count("nobody awaited it") == 1


def test_a_push_from_a_thread_takes_effect_and_tells_its_outcome():
    async def test(hub: Hub, bus: FailingBus) -> None:
        one = member(hub)
        outcomes: list[Any] = []

        def thread() -> None:
            for number in range(100):
                outcomes.append(hub.push(number))
            outcomes[-1].wait(10)
            try:
                hub.push(object()).wait(10)
            except TypeError as error:
                outcomes.append(error)

        worker = threading.Thread(target=thread)
        worker.start()
        while worker.is_alive():
            await asyncio.sleep(0.001)
        assert [message["payload"] for message in one.messages] == list(range(100))
        assert isinstance(outcomes[-1], TypeError)

    run(test)


def test_awaiting_in_a_loop_lets_others_run():
    async def test(hub: Hub, bus: FailingBus) -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(100):
            await hub.push("x" * 10_000)
        task.cancel()
        assert turns >= 10

    run(test)


def test_without_a_server_a_push_says_so():
    async def main() -> None:
        with pytest.raises(ConnectionClosed, match="no server runs in this process"):
            await push("x")

    set_current(None)
    asyncio.run(main())


def test_topics_that_the_bus_could_not_be_had_for_do_not_count():
    async def test(hub: Hub, bus: FailingBus) -> None:
        met: list[str] = []
        worker: Any = SimpleNamespace(
            hub=hub,
            loop=asyncio.get_running_loop(),
            thread=threading.get_ident(),
            config=Config(ws=Ws(max_topics=2)),
            calls=SimpleNamespace(met=met.append),
        )
        outbox: Any = SimpleNamespace(add_shared=None)
        handshake: Any = None
        peer = Peer(worker, handshake, outbox, handshake)
        bus.away = True
        for topic in "abc":
            with pytest.raises(BusUnavailable):
                await peer.join(topic)
        bus.away = False
        for topic in "cd":
            await peer.join(topic)
        assert not met
        with pytest.raises(ApiError, match="2 topics"):
            await peer.join("a")
        assert met == ["ws.max_topics"]
        assert [hub.has_joined(peer, topic) for topic in "abcd"] == [False, False, True, True]
        peer.disconnected()

    run(test)
