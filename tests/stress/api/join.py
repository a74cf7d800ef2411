import os

from isomor import WsContext


async def join(ctx: WsContext, topics: list[str]) -> int:
    """Join topics; which worker this connection has."""
    for topic in topics:
        await ctx.join(topic)
    return os.getpid()
