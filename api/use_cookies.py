"""One of three ways to have cookies sent over WebSocket (see `get_theme`)."""

from isomor import WsContext


async def use_cookies(ctx: WsContext, on: bool) -> None:
    """Tell the caller's client to send its readable cookies with its calls from now on, or to stop that."""
    await ctx.set_ws_config(with_cookie=on)
