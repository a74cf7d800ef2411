"""`ctx.ws` is the connection itself: a function can close it."""

from isomor import WsContext


async def drop_connection(ctx: WsContext) -> None:
    """Close the caller's connection, by the code after which clients come back. Nothing is left to bring an answer."""
    ctx.ws.close(1012, "Dropped, as asked.")
