"""One Redis node as the bus sees it: a lane to it, a subscriber from it, and how both fare."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from isomor.notices import Notices
from isomor.push.patience import MOST_BACKOFF, end
from isomor.push.redis_lane import Lane
from isomor.push.redis_link import Link, refusal
from isomor.push.redis_outbox import Outbox
from isomor.push.redis_subscriber import Subscriber
from isomor.push.redis_subscriptions import Subscriptions
from isomor.push.redis_url import Address, Kind, RedisTarget

# After an outage all processes come back within this time: what was held back is published when they hear it.
GRACE_SECONDS: Final = MOST_BACKOFF
# In a long outage the log says so again every so often.
_REMIND_SECONDS: Final = 60.0


class NotPrimary(ConnectionError):
    """The node is a replica: what is published there reaches only those who are connected there."""


class Owner(Protocol):
    """Whom a node tells what concerns the whole bus."""

    def node_up(self) -> None:
        """The node has been proven."""

    def node_down(self, error: BaseException) -> None:
        """The node is in trouble, and is being tried again."""

    def moved(self) -> None:
        """The topology has changed."""


class Node:
    """A lane and a subscriber, each in a task of its own."""

    def __init__(
        self,
        target: RedisTarget,
        address: Address,
        owner: Owner,
        outbox: Outbox,
        subscriptions: Subscriptions,
        notices: Notices,
        *,
        service: bytes,
        publisher: bytes,
        prefix_bytes: int,
        interval: float,
        deadline: float,
    ) -> None:
        self.address = address
        self.service = service
        self.rebuilds = 0
        self._target = target
        self._owner = owner
        self._outbox = outbox
        self._notices = notices
        self._publisher = publisher
        self._prefix_bytes = prefix_bytes
        self._deadline = deadline
        self._sharded = target.kind is Kind.CLUSTER
        self._heard = False
        self._lane_up = True
        self.asks_role = True
        self._was_primary = self._replica_told = False
        self._unreachable = False  # a connection could not be made, which concerns others as well
        self._down_since: float | None = None
        self._told = ("", 0.0)  # what was last logged, and when
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.lane = self._new_lane()
        self.subscriber = Subscriber(
            subscriptions,
            self._dial,
            self,
            service,
            sharded=self._sharded,
            interval=interval,
            deadline=deadline,
        )

    def _new_lane(self) -> Lane:
        return Lane(
            self._outbox,
            self._dial_for_lane,
            self,
            command=b"SPUBLISH" if self._sharded else b"PUBLISH",
            publisher=self._publisher,
            prefix_bytes=self._prefix_bytes,
            deadline=self._deadline,
        )

    @property
    def proven(self) -> bool:
        """Whether what is published here comes back."""
        return self._heard and self._lane_up

    @property
    def writable(self) -> bool:
        """Whether the lane is not in trouble."""
        return self._lane_up

    def start(self) -> None:
        """Start what is not running."""
        for name, run in (("lane", self.lane.run), ("subscriber", self.subscriber.run)):
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(run(), name=f"isomor bus {name} {self.address}")

    async def stop_lane(self) -> None:
        """End the lane, with what it has under way; the next `start` runs another, which is empty."""
        if task := self._tasks.pop("lane", None):
            await end(task)

    def renew_lane(self) -> None:
        """A fresh lane, once the messages of the old one have been taken."""
        self.lane = self._new_lane()

    async def stop(self) -> None:
        """End both."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        self._heard = False
        await end(*tasks)

    async def _dial_for_lane(self) -> Link:
        try:
            link = await self._dial()
        except BaseException:
            self._unreachable = True
            raise
        if self._unreachable:
            self._unreachable = False
            self.lane.hold(GRACE_SECONDS)
        return link

    async def _dial(self) -> Link:
        link = await Link.open(self._target, self.address, self._deadline)
        try:
            if self.asks_role:  # a sentinel may not have heard of the latest failover, nor a name server
                self.role(await link.answer_within(self._deadline, b"ROLE"))
        except BaseException:
            await link.close()
            raise
        return link

    # What the lane tells.

    def role(self, reply: Any) -> None:
        """What the node says to ROLE, when connected and with each probe.

        Raises:
            NotPrimary: if it has been demoted. Redis cuts nobody off then, and what is published goes on to be heard
                by those who have stayed, while the others are elsewhere.
        """
        if isinstance(reply, Exception):
            self.asks_role = False  # not permitted, or hidden by the provider: then that is not found out
        elif reply[0] == b"master":
            self._was_primary = True
        elif self._was_primary or self._target.kind is not Kind.SINGLE:
            error = NotPrimary(f"{self.address} has become a replica")
            self.subscriber.condemn(error)
            self._owner.moved()
            raise error
        elif not self._replica_told:
            self._replica_told = True
            text = "Redis at %s is a replica: pushes reach only the processes that are connected to this one, too"
            self._notices(logging.WARNING, "replica", text, self.address)

    def lane_up(self) -> None:
        """Redis has answered."""
        if not self._lane_up:
            self._lane_up = True
            self.rebuilds += 1
            self._up()

    def lane_down(self, error: BaseException) -> None:
        """The lane is in trouble."""
        self._lane_up = False
        self._down(error)

    # What the subscriber tells.

    def probe(self, wire: bytes, token: bytes, acknowledged: Callable[[], None]) -> None:
        """Publish a probe through the lane, so that it proves both."""
        self.lane.probe(wire, token, acknowledged)

    def subscriber_up(self) -> None:
        """A probe has come back."""
        if not self._heard:
            self._heard = True
            self.lane.release()
            self._up()

    def subscriber_late(self) -> None:
        """A probe is overdue."""
        if self._heard:
            self._deafened()
            self._down(TimeoutError(f"a message published to ourselves is not back after {self._deadline:g} s"))

    def subscriber_down(self, error: BaseException) -> None:
        """The subscriber is in trouble."""
        self._deafened()
        self._down(error)

    def _deafened(self) -> None:
        if self._heard:
            self._heard = False
            # Not for ever: who cannot hear may still speak to the others.
            self.lane.hold_while_deaf(self._deadline)

    def subscriber_again(self, channels: int) -> None:
        """Subscribed anew: what was published meanwhile may be lost."""
        self.rebuilds += 1
        if channels:
            text = "Redis at %s: subscribed again (channels: %d); what was published meanwhile may be lost"
            self._notices(logging.WARNING, "subscribed again", text, self.address, channels)

    def moved(self) -> None:
        """Some channel has gone to another node."""
        self._owner.moved()

    def _up(self) -> None:
        if self.proven:
            if self._down_since is not None:
                seconds = time.monotonic() - self._down_since
                self._down_since = None
                self._notices(logging.INFO, "back", "Redis at %s is back, after %.1f s", self.address, seconds)
            self._owner.node_up()

    def _down(self, error: BaseException) -> None:
        now = time.monotonic()
        if self._down_since is None:
            self._down_since = now
            self._told = ("", now)
        refused = refusal(error)
        text = refused or str(error) or type(error).__name__
        if text != self._told[0] or now - self._told[1] > _REMIND_SECONDS:
            self._told = (text, now)
            level = logging.ERROR if refused else logging.WARNING
            self._notices(level, "away", "Redis at %s: %s; trying again", self.address, text)
        self._owner.node_down(error)
