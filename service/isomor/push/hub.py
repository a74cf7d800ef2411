"""Who is connected here, who has joined what, and how a push gets to them. One hub for each worker.

Whatever goes to a topic or to everyone goes to the bus and comes back from it, at the sender too: so all subscribers,
wherever they are, see one topic's pushes in one order. What leaves the bus is framed once and written to each socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Final, Protocol

from ..errors import BusUnavailable, ConnectionClosed
from ..messages import encode, gap_message, push_message, text_frame
from ..metrics.recorder import Metrics
from ..outcome import DONE, Failed, Outcome, Started, from_thread
from .bus import Bus, BusStats

logger = logging.getLogger("isomor")

ALL: Final = "all"
_TOPIC: Final = "topic:"
_NODE: Final = "node:"
_LONGEST_TOPIC: Final = 256
_ID: Final = re.compile(r"([A-Za-z0-9_-]{16})\.[A-Za-z0-9_-]{22}")

# A pusher that awaits in a loop lets others run at least after so many bytes.
_TURN: Final = 64 * 1024

# Who pushes more in one turn of the loop does so without end, and would fill the memory: bytes, and deliveries.
RUNAWAY: Final = 64 * 1024 * 1024
_RUNAWAY_DELIVERIES: Final = 32_000_000


class Member(Protocol):
    """A connection, as the hub sees it."""

    @property
    def id(self) -> str:
        """Its name: `<node>.<something that no one can guess>`."""

    @property
    def closed(self) -> bool:
        """Whether it is gone, or going."""

    def enqueue(self, frame: bytes) -> None:
        """Take a frame for the next write; never blocks."""

    enqueue_shared: Callable[[bytes], None]  # the same for one that others get too, and which may wait for them


class _Topic:
    """Who has joined, and whether the bus is subscribed for them: that changes under the lock, one step at a time."""

    __slots__ = ("lock", "members", "subscribed")

    def __init__(self) -> None:
        self.members: dict[Member, None] = {}
        self.lock = asyncio.Lock()
        self.subscribed = False


class _Published(Outcome):
    """A push that is on the bus, or on its way."""

    __slots__ = ("_hub", "_receipt")

    def __init__(self, hub: Hub, receipt: Awaitable[None]) -> None:
        self._hub = hub
        self._receipt = receipt

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._receipt.__await__()
        if self._hub.turn_bytes > _TURN:
            self._hub.turn_bytes = 0
            yield from asyncio.sleep(0).__await__()

    def wait(self, timeout: float | None = None) -> None:
        raise RuntimeError("push: wait() would block the event loop; await it instead")


class Hub:
    """The connections of this worker and their topics.

    Attributes:
        node: this worker's name on the bus, which no one can guess.
        connections: every open connection.
        turn_bytes: what was pushed since a pusher last let others run.
    """

    def __init__(self, bus: Bus, metrics: Metrics | None = None) -> None:
        """`metrics` is where pushes are counted; None: nowhere."""
        self.node = secrets.token_urlsafe(12)
        self.connections: set[Member] = set()
        self.turn_bytes = 0
        self._turn_deliveries = 0
        self._watches_turn = False
        self._bus = bus
        self._metrics = metrics
        self._topics: dict[str, _Topic] = {}
        self._by_id: dict[str, Member] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._base_subscribed = False

    # ---- Life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the bus and listen to it, as soon as it can be had.

        Raises:
            ConfigError: if the bus refuses us for good.
        """
        await self._bus.start(self)
        self._spawn(self._subscribe_base())
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Let go of everything; never hangs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bus.stop()

    @property
    def ready(self) -> bool:
        """Whether pushes from anywhere reach the connections here."""
        return self._base_subscribed and self._bus.ready

    @property
    def topics(self) -> int:
        """How many topics the connections here have joined."""
        return len(self._topics)

    def stats(self) -> BusStats:
        """What the bus has counted."""
        return self._bus.stats()

    async def _subscribe_base(self) -> None:
        for channel in (ALL, _NODE + self.node):
            while True:
                try:
                    await self._bus.subscribe(channel)
                    break
                except BusUnavailable:
                    await asyncio.sleep(0.1)
        self._base_subscribed = True

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(coroutine, name="isomor hub")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ---- Members -------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """A name for a connection of this worker."""
        return f"{self.node}.{secrets.token_urlsafe(16)}"

    def add(self, member: Member) -> None:
        """A connection has opened."""
        self.connections.add(member)

    def name(self, member: Member) -> None:
        """A connection has been asked for its id: from now on it can be reached by it."""
        if member in self.connections:  # asked for in a thread, it may be gone meanwhile
            self._by_id[member.id] = member

    def remove(self, member: Member, topics: Iterable[str], member_id: str | None) -> None:
        """A connection is gone: from now on it gets nothing."""
        self.connections.discard(member)
        if member_id is not None:
            self._by_id.pop(member_id, None)
        for topic in topics:
            self.leave(member, topic)

    def join(self, member: Member, topic: str) -> Outcome:
        """Let `member` get what is pushed to `topic`. See `WsContext.join`; on the loop's thread alone."""
        entry = self._topics.get(topic)
        if entry is None:
            entry = self._topics[topic] = _Topic()
        entry.members[member] = None
        if entry.subscribed:
            return DONE
        if not entry.lock.locked() and self._bus.subscribe_now(_TOPIC + topic):
            entry.subscribed = True
            return DONE
        return Started(f"join({topic!r})", self._spawn(self._settle(topic, entry, member)))

    def has_joined(self, member: Member, topic: str) -> bool:
        """Whether `member` gets what is pushed to `topic`, or will once the bus is subscribed."""
        entry = self._topics.get(topic)
        return entry is not None and member in entry.members

    def leave(self, member: Member, topic: str) -> None:
        """`member` gets nothing more of `topic`, from this call on."""
        entry = self._topics.get(topic)
        if entry is None or member not in entry.members:
            return
        del entry.members[member]
        if not entry.members:
            self._spawn(self._settle(topic, entry, None))

    async def _settle(self, topic: str, entry: _Topic, joining: Member | None) -> None:
        """Subscribe for the first, unsubscribe after the last; whatever the order of asking, the last state wins."""
        async with entry.lock:
            if entry.members and not entry.subscribed:
                try:
                    await self._bus.subscribe(_TOPIC + topic)
                    entry.subscribed = True
                except BusUnavailable:
                    if joining is not None:
                        entry.members.pop(joining, None)
                    self._forget(topic, entry)
                    raise
            if entry.subscribed and not entry.members:
                entry.subscribed = False
                await self._bus.unsubscribe(_TOPIC + topic)
            self._forget(topic, entry)

    def _forget(self, topic: str, entry: _Topic) -> None:
        if not entry.members and not entry.subscribed and self._topics.get(topic) is entry:
            del self._topics[topic]

    # ---- Pushes --------------------------------------------------------------------------------------------------

    def push(self, payload: Any, topic: str | None = None, to: str | None = None) -> Outcome:
        """See `isomor.push`; from any thread."""
        try:
            channel, body = address(payload, topic, to)
        except ValueError as error:  # Unsendable is one
            return Failed("push", error)
        kind = "topic" if topic is not None else "connection" if to is not None else "all"
        if threading.get_ident() == self._thread:
            return self._publish(channel, body, kind)
        return from_thread(self._loop, "push", lambda: self._publish(channel, body, kind))

    def _publish(self, channel: str, body: bytes, kind: str) -> Outcome:
        if self._metrics is not None:
            self._metrics.pushed(kind)
        if self.turn_bytes > RUNAWAY or self._turn_deliveries > _RUNAWAY_DELIVERIES:
            self._watch_turn()
        self.turn_bytes += len(body) + 64
        return _Published(self, self._bus.publish(channel, body))

    def _watch_turn(self) -> None:
        """Much was pushed since somebody awaited it: refuse more, where that was in one turn of the loop."""
        if not self._watches_turn:
            self._watches_turn = True
            self.turn_bytes = self._turn_deliveries = 0
            self._loop.call_soon(self._turned)
        else:
            raise RuntimeError(f"push: over {RUNAWAY >> 20} MiB were pushed without an await; await each push")

    def _turned(self) -> None:
        self._watches_turn = False
        self.turn_bytes = self._turn_deliveries = 0

    # ---- What the bus calls --------------------------------------------------------------------------------------

    def on_message(self, channel: str, body: bytes) -> None:
        """A push has arrived: hand it to those that it is meant for."""
        if channel.startswith(_TOPIC):
            entry = self._topics.get(channel[len(_TOPIC) :])
            if entry is not None and entry.members:
                frame = text_frame(body)
                for member in entry.members:
                    member.enqueue_shared(frame)
                self._delivered(len(entry.members))
        elif channel == ALL:
            frame = text_frame(body)
            for member in self.connections:
                member.enqueue_shared(frame)
            self._delivered(len(self.connections))
        else:
            to, _, message = body.partition(b"\n")
            found = self._by_id.get(to.decode(errors="replace"))
            if found is not None:
                found.enqueue(text_frame(message))
                self._delivered(1)

    def _delivered(self, count: int) -> None:
        self._turn_deliveries += count
        if self._metrics is not None:
            self._metrics.delivered(count)

    def on_gap(self, channel: str, lost: int | None) -> None:
        """Pushes of a channel were lost: tell those who would have got them."""
        if channel.startswith(_TOPIC):
            topic = channel[len(_TOPIC) :]
            entry = self._topics.get(topic)
            frame = text_frame(gap_message(topic))
            for member in entry.members if entry is not None else ():
                member.enqueue_shared(frame)
        else:
            frame = text_frame(gap_message(None))
            for member in self.connections:
                member.enqueue_shared(frame)


