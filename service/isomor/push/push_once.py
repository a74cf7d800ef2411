"""`isomor push`: one push from a process that serves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from ..config import Config
from ..errors import BusUnavailable
from .hub import address


class _Deaf:
    """Receives nothing: this process has no connections."""

    def on_message(self, channel: str, body: bytes) -> None:
        """Nothing is subscribed."""

    def on_gap(self, channel: str, lost: int | None) -> None:
        """Nothing is subscribed."""


def run(config: Config, payload: Any, topic: str | None, to: str | None) -> None:
    """Push, and return once Redis has it.

    Args:
        config: the settings; `redis.url` is set.
        payload: anything that JSON can carry.
        topic: whom it is for, or
        to: the id of a connection; neither: everyone.

    Raises:
        ConfigError: if Redis refuses us.
        BusUnavailable: if Redis could not be had within `redis.outage_buffer_seconds`.
        ValueError: if the topic or the id cannot be one.
    """
    channel, body = address(payload, topic, to)
    asyncio.run(_publish(config, channel, body))


async def _publish(config: Config, channel: str, body: bytes) -> None:
    from .redis_bus import RedisBus

    redis = config.redis
    if redis.url is None:
        raise BusUnavailable("redis.url is not set")
    bus = RedisBus(redis.url, prefix=redis.prefix, outage_buffer_seconds=redis.outage_buffer_seconds)
    await bus.start(_Deaf())
    try:
        await bus.publish(channel, body)
    finally:
        await bus.stop()
