"""Who may connect: `server.max_connections` of all, and `server.max_connections_per_address`.

A connection too many is answered over HTTP, which a WebSocket's handshake is too, and closed. Nothing is kept for one
that is let in: all are counted by the sets that they are in, and addresses only where they have a limit.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

from ..config import Config
from ..errors import ApiError
from .handshake import refusal

logger = logging.getLogger("isomor")

# So many at a time are told why, and each has so long to ask for something.
_MOST_REFUSALS: Final = 100
_PATIENCE: Final = 1.0

# The log hears of it so often.
_QUIET: Final = 60.0

_FULL: Final = "The server has as many connections as it may have (server.max_connections); try again later."
_TOO_MANY: Final = (
    "This address has as many connections as it may have (server.max_connections_per_address); close some first."
)

# A server that is full is alive: whoever restarts what is not would cut off all who are connected.
_LIVE: Final = b"GET /health/live "
_IS_LIVE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\nConnection: close\r\n"
    b'Cache-Control: no-store\r\n\r\n{"status":"live"}'
)


class Admission:
    """See the module. One for each worker."""

    def __init__(
        self, config: Config, most: int, trusts: Callable[[str], bool], met: Callable[[str], None], websockets: Any
    ) -> None:
        """Count.

        Args:
            config: the settings.
            most: how many connections there may be.
            trusts: whether an address is a proxy's: it stands for many clients, and is not counted.
            met: counts that a limit was met.
            websockets: the open ones, which are no longer among Sanic's connections.
        """
        self.most = most
        self.each = config.server.max_connections_per_address
        self._trusts = trusts
        self._met = met
        self._websockets: Collection[Any] = websockets
        self._addresses: dict[str, int] = {}
        self._refusals: set[_Refusal] = set()
        self._said = -_QUIET

    def refuses(self, transport: Any, others: int) -> bool:
        """Whether a connection that has just come is one too many; it is then taken care of.

        Args:
            transport: the connection.
            others: how many there are that are no WebSockets.
        """
        if others + len(self._websockets) >= self.most:
            self._met("server.max_connections")
            self._warn()
            self._refuse(transport, ApiError.of("UNAVAILABLE", _FULL))
            return True
        if self.each:
            address = transport.get_extra_info("peername")
            try:
                self.enter(address[0] if isinstance(address, tuple) else "")
            except ApiError as error:
                self._refuse(transport, error)
                return True
        return False

    def enter(self, address: str) -> None:
        """Count a connection of this address; where addresses have no limit, or it is a proxy's, nothing happens.

        Raises:
            ApiError: TOO_MANY_CALLS, if it has as many as it may have.
        """
        if not self.each or self._trusts(address):
            return
        group = group_of(address)
        count = self._addresses.get(group, 0)
        if count >= self.each:
            self._met("server.max_connections_per_address")
            raise ApiError.of("TOO_MANY_CALLS", _TOO_MANY)
        self._addresses[group] = count + 1

    def leave(self, address: str) -> None:
        """A connection of this address, which `enter` has counted, has ended."""
        if not self.each or self._trusts(address):
            return
        group = group_of(address)
        left = self._addresses.get(group, 0) - 1
        if left > 0:
            self._addresses[group] = left
        else:
            self._addresses.pop(group, None)

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said >= _QUIET:
            self._said = now
            said = "%d connections are open, as many as may be (server.max_connections): more are refused"
            logger.warning(said, self.most)

    def _refuse(self, transport: Any, error: ApiError) -> None:
        if len(self._refusals) >= _MOST_REFUSALS:
            transport.abort()
        else:
            transport.set_protocol(_Refusal(self._refusals, transport, refusal(error)))

    def close(self) -> None:
        """End those that are being refused."""
        for each in list(self._refusals):
            each.close()


class _Refusal(asyncio.Protocol):
    """A connection that is refused: whatever it asks gets one answer."""

    def __init__(self, all_of_them: set[_Refusal], transport: Any, answer: bytes) -> None:
        self._all = all_of_them
        self._all.add(self)
        self._transport = transport
        self._answer = answer
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self.close)

    def data_received(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_IS_LIVE if data.startswith(_LIVE) else self._answer)
            self._transport.close()

    def close(self) -> None:
        """End it, whatever it still has to read."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._all.discard(self)


def group_of(address: str) -> str:
    """What counts as one address: an IPv4 address; of IPv6 the /64, which one host has all of (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64))
