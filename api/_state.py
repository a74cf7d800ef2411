"""What all callers share. A name that starts with `_` is never exposed.

With one process, a variable would do. Several share what they know through Redis, as they share their pushes.
"""

import os

from redis.asyncio import Redis

_KEY = "isomor-example:color"
_url = os.environ.get("ISOMOR_REDIS_URL", "")
_redis = Redis.from_url(_url, decode_responses=True) if _url.startswith(("redis://", "rediss://", "unix://")) else None
_color = "#2e8b57"


async def read_color() -> str:
    """The colour that was set last."""
    return (_redis and await _redis.get(_KEY)) or _color


async def write_color(color: str) -> None:
    """Keep a colour."""
    global _color
    _color = color
    if _redis:
        await _redis.set(_KEY, color)
