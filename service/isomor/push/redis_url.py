"""`redis.url` read: one Redis, Sentinel or Cluster, and how to connect to any node of it.

    redis://[user:password@]host[:6379][/db]      rediss:// with TLS      unix://[user:password@]/path.sock[?db=0]
    redis+sentinel://[user:password@]host1[:26379],host2[:26379]/service[/db]           rediss+sentinel:// with TLS
    redis+cluster://[user:password@]host1[:6379],host2[:6379]                           rediss+cluster:// with TLS

What follows `?` is handed to redis-py (`ssl_ca_certs`, `ssl_cert_reqs`, `client_name`, …). Sentinels that have a
password of their own get `sentinel_username` and `sentinel_password` there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from isomor.errors import ConfigError

_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
# What is wrong is not repeated: it may be part of a password.
_ENCODE: Final = (
    "hosts must be host:port, and special characters of a password percent-encoded (# / ? @ as %23 %2F %3F %40)"
)
# Read from the URL by redis-py, and not for a connection here: options of its pool, and what `Address` holds.
_NOT_OF_A_CONNECTION: Final = ("max_connections", "timeout", "retry_on_timeout", "host", "port", "path")


class Address(NamedTuple):
    """A node: host and port, or the path of a Unix socket with port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Kind(Enum):
    """How the node that carries a channel is found."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where Redis is. `shown` names it without its secrets, for logs and errors."""

    kind: Kind
    addresses: tuple[Address, ...]  # the node itself; the sentinels; some nodes of the cluster
    service: str
    shown: str
    connection_class: type[AbstractConnection]
    options: Mapping[str, Any] = field(repr=False)  # passwords are in these
    sentinel_options: Mapping[str, Any] = field(repr=False)

    def connection(self, address: Address, *, sentinel: bool = False) -> AbstractConnection:
        """A connection to `address`, not opened yet."""
        options = dict(self.sentinel_options if sentinel else self.options)
        if address.port:
            options.update(host=address.host, port=address.port)
        else:
            options.update(path=address.host)
        # Its own retries and time-outs are off: errors are to come at once, and deadlines are ours (patience.py).
        # RESP2, since a pub/sub connection of RESP3 mixes pushes with replies.
        options.update(socket_timeout=None, protocol=2, decode_responses=False, health_check_interval=0)
        return self.connection_class(**options, retry=Retry(NoBackoff(), 0))


def read_target(url: str | Sequence[str]) -> RedisTarget:
    """Read one URL, or several that name the sentinels of one service or nodes of one cluster.

    Raises:
        ConfigError: if it cannot be used; the text holds no password.
    """
    urls = [url] if isinstance(url, str) else list(url)
    if not urls:
        raise ConfigError(["redis.url: the list is empty; leave the key out to run without Redis"])
    targets = [_read(each) for each in urls]
    first = targets[0]
    if len(targets) > 1:
        if first.kind is Kind.SINGLE:
            raise ConfigError([f"redis.url={_shown(urls)}: several URLs must be redis+sentinel:// or redis+cluster://"])
        for other in targets[1:]:
            if (other.kind, other.service, other.options) != (first.kind, first.service, first.options):
                raise ConfigError(
                    [
                        f"redis.url={_shown(urls)}: the URLs of a list may differ in host and port alone "
                        "(scheme, service, user, password, database and options must be the same)"
                    ]
                )
    addresses = tuple(dict.fromkeys(address for target in targets for address in target.addresses))
    return RedisTarget(
        first.kind,
        addresses,
        first.service,
        _shown(urls),
        first.connection_class,
        first.options,
        first.sentinel_options,
    )


