"""Which node carries which channel: the only one, the master that the sentinels name, or the owner of the slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from redis.crc import key_slot
from redis.exceptions import RedisError

from isomor.push.redis_link import TROUBLE, Link, UnknownService, refusal
from isomor.push.redis_url import Address, Kind, RedisTarget

SLOTS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Topology:
    """The nodes, and for a cluster the index of the owner of each slot (-1: nobody's)."""

    nodes: tuple[Address, ...]
    owners: tuple[int, ...] | None = None

    def node_of(self, wire: bytes) -> Address | None:
        """The node that carries the channel of this name; None while its slot belongs to nobody."""
        if self.owners is None:
            return self.nodes[0]
        owner = self.owners[key_slot(wire)]
        return self.nodes[owner] if owner >= 0 else None

    @property
    def complete(self) -> bool:
        """Whether every channel has a node."""
        return self.owners is None or -1 not in self.owners


class Locator:
    """Finds out, by asking whoever answers; remembers who did."""

    def __init__(self, target: RedisTarget, seconds: float) -> None:
        """`seconds` is how long one connection may take, and one answer."""
        self._target = target
        self._seconds = seconds
        self._ask = list(target.addresses)

    @property
    def changes(self) -> bool:
        """Whether the answer may change over time."""
        return self._target.kind is not Kind.SINGLE

    async def locate(self) -> Topology:
        """How it is now.

        Raises:
            one of TROUBLE: if nobody answers, or nobody knows.
        """
        if self._target.kind is Kind.SINGLE:
            return Topology(self._target.addresses)
        trouble: BaseException | None = None
        for address in list(self._ask):
            try:
                topology = await self._question(address)
            except TROUBLE as error:
                trouble = error if trouble is None or refusal(error) else trouble
                # The others first, the next time.
                self._ask.remove(address)
                self._ask.append(address)
            else:
                self._remember(topology)
                return topology
        raise trouble or ConnectionError("no address to ask")

    def _remember(self, topology: Topology) -> None:
        if self._target.kind is Kind.CLUSTER:
            # Nodes come and go; the configured ones stay, as the last resort.
            known = [address for address in self._ask if address in topology.nodes]
            self._ask = list(dict.fromkeys([*known, *topology.nodes, *self._target.addresses]))

    async def _question(self, address: Address) -> Topology:
        sentinel = self._target.kind is Kind.SENTINEL
        link = await Link.open(self._target, address, self._seconds, sentinel=sentinel)
        try:
            if sentinel:
                return await self._master(link)
            return await self._slots(link, address)
        finally:
            await link.close()

    async def _master(self, link: Link) -> Topology:
        reply = await link.call_within(self._seconds, b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service)
        if not reply:
            raise UnknownService(f"the sentinels know no service {self._target.service!r}")
        return Topology((Address(reply[0].decode(), int(reply[1])),))

    @property
    def _service(self) -> bytes:
        return self._target.service.encode()

    async def _slots(self, link: Link, asked: Address) -> Topology:
        reply = await link.call_within(self._seconds, b"CLUSTER", b"SLOTS")
        owners = [-1] * SLOTS
        nodes: dict[Address, int] = {}
        for first, last, primary, *_ in sorted(reply, key=lambda part: int(part[0])):
            # A node that does not know its own name leaves it empty: it is the one that was asked.
            address = Address(primary[0].decode() if primary[0] else asked.host, int(primary[1]))
            index = nodes.setdefault(address, len(nodes))
            owners[first : last + 1] = [index] * (last + 1 - first)
        if not nodes:
            raise RedisError("the cluster has no slots assigned yet")
        return Topology(tuple(nodes), tuple(owners))
