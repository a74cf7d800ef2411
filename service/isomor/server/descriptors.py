"""How many files the system lets this process open, and so how many connections there can be."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

from ..config import Config

# What is kept for all that is no connection from a client: the functions' own files and sockets, Redis, the log.
_RESERVE: Final = 128


def room(config: Config) -> int:
    """How many connections are let in: `server.max_connections`, or as many as the system's hard limit leaves."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return config.server.max_connections
    return min(config.server.max_connections, max(1, hard - min(_RESERVE, hard // 4)))


def warning(config: Config) -> str | None:
    """What to say where there is less room than was asked for; None where there is enough, or nobody has asked."""
    asked, found = config.server.max_connections, room(config)
    if found >= asked or asked == Config().server.max_connections:
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"server.max_connections = {asked}: this process may open {hard} files (RLIMIT_NOFILE, `ulimit -Hn`), which "
        f"leaves {found} for connections; raise that limit, or set server.max_connections to {found}"
    )


def make_room(config: Config) -> None:
    """Raise the soft limit, which many systems keep at 1024, as far as connections need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = room(config) + _RESERVE
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(ValueError, OSError):  # some systems have a lower limit than they tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
