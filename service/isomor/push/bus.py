"""The bus carries pushes between the processes of one deployment. This is its interface, and its in-process twin.

Whoever publishes gets its own message back from the bus, so that all subscribers of a channel see the same order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Protocol


class Receiver(Protocol):
    """What a bus calls, on the event loop, for what arrives. Neither method may block or wait."""

    def on_message(self, channel: str, body: bytes) -> None:
        """A message of a subscribed channel: once, in the publisher's order."""

    def on_gap(self, channel: str, lost: int | None) -> None:
        """Messages of a subscribed channel were lost: how many, or None where that cannot be known (yet)."""


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
    def publish(self, channel: str, body: bytes) -> Awaitable[None]:
        """Take the next place in the order of this channel, at once; awaiting waits for the bus's acknowledgement.

        Raises (when awaited; logged where nobody awaits):
            BusUnavailable: if it could not be handed over in time.
        """

    @abstractmethod
    async def subscribe(self, channel: str) -> None:
        """Returns once every message published from now on will arrive.

        Raises:
            BusUnavailable: if that could not be had in time. The channel is then not subscribed.
        """

    @abstractmethod
    async def unsubscribe(self, channel: str) -> None:
        """Stop receiving `channel`. Never raises; unknown channels are ignored."""
