"""A chat: a topic for each room, joined here."""

from isomor import WsContext

from ._rooms import CONTAINER, Room, topic


async def join_room(ctx: WsContext, room: Room) -> str:
    """Get what is said in `room` from now on. Returns the name of the container that serves this connection."""
    await ctx.join(topic(room))
    return CONTAINER
