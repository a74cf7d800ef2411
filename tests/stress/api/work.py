import asyncio

from ._journal import note


async def work(token: str, seconds: float) -> str:
    """A call that takes so long."""
    note(token)
    if seconds:
        await asyncio.sleep(seconds)
    return token
