"""The one reader from one Redis node: keeps it subscribed to what is wanted, and proves that it hears.

Three tasks share a connection. The reader reads and calls, and waits for nothing else. The second sends (un)subscribes,
and may wait for a Redis that does not read. The third publishes probes to a channel of this process, and ends the
connection when Redis has confirmed one that does not arrive: nothing else finds a connection that is open on one side.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from redis.exceptions import ClusterDownError, MovedError, TryAgainError

from isomor.push.patience import SLICES, Backoff, first_end, is_set_within
from isomor.push.redis_link import TROUBLE, Link
from isomor.push.redis_subscriptions import Subscriptions, Want

log = logging.getLogger("isomor.bus")

_BATCH: Final = 500
_PASSING: Final = (ClusterDownError, TryAgainError)
# So many deadlines without a probe end even a connection on which something else arrives.
_PATIENCE: Final = 5


class Deaf(ConnectionError):
    """Redis confirmed a probe that has not arrived, and nothing else has."""


class SubscriberEvents(Protocol):
    """Whom a subscriber tells how it fares."""

    def probe(self, wire: bytes, token: bytes, acknowledged: Callable[[], None]) -> None:
        """Publish this."""

    def subscriber_up(self) -> None:
        """What is published arrives: a probe has come back."""

    def subscriber_late(self) -> None:
        """A probe has not come back in time."""

    def subscriber_down(self, error: BaseException) -> None:
        """The connection has ended, or could not be made; it is tried again."""

    def subscriber_again(self, channels: int) -> None:
        """A new connection has been made, and asked for so many channels."""

    def moved(self) -> None:
        """Some channel is carried by another node now; `retry` is to be called once it is known which."""


class Subscriber:
    """Hears one node. `run` is its only task; it owns the connection."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        dial: Callable[[], Awaitable[Link]],
        events: SubscriberEvents,
        service: bytes,
        *,
        sharded: bool,
        interval: float,
        deadline: float,
    ) -> None:
        """`service` is the channel of the probes: subscribed for ever, and nobody else's."""
        self._subscriptions = subscriptions
        self._dial = dial
        self._events = events
        self._service = service
        self._interval = interval
        self._deadline = deadline
        shard = b"s" if sharded else b""
        self._subscribe, self._unsubscribe, self._message = (
            shard + word for word in (b"subscribe", b"unsubscribe", b"message")
        )
        self._wanted: dict[bytes, Want] = {}
        self._dirty: set[bytes] = set()  # names to compare with `_on_wire`
        self._changed = asyncio.Event()
        self._on_wire: set[bytes] = set()  # subscribed, once all that was sent has been carried out
        self._asked: deque[tuple[bytes, bytes]] = deque()  # commands without an answer yet
        self._open: Counter[bytes] = Counter()  # of these, how many for each name
        self._linked = False  # a connection stands
        self._heard = 0
        self._token = b""
        self._token_back = asyncio.Event()
        self._serving = asyncio.Event()  # the service channel is subscribed
        self._probes = 0
        self._condemned: ConnectionError | None = None

    def assign(self, want: Want) -> None:
        """Hear this channel, too."""
        self._wanted[want.wire] = want
        self._touch(want.wire)

    def release(self, want: Want) -> None:
        """Hear it no longer."""
        if self._wanted.get(want.wire) is want:
            del self._wanted[want.wire]
            self._touch(want.wire)

    def condemn(self, error: ConnectionError) -> None:
        """End this connection soon, and make a new one."""
        self._condemned = error

    def retry(self) -> None:
        """Ask again for what was refused because it had moved."""
        self._changed.set()

    def _touch(self, wire: bytes) -> None:
        if self._linked:  # else all that is wanted will be asked for
            self._dirty.add(wire)
            self._changed.set()

    async def run(self) -> None:
        """Work until cancelled, through any number of connections."""
        backoff = Backoff()
        connected_before = False
        while True:
            try:
                link = await self._dial()
                if connected_before:
                    self._events.subscriber_again(len(self._wanted))
                connected_before = True
                self._dirty, self._linked, self._condemned = set(self._wanted), True, None
                try:
                    await first_end(self._read(link), self._reconcile(link), self._prove(backoff))
                finally:
                    self._break()
                    await link.close()
            except Exception as error:
                if not isinstance(error, TROUBLE):
                    log.exception("The reader from Redis failed; it begins anew")
                self._events.subscriber_down(error)
                await asyncio.sleep(backoff.next())

    def _break(self) -> None:
        for want in self._wanted.values():
            want.live = False
        self._linked = False
        self._dirty.clear()
        self._on_wire.clear()
        self._asked.clear()
        self._open.clear()
        self._serving.clear()

    async def _reconcile(self, link: Link) -> None:
        await self._catch_up(link)
        # Last of all: acknowledgements come in order, so that the first probe proves the others, too.
        await link.send([self._ask(self._subscribe, self._service)])
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._catch_up(link)

    async def _catch_up(self, link: Link) -> None:
        while self._dirty:
            commands = [command for _ in range(min(_BATCH, len(self._dirty))) if (command := self._next_command())]
            if commands:
                await link.send(commands)

    def _next_command(self) -> tuple[bytes, bytes] | None:
        """What to send for one dirty name. One name a command: an error then says whose it is, and slots may differ."""
        wire = self._dirty.pop()
        want = self._wanted.get(wire)
        if (want is not None) == (wire in self._on_wire):
            # Left and joined again before this task came round: Redis never noticed.
            if want is not None and not want.live and not self._open[wire]:
                self._subscriptions.acknowledge(want)
            return None
        if want is None:
            self._on_wire.discard(wire)
            return self._ask(self._unsubscribe, wire)
        self._on_wire.add(wire)
        return self._ask(self._subscribe, wire)

    def _ask(self, command: bytes, wire: bytes) -> tuple[bytes, bytes]:
        self._asked.append((command, wire))
        self._open[wire] += 1
        return command, wire

    async def _read(self, link: Link) -> None:
        message, wanted, service, deliver = self._message, self._wanted, self._service, self._subscriptions.deliver
        while True:
            reply = await link.read()
            self._heard += 1
            if isinstance(reply, list) and reply[0] == message:
                wire = reply[1]
                want = wanted.get(wire)
                if want is not None:
                    if want.live:
                        deliver(want, reply[2])
                elif wire == service and reply[2] == self._token:
                    self._token_back.set()
            else:
                self._answered(reply)

    def _answered(self, reply: Any) -> None:
        """An acknowledgement, an error in the place of one, or word that a slot has moved away.

        Raises:
            one of TROUBLE: if this connection is of no use.
        """
        if isinstance(reply, Exception):
            if isinstance(reply, _PASSING) or not self._asked or self._asked[0][1] == self._service:
                raise reply
            _, wire = self._asked.popleft()
            self._close_one(wire)
            self._refused(wire, reply)
            return
        if not isinstance(reply, list) or len(reply) < 2:
            return
        kind, wire = reply[0], reply[1]
        if self._asked and self._asked[0] == (kind, wire):
            self._asked.popleft()
            self._close_one(wire)
            if kind == self._subscribe and not self._open[wire]:
                self._acknowledged(wire)
        elif kind == self._unsubscribe:
            # Nobody asked: the slot has gone to another node.
            self._on_wire.discard(wire)
            if want := self._wanted.get(wire):
                want.live = False
            self._dirty.add(wire)  # looked at once the new owner is known, or with the next change
            self._events.moved()

    def _close_one(self, wire: bytes) -> None:
        self._open[wire] -= 1
        if self._open[wire] <= 0:
            del self._open[wire]

    def _acknowledged(self, wire: bytes) -> None:
        if wire == self._service:
            self._serving.set()
        elif (want := self._wanted.get(wire)) is not None:
            self._subscriptions.acknowledge(want)

    def _refused(self, wire: bytes, error: Exception) -> None:
        self._on_wire.discard(wire)
        want = self._wanted.get(wire)
        if want is None:
            return
        want.live = False
        if isinstance(error, MovedError):
            self._dirty.add(wire)
            self._events.moved()
        else:
            del self._wanted[wire]
            self._subscriptions.drop(want, f"Redis refuses the subscription: {error}")

    async def _prove(self, backoff: Backoff) -> None:
        """Publish a probe every few seconds, and wait until it is back.

        Raises:
            Deaf: if Redis confirmed it, and then nothing was heard for the whole of the deadline.
        """
        await self._serving.wait()
        while True:
            self._probes += 1
            self._token = b"probe %d" % self._probes
            self._token_back.clear()
            confirmed = asyncio.Event()
            slices = since = silent = heard = 0
            # In slices, so that a loop that was blocked gets round to reading first (see patience.py).
            while True:
                if slices % SLICES == 0 and not confirmed.is_set():  # again and again: lanes come and go
                    self._events.probe(self._service, self._token, confirmed.set)
                if await is_set_within(self._token_back, self._deadline / SLICES):
                    break
                if self._condemned is not None:
                    raise self._condemned
                slices += 1
                since += confirmed.is_set()
                silent = silent + 1 if confirmed.is_set() and heard == self._heard else 0
                heard = self._heard
                if slices == SLICES:
                    self._events.subscriber_late()
                if silent >= SLICES or since >= _PATIENCE * SLICES:
                    raise Deaf(f"what is published has not arrived within {self._deadline:g} s")
            backoff.reset()
            self._events.subscriber_up()
            await asyncio.sleep(self._interval)
