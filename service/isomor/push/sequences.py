"""Sequence numbers: given out by the publisher, checked by the receiver. Both tables are bounded.

A publisher numbers each channel from 1. It forgets channels that it has not used for long; when it meets one again it
counts from 1 again, in a higher epoch, so that no receiver mistakes the new numbers for repeats.

A receiver cannot know where a publisher stands when it subscribes, so the first message sets the base. The base is
kept while the connection to Redis is made anew: what was missed meanwhile shows as a gap.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import Final

from isomor.push.envelope import UNKNOWN_LOSS, Envelope

REPEAT: Final = -1
UNKNOWN: Final = -2

_PUBLISHER_LIMIT: Final = 16_384
_RECEIVER_LIMIT: Final = 65_536


class Counter:
    """The publisher's numbers of one channel."""

    __slots__ = ("acknowledged", "epoch", "packed", "pending", "taken", "unknown_before")

    def __init__(self, epoch: int, unknown_before: bool) -> None:
        self.epoch = epoch
        self.taken = 0  # the highest number given out
        self.packed = 0  # the highest number on its way to Redis, or there
        self.acknowledged = 0  # the highest number that Redis has confirmed
        self.pending = 0  # numbers given out whose outcome is open
        self.unknown_before = unknown_before

    def pack(self, number: int) -> int:
        """`number` goes to Redis now: how many right before it did not, and never will."""
        lost = min(number - 1 - self.packed, UNKNOWN_LOSS - 1)
        first = self.packed == 0
        self.packed = number
        return UNKNOWN_LOSS if first and self.unknown_before else lost

    def unpack(self) -> None:
        """What was on its way is to be sent again."""
        self.packed = self.acknowledged


class Counters:
    """The publisher's counters, least recently used first. One that is in use is never forgotten."""

    def __init__(self, limit: int = _PUBLISHER_LIMIT) -> None:
        self._limit = self._sweep_at = limit
        self._counters: OrderedDict[str, Counter] = OrderedDict()
        self._epochs = count(1)
        self._forgot_losses = False

    def __len__(self) -> int:
        return len(self._counters)

    def take(self, channel: str) -> Counter:
        """The counter of this channel, its `taken` raised by one: the caller's number."""
        counter = self._counters.get(channel)
        if counter is None:
            if len(self._counters) >= self._sweep_at:
                self._sweep()
            counter = self._counters[channel] = Counter(next(self._epochs), self._forgot_losses)
        else:
            self._counters.move_to_end(channel)
        counter.taken += 1
        return counter

    def _sweep(self) -> None:
        for channel in list(self._counters):
            if len(self._counters) <= self._limit // 2:
                break
            counter = self._counters[channel]
            if counter.pending == 0:
                # Its next message would have told of these; now every new epoch has to say that there was something.
                self._forgot_losses |= counter.taken > counter.acknowledged
                del self._counters[channel]
        # Where most are in use there is little to sweep: try again only once there are many more.
        self._sweep_at = max(self._limit, 2 * len(self._counters))


class Ledger:
    """What was last received, per subscribed channel and publisher."""

    def __init__(self, limit: int = _RECEIVER_LIMIT) -> None:
        self._limit = limit
        self._bases: dict[str, dict[bytes, list[int]]] = {}  # channel → publisher → [epoch, number, age]
        self._size = 0
        self._ages = count()

    def __len__(self) -> int:
        return self._size

    def forget(self, channel: str) -> None:
        """The channel is no longer subscribed."""
        self._size -= len(self._bases.pop(channel, ()))

    def judge(self, channel: str, envelope: Envelope) -> int:
        """Take note of a message: REPEAT, or how many were lost right before it (UNKNOWN: some)."""
        publisher, epoch, number, lost, _ = envelope
        bases = self._bases.get(channel)
        if bases is None:
            bases = self._bases[channel] = {}
        base = bases.get(publisher)
        if base is None:
            if self._size >= self._limit:
                self._sweep()
                bases = self._bases.setdefault(channel, {})
            bases[publisher] = [epoch, number, next(self._ages)]
            self._size += 1
            # Nothing to compare with. A loss that the publisher knows of may have been before we subscribed; better
            # told once too often than never.
            return 0 if lost == UNKNOWN_LOSS else lost
        known_epoch, known_number, _ = base
        if epoch < known_epoch or (epoch == known_epoch and number <= known_number):
            return REPEAT
        base[:] = epoch, number, next(self._ages)
        if epoch == known_epoch:
            return number - known_number - 1
        return UNKNOWN if lost == UNKNOWN_LOSS else number - 1

    def _sweep(self) -> None:
        """Forget the half that was heard of least recently: publishers come and go while a channel stays."""
        ages = sorted(base[2] for bases in self._bases.values() for base in bases.values())
        oldest_kept = ages[len(ages) // 2]
        for channel, bases in list(self._bases.items()):
            kept = {publisher: base for publisher, base in bases.items() if base[2] >= oldest_kept}
            self._size -= len(bases) - len(kept)
            if kept:
                self._bases[channel] = kept
            else:
                del self._bases[channel]
