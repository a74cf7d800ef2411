"""A push to the caller, from a task that ends with the connection."""

import asyncio
from datetime import datetime

from isomor import WsContext


async def push_time(ctx: WsContext) -> None:
    """Push the server's time to the caller, every second."""

    async def tick() -> None:
        while True:
            await ctx.push(datetime.now().strftime("%X"))
            await asyncio.sleep(1)

    ctx.spawn(tick(), key="time")  # a second call replaces the first one's task
