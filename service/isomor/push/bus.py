"""The bus carries pushes between the processes of one deployment. This is its interface, and its in-process twin.

Whoever publishes gets its own message back from the bus, so that all subscribers of a channel see the same order.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from isomor.errors import BusUnavailable
from isomor.push.receipt import Receipt

log = logging.getLogger("isomor.bus")


class Receiver(Protocol):
    """What a bus calls, on the event loop, for what arrives: one call at a time, never one within another.

    Neither method may block or wait. What they raise is logged, and costs nothing but that one message.
    """

    def on_message(self, channel: str, body: bytes) -> None:
        """A message of a subscribed channel: once, in the publisher's order."""

    def on_gap(self, channel: str, lost: int | None) -> None:
        """Messages of a subscribed channel were lost: how many, or None where that cannot be known (yet)."""


@dataclass(frozen=True, slots=True)
class BusStats:
    """What a bus has done since it was started, and what it holds right now (`buffered_bytes`)."""

    published: int = 0  # acknowledged by the far end
    failed: int = 0  # ended in BusUnavailable
    received: int = 0  # handed to the receiver
    repeats: int = 0  # dropped: they had been handed over before
    foreign: int = 0  # ignored: not ours, though on a channel of ours
    gaps: int = 0  # how often on_gap was called
    lost: int = 0  # messages known to be lost by their numbers
    rebuilds: int = 0  # connections made anew after the first one
    buffered_bytes: int = 0


class Bus(ABC):
    """Publish and subscribe over named channels. All methods are called on one event loop."""

    @abstractmethod
    async def start(self, receiver: Receiver) -> None:
        """Begin. Returns without waiting for a far end that is down: see `ready`.

        Raises:
            ConfigError: if the far end refuses us for good, such as for a wrong password.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Publish what is waiting if the far end is there, then let go of everything. Never hangs."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether messages published now come back: false while the far end is deaf, away or unproven."""

    @abstractmethod
    def stats(self) -> BusStats:
        """The counters, as they are now."""

    @abstractmethod
    def publish(self, channel: str, body: bytes) -> Receipt:
        """Take the next place in the order of this channel, at once; awaiting waits for the bus's acknowledgement.

        The receiver may get the message before this returns (in-process) or long after. Never raises by itself.

        Raises (when the receipt is awaited; logged where nobody awaits it):
            BusUnavailable: if it could not be handed over in time, the buffer is full, or the bus is not running.
        """

    @abstractmethod
    async def subscribe(self, channel: str) -> None:
        """Returns once every message published from now on will arrive. A channel is subscribed once or not at all.

        Raises:
            BusUnavailable: if that could not be had in time. The channel is then not subscribed.
        """

    def subscribe_now(self, channel: str) -> bool:
        """Subscribe without waiting, where the bus can do that; false where `subscribe` has to be awaited."""
        return False

    @abstractmethod
    async def unsubscribe(self, channel: str) -> None:
        """Stop receiving `channel`, from this call on. Never raises; unknown channels are ignored."""


class LocalBus(Bus):
    """The bus of a single process: what is published is received within the call."""

    def __init__(self) -> None:
        self._receiver: Receiver | None = None
        self._channels: set[str] = set()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._delivering = False
        self._published = self._received = 0
        self._done = Receipt.fulfilled()

    async def start(self, receiver: Receiver) -> None:
        """Begin."""
        self._receiver = receiver

    async def stop(self) -> None:
        """Let go of the receiver and of every channel."""
        self._receiver = None
        self._channels.clear()

    @property
    def ready(self) -> bool:
        """Always, between `start` and `stop`."""
        return self._receiver is not None

    def stats(self) -> BusStats:
        """The counters; nothing is ever lost or buffered here."""
        return BusStats(published=self._published, received=self._received)

    def publish(self, channel: str, body: bytes) -> Receipt:
        """Hand the message to the receiver, now; after what is being handed over where this is called from there.

        Raises (when awaited):
            BusUnavailable: if the bus is not running.
        """
        if self._receiver is None:
            receipt = Receipt(_log_unseen)
            receipt.fail(BusUnavailable("The bus is not running"))
            return receipt
        self._published += 1
        self._waiting.append((channel, body))
        if not self._delivering:
            self._deliver()
        return self._done

    def _deliver(self) -> None:
        self._delivering = True
        try:
            while self._waiting:
                channel, body = self._waiting.popleft()
                if self._receiver is not None and channel in self._channels:
                    self._received += 1
                    try:
                        self._receiver.on_message(channel, body)
                    except Exception:
                        log.exception("The receiver failed on a message of %r", channel)
        finally:
            self._delivering = False

    async def subscribe(self, channel: str) -> None:
        """Receive `channel` from now on.

        Raises:
            BusUnavailable: if the bus is not running.
        """
        if self._receiver is None:
            raise BusUnavailable("The bus is not running")
        self._channels.add(channel)

    def subscribe_now(self, channel: str) -> bool:
        """Receive `channel` from now on; false where the bus is not running."""
        if self._receiver is not None:
            self._channels.add(channel)
        return self._receiver is not None

    async def unsubscribe(self, channel: str) -> None:
        """Stop receiving `channel`."""
        self._channels.discard(channel)


def _log_unseen(error: BusUnavailable) -> None:
    log.error("A message was not published: %s", error)
