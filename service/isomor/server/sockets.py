"""The port: listening on it, keeping it for several workers, and TLS."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from typing import Final

from ..config import Config
from ..errors import ConfigError

# With Sanic's 100, a burst of new connections is dropped by the kernel and tried again a second later.
BACKLOG: Final = 4096


def bind(config: Config, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; one that others share listens only once its worker serves.

    Who comes early to the only worker waits. Of several the kernel would give connections to one that is still
    starting, such as in place of one that has died, while the others could answer them at once.

    Args:
        config: the settings.
        port: what to listen on; 0 takes a free one.
        shared: whether other sockets of this user may listen there too.

    Raises:
        ConfigError: if the address cannot be had.
    """
    host = config.server.host
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        sock = (
            _bind_shared(family, host, port)
            if shared
            else socket.create_server((host, port), family=family, backlog=BACKLOG)
        )
    except OSError as error:
        why = error.strerror or str(error)
        in_use = "stop what uses it, or take another by ISOMOR_PORT"
        fix = in_use if error.errno == errno.EADDRINUSE else "check server.host and server.port"
        raise ConfigError([f"server.host={host!r}, server.port={port}: cannot listen there: {why}; {fix}"]) from None
    sock.setblocking(False)
    return sock


def _bind_shared(family: int, host: str, port: int) -> socket.socket:
    """As `socket.create_server` does with `reuse_port`, but for that it does not listen."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def is_awaited(sock: socket.socket) -> bool:
    """Whether a listening socket has connections that wait to be accepted."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def reserve(config: Config) -> socket.socket:
    """A socket that keeps the port for several workers, and takes no connection itself.

    Raises:
        ConfigError: if the address cannot be had.
    """
    with bind(config, config.server.port) as probe:  # a port that others share already must not be joined unseen
        family, address = probe.family, probe.getsockname()
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    return sock


def tls_context(config: Config) -> ssl.SSLContext | None:
    """TLS by `server.tls_cert` and `server.tls_key`; None where they are not set.

    Raises:
        ConfigError: if they cannot be used.
    """
    if config.server.tls_cert is None or config.server.tls_key is None:
        return None
    for key, file in (("server.tls_cert", config.server.tls_cert), ("server.tls_key", config.server.tls_key)):
        if not os.access(file, os.R_OK):  # OpenSSL would not say which
            fix = f"give it to user {os.getuid()}, or to a group that this one is in"
            raise ConfigError([f"{key}={str(file)!r}: this user may not read it; {fix}"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.server.tls_cert, config.server.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError([f"server.tls_cert, server.tls_key: they cannot be used: {error}"]) from None
    return context
