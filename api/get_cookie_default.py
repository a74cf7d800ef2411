"""What startup has kept on the app is at hand as `ctx.req.app.ctx`, by either transport."""

from isomor import Context


async def get_cookie_default(ctx: Context) -> bool:
    """Whether this server tells every client to send its cookies over WebSocket."""
    with_cookie: bool = ctx.req.app.ctx.with_cookie
    return with_cookie