def redacted(url: str) -> str:
    """The URL without user, password and options."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "…"  # whatever it is, it may be a secret that landed in the wrong place
    # The @ first: a password that should have been percent-encoded may hold any of the others.
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _shown(urls: Sequence[str]) -> str:
    return ", ".join(redacted(url) for url in urls)


def _fault(url: str, why: str) -> ConfigError:
    return ConfigError([f"redis.url={redacted(url)}: {why}"])


def _read(url: str) -> RedisTarget:
    # Several hosts in one URL are none to urlsplit, which refuses some from Python 3.13 on: they are read one by one.
    scheme, separator, rest = url.partition("://")
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    try:
        parts = urlsplit(f"{scheme}{separator}{rest[end:]}")._replace(netloc=rest[:end])
    except ValueError:
        raise _fault(url, "it is not a URL") from None
    if parts.scheme not in _SCHEMES:
        raise _fault(url, f"the URL must begin with one of {', '.join(scheme + '://' for scheme in _SCHEMES)}")
    if parts.fragment or "#" in url:
        raise _fault(url, _ENCODE)
    plain, _, kind_name = parts.scheme.partition("+")
    kind = Kind(kind_name or "single")
    path = parts.path
    service = ""
    if kind is Kind.SENTINEL:
        service, _, path = path.strip("/").partition("/")
        if not service:
            raise _fault(url, "Sentinel needs the name of the service: redis+sentinel://host:26379/<service>")
    if kind is Kind.CLUSTER and path.strip("/") not in ("", "0"):
        raise _fault(url, "a cluster has database 0 alone; leave the path out")
    if plain != "unix" and path.strip("/") and not path.strip("/").isdigit():
        raise _fault(url, f"the database after / must be a number, and {_ENCODE}")
    addresses = _addresses(url, parts, kind)
    credentials = parts.netloc.rpartition("@")[0]
    options = _options(url, plain, credentials, path.strip("/") if plain != "unix" else path, parts.query)
    connection_class = options.pop("connection_class", Connection)
    sentinel_options = _sentinel_options(options)
    target = RedisTarget(kind, addresses, service, redacted(url), connection_class, options, sentinel_options)
    try:
        target.connection(addresses[0])
        target.connection(addresses[0], sentinel=True)
    except (TypeError, ValueError, RedisError) as error:
        raise _fault(url, f"redis-py refuses the options after '?': {error}") from None
    return target


def _addresses(url: str, parts: SplitResult, kind: Kind) -> tuple[Address, ...]:
    if parts.scheme == "unix":
        if not parts.path:
            raise _fault(url, "the path of the socket is missing: unix:///run/redis.sock")
        return (Address(parts.path, 0),)
    addresses = []
    for each in parts.netloc.rpartition("@")[2].split(","):
        try:
            host = urlsplit(f"//{each}")
            port = host.port or (26379 if kind is Kind.SENTINEL else 6379)
        except ValueError:
            raise _fault(url, _ENCODE) from None
        if not host.hostname and (kind is not Kind.SINGLE or each):
            raise _fault(url, _ENCODE)
        addresses.append(Address(host.hostname or "localhost", port))
    if kind is Kind.SINGLE and len(addresses) > 1:
        raise _fault(url, "several hosts need redis+sentinel:// or redis+cluster://")
    return tuple(addresses)


def _options(url: str, plain: str, credentials: str, path: str, query: str) -> dict[str, Any]:
    at = f"{credentials}@" if credentials else ""
    host = "" if plain == "unix" else "localhost/"
    try:
        options = dict(parse_url(f"{plain}://{at}{host}{path}?{query}" if query else f"{plain}://{at}{host}{path}"))
    except ValueError as error:
        raise _fault(url, str(error)) from None
    for name in _NOT_OF_A_CONNECTION:
        options.pop(name, None)
    return options


def _sentinel_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options for the sentinels: the same TLS, their own user; taken out of `options`."""
    sentinel = {name: value for name, value in options.items() if not name.startswith("sentinel_")}
    for name in ("username", "password", "db"):
        sentinel.pop(name, None)
    for name in ("username", "password"):
        value = options.pop(f"sentinel_{name}", None)
        if value is not None:
            sentinel[name] = value
    return sentinel
