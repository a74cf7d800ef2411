"""What this process wants to hear, on whichever connection: who waits for it, and what becomes of what arrives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from isomor.errors import BusUnavailable
from isomor.notices import Notices
from isomor.push.bus import Receiver
from isomor.push.envelope import ForeignMessage, unpack
from isomor.push.sequences import REPEAT, UNKNOWN, Ledger

log = logging.getLogger("isomor.bus")


@dataclass(slots=True, eq=False)
class Want:
    """A channel that is wanted."""

    channel: str
    wire: bytes
    live: bool = False  # Redis has acknowledged, on a connection that stands
    granted: bool = False  # it has been live: what comes after a break is a gap
    foreign: bool = False  # a message that is not ours has been logged
    holders: int = 0  # how many calls of subscribe have returned
    home: object = None  # the node that carries it
    waiters: set[asyncio.Future[None]] = field(default_factory=set)


class Subscriptions:
    """All wanted channels. Everything that arrives goes through here to the receiver."""

    def __init__(self, prefix: bytes, receiver: Receiver, notices: Notices) -> None:
        """`prefix` is what every name on the wire begins with, the colon included."""
        self._prefix = prefix
        self._receiver = receiver
        self._notices = notices
        self._ledger = Ledger()
        self._wants: dict[bytes, Want] = {}
        self.received = self.repeats = self.foreign = self.gaps = self.lost = 0

    def __iter__(self) -> Iterator[Want]:
        return iter(self._wants.values())

    def __len__(self) -> int:
        return len(self._wants)

    @property
    def bases(self) -> int:
        """How many publishers' numbers are remembered, over all channels."""
        return len(self._ledger)

    def wire(self, channel: str) -> bytes:
        """The name on the wire."""
        return self._prefix + channel.encode("utf-8", "surrogatepass")

    def get(self, channel: str) -> Want | None:
        """The want of this channel, if there is one."""
        return self._wants.get(self.wire(channel))

    def add(self, channel: str) -> Want:
        """Want this channel from now on."""
        wire = self.wire(channel)
        want = self._wants[wire] = Want(channel, wire)
        return want

    def drop(self, want: Want, reason: str) -> None:
        """Want it no longer; those who still wait are told the reason."""
        if self._wants.get(want.wire) is not want:
            return
        del self._wants[want.wire]
        self._ledger.forget(want.channel)
        want.live = False
        for waiter in want.waiters:
            if not waiter.done():
                waiter.set_exception(BusUnavailable(reason))
        want.waiters.clear()

    async def granted(self, want: Want, seconds: float) -> bool:
        """Wait until the channel is live, for at most about `seconds`: whether it is.

        Raises:
            BusUnavailable: if it was dropped meanwhile.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        want.waiters.add(waiter)
        try:
            for _ in range(5):  # in slices, of which a blocked loop takes one (see patience.py)
                await asyncio.wait((waiter,), timeout=seconds / 5)
                if waiter.done():
                    waiter.result()
                    return True
            return False
        finally:
            want.waiters.discard(waiter)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # read, so that asyncio does not complain where the waiting task was cancelled

    def acknowledge(self, want: Want) -> None:
        """Redis has subscribed us."""
        want.live = True
        for waiter in want.waiters:
            if not waiter.done():
                waiter.set_result(None)
        # Each takes itself out of `waiters` as it comes round: one that is cancelled sees who else counts on this.
        if want.granted:
            self._gap(want, None)
        want.granted = True

    def deliver(self, want: Want, data: bytes) -> None:
        """A message has arrived on a live channel."""
        try:
            envelope = unpack(data, len(self._prefix) - 1)
        except ForeignMessage as error:
            self.foreign += 1
            if not want.foreign:
                want.foreign = True
                text = "A message on channel %r is ignored, since %s (%d bytes: %r); this channel's next are not logged"
                self._notices(logging.WARNING, "foreign", text, want.channel, error, len(data), data[:32])
            return
        lost = self._ledger.judge(want.channel, envelope)
        if lost == REPEAT:
            self.repeats += 1
            return
        if lost:
            known = None if lost == UNKNOWN else lost
            self.lost += known or 0
            how_many = "an unknown number of" if known is None else str(known)
            text = "%s messages of channel %r were lost, from publisher %s"
            self._notices(logging.WARNING, "gap", text, how_many, want.channel, envelope.publisher.hex())
            self._gap(want, known)
            if not want.live:  # the receiver has left
                return
        self.received += 1
        try:
            self._receiver.on_message(want.channel, envelope.body)
        except Exception:
            log.exception("The receiver failed on a message of %r", want.channel)

    def _gap(self, want: Want, lost: int | None) -> None:
        self.gaps += 1
        try:
            self._receiver.on_gap(want.channel, lost)
        except Exception:
            log.exception("The receiver failed on a gap of %r", want.channel)
