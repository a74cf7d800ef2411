"""The bus over Redis pub/sub: one Redis, a master found through Sentinel, or a Cluster with sharded pub/sub.

How the parts hang together, each in a module of its own:

    publish → Outbox (numbers, bounds) → Lane (one writer per node) → Redis → Subscriber (one reader per node)
            → Subscriptions (envelope, repeats, gaps) → Receiver

Here is what joins them: finding the nodes, sharing the channels out among them, starting and stopping.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Final

from isomor.errors import BusUnavailable, ConfigError
from isomor.notices import Notices
from isomor.push.bus import Bus, BusStats, Receiver
from isomor.push.envelope import PUBLISHER_BYTES
from isomor.push.patience import Backoff, end, is_set_within
from isomor.push.receipt import Receipt
from isomor.push.redis_link import TROUBLE, refusal
from isomor.push.redis_node import GRACE_SECONDS, Node
from isomor.push.redis_outbox import Outbox
from isomor.push.redis_subscriptions import Subscriptions, Want
from isomor.push.redis_topology import Locator, Topology
from isomor.push.redis_url import Address, read_target

log = logging.getLogger("isomor.bus")

BUFFER_BYTES: Final = 64 * 1024 * 1024
PROBE_INTERVAL: Final = 1.0
PROBE_DEADLINE: Final = 3.0
_STOP_SECONDS: Final = 2.0
_MAX_PREFIX_BYTES: Final = 0xFFFF


class RedisBus(Bus):
    """See `Bus`. It can be started again after it was stopped, as another publisher."""

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        prefix: str = "isomor",
        outage_buffer_seconds: float = 5.0,
        buffer_bytes: int = BUFFER_BYTES,
        probe_interval: float = PROBE_INTERVAL,
        probe_deadline: float = PROBE_DEADLINE,
    ) -> None:
        """Nothing is connected before `start`.

        Args:
            url: where Redis is, as redis_url.py tells; several URLs name sentinels of one service, or cluster nodes.
            prefix: what the names of all channels begin with on Redis. Deployments are told apart by it.
            outage_buffer_seconds: how long a publish or a subscribe waits for a Redis that is away.
            buffer_bytes: how much may wait meanwhile.
            probe_interval: seconds from a probe that came back to the next.
            probe_deadline: seconds until a probe, a connection or a reply is overdue.

        Raises:
            ConfigError: if the URL or the prefix cannot be used.
        """
        self._target = read_target(url)
        self._prefix = prefix.encode("utf-8", "surrogatepass")
        if not 0 < len(self._prefix) <= _MAX_PREFIX_BYTES:
            raise ConfigError([f"redis.prefix={prefix[:40]!r}: it must have 1 to {_MAX_PREFIX_BYTES} bytes"])
        self._outage_seconds = outage_buffer_seconds
        self._buffer_bytes = buffer_bytes
        self._interval = probe_interval
        self._deadline = probe_deadline
        self._running = False
        self._reset(_Nobody())

    def _reset(self, receiver: Receiver) -> None:
        self._publisher = secrets.token_bytes(PUBLISHER_BYTES)
        self._notices = Notices(log)
        self._outbox = Outbox(self._outage_seconds, self._buffer_bytes, self._notices)
        self._subscriptions = Subscriptions(self._prefix + b":", receiver, self._notices)
        self._locator = Locator(self._target, self._deadline)
        self._topology: Topology | None = None
        self._nodes: dict[Address, Node] = {}
        self._past_rebuilds = 0
        self._refresh = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._first_outcome = asyncio.Event()
        self._trouble: BaseException | None = None

    async def start(self, receiver: Receiver) -> None:
        """Connect. Where Redis is there, the bus is ready when this returns; where it is not, the bus goes on trying.

        Raises:
            ConfigError: if Redis refuses us: password, permissions, certificate, an unknown service or database.
        """
        if self._running:
            raise RuntimeError("the bus is running")
        self._reset(receiver)
        self._running = True
        self._keeper = asyncio.create_task(self._keep(), name="isomor bus keeper")
        try:
            # Connecting, the first subscription and the first probe may each take a deadline.
            await is_set_within(self._first_outcome, 3 * self._deadline)
            refused = refusal(self._trouble) if self._trouble is not None and not self.ready else None
            if refused:
                raise ConfigError([f"redis.url={self._target.shown}: {refused}"])
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Publish what waits, if Redis takes it within two seconds; close every connection. Never raises."""
        self._running = False
        outbox = self._outbox
        outbox.refuse()
        for node in self._nodes.values():
            node.lane.hurry()
        try:
            for _ in range(20):
                if not outbox.waiting or not any(node.writable for node in self._nodes.values()):
                    break
                await outbox.emptied(_STOP_SECONDS / 20)
        finally:
            if self._keeper is not None:
                await end(self._keeper)
                self._keeper = None
            await asyncio.gather(*(node.stop() for node in self._nodes.values()))
            outbox.close()
            for want in list(self._subscriptions):
                self._subscriptions.drop(want, "The bus was stopped")
            self._past_rebuilds += sum(node.rebuilds for node in self._nodes.values())
            self._nodes = {}
            self._topology = None
            self._notices.flush()

    @property
    def ready(self) -> bool:
        """Whether every node has been proven: subscribed there, and the last probe came back in time."""
        topology = self._topology
        return (topology is not None and topology.complete and bool(self._nodes)) and all(
            node.proven for node in self._nodes.values()
        )

    def stats(self) -> BusStats:
        """The counters; those of the last run, once stopped."""
        outbox, subscriptions = self._outbox, self._subscriptions
        return BusStats(
            published=outbox.published,
            failed=outbox.failed,
            received=subscriptions.received,
            repeats=subscriptions.repeats,
            foreign=subscriptions.foreign,
            gaps=subscriptions.gaps,
            lost=subscriptions.lost,
            rebuilds=self._past_rebuilds + sum(node.rebuilds for node in self._nodes.values()),
            buffered_bytes=outbox.buffered_bytes,
        )

    def publish(self, channel: str, body: bytes) -> Receipt:
        """See `Bus.publish`. Fails at once when the buffer is full, and after `outage_buffer_seconds` otherwise."""
        if not self._running:
            self._outbox.refuse()
        return self._outbox.add(channel, self._subscriptions.wire(channel), body)

    async def subscribe(self, channel: str) -> None:
        """See `Bus.subscribe`. Any number of calls for one channel share one acknowledgement.

        Raises:
            BusUnavailable: after `outage_buffer_seconds`, or if Redis refuses this channel. It is then not subscribed,
                unless an earlier call has subscribed it.
        """
        if not self._running:
            raise BusUnavailable("The bus is not running")
        subscriptions = self._subscriptions
        want = subscriptions.get(channel)
        if want is None:
            want = subscriptions.add(channel)
            self._settle(want)
        try:
            if not want.live and not await subscriptions.granted(want, self._outage_seconds):
                text = f"Redis has not confirmed the subscription within {self._outage_seconds:g} s"
                raise BusUnavailable(text + self._outbox.because)
            want.holders += 1
        finally:
            if not want.holders and not want.waiters:
                self._leave(want, "nobody waits for it any more")

    async def unsubscribe(self, channel: str) -> None:
        """See `Bus.unsubscribe`. Redis is told in the background."""
        want = self._subscriptions.get(channel)
        if want is not None:
            self._leave(want, "The channel was unsubscribed meanwhile")

    def _leave(self, want: Want, reason: str) -> None:
        self._subscriptions.drop(want, reason)
        if isinstance(want.home, Node):
            want.home.subscriber.release(want)
            want.home = None

    def _node_of(self, wire: bytes) -> Node | None:
        address = None if self._topology is None else self._topology.node_of(wire)
        return None if address is None else self._nodes.get(address)

    def _settle(self, want: Want) -> None:
        """Have the right node carry this channel, and no other."""
        node = self._node_of(want.wire)
        if want.home is node:
            return
        if isinstance(want.home, Node):
            want.home.subscriber.release(want)
        want.home, want.live = node, False
        if node is not None:
            node.subscriber.assign(want)

    async def _keep(self) -> None:
        """Know the nodes, for as long as the bus runs; look again when asked to, and from time to time."""
        backoff = Backoff()
        while True:
            self._refresh.clear()
            try:
                topology = await self._locator.locate()
                if topology != self._topology:
                    await self._rewire(topology)
                for node in self._nodes.values():
                    node.subscriber.retry()
            except Exception as error:
                if not isinstance(error, TROUBLE):
                    log.exception("The nodes of Redis could not be looked up; trying again")
                text = refusal(error) or str(error) or type(error).__name__
                self._notices(logging.WARNING, "lookup", "%s: %s; trying again", self._target.shown, text)
                self._note(error)
                await asyncio.sleep(backoff.next())
                continue
            if not self._locator.changes:
                return
            if await is_set_within(self._refresh, 5 * self._interval):
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()

    async def _rewire(self, topology: Topology) -> None:
        """Share messages and channels out among other nodes. Order is kept: all writers pause and begin anew."""
        stay = {
            address: node
            for address, node in self._nodes.items()
            if address in topology.nodes and topology.node_of(node.service) == address
        }
        gone = [node for address, node in self._nodes.items() if address not in stay]
        if self._nodes:
            names = ", ".join(str(address) for address in topology.nodes)
            self._notices(
                logging.WARNING, "topology", "%s: the channels are now carried by %s", self._target.shown, names
            )
        await asyncio.gather(*(node.stop() for node in gone), *(node.stop_lane() for node in stay.values()))
        self._past_rebuilds += sum(node.rebuilds for node in gone)
        nodes = {address: stay.get(address) or self._new_node(address, topology) for address in topology.nodes}
        for node in stay.values():
            node.renew_lane()
        if self._topology is not None:  # the others have to find their way, too
            for node in nodes.values():
                node.lane.hold(GRACE_SECONDS)
        self._nodes, self._topology = nodes, topology
        self._outbox.reroute(
            {address: node.lane for address, node in nodes.items()},
            lambda wire: None if (node := self._node_of(wire)) is None else node.lane,
        )
        for want in self._subscriptions:
            self._settle(want)
        for node in nodes.values():
            node.start()

    def _new_node(self, address: Address, topology: Topology) -> Node:
        identity = b"%s:~%s" % (self._prefix, self._publisher.hex().encode())
        # In a cluster the channel of a node's probes has to be one that this node carries.
        names = (identity if topology.owners is None else b"%s:%d" % (identity, n) for n in count())
        return Node(
            self._target,
            address,
            self,
            self._outbox,
            self._subscriptions,
            self._notices,
            service=next(name for name in names if topology.node_of(name) == address),
            publisher=self._publisher,
            prefix_bytes=len(self._prefix),
            interval=self._interval,
            deadline=self._deadline,
        )

    # What the nodes tell.

    def node_up(self) -> None:
        """A node has been proven."""
        if self.ready:
            self._outbox.trouble = ""
            self._trouble = None
            self._notices.flush()
            self._first_outcome.set()

    def node_down(self, error: BaseException) -> None:
        """A node is in trouble."""
        self._note(error)
        self._refresh.set()

    def moved(self) -> None:
        """A slot has gone to another node."""
        self._refresh.set()

    def _note(self, error: BaseException) -> None:
        self._outbox.trouble = refusal(error) or str(error) or type(error).__name__
        self._trouble = error
        self._first_outcome.set()


class _Nobody:
    """The receiver before the first start."""

    def on_message(self, channel: str, body: bytes) -> None:
        """Nobody listens."""

    def on_gap(self, channel: str, lost: int | None) -> None:
        """Nobody listens."""
