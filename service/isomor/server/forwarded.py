"""Whose X-Forwarded-* headers are believed (`server.trusted_proxies`), and how a request looked to who sent it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SECURE: Final = ("https", "wss")
_SCHEMES: Final = ("http", "https", "ws", "wss")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as its sender sees it.

    Attributes:
        ip: the address that it comes from.
        scheme: `http`, `https`, `ws` or `wss`, as in the URL that was asked.
        host: the host in that URL, with its port where there is one.
    """

    ip: str
    scheme: str
    host: str

    @property
    def secure(self) -> bool:
        """Whether it was sent over TLS."""
        return self.scheme in _SECURE


class Proxies:
    """The networks of `server.trusted_proxies`."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, ip: str) -> bool:
        """Whether the X-Forwarded-* headers of a peer are believed."""
        address = _address(ip) if self._networks else None
        return address is not None and any(address in network for network in self._networks)

    def seen(self, connected: Seen, trusted: bool, header: Callable[[str], str]) -> Seen:
        """The request as its sender sees it.

        X-Forwarded-For is read from its end, where each proxy adds whom it got the request from: the client is the
        first that is no trusted proxy, whatever stands in front of it, which the client may have made up. Of
        X-Forwarded-Proto and -Host the value counts that the proxy next to the client has added; where there are fewer,
        one of the proxies has replaced what was there before, and the first counts.

        Args:
            connected: what the connection and its Host header say.
            trusted: whether the peer is a trusted proxy.
            header: gives the value of a header by its name in lower case; several joined by commas, "" for none.
        """
        if not trusted:
            return connected
        ip, hops = connected.ip, 0
        for entry in reversed(_values(header("x-forwarded-for"))):
            address = _address(entry)
            if address is None:
                break  # it names nobody: what stands in front of it is not believed either
            ip = str(address)
            if not self.trusts(ip):
                break
            hops += 1
        scheme = _told(header("x-forwarded-proto"), hops).lower()
        host = _told(header("x-forwarded-host"), hops)
        return Seen(ip, scheme if scheme in _SCHEMES else connected.scheme, host or connected.host)


def _values(header: str) -> list[str]:
    return [value for part in header.split(",") if (value := part.strip())]


def _told(header: str, hops: int) -> str:
    values = _values(header)
    return values[max(len(values) - 1 - hops, 0)] if values else ""


def _address(text: str) -> Address | None:
    """The address in an entry of X-Forwarded-For, which some proxies write with a port; None where it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that listens on :: gives addresses of IPv4 in this form.
    return getattr(address, "ipv4_mapped", None) or address
