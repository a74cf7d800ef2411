"""The one writer to one Redis node: publishes in pipelines, in order, whatever happens to the connection.

When a connection ends with publishes under way, nobody knows which of them Redis has seen. They are sent again, first
of all, and nothing later overtakes them; receivers drop by number what they have had.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from redis.exceptions import NoPermissionError

from isomor.errors import BusUnavailable
from isomor.push.envelope import pack
from isomor.push.patience import Backoff, within
from isomor.push.redis_link import TROUBLE, Link
from isomor.push.redis_outbox import Message, Outbox

log = logging.getLogger("isomor.bus")

# One pipeline: enough to make the round trip cheap, and little enough to be answered within the deadline.
_BATCH_MESSAGES: Final = 256
_BATCH_BYTES: Final = 256 * 1024
# Slower than this the deadline strikes.
_BYTES_PER_SECOND: Final = 1024 * 1024


class LaneEvents(Protocol):
    """Whom a lane tells how it fares."""

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
        self._probe: tuple[bytes, bytes, Callable[[], None]] | None = None
        self._work = asyncio.Event()
        self._backoff = Backoff()

    def wake(self) -> None:
        """There is something in the queue."""
        self._work.set()

    def probe(self, wire: bytes, token: bytes, acknowledged: Callable[[], None]) -> None:
        """Publish `token` before all that waits, in the place of an earlier probe; say when Redis has confirmed it."""
        self._probe = (wire, token, acknowledged)
        self._work.set()

    async def run(self) -> None:
        """Work until cancelled. What is under way then stays in `flight`."""
        link: Link | None = None
        try:
            while True:
                await self._work.wait()
                try:
                    if link is None:
                        link = await self._dial()
                    size = self._load()
                    await within(self._deadline + size / _BYTES_PER_SECOND, self._exchange(link))
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

    def _load(self) -> int:
        """Fill `flight` from the queue, behind what is to be sent again: its size in bytes."""
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
        return size

    async def _exchange(self, link: Link) -> None:
        """Send what is in flight and read the answers. What Redis has not confirmed stays in flight.

        Raises:
            one of TROUBLE: if something is to be sent again.
        """
        messages = self.flight
        probe = self._probe
        commands = [] if probe is None else [(self._command, probe[0], probe[1])]
        commands += [(self._command, message.wire, self._packed(message)) for message in messages]
        if not commands:
            self._work.clear()
            return
        refused: list[tuple[Message, Exception]] = []
        confirmed: dict[str, int] = {}
        try:
            await link.send(commands)
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
            self.flight = [message for message in messages if not message.settled]
        if self.flight:
            raise next(error for message, error in refused if not message.settled)
        if not self.queue and self._probe is None:
            self._work.clear()

    def _packed(self, message: Message) -> bytes:
        counter, number = message.counter, message.number
        lost = counter.pack(number)
        return pack(self._prefix_bytes, self._publisher, counter.epoch, number, lost, message.body)

    def _probed(self, probe: tuple[bytes, bytes, Callable[[], None]], reply: object) -> None:
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