def address(payload: Any, topic: str | None, to: str | None) -> tuple[str, bytes]:
    """The channel and the body of a push.

    Raises:
        TypeError, ValueError: if the payload has no form in JSON, or the topic or the id cannot be one.
    """
    if topic is not None:
        if to is not None:
            raise ValueError(f"push(topic={topic!r:.80}, to={to!r:.80}): give one of them")
        return _TOPIC + check_topic(topic), push_message(encode(payload), topic)
    if to is not None:
        match = _ID.fullmatch(to) if isinstance(to, str) else None
        if match is None:
            raise ValueError("push(to=…): give the id of a connection, as ctx.ws.id is")
        return _NODE + match[1], b"%b\n%b" % (to.encode(), push_message(encode(payload)))
    return ALL, push_message(encode(payload))


def check_topic(topic: Any) -> str:
    """`topic`, if it can be one.

    Raises:
        ValueError: if it is not a string of 1 to 256 characters.
    """
    if not isinstance(topic, str) or not 0 < len(topic) <= _LONGEST_TOPIC:
        raise ValueError(f"topic={topic!r:.80}: give a string of 1 to {_LONGEST_TOPIC} characters")
    with contextlib.suppress(UnicodeEncodeError):
        topic.encode()
        return topic
    raise ValueError(f"topic={topic!r:.80}: it has a lone surrogate, which no encoding has")


_current: list[Hub] = []


def set_current(hub: Hub | None) -> None:
    """Name the hub of this process, for `push`; None when it has stopped."""
    _current[:] = [hub] if hub is not None else []


def push(payload: Any, *, topic: str | None = None, to: str | None = None) -> Outcome:
    """Push to browsers, on every container: to all who joined `topic`, to one connection, or to everyone.

    It takes effect when called, from anywhere: functions of either transport, startup, background tasks, threads.
    Awaiting it waits until the bus has it.

    Args:
        payload: what the browsers get; anything that a function could return.
        topic: whom it is for: those who joined it.
        to: whom it is for: the connection of this id (`ctx.ws.id`). If it is gone, nothing happens.

    Raises (where awaited; else logged):
        BusUnavailable: if Redis could not be had within `redis.outage_buffer_seconds`.
        TypeError, ValueError: if the payload has no form in JSON, or the topic or the id cannot be one.
        ConnectionClosed: if there is no server in this process, or it has stopped.
    """
    if not _current:
        reason = "no server runs in this process: push from a function, or from startup on; elsewhere use `isomor push`"
        return Failed("push", ConnectionClosed(reason))
    return _current[0].push(payload, topic, to)
