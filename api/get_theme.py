"""`Context` is either transport. Over HTTP the browser sends the cookies.

Over WebSocket the client sends those that it can read, once it has been told to:
`setWsConfig({ withCookie: true })` in the client, `ctx.set_ws_config(with_cookie=True)` in a function,
or `set_ws_default_config(with_cookie=True)` in startup.
"""

from isomor import Context


async def get_theme(ctx: Context) -> str | None:
    """The theme that the cookie of this call names."""
    return ctx.cookies.get("theme")
