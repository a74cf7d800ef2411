"""The one writer to one Redis node: publishes in pipelines, in order, whatever happens to the connection.

When a connection ends with publishes under way, nobody knows which of them Redis has seen. They are sent again, first
of all, and nothing later overtakes them; receivers drop by number what they have had.

After an outage a lane holds back for a moment: Redis is there again, and those who are to hear are not yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from redis.exceptions import NoPermissionError

from isomor.errors import BusUnavailable
from isomor.push.envelope import pack
from isomor.push.patience import Backoff, is_set_within, within
from isomor.push.redis_link import TROUBLE, Link
from isomor.push.redis_outbox import Message, Outbox

log = logging.getLogger("isomor.bus")

# One pipeline: enough to make the round trip cheap, and little enough to be answered within the deadline.
_BATCH_MESSAGES: Final = 256
_BATCH_BYTES: Final = 256 * 1024
# How often a lane that holds back looks whether the oldest message presses.
_GLANCE_SECONDS: Final = 0.1
# Slower than this the deadline strikes.
_BYTES_PER_SECOND: Final = 1024 * 1024


# The channel's name, the body, and whom to tell that Redis has confirmed it.
Probe = tuple[bytes, bytes, Callable[[], None]]


class LaneEvents(Protocol):
    """Whom a lane tells how it fares."""

    asks_role: bool  # whether `role` is to be asked with each probe

    def role(self, reply: Any) -> None:
        """What the node says to ROLE.

        Raises:
            NotPrimary: if nothing must be published there any more.
        """

    def lane_up(self) -> None:
        """Redis has answered."""

    def lane_down(self, error: BaseException) -> None:
        """The connection has ended, or could not be made; it is tried again."""


class Lane:
    """Carries messages and probes to one node. `run` is its only task, and alone touches the connection."""

    def __init__(
        self,
        outbox: Outbox,
        dial: Callable[[], Awaitable[Link]],
        events: LaneEvents,
        *,
        command: bytes,
        publisher: bytes,
        prefix_bytes: int,
        deadline: float,
    ) -> None:
        self.queue: deque[Message] = deque()
        self.flight: list[Message] = []
        self._outbox = outbox
        self._dial = dial
        self._events = events
        self._command = command
        self._publisher = publisher
        self._prefix_bytes = prefix_bytes
        self._deadline = deadline
        self._probe: Probe | None = None
        self._work = asyncio.Event()
        self._grace_until = self._deaf_until = 0.0  # by the loop's clock
        self._stirred = asyncio.Event()  # the holding back may be over
        self._backoff = Backoff()

    def wake(self) -> None:
        """There is something in the queue."""
        self._work.set()

    def probe(self, wire: bytes, token: bytes, acknowledged: Callable[[], None]) -> None:
        """Publish `token` before all that waits, in the place of an earlier probe; say when Redis has confirmed it."""
        self._probe = (wire, token, acknowledged)
        self._work.set()
        self._stirred.set()

    def hold(self, seconds: float) -> None:
        """Publish nothing but probes for so long, or until the oldest message presses: others are coming back, too."""
        self._grace_until = asyncio.get_running_loop().time() + seconds

    def hold_while_deaf(self, seconds: float) -> None:
        """The same, or until `release`: we do not hear ourselves."""
        self._deaf_until = asyncio.get_running_loop().time() + seconds

    def release(self) -> None:
        """We hear ourselves again."""
        self._deaf_until = 0.0
        self._stirred.set()

    def hurry(self) -> None:
        """Hold nothing back any more: the bus is being stopped."""
        self._grace_until = 0.0
        self.release()

    def _held(self) -> float:
        oldest = self.flight[0] if self.flight else self.queue[0] if self.queue else None
        if oldest is None or oldest.settled or self._outbox.pressing(oldest):
            return 0.0
        return max(0.0, max(self._grace_until, self._deaf_until) - asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until cancelled. What is under way then stays in `flight`."""
        link: Link | None = None
        try:
            while True:
                await self._work.wait()
                try:
                    if link is None:
                        link = await self._dial()
                    messages: list[Message] = []
                    if held := self._held():
                        if self._probe is None:
                            self._stirred.clear()
                            await is_set_within(self._stirred, min(held, _GLANCE_SECONDS))
                            continue
                    else:
                        messages = self._load()
                    size = sum(message.size for message in messages)
                    await within(self._deadline + size / _BYTES_PER_SECOND, self._exchange(link, messages))
                    self._backoff.reset()
                    self._events.lane_up()
                except Exception as error:
                    if not isinstance(error, TROUBLE):
                        log.exception("The writer to Redis failed; it begins anew")
                    if link is not None:
                        await link.close()
                        link = None
                    self._events.lane_down(error)
                    await asyncio.sleep(self._backoff.next())
        finally:
            if link is not None:
                await link.close()

    def _load(self) -> list[Message]:
        """Fill `flight` from the queue, behind what is to be sent again."""
        self.flight = [message for message in self.flight if not message.settled]
        size = sum(message.size for message in self.flight)
        queue = self.queue
        while queue and len(self.flight) < _BATCH_MESSAGES and (size < _BATCH_BYTES or not self.flight):
            message = queue.popleft()
            if not message.settled:
                self.flight.append(message)
                size += message.size
        for message in self.flight:
            message.counter.unpack()
        return self.flight

    async def _exchange(self, link: Link, messages: list[Message]) -> None:
        """Send the probe and these messages, and read the answers. What Redis has not confirmed stays in flight.

        Raises:
            one of TROUBLE: if something is to be sent again.
        """
        probe = self._probe
        asks_role = probe is not None and self._events.asks_role
        commands: list[tuple[bytes, ...]] = [(b"ROLE",)] if asks_role else []
        if probe is not None:
            commands.append((self._command, probe[0], probe[1]))
        # This task begins a moment after they were loaded. What has expired meanwhile has failed, and has no body left.
        messages = [message for message in messages if not message.settled]
        commands += [(self._command, message.wire, self._packed(message)) for message in messages]
        refused: list[tuple[Message, Exception]] = []
        confirmed: dict[str, int] = {}
        try:
            await link.send(commands)
            if asks_role:
                self._events.role(await link.read())
            if probe is not None:
                self._probed(probe, await link.read())
            for message in messages:
                reply = await link.read()
                if isinstance(reply, Exception):
                    refused.append((message, reply))
                else:
                    confirmed[message.channel] = message.number
                    self._outbox.settle(message, None)
        finally:
            self._give_up_on(refused, confirmed)
            self.flight = [message for message in self.flight if not message.settled]
        if messages and self.flight:
            raise next(error for message, error in refused if not message.settled)
        if not self.queue and not self.flight and self._probe is None:
            self._work.clear()

    def _packed(self, message: Message) -> bytes:
        counter, number = message.counter, message.number
        lost = counter.pack(number)
        return pack(self._prefix_bytes, self._publisher, counter.epoch, number, lost, message.body)

    def _probed(self, probe: Probe, reply: object) -> None:
        if isinstance(reply, Exception):
            raise reply
        if self._probe is probe:
            self._probe = None
        probe[2]()

    def _give_up_on(self, refused: list[tuple[Message, Exception]], confirmed: dict[str, int]) -> None:
        """Of what Redis refused, fail what must not be sent again; the rest will be."""
        for message, error in refused:
            if isinstance(error, NoPermissionError):
                self._outbox.settle(message, BusUnavailable(f"The Redis user may not publish: {error}"))
            elif confirmed.get(message.channel, 0) > message.number:
                # A later one of the same channel went through: receivers would take this one for a repeat.
                self._outbox.settle(message, BusUnavailable(f"Redis refused the message: {error}"))
