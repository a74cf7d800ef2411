"""Which pages may open a WebSocket, call, and read the answers, and to which host names this server answers.

A browser says where a page comes from: by Origin (RFC 6454) wherever a page reads the answer or posts, and by
Sec-Fetch-Site (W3C Fetch Metadata) even for an image, unless the URL is plain http to another machine. Whoever says
neither is no browser, or a browser that does not tell (docs/security.md has what remains then).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Final

from ..config import Config
from ..errors import ApiError

_WEB_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_PORTS: Final = {"http": ":80", "https": ":443"}
_LOOPBACK: Final = re.compile(r"localhost|.+\.localhost|127(\.[0-9]{1,3}){3}|\[::1\]")

# What Sec-Fetch-Site says of our own pages, and of what someone typed into the address bar.
_OWN_SITES: Final = ("same-origin", "none")


def allowed_origin(origin: str, allowed: Collection[str], watch: bool) -> str | None:
    """`origin`, if it is one that may call from elsewhere, and is told so by CORS; else None.

    Args:
        origin: the Origin header; "" for none.
        allowed: `security.origins`.
        watch: whether development servers on other ports of this machine may too.
    """
    if origin in allowed:
        return origin
    if watch and (match := _WEB_ORIGIN.fullmatch(origin)) and _LOOPBACK.fullmatch(match[2]):
        return origin
    return None


def check_origin(
    origin: str, site: str, *, host: str, secure: bool, allowed: Collection[str], watch: bool
) -> str | None:
    """Let in who comes from our own origin, from one that is allowed, or from no browser at all.

    Args:
        origin: the Origin header; "" for none.
        site: the Sec-Fetch-Site header; "" for none.
        host: the host that the client called, with its port.
        secure: whether it called by https.
        allowed: `security.origins`.
        watch: whether development servers on other ports of this machine may too.

    Returns:
        The foreign origin that is allowed, for CORS; None where the call is not cross-origin.

    Raises:
        ApiError: FORBIDDEN.
    """
    if origin and (foreign := allowed_origin(origin, allowed, watch)):
        return foreign
    of_own_site = not site or site.strip().lower() in _OWN_SITES
    if of_own_site and (not origin or _is_own(origin, host, secure)):
        return None
    shown = f"the origin {origin:.200}" if origin else "another site"
    raise ApiError.of("FORBIDDEN", f"Calls from {shown} are not allowed; security.origins lists those that are.")


def _is_own(origin: str, host: str, secure: bool) -> bool:
    match = _WEB_ORIGIN.fullmatch(origin.lower())
    if match is None:
        return False
    scheme, name, port = match.groups()
    # Where we see http, it may be https to the page: a proxy that is not trusted ends TLS. No page of https can call
    # by http, which browsers block. The other way round it is another origin, that whoever is on the network can forge.
    if secure and scheme != "https":
        return False
    own = _PORTS[scheme]
    return f"{name}{port or own}".removesuffix(own) == host.lower().removesuffix(own)


def is_address(host: str) -> bool:
    """Whether a host, with its port, is named by its address: which no page can point elsewhere."""
    name = re.sub(r":[0-9]*$", "", host)
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def check_host(host: str, hosts: Sequence[str]) -> None:
    """Answer to our own names alone: else a page can point a name of its own here, and is then of our origin.

    Args:
        host: the host that the client called, with its port.
        hosts: `security.hosts`; empty for any.

    Raises:
        ApiError: FORBIDDEN.
    """
    if not hosts:
        return
    name = re.sub(r":[0-9]*$", "", host.lower())
    for known in hosts:
        if name == known or (known.startswith("*.") and name.endswith(known[1:]) and len(name) > len(known[1:])):
            return
    raise ApiError.of("FORBIDDEN", f"The host {host:.200} is not served here; security.hosts lists those that are.")


class Gate:
    """Who is let in, by the settings.

    Attributes:
        hosts: `security.hosts`.
        varies: whether an answer may depend on the request's Origin.
    """

    def __init__(self, config: Config) -> None:
        self._allowed = frozenset(config.security.origins)
        self.hosts = config.security.hosts
        self._watch = config.watch
        self.varies = bool(self._allowed) or self._watch

    def check(self, origin: str, site: str, host: str, secure: bool) -> str | None:
        """As `check_origin` and `check_host`."""
        check_host(host, self.hosts)
        return check_origin(origin, site, host=host, secure=secure, allowed=self._allowed, watch=self._watch)

    def allowed(self, origin: str) -> str | None:
        """As `allowed_origin`."""
        return allowed_origin(origin, self._allowed, self._watch) if origin else None
