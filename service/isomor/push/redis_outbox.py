"""What waits for Redis to take it: numbered when it was published, bounded in time and in bytes.

A lane carries messages to one node. The outbox decides which lane, settles the outcome, and lets go of what has waited
too long: its number stays taken, so that receivers count it as lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final, Protocol

from isomor.errors import BusUnavailable
from isomor.notices import Notices
from isomor.push.patience import LoopClock, is_set_within
from isomor.push.receipt import Receipt
from isomor.push.sequences import Counter, Counters

# What a message costs beside its bytes: the object, its places in queues.
_OVERHEAD: Final = 256
_SETTLED: Final = Receipt.fulfilled()


class Message:
    """A message on its way, and its place in the order."""

    __slots__ = ("body", "channel", "counter", "expires", "number", "order", "receipt", "settled", "size", "wire")

    def __init__(
        self, channel: str, wire: bytes, body: bytes, counter: Counter, order: int, expires: float, receipt: Receipt
    ) -> None:
        self.channel = channel
        self.wire = wire
        self.body = body
        self.counter = counter
        self.number = counter.taken
        self.order = order
        self.expires = expires
        self.receipt = receipt
        self.size = len(wire) + len(body) + _OVERHEAD
        self.settled = False


class Carrier(Protocol):
    """What the outbox knows of a lane."""

    queue: deque[Message]
    flight: list[Message]  # older than all in the queue

    def wake(self) -> None:
        """There is something in the queue."""


class Outbox:
    """All messages of one bus that Redis has not confirmed."""

    def __init__(self, seconds: float, limit_bytes: int, notices: Notices) -> None:
        self._seconds = seconds
        self._limit_bytes = limit_bytes
        self._notices = notices
        self._counters = Counters()
        self._order = count()
        self._tick = min(0.25, max(0.01, seconds / 10))
        self._clock = LoopClock(self._tick, self._expire)
        self._carriers: Mapping[Any, Carrier] = {}
        self._route: Callable[[bytes], Carrier | None] = _nowhere
        self._homeless: deque[Message] = deque()  # no lane for them is known right now
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()
        self.waiting = 0
        self.buffered_bytes = 0
        self.published = 0
        self.failed = 0
        self.trouble = ""  # why Redis is away, for the errors

    def add(self, channel: str, wire: bytes, body: bytes) -> Receipt:
        """Take a message in, at the end of the order; it is on its way when this returns."""
        receipt = Receipt(self._unseen)
        if not self._open:
            self.failed += 1
            receipt.fail(BusUnavailable("The bus is not running"))
            return receipt
        # The number is taken even if there is no room: then it is missing, as it should be.
        counter = self._counters.take(channel)
        expires = self._clock.now + self._seconds + self._tick  # the clock may be a tick behind
        message = Message(channel, wire, body, counter, next(self._order), expires, receipt)
        if self.buffered_bytes + message.size > self._limit_bytes:
            self.failed += 1
            receipt.fail(BusUnavailable(f"The buffer for Redis is full ({self.buffered_bytes} bytes){self.because}"))
            return receipt
        counter.pending += 1
        self.waiting += 1
        self.buffered_bytes += message.size
        self._empty.clear()
        self._place(message)
        self._clock.run()
        return receipt

    @property
    def because(self) -> str:
        """For the end of an error's text: why Redis is away, if it is."""
        return f": {self.trouble}" if self.trouble else ""

    def pressing(self, message: Message) -> bool:
        """Whether most of its time is over."""
        return message.expires - self._clock.now < self._seconds / 4

    def settle(self, message: Message, error: BusUnavailable | None) -> None:
        """The outcome is known. A second one is ignored."""
        if message.settled:
            return
        message.settled = True
        counter = message.counter
        counter.pending -= 1
        self.waiting -= 1
        self.buffered_bytes -= message.size
        if error is None:
            counter.acknowledged = max(counter.acknowledged, message.number)
            self.published += 1
            message.receipt.fulfil()
        else:
            self.failed += 1
            message.receipt.fail(error)
        # A lane may hold it for some time yet; the bytes, and a receipt that complains when it is dropped, go now.
        message.body, message.receipt = b"", _SETTLED
        if not self.waiting:
            self._empty.set()

    def reroute(self, carriers: Mapping[Any, Carrier], route: Callable[[bytes], Carrier | None]) -> None:
        """From now on these lanes, chosen by `route` from the channel's name; what waits is handed to them in order.

        The lanes before must have ended: what they had under way is sent again, and receivers drop the repeats.
        """
        waiting: list[Message] = list(self._homeless)
        for carrier in self._carriers.values():
            waiting += [message for message in carrier.flight if not message.settled]
            waiting += carrier.queue
            carrier.flight = []
            carrier.queue.clear()
        self._homeless.clear()
        self._carriers = carriers
        self._route = route
        for message in sorted(waiting, key=lambda message: message.order):
            message.counter.unpack()
            self._place(message)

    async def emptied(self, seconds: float) -> bool:
        """Wait until nothing waits, for at most `seconds`: whether that is so."""
        if self.waiting:
            await is_set_within(self._empty, seconds)
        return not self.waiting

    def refuse(self) -> None:
        """Take nothing more in."""
        self._open = False

    def close(self) -> None:
        """Fail all that waits. The lanes must have ended."""
        self.refuse()
        self._clock.stop()
        self.reroute({}, _nowhere)
        for message in self._homeless:
            self.settle(message, BusUnavailable(f"The bus was stopped before Redis took the message{self.because}"))
        self._homeless.clear()

    def _place(self, message: Message) -> None:
        carrier = self._route(message.wire)
        if carrier is None:
            self._homeless.append(message)
        else:
            carrier.queue.append(message)
            carrier.wake()

    def _expire(self) -> bool:
        for carrier in self._carriers.values():
            self._expire_of(carrier.flight)
            self._expire_of(carrier.queue)
        self._expire_of(self._homeless)
        return self.waiting > 0

    def _expire_of(self, messages: Iterable[Message]) -> None:
        now = self._clock.now
        for message in messages:
            if message.settled:
                continue
            if message.expires > now:
                break
            text = f"Redis has not taken the message within {self._seconds:g} s{self.because}"
            self.settle(message, BusUnavailable(text))
        if isinstance(messages, deque):
            while messages and messages[0].settled:
                messages.popleft()

    def _unseen(self, error: BusUnavailable) -> None:
        self._notices(logging.ERROR, "unpublished", "A message was not published: %s", error)


def _nowhere(_wire: bytes) -> None:
    return None
