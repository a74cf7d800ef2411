import asyncio

from isomor import WsContext, push


async def turns(ctx: WsContext, count: int, payload: str) -> None:
    """Push so many times, one push in each turn of the loop; answer at once."""
    ctx.spawn(_turns(count, payload))


async def _turns(count: int, payload: str) -> None:
    for _ in range(count):
        push(payload, topic="topic")
        await asyncio.sleep(0)
