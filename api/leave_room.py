"""The way out of a topic."""

from isomor import WsContext

from ._rooms import Room, topic


async def leave_room(ctx: WsContext, room: Room) -> None:
    """Get nothing more of what is said in `room`."""
    await ctx.leave(topic(room))
