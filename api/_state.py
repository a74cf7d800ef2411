"""What all callers share. A name that starts with `_` is never exposed.

With one process, a variable would do. Several share what they know through Redis, as they share their pushes.
"""

import os
from collections.abc import Awaitable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from isomor import ApiError

_KEY = "isomor-example:color"
_url = os.environ.get("ISOMOR_REDIS_URL", "")
_redis: Redis | None = None
if _url.startswith(("redis://", "rediss://", "unix://")):
    # A Redis that was restarted has closed the connections that stand here: they are made anew, for up to 3 s.
    _redis = Redis.from_url(_url, decode_responses=True, retry=Retry(ExponentialBackoff(cap=1, base=0.1), 5))
_color = _FIRST = "#2e8b57"


async def read_color() -> str:
    """The colour that was set last."""
    return (await _asked(_redis.get(_KEY)) or _FIRST) if _redis else _color


async def write_color(color: str) -> None:
    """Keep a colour."""
    global _color
    if _redis:
        await _asked(_redis.set(_KEY, color))
    else:
        _color = color


async def _asked(answer: Awaitable[str | None]) -> str | None:
    try:
        return await answer
    except RedisError:
        raise ApiError("The colour cannot be had just now", code="UNAVAILABLE", status=503) from None
