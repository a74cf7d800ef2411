"""Joining a topic is the server's decision: a function does it, and could check first who asks."""

from isomor import WsContext

from . import _state


async def watch_color(ctx: WsContext) -> str:
    """Get the colour of now, and from now on a push with each new one."""
    await ctx.join("color")
    return await _state.read_color()
